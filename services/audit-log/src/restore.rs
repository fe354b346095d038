//! Filling a new, empty stream from an export: every leaf under its old subject, with its old bytes, at its old
//! sequence, because statements name each other by these.
//!
//! Where a leaf is not in the export a filler of kind `lost` keeps its number. It is signed by nobody, stands
//! under a subject where nothing may stand, and holds the hash of the leaf that it stands for, so that who finds
//! the payload one day can prove that it is the one.

use bytes::Bytes;

use attest::claim::predicate_type;
use attest::{Envelope, ResourceDescriptor, Statement};
use bus::blobs::{BlobError, Blobs};
use bus::refill::{Refill, RefillError};

use crate::export::{Contents, Line, ReadError};

/// Kind of the statements that keep a number.
pub const LOST: &str = "lost";

/// Why a stream was not filled.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The stream.
    #[error("filling the stream")]
    Refill(#[from] RefillError),
    /// The blobs.
    #[error("putting the blobs back")]
    Blobs(#[from] BlobError),
    /// The export can't be read any more.
    #[error("reading the export")]
    Export(#[from] ReadError),
}

impl RestoreError {
    /// Whether doing the same again can help.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Refill(error) => error.retryable(),
            Self::Blobs(error) => error.retryable(),
            Self::Export(_) => false,
        }
    }
}

/// What was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// Events.
    pub events: u64,
    /// Fillers among them.
    pub lost: u64,
    /// Blobs.
    pub blobs: u64,
}

/// Fills the stream, and tells how far it is. It may die and begin again.
///
/// # Errors
/// If something else stands on the stream, or it can't be written.
pub async fn restore(
    export: &Contents,
    (refill, blobs): (&mut Refill, &Blobs),
    mut tell: impl FnMut(u64, u64),
) -> Result<Restored, RestoreError> {
    let mut restored = Restored {
        events: 0,
        lost: 0,
        blobs: 0,
    };
    // First what statements name: readers ask for it as soon as they see them.
    for bytes in export.blobs() {
        blobs.put(&bytes?).await?;
        restored.blobs += 1;
    }
    for sequence in 1..=export.size() {
        match export.line(sequence) {
            Some(line) => put(export, refill, line).await?,
            None => {
                let (subject, payload) = filler(export, sequence);
                refill.put(sequence, &subject, &payload, None).await?;
                restored.lost += 1;
            }
        }
        restored.events += 1;
        tell(sequence, export.size());
    }
    refill.end(export.size()).await?;
    Ok(restored)
}

async fn put(export: &Contents, refill: &mut Refill, line: &Line) -> Result<(), RestoreError> {
    let payload = export.payload(line)?;
    let traceparent = traceparent(&payload);
    refill
        .put(line.sequence, &line.subject, &payload, traceparent.as_deref())
        .await?;
    Ok(())
}

/// The trace context of a statement, which stood in the message's header as well.
fn traceparent(payload: &[u8]) -> Option<String> {
    let statement = match Envelope::parse(payload) {
        Ok(envelope) => Statement::parse(envelope.payload()),
        Err(_) => Statement::parse(payload),
    };
    let header = statement.ok()?.header().ok()?;
    Some(header.traceparent).filter(|traceparent| !traceparent.is_empty())
}

/// Subject and payload that keep the number of a lost leaf; the same whenever they are made.
fn filler(export: &Contents, sequence: u64) -> (String, Bytes) {
    let subject = format!("{}.lost.sequence.filler.{sequence}", bus::subject::PREFIX);
    let leaf = export.leaf_hash(sequence.saturating_sub(1));
    let body = serde_json::json!({
        "leafHash": leaf.map(|hash| hash.to_string()),
        "sequence": sequence.to_string(),
    });
    let statement = Statement::new(
        vec![ResourceDescriptor::named(subject.clone())],
        predicate_type(LOST),
        serde_json::json!({ "body": body }),
    );
    (subject, statement.to_bytes().into())
}
