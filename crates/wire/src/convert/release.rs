//! `fluxgate.release`: the hint that a tag was seen.

use domain::ReleaseKey;

use super::field;
use crate::WireError;
use crate::release::v1;

/// A tag was seen. Nothing in it is trusted: the verifier finds everything out again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// The release.
    pub release: ReleaseKey,
    /// Upstream repository of the manifests artifact, like `ghcr.io/fluxcd/flux-manifests`.
    pub repository: String,
}

impl From<&Discovered> for v1::ReleaseDiscovered {
    fn from(discovered: &Discovered) -> Self {
        Self {
            release: discovered.release.to_string(),
            repository: discovered.repository.clone(),
        }
    }
}

impl TryFrom<v1::ReleaseDiscovered> for Discovered {
    type Error = WireError;

    fn try_from(message: v1::ReleaseDiscovered) -> Result<Self, WireError> {
        Ok(Self {
            release: field::parsed("ReleaseDiscovered.release", &message.release)?,
            repository: field::text("ReleaseDiscovered.repository", message.repository)?,
        })
    }
}
