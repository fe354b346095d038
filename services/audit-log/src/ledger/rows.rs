//! The SQL of the tree: leaves, node hashes, the stream that is followed.

use std::ops::Range;

use jiff::Timestamp;
use sqlx::{Sqlite, SqliteConnection, SqliteExecutor};

use domain::Digest;

use super::merkle::{NodeId, TreeHash};
use super::{About, Event, Leaf, LedgerError, index};

const STREAM_CREATED: &str = "stream_created";

/// SQLite's integers have a sign; no stream reaches 2^63.
pub(super) fn signed(number: u64) -> Result<i64, LedgerError> {
    match i64::try_from(number) {
        Ok(number) => Ok(number),
        Err(_) => Err(LedgerError::Malformed("a number above 2^63")),
    }
}

pub(super) fn unsigned(number: i64) -> Result<u64, LedgerError> {
    match u64::try_from(number) {
        Ok(number) => Ok(number),
        Err(_) => Err(LedgerError::Malformed("a negative number")),
    }
}

pub(super) fn digest(bytes: Vec<u8>) -> Result<Digest, LedgerError> {
    match bytes.try_into() {
        Ok(bytes) => Ok(Digest::from_bytes(bytes)),
        Err(_) => Err(LedgerError::Malformed("a digest")),
    }
}

pub(super) fn time(text: &str) -> Result<Timestamp, LedgerError> {
    match text.parse() {
        Ok(time) => Ok(time),
        Err(_) => Err(LedgerError::Malformed("a time")),
    }
}

/// Number of leaves, which must be without holes.
pub(super) async fn size(db: impl SqliteExecutor<'_>) -> Result<u64, LedgerError> {
    let (count, next): (i64, i64) =
        sqlx::query_as("SELECT count(*), coalesce(max(leaf_index) + 1, 0) FROM leaves")
            .fetch_one(db)
            .await
            .map_err(LedgerError::database("counting leaves"))?;
    if count == next {
        unsigned(count)
    } else {
        Err(LedgerError::Malformed("leaves with holes"))
    }
}

pub(super) async fn stream_created(db: impl SqliteExecutor<'_>) -> Result<Option<Timestamp>, LedgerError> {
    let text: Option<String> = sqlx::query_scalar("SELECT value FROM meta WHERE name = ?")
        .bind(STREAM_CREATED)
        .fetch_optional(db)
        .await
        .map_err(LedgerError::database("reading the stream's creation time"))?;
    text.as_deref().map(time).transpose()
}

pub(super) async fn set_stream_created(
    db: &mut SqliteConnection,
    created: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query("INSERT INTO meta (name, value) VALUES (?, ?)")
        .bind(STREAM_CREATED)
        .bind(created.to_string())
        .execute(db)
        .await
        .map_err(LedgerError::database("storing the stream's creation time"))?;
    Ok(())
}

/// The leaf of a sequence.
pub(super) async fn leaf(db: impl SqliteExecutor<'_>, sequence: u64) -> Result<Option<Leaf>, LedgerError> {
    let row: Option<(String, Vec<u8>)> =
        sqlx::query_as("SELECT subject, payload FROM leaves WHERE sequence = ?")
            .bind(signed(sequence)?)
            .fetch_optional(db)
            .await
            .map_err(LedgerError::database("reading a leaf"))?;
    row.map(|(subject, payload)| {
        Ok(Leaf {
            payload: digest(payload)?,
            sequence,
            subject,
        })
    })
    .transpose()
}

/// The leaves of a range of sequences, all of which must be there.
pub(super) async fn leaves(
    db: impl SqliteExecutor<'_>,
    sequences: Range<u64>,
) -> Result<Vec<Leaf>, LedgerError> {
    let rows: Vec<(i64, String, Vec<u8>)> = sqlx::query_as(
        "SELECT sequence, subject, payload FROM leaves WHERE sequence >= ? AND sequence < ? ORDER BY sequence",
    )
    .bind(signed(sequences.start)?)
    .bind(signed(sequences.end)?)
    .fetch_all(db)
    .await
    .map_err(LedgerError::database("reading leaves"))?;
    if u64::try_from(rows.len()).ok() != Some(sequences.end - sequences.start) {
        return Err(LedgerError::Malformed("leaves with holes"));
    }
    rows.into_iter()
        .map(|(sequence, subject, payload)| {
            Ok(Leaf {
                payload: digest(payload)?,
                sequence: unsigned(sequence)?,
                subject,
            })
        })
        .collect()
}

