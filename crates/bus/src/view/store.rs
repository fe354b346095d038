//! The file behind the view: SQLite with write-ahead log and `synchronous = FULL`, one writer, several
//! readers.

use std::path::Path;

use attest::Trust;
use bytes::Bytes;
use jiff::Timestamp;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row as _, SqliteConnection};
use tempfile::TempDir;

use super::{Fact, ViewError};
use crate::judge;
use crate::subject::{self, Area, Author, Series, Subject};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS facts (
    subject TEXT PRIMARY KEY,
    area TEXT NOT NULL,
    workflow TEXT NOT NULL,
    step TEXT NOT NULL,
    n INTEGER NOT NULL,
    sequence INTEGER NOT NULL UNIQUE,
    time TEXT NOT NULL,
    traceparent TEXT,
    payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS facts_by_step ON facts (area, step, workflow, n);
CREATE INDEX IF NOT EXISTS facts_by_sequence ON facts (area, step, sequence);
CREATE INDEX IF NOT EXISTS facts_by_workflow ON facts (area, workflow, step, n);
CREATE TABLE IF NOT EXISTS invalid (sequence INTEGER PRIMARY KEY, subject TEXT NOT NULL, why TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL);
";

const READERS: u32 = 4;
/// Rows of `invalid` kept: whoever can publish must not be able to fill the disk through it.
const INVALID_KEPT: i64 = 1000;

const COLUMNS: &str = "subject, sequence, time, traceparent, payload";

/// Keys of the table `meta`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Meta {
    /// Decimal stream sequence.
    Cursor,
    /// When the stream was created.
    StreamCreated,
    /// What everything was judged under: version of the rules, root key, bundle version.
    JudgedUnder,
    /// The newest bundle folded.
    Bundle,
    /// How often everything was judged from the beginning: a number that only grows.
    Making,
}

impl Meta {
    const fn key(self) -> &'static str {
        match self {
            Self::Cursor => "cursor",
            Self::StreamCreated => "stream_created",
            Self::JudgedUnder => "judged_under",
            Self::Bundle => "bundle",
            Self::Making => "making",
        }
    }
}

#[derive(Debug)]
pub(super) struct Store {
    pub(super) writer: SqlitePool,
    readers: SqlitePool,
    /// The folder of a view without a path; deleted with the view.
    _folder: Option<TempDir>,
}

pub(super) fn failed(operation: &'static str) -> impl Fn(sqlx::Error) -> ViewError {
    move |source| ViewError::Database { operation, source }
}

