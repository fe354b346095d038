//! Beginning the ledger anew from what the stream holds now, after the old one was lost.
//!
//! A new ledger has a new name (origin): nobody may take it for the old one. What can be known of the old one
//! stands in checkpoints and exports that others hold; the new tree is compared with those, because the same
//! leaves make the same tree whoever makes it.

use futures::StreamExt as _;

use bus::log::{EventLog, LogError};

use crate::describe::event;
use crate::export::{Contents, Line, ReadError};
use crate::ledger::{Head, Ledger, LedgerError};

/// Events that are appended in one transaction.
const BATCH: usize = 256;

/// Why a ledger was not begun anew.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The stream can't be read.
    #[error("reading the stream")]
    Log(#[from] LogError),
    /// The ledger can't be written, or the stream has a gap.
    #[error("writing the ledger")]
    Ledger(#[from] LedgerError),
    /// The stream's tail ended before its last sequence.
    #[error("the stream ended at sequence {held}, before its last one, {last}")]
    Ended {
        /// The last sequence that came.
        held: u64,
        /// The last one that there is.
        last: u64,
    },
    /// The export can't be read any more.
    #[error("reading the export")]
    Export(#[from] ReadError),
}

impl RebuildError {
    /// Whether doing the same again can help.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Log(error) => error.retryable(),
            Self::Ledger(error) => error.retryable(),
            Self::Ended { .. } => true,
            Self::Export(_) => false,
        }
    }
}

/// How the new tree stands to a checkpoint of the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// Its first leaves are those of the checkpoint.
    Same,
    /// The stream holds less than the checkpoint covers.
    Shorter {
        /// What the stream holds.
        held: u64,
    },
    /// Its first leaves are others.
    Differs,
}

/// Appends everything that the stream holds, tells how far it is, and answers the new head.
///
/// # Errors
/// If the stream can't be read, has a gap, or the ledger can't be written.
pub async fn rebuild(
    log: &dyn EventLog,
    ledger: &Ledger,
    mut tell: impl FnMut(u64, u64),
) -> Result<Head, RebuildError> {
    let created = log.created().await?;
    let last = log.last_sequence().await?;
    let mut held = ledger.head().await.size;
    if held < last {
        let mut batches = log.tail(held + 1, Vec::new()).await?.ready_chunks(BATCH);
        while held < last {
            let Some(batch) = batches.next().await else {
                return Err(RebuildError::Ended { held, last });
            };
            let events = batch.into_iter().collect::<Result<Vec<_>, _>>()?;
            let events: Vec<_> = events
                .into_iter()
                .filter(|stored| stored.sequence <= last)
                .map(event)
                .collect();
            ledger.append(created, &events).await?;
            held = ledger.head().await.size;
            tell(held, last);
        }
    }
    Ok(ledger.publish().await?.0)
}

/// Compares the new tree with a checkpoint of the old one.
///
/// # Errors
/// If the ledger can't be read.
pub async fn compare(ledger: &Ledger, old: &Head) -> Result<Comparison, LedgerError> {
    let held = ledger.head().await.size;
    if held < old.size {
        return Ok(Comparison::Shorter { held });
    }
    if ledger.root_at(old.size).await? == old.root {
        Ok(Comparison::Same)
    } else {
        Ok(Comparison::Differs)
    }
}

/// The leaves of an export that the new ledger does not hold as they were.
///
/// # Errors
/// If the ledger can't be read.
pub async fn differing(ledger: &Ledger, export: &Contents) -> Result<Vec<Line>, LedgerError> {
    let mut differing = Vec::new();
    for line in export.lines() {
        if ledger.leaf(line.sequence).await?.as_ref() != Some(&line.leaf()) {
            differing.push(line.clone());
        }
    }
    Ok(differing)
}

#[cfg(test)]
mod tests {
    use bus::memory::MemoryLog;
    use jiff::Timestamp;

    use super::*;
    use crate::ledger::NoteKey;

    const OLD: &str = "ledger.example/fleet";
    const NEW: &str = "ledger.example/fleet-2";

    async fn ledger(folder: &std::path::Path, name: &str) -> Ledger {
        let place = folder.join(name.replace('/', "-"));
        Ledger::open(&place, NoteKey::generate(name).unwrap().0)
            .await
            .unwrap()
    }

    fn log(count: u64, changed: Option<u64>) -> MemoryLog {
        // Made later than the old one, as a restored stream is.
        let log = MemoryLog::new(Timestamp::now());
        for n in 1..=count {
            let other = if changed == Some(n) { " changed" } else { "" };
            log.inject(
                format!("fluxgate.v1.cluster.c.health.{n}"),
                format!("payload {n}{other}"),
            );
        }
        log
    }

    #[tokio::test]
    async fn the_same_events_make_the_same_tree_under_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let old = ledger(folder.path(), OLD).await;
        let mut told = Vec::new();
        let head = rebuild(&log(600, None), &old, |held, last| told.push((held, last)))
            .await
            .unwrap();
        assert_eq!(told.last(), Some(&(600, 600)));
        let new = ledger(folder.path(), NEW).await;
        let again = rebuild(&log(700, None), &new, |_, _| {}).await.unwrap();
        assert_eq!(again.size, 700);
        assert_eq!(compare(&new, &head).await.unwrap(), Comparison::Same);
        assert_ne!(new.verifier().name(), old.verifier().name());
        // Begun again, it changes nothing.
        assert_eq!(
            rebuild(&log(700, None), &old, |_, _| {})
                .await
                .unwrap_err()
                .to_string(),
            "writing the ledger"
        );
        assert_eq!(old.head().await, head);
    }

    #[tokio::test]
    async fn what_the_stream_lost_or_changed_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let old = ledger(folder.path(), OLD).await;
        let head = rebuild(&log(9, None), &old, |_, _| {}).await.unwrap();
        let shorter = ledger(folder.path(), "ledger.example/shorter").await;
        rebuild(&log(8, None), &shorter, |_, _| {}).await.unwrap();
        assert_eq!(
            compare(&shorter, &head).await.unwrap(),
            Comparison::Shorter { held: 8 }
        );
        let changed = ledger(folder.path(), "ledger.example/changed").await;
        rebuild(&log(9, Some(4)), &changed, |_, _| {}).await.unwrap();
        assert_eq!(compare(&changed, &head).await.unwrap(), Comparison::Differs);
    }

    #[tokio::test]
    async fn an_empty_stream_makes_an_empty_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let new = ledger(folder.path(), NEW).await;
        assert_eq!(rebuild(&log(0, None), &new, |_, _| {}).await.unwrap().size, 0);
    }
}
