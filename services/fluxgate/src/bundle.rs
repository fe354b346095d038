//! Putting a trust bundle on the bus.

use attest::{Envelope, Statement, TrustBundle};
use bus::{Appended, EventLog, Expect, LogError};

/// Why a bundle is not on the bus.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The bytes are no envelope.
    #[error("reading the bundle's envelope")]
    Envelope(#[from] attest::dsse::EnvelopeError),
    /// The envelope holds no bundle.
    #[error("reading the bundle")]
    Claim(#[from] attest::ClaimError),
    /// The log gave no answer.
    #[error("publishing the bundle")]
    Log(#[from] LogError),
    /// Something else stands under that version.
    #[error("version {0} of the bundle is on the bus already, with other bytes; make the next version")]
    Other(u64),
}

/// Publishes a bundle under its version. The same bytes again change nothing.
///
/// # Errors
/// If it is no bundle, the log does not answer, or the version is taken.
pub async fn publish(log: &dyn EventLog, bytes: &[u8]) -> Result<(), BundleError> {
    let bundle = read(bytes)?;
    let subject = bus::subject::trust_bundle(bundle.version);
    match log
        .append(&subject, bytes.to_vec().into(), None, Expect::Absent)
        .await?
    {
        Appended::Stored(_) => Ok(()),
        Appended::Conflict => {
            let stored = log.first_after(&subject.to_string(), 0).await?;
            let same = stored.is_some_and(|stored| stored.payload == bytes);
            if same {
                Ok(())
            } else {
                Err(BundleError::Other(bundle.version))
            }
        }
    }
}

/// The bundle in an envelope. Whether the root key signed it is for its readers to judge.
///
/// # Errors
/// If it is no envelope, or holds no bundle.
pub fn read(bytes: &[u8]) -> Result<TrustBundle, BundleError> {
    let envelope = Envelope::parse(bytes)?;
    let statement = Statement::parse(envelope.payload()).map_err(attest::ClaimError::from)?;
    Ok(statement.claim()?)
}

#[cfg(test)]
mod tests {
    use bus::memory::MemoryLog;

    use super::*;

    #[tokio::test]
    async fn the_same_bundle_again_changes_nothing_and_another_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let now: jiff::Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let bundle = |name: &str| {
            let dir = folder.path().join(name);
            crate::keys::init(&dir, 1, true, now).unwrap();
            std::fs::read(dir.join(crate::keys::BUNDLE)).unwrap()
        };
        let (log, one, other) = (MemoryLog::new(now), bundle("one"), bundle("other"));
        for _ in 0..2 {
            publish(&log, &one).await.unwrap();
        }
        assert_eq!(log.last_sequence().await.unwrap(), 1);
        assert!(matches!(publish(&log, &other).await, Err(BundleError::Other(1))));
        assert!(matches!(
            publish(&log, b"{}").await,
            Err(BundleError::Envelope(_))
        ));
    }
}