impl Store {
    pub(super) async fn open(path: Option<&Path>) -> Result<Self, ViewError> {
        let (folder, file) = match path {
            Some(path) => (None, path.to_owned()),
            None => {
                let folder = tempfile::tempdir().map_err(ViewError::Folder)?;
                let file = folder.path().join("view.db");
                (Some(folder), file)
            }
        };
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        // A file does not go away as a server does: nothing is asked before each use.
        let writer = SqlitePoolOptions::new()
            .test_before_acquire(false)
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None);
        let writer = writer
            .connect_with(options.clone())
            .await
            .map_err(failed("opening"))?;
        sqlx::raw_sql(SCHEMA)
            .execute(&writer)
            .await
            .map_err(failed("opening"))?;
        let readers = SqlitePoolOptions::new()
            .test_before_acquire(false)
            .max_connections(READERS);
        let readers = readers
            .connect_with(options.read_only(true))
            .await
            .map_err(failed("opening"))?;
        Ok(Self {
            writer,
            readers,
            _folder: folder,
        })
    }

    pub(super) async fn meta(&self, meta: Meta) -> Result<Option<Vec<u8>>, ViewError> {
        let query = sqlx::query_scalar("SELECT value FROM meta WHERE key = ?").bind(meta.key());
        query
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("reading"))
    }

    pub(super) async fn cursor(&self) -> Result<u64, ViewError> {
        let text = self.meta(Meta::Cursor).await?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&text).parse().unwrap_or(0))
    }

    /// The trust of the newest bundle folded before, if it is newer than this and by the same root key.
    pub(super) async fn newest_trust(&self, pinned: &Trust) -> Result<Trust, ViewError> {
        let stored = self.meta(Meta::Bundle).await?;
        let mut trust = pinned.clone();
        if let Some(stored) = stored
            && let Err(error) = trust.advance(&stored)
        {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the stored bundle is not newer"
            );
        }
        Ok(trust)
    }

    pub(super) async fn get(&self, subject: &Subject) -> Result<Option<Fact>, ViewError> {
        let mut connection = self.readers.acquire().await.map_err(failed("reading"))?;
        get(&mut connection, subject).await
    }

    pub(super) async fn at(&self, sequence: u64) -> Result<Option<Fact>, ViewError> {
        let query =
            sqlx::query("SELECT subject, sequence, time, traceparent, payload FROM facts WHERE sequence = ?");
        let row = query
            .bind(integer(sequence))
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("reading"))?;
        row.as_ref().map(fact).transpose()
    }

    pub(super) async fn latest(&self, series: &Series) -> Result<Option<Fact>, ViewError> {
        let mut connection = self.readers.acquire().await.map_err(failed("reading"))?;
        latest(&mut connection, series).await
    }

    pub(super) async fn series(&self, series: &Series) -> Result<Vec<Fact>, ViewError> {
        let condition = "area = ? AND workflow = ? AND step = ? ORDER BY n";
        self.select(
            condition,
            &[series.area().name(), series.workflow(), series.step()],
        )
        .await
    }

    pub(super) async fn list(&self, area: Area, step: &str) -> Result<Vec<Fact>, ViewError> {
        // No two events share a sequence, and n rises with it inside a series.
        let condition = "sequence IN (SELECT MAX(sequence) FROM facts WHERE area = ? AND step = ? \
                         GROUP BY workflow) ORDER BY sequence";
        self.select(condition, &[area.name(), step]).await
    }

    pub(super) async fn all_of(&self, area: Area, step: &str) -> Result<Vec<Fact>, ViewError> {
        self.select("area = ? AND step = ? ORDER BY sequence", &[area.name(), step])
            .await
    }

    pub(super) async fn steps(
        &self,
        area: Area,
        workflow: &str,
        prefix: &str,
    ) -> Result<Vec<Fact>, ViewError> {
        let condition = "area = ? AND workflow = ? AND substr(step, 1, length(?)) = ? ORDER BY sequence";
        self.select(condition, &[area.name(), workflow, prefix, prefix])
            .await
    }

    pub(super) async fn after(&self, sequence: u64, limit: u32) -> Result<Vec<Fact>, ViewError> {
        let sql = format!("SELECT {COLUMNS} FROM facts WHERE sequence > ? ORDER BY sequence LIMIT ?");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(integer(sequence))
            .bind(limit);
        let rows = query.fetch_all(&self.readers).await.map_err(failed("reading"))?;
        rows.iter().map(fact).collect()
    }

    pub(super) async fn making(&self) -> Result<u64, ViewError> {
        let text = self.meta(Meta::Making).await?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&text).parse().unwrap_or(0))
    }

    /// The newest event of each workflow that has this step, of those after a sequence.
    pub(super) async fn newer(&self, area: Area, step: &str, after: u64) -> Result<Vec<Fact>, ViewError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM facts WHERE sequence IN (SELECT MAX(sequence) FROM facts \
             WHERE area = ? AND step = ? AND sequence > ? GROUP BY workflow) ORDER BY sequence"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(area.name())
            .bind(step.to_owned())
            .bind(integer(after));
        let rows = query.fetch_all(&self.readers).await.map_err(failed("reading"))?;
        rows.iter().map(fact).collect()
    }

    pub(super) async fn why_invalid(&self, subject: &Subject) -> Result<Option<String>, ViewError> {
        let sql = "SELECT why FROM invalid WHERE subject = ? ORDER BY sequence DESC LIMIT 1";
        let query = sqlx::query_scalar(sql).bind(subject.to_string());
        query
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("reading"))
    }

    pub(super) async fn invalid_count(&self) -> Result<u64, ViewError> {
        let query = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM invalid");
        let count = query.fetch_one(&self.readers).await.map_err(failed("reading"))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// `condition` is one of the constants above; values are bound.
    async fn select(&self, condition: &'static str, values: &[&str]) -> Result<Vec<Fact>, ViewError> {
        let sql = format!("SELECT {COLUMNS} FROM facts WHERE {condition}");
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for value in values {
            query = query.bind((*value).to_owned());
        }
        let rows = query.fetch_all(&self.readers).await.map_err(failed("reading"))?;
        rows.iter().map(fact).collect()
    }
}

pub(super) async fn get(
    connection: &mut SqliteConnection,
    subject: &Subject,
) -> Result<Option<Fact>, ViewError> {
    let query =
        sqlx::query("SELECT subject, sequence, time, traceparent, payload FROM facts WHERE subject = ?");
    let row = query
        .bind(subject.to_string())
        .fetch_optional(connection)
        .await
        .map_err(failed("reading"))?;
    row.as_ref().map(fact).transpose()
}

