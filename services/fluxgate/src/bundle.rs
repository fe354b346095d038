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
    let envelope = Envelope::parse(bytes)?;
    let statement = Statement::parse(envelope.payload()).map_err(attest::ClaimError::from)?;
    let bundle: TrustBundle = statement.claim()?;
    let subject = bus::subject::trust_bundle(bundle.version);
    match log.append(&subject, bytes.to_vec().into(), None, Expect::Absent).await? {
        Appended::Stored(_) => Ok(()),
        Appended::Conflict => {
            let stored = log.first_after(&subject.to_string(), 0).await?;
            let same = stored.is_some_and(|stored| stored.payload == bytes);
            if same { Ok(()) } else { Err(BundleError::Other(bundle.version)) }
        }
    }
}
