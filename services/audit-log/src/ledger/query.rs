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
    /// Span id; empty if it names none.
    pub span_id: String,
    /// When its maker says that it was made.
    pub made: Option<Timestamp>,
    /// Key of the release that it is about; empty if none.
    pub release: String,
    /// Rollout that it is about; empty if none.
    pub rollout: String,
    /// Cluster that it is about; empty if none.
    pub cluster: String,
    /// API name of the decision that it is or rests on; empty if none.
    pub decision: String,
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
    /// About the release, or of a rollout to it.
    pub release: Option<ReleaseFilter>,
    /// About the cluster.
    pub cluster: Option<String>,
    /// The decision, or what rests on it; API name.
    pub decision: Option<String>,
    /// Of the trace; 32 hex digits.
    pub trace_id: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Stored at this time or later.
    pub since: Option<Timestamp>,
    /// Stored before this time.
    pub until: Option<Timestamp>,
    /// Those of these kinds as well, whatever else is looked for.
    pub always: &'static [&'static str],
}

impl Filter {
    /// Whether everything is looked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let all = Self {
            always: self.always,
            ..Self::default()
        };
        *self == all
    }
}

const COLUMNS: &str = "leaf_index, sequence, subject, payload, store_time, kind, trace_id, summary, span_id, \
                       make_time, release, rollout, cluster, decision";

impl Ledger {
    /// At most `limit` entries from index `from` on, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn entries(&self, filter: &Filter, from: u64, limit: u32) -> Result<Vec<Entry>, LedgerError> {
        let mut query =
            QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM leaves WHERE leaf_index >= "));
        query.push_bind(rows::signed(from)?);
        push_filter(&mut query, filter);
        query.push(" ORDER BY leaf_index LIMIT ").push_bind(limit);
        let rows = query
            .build()
            .fetch_all(&self.reader)
            .await
            .map_err(LedgerError::database("finding entries"))?;
        rows.iter().map(entry).collect()
    }

    /// How many entries below index `end` a filter lets through.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn count(&self, filter: &Filter, end: u64) -> Result<u64, LedgerError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT count(*) FROM leaves WHERE leaf_index < ");
        query.push_bind(rows::signed(end)?);
        push_filter(&mut query, filter);
        let count: i64 = query
            .build_query_scalar()
            .fetch_one(&self.reader)
            .await
            .map_err(LedgerError::database("counting entries"))?;
        rows::unsigned(count)
    }

    /// The entry with this stream sequence.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn with_sequence(&self, sequence: u64) -> Result<Option<Entry>, LedgerError> {
        let row = QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM leaves WHERE sequence = "))
            .push_bind(rows::signed(sequence)?)
            .build()
            .fetch_optional(&self.reader)
            .await
            .map_err(LedgerError::database("finding an entry"))?;
        row.as_ref().map(entry).transpose()
    }

    /// Every leaf under this subject, in order.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn under(&self, subject: &str) -> Result<Vec<Entry>, LedgerError> {
        let rows = QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM leaves WHERE subject = "))
            .push_bind(subject)
            .push(" ORDER BY leaf_index")
            .build()
            .fetch_all(&self.reader)
            .await
            .map_err(LedgerError::database("finding a subject"))?;
        rows.iter().map(entry).collect()
    }
}

fn push_filter(query: &mut QueryBuilder<Sqlite>, filter: &Filter) {
    query.push(" AND (");
    for kind in filter.always {
        query.push("kind = ").push_bind(*kind).push(" OR ");
    }
    query.push("(TRUE");
    if let Some(release) = &filter.release {
        query.push(" AND (");
        push_release(query, release);
        // Steps of its rollouts name these; what agents answer has their trace.
        for column in ["rollout", "trace_id"] {
            query.push(format!(
                " OR ({column} <> '' AND {column} IN (SELECT {column} FROM leaves WHERE kind = 'rollout-started' AND "
            ));
            push_release(query, release);
            query.push("))");
        }
        query.push(")");
    }
    for (column, value) in [
        ("cluster", &filter.cluster),
        ("decision", &filter.decision),
        ("trace_id", &filter.trace_id),
        ("kind", &filter.kind),
    ] {
        if let Some(value) = value {
            query
                .push(" AND ")
                .push(column)
                .push(" = ")
                .push_bind(value.clone());
        }
    }
    // Times as the stream said them, to the millisecond: their texts have fractions of different lengths.
    for (comparison, time) in [(">=", filter.since), ("<", filter.until)] {
        if let Some(time) = time {
            query
                .push(" AND unixepoch(store_time, 'subsec') ")
                .push(comparison)
                .push(" unixepoch(")
                .push_bind(time.to_string())
                .push(", 'subsec')");
        }
    }
    query.push("))");
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
        span_id: text("span_id")?,
        made: match text("make_time")?.as_str() {
            "" => None,
            time => Some(rows::time(time)?),
        },
        release: text("release")?,
        rollout: text("rollout")?,
        cluster: text("cluster")?,
        decision: text("decision")?,
    })
}