pub(super) async fn exists(connection: &mut SqliteConnection, subject: &Subject) -> Result<bool, ViewError> {
    let query = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM facts WHERE subject = ?");
    let count = query
        .bind(subject.to_string())
        .fetch_one(connection)
        .await
        .map_err(failed("reading"))?;
    Ok(count > 0)
}

pub(super) async fn latest(
    connection: &mut SqliteConnection,
    series: &Series,
) -> Result<Option<Fact>, ViewError> {
    let sql = "SELECT subject, sequence, time, traceparent, payload FROM facts \
               WHERE area = ? AND workflow = ? AND step = ? ORDER BY n DESC LIMIT 1";
    let query = sqlx::query(sql)
        .bind(series.area().name())
        .bind(series.workflow())
        .bind(series.step());
    let row = query
        .fetch_optional(connection)
        .await
        .map_err(failed("reading"))?;
    row.as_ref().map(fact).transpose()
}

pub(super) async fn insert_fact(connection: &mut SqliteConnection, fact: &Fact) -> Result<(), ViewError> {
    let subject = &fact.subject;
    let sql = "INSERT INTO facts (subject, area, workflow, step, n, sequence, time, traceparent, payload) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let query = sqlx::query(sql)
        .bind(subject.to_string())
        .bind(subject.area().name())
        .bind(subject.workflow())
        .bind(subject.step())
        .bind(integer(subject.n()))
        .bind(integer(fact.sequence))
        .bind(fact.time.to_string())
        .bind(fact.traceparent.as_deref())
        .bind(fact.envelope.as_ref());
    query.execute(connection).await.map_err(failed("writing"))?;
    Ok(())
}

pub(super) async fn insert_invalid(
    connection: &mut SqliteConnection,
    (sequence, subject): (u64, &str),
    why: &str,
) -> Result<(), ViewError> {
    let query = sqlx::query("INSERT OR REPLACE INTO invalid (sequence, subject, why) VALUES (?, ?, ?)");
    let query = query.bind(integer(sequence)).bind(subject).bind(why);
    query.execute(&mut *connection).await.map_err(failed("writing"))?;
    let query = sqlx::query(
        "DELETE FROM invalid WHERE sequence NOT IN (SELECT sequence FROM invalid ORDER BY sequence DESC LIMIT ?)",
    );
    query
        .bind(INVALID_KEPT)
        .execute(connection)
        .await
        .map_err(failed("writing"))?;
    Ok(())
}

pub(super) async fn set_meta(
    connection: &mut SqliteConnection,
    meta: Meta,
    value: &[u8],
) -> Result<(), ViewError> {
    let query = sqlx::query("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)");
    query
        .bind(meta.key())
        .bind(value)
        .execute(connection)
        .await
        .map_err(failed("writing"))?;
    Ok(())
}

/// Empties everything but the newest bundle.
pub(super) async fn wipe(connection: &mut SqliteConnection) -> Result<(), ViewError> {
    let sql = "DELETE FROM facts; DELETE FROM invalid; DELETE FROM meta WHERE key <> 'bundle';";
    sqlx::raw_sql(sql)
        .execute(connection)
        .await
        .map_err(failed("emptying"))?;
    Ok(())
}

/// Numbers and sequences were parsed as what fits SQLite's integer.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn fact(row: &SqliteRow) -> Result<Fact, ViewError> {
    let failed = failed("reading");
    let sequence: i64 = row.try_get("sequence").map_err(&failed)?;
    let sequence = u64::try_from(sequence).unwrap_or(0);
    let subject: String = row.try_get("subject").map_err(&failed)?;
    let time: String = row.try_get("time").map_err(&failed)?;
    let traceparent: Option<String> = row.try_get("traceparent").map_err(&failed)?;
    let payload: Vec<u8> = row.try_get("payload").map_err(&failed)?;
    let read = || {
        let subject: Subject = subject.parse().ok()?;
        let time: Timestamp = time.parse().ok()?;
        let statement = match subject::rule(&subject)?.author {
            Author::Hint => attest::Statement::parse(&payload).ok()?,
            Author::Root | Author::Role(_) | Author::Agent => judge::read_signed(&payload).ok()?,
        };
        Some((subject, time, statement))
    };
    let (subject, time, statement) = read().ok_or(ViewError::Damaged { sequence })?;
    Ok(Fact {
        subject,
        sequence,
        time,
        traceparent,
        envelope: Bytes::from(payload),
        statement,
    })
}
