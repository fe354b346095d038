//! Finding leaves by what statements say of themselves.

use jiff::Timestamp;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use domain::{Digest, ReleaseKey, Version, release::PRODUCT};

use super::{Ledger, LedgerError, rows};

/// A leaf with what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Index, from 0.
    pub index: u64,
    /// Stream sequence.
    pub sequence: u64,
    /// Subject.
    pub subject: String,
    /// Digest of the payload.
    pub payload: Digest,
    /// When the stream stored it.
    pub store_time: Timestamp,
    /// Kind of claim; empty if the payload is no statement of ours.
    pub kind: String,
    /// Trace id; empty if it names none.
    pub trace_id: String,
    /// One line for people.
    pub summary: String,
}

/// The releases that are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseFilter {
    /// This one.
    Key(ReleaseKey),
    /// Each of this version, whatever its digest.
    Version(Version),
}

/// What is looked for: all that is set must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// About the release, or a step of a rollout to it.
    pub release: Option<ReleaseFilter>,
    /// About the cluster.
    pub cluster: Option<String>,
    /// The decision, or what rests on it; API name.
    pub decision: Option<String>,
    /// Of the trace; 32 hex digits.
    pub trace_id: Option<String>,
}

impl Ledger {
    /// At most `limit` entries from index `from` on, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn entries(&self, filter: &Filter, from: u64, limit: u32) -> Result<Vec<Entry>, LedgerError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT leaf_index, sequence, subject, payload, store_time, kind, trace_id, summary \
             FROM leaves WHERE leaf_index >= ",
        );
        query.push_bind(rows::signed(from)?);
        if let Some(release) = &filter.release {
            query.push(" AND (");
            push_release(&mut query, release);
            query.push(" OR (rollout <> '' AND rollout IN (SELECT rollout FROM leaves WHERE kind = 'rollout-started' AND ");
            push_release(&mut query, release);
            query.push(")))");
        }
        for (column, value) in [
            ("cluster", &filter.cluster),
            ("decision", &filter.decision),
            ("trace_id", &filter.trace_id),
        ] {
            if let Some(value) = value {
                query.push(" AND ").push(column).push(" = ").push_bind(value);
            }
        }
        query.push(" ORDER BY leaf_index LIMIT ").push_bind(limit);
        let rows = query
            .build()
            .fetch_all(&self.reader)
            .await
            .map_err(LedgerError::database("finding entries"))?;
        rows.iter().map(entry).collect()
    }
}

fn push_release(query: &mut QueryBuilder<Sqlite>, release: &ReleaseFilter) {
    match release {
        ReleaseFilter::Key(key) => {
            query.push("release = ").push_bind(key.to_string());
        }
        ReleaseFilter::Version(version) => {
            // `A` follows `@`: the keys of this version and no others.
            query
                .push("release >= ")
                .push_bind(format!("{PRODUCT}/{version}@"));
            query
                .push(" AND release < ")
                .push_bind(format!("{PRODUCT}/{version}A"));
        }
    }
}

fn entry(row: &sqlx::sqlite::SqliteRow) -> Result<Entry, LedgerError> {
    let reading = |source| LedgerError::Database {
        operation: "reading an entry",
        source,
    };
    let number = |name| {
        row.try_get::<i64, _>(name)
            .map_err(reading)
            .and_then(rows::unsigned)
    };
    let text = |name| row.try_get::<String, _>(name).map_err(reading);
    Ok(Entry {
        index: number("leaf_index")?,
        sequence: number("sequence")?,
        subject: text("subject")?,
        payload: rows::digest(row.try_get("payload").map_err(reading)?)?,
        store_time: rows::time(&text("store_time")?)?,
        kind: text("kind")?,
        trace_id: text("trace_id")?,
        summary: text("summary")?,
    })
}
