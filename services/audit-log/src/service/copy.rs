//! Copying every blob that a statement names: the bus may forget bytes, the ledger keeps them.

use jiff::SignedDuration;

use runtime::Shutdown;

use super::Shared;
use crate::ledger::beside::{MissingBlob, PutBlobError};

/// Blobs that one pass asks for.
const BLOBS: u32 = 100;
/// After this time a missing blob is worth a note. It is published before the statement that names it, so
/// that it is there at once unless something is wrong.
const LATE: SignedDuration = SignedDuration::from_mins(10);

impl Shared {
    /// Copies until the stop.
    pub(super) async fn copy(&self, shutdown: &Shutdown) {
        let mut changes = self.soundness.changes();
        let mut after = 0;
        loop {
            changes.borrow_and_update();
            match self.copy_once(after).await {
                Ok(next) => after = next,
                Err(error) => {
                    tracing::warn!(error = runtime::errors::chain(&error), "copying blobs failed");
                }
            }
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(self.pace.blobs) => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// One pass over blobs named after this sequence; returns where the next one goes on, so that blobs that
    /// nobody has never keep others from being copied.
    pub(super) async fn copy_once(&self, after: u64) -> Result<u64, PutBlobError> {
        let missing = self.ledger.missing_blobs(after, BLOBS).await?;
        let whole = u32::try_from(missing.len()).is_ok_and(|count| count < BLOBS);
        let last = missing.last().map_or(after, |blob| blob.sequence);
        for blob in missing {
            self.copy_blob(&blob).await?;
        }
        Ok(if whole { 0 } else { last })
    }

    async fn copy_blob(&self, blob: &MissingBlob) -> Result<(), PutBlobError> {
        let digest = blob.digest;
        match self.blobs.get(digest).await {
            Ok(Some(bytes)) => match self.ledger.put_blob(digest, &bytes).await {
                Ok(()) => {
                    self.soundness.update(|state| {
                        state.late_blobs.remove(&digest);
                    });
                    return Ok(());
                }
                // Whoever holds the bytes publishes them again.
                Err(error @ PutBlobError::Digest { .. }) => {
                    tracing::warn!(
                        error = runtime::errors::chain(&error),
                        "blob on the bus has other bytes"
                    );
                }
                Err(error @ PutBlobError::Ledger(_)) => return Err(error),
            },
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%digest, error = runtime::errors::chain(&*error), "fetching a blob failed");
            }
        }
        if self.clock.now().duration_since(blob.named_time) > LATE {
            self.soundness.update(|state| {
                state.late_blobs.insert(digest);
            });
        }
        Ok(())
    }
}