/// The hashes of these nodes, in their order.
pub(super) async fn hashes<'e, E>(db: E, nodes: &[NodeId]) -> Result<Vec<TreeHash>, LedgerError>
where
    E: SqliteExecutor<'e, Database = Sqlite> + Copy,
{
    let mut hashes = Vec::with_capacity(nodes.len());
    for node in nodes {
        let bytes: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT hash FROM hashes WHERE level = ? AND position = ?")
                .bind(node.level)
                .bind(signed(node.position)?)
                .fetch_optional(db)
                .await
                .map_err(LedgerError::database("reading a node"))?;
        let hash = bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(LedgerError::Node(*node))?;
        hashes.push(TreeHash::from_bytes(hash));
    }
    Ok(hashes)
}

/// The hashes of leaves from `first` on.
pub(super) async fn leaf_hashes(
    db: impl SqliteExecutor<'_>,
    first: u64,
    limit: u32,
) -> Result<Vec<TreeHash>, LedgerError> {
    let rows: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT hash FROM hashes WHERE level = 0 AND position >= ? ORDER BY position LIMIT ?",
    )
    .bind(signed(first)?)
    .bind(limit)
    .fetch_all(db)
    .await
    .map_err(LedgerError::database("reading hashes of leaves"))?;
    rows.into_iter()
        .map(|bytes| match bytes.try_into() {
            Ok(bytes) => Ok(TreeHash::from_bytes(bytes)),
            Err(_) => Err(LedgerError::Malformed("a hash")),
        })
        .collect()
}

pub(super) async fn insert_hashes(
    db: &mut SqliteConnection,
    nodes: &[(NodeId, TreeHash)],
) -> Result<(), LedgerError> {
    for (node, hash) in nodes {
        sqlx::query("INSERT INTO hashes (level, position, hash) VALUES (?, ?, ?)")
            .bind(node.level)
            .bind(signed(node.position)?)
            .bind(hash.as_bytes().as_slice())
            .execute(&mut *db)
            .await
            .map_err(LedgerError::database("storing a node"))?;
    }
    Ok(())
}

/// Stores a leaf with its payload and the names of its blobs.
pub(super) async fn insert(
    db: &mut SqliteConnection,
    index: u64,
    leaf: &Leaf,
    event: &Event,
) -> Result<(), LedgerError> {
    let about = &event.about;
    sqlx::query(
        "INSERT INTO leaves (leaf_index, sequence, subject, payload, store_time, kind, trace_id, release, \
         rollout, cluster, decision, summary, span_id, make_time, described) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(signed(index)?)
    .bind(signed(leaf.sequence)?)
    .bind(&leaf.subject)
    .bind(leaf.payload.as_bytes().as_slice())
    .bind(event.store_time.to_string())
    .bind(&about.kind)
    .bind(&about.trace_id)
    .bind(&about.release)
    .bind(&about.rollout)
    .bind(&about.cluster)
    .bind(&about.decision)
    .bind(&about.summary)
    .bind(&about.span_id)
    .bind(optional_time(about.made))
    .bind(index::VERSION)
    .execute(&mut *db)
    .await
    .map_err(LedgerError::database("storing a leaf"))?;
    sqlx::query("INSERT OR IGNORE INTO payloads (digest, bytes) VALUES (?, ?)")
        .bind(leaf.payload.as_bytes().as_slice())
        .bind(event.payload.as_ref())
        .execute(&mut *db)
        .await
        .map_err(LedgerError::database("storing a payload"))?;
    name_blobs(db, about, leaf.sequence, &event.store_time.to_string()).await
}

/// A time as text; empty where there is none.
pub(super) fn optional_time(time: Option<Timestamp>) -> String {
    time.map(|time| time.to_string()).unwrap_or_default()
}

/// Stores the names of the blobs that a leaf names.
pub(super) async fn name_blobs(
    db: &mut SqliteConnection,
    about: &About,
    sequence: u64,
    named: &str,
) -> Result<(), LedgerError> {
    for blob in &about.blobs {
        sqlx::query("INSERT OR IGNORE INTO blobs (digest, sequence, named_time) VALUES (?, ?, ?)")
            .bind(blob.as_bytes().as_slice())
            .bind(signed(sequence)?)
            .bind(named)
            .execute(&mut *db)
            .await
            .map_err(LedgerError::database("storing the name of a blob"))?;
    }
    Ok(())
}
