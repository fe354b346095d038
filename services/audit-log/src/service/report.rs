//! The LedgerStatus: signed every minute, and at once when something changed, into the bucket `status`.
//!
//! A checkpoint goes to disk before the status that names it. A status that can't be written grows old at its
//! readers, which blocks as well as one that says so.

use attest::Header;
use runtime::Shutdown;
use wire::audit::v1::LedgerStatus;

use super::{PortError, Shared};
use crate::ledger::LedgerError;

/// Subject in the header of the statement: its place in the bucket, as it is on no stream.
pub const STATUS_SUBJECT: &str = "ledger/status";

/// Why a status was not reported.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Ledger or its files failed.
    #[error("writing the checkpoint")]
    Ledger(#[from] LedgerError),
    /// The statement could not be signed.
    #[error("signing the status")]
    Sign(#[from] attest::ClaimError),
    /// The bucket did not take it.
    #[error("putting the status into its bucket")]
    Put(#[source] PortError),
}

impl Shared {
    /// Reports until the stop.
    pub(super) async fn report(&self, shutdown: &Shutdown) {
        let mut changes = self.soundness.changes();
        loop {
            changes.borrow_and_update();
            let wait = match self.report_once().await {
                Ok(_) => self.pace.status,
                Err(error) => {
                    tracing::warn!(
                        error = runtime::errors::chain(&error),
                        "reporting the status failed"
                    );
                    self.pace.retry
                }
            };
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(wait) => {}
                _ = changes.changed() => tokio::time::sleep(self.pace.debounce).await,
            }
        }
    }

    /// Writes checkpoint and status. Nothing is reported before the stream was seen: a status has to name it.
    pub(super) async fn report_once(&self) -> Result<LedgerStatus, ReportError> {
        let now = self.clock.now();
        let status = self.status().await?;
        if status.stream_create_time.is_some() {
            let header = Header::published(STATUS_SUBJECT, now, "").as_of(status.confirmed);
            let envelope = attest::claim::sign(&header, &status, &self.signer)?;
            self.board
                .put_status(envelope.to_bytes().into())
                .await
                .map_err(ReportError::Put)?;
        }
        Ok(status)
    }

    /// The status now, with the checkpoint of what it confirms on disk. Its time is when the stream last answered:
    /// whoever asks while the stream is silent sees it grow old.
    pub(super) async fn status(&self) -> Result<LedgerStatus, LedgerError> {
        let compared = self.compared();
        let (head, checkpoint) = self.ledger.publish().await?;
        let held = self.ledger.stream_created().await?;
        let state = self.soundness.now();
        let created = held.or(state.created);
        Ok(LedgerStatus {
            report_time: Some(wire::time::timestamp(compared)),
            confirmed: head.size,
            stream_create_time: wire::time::optional_timestamp(created),
            sound: state.is_sound(),
            problem: state.text(),
            tree_size: head.size,
            root_hash: head.root.to_string(),
            checkpoint,
        })
    }
}
