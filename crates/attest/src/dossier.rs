//! What lies in the bucket `assignments` for one cluster: the assignment, every statement that it names,
//! and the newest trust bundle. Nothing in it is trusted because of where it lies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use domain::Digest;

/// No dossier is larger (bytes); a larger one is refused unread.
pub const MAX_DOSSIER: usize = 256 * 1024;

/// An assignment with everything that an agent needs to check it. Envelopes are kept as the exact text
/// that their digests are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dossier {
    /// Envelope of the newest trust bundle.
    pub bundle: String,
    /// Envelope of the assignment.
    pub assignment: String,
    /// Envelopes of the statements that the assignment names, by subject.
    pub statements: BTreeMap<String, String>,
}

/// Why bytes are no dossier.
#[derive(Debug, thiserror::Error)]
pub enum DossierError {
    /// Larger than [`MAX_DOSSIER`].
    #[error("dossier has {0} bytes; at most {MAX_DOSSIER} are read")]
    TooLarge(usize),
    /// Not the JSON of a dossier.
    #[error("reading the dossier")]
    Json(#[source] serde_json::Error),
}

impl Dossier {
    /// Reads a dossier.
    ///
    /// # Errors
    /// If it is too large or not of this form.
    pub fn parse(bytes: &[u8]) -> Result<Self, DossierError> {
        if bytes.len() > MAX_DOSSIER {
            return Err(DossierError::TooLarge(bytes.len()));
        }
        serde_json::from_slice(bytes).map_err(DossierError::Json)
    }

    /// The dossier's JSON.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings and maps with text keys always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The envelope under a subject, if it has the digest by which it was named.
    #[must_use]
    pub fn statement(&self, subject: &str, digest: Digest) -> Option<&[u8]> {
        let envelope = self.statements.get(subject)?.as_bytes();
        (Digest::of(envelope) == digest).then_some(envelope)
    }
}
