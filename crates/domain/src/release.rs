//! A release: an upstream version with its artifacts, pinned by digest.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::{Component, Digest, ImageRef, Version};

/// The one product that is implemented; part of every key, so that others can follow.
pub const PRODUCT: &str = "flux";

/// What names a release: product, version **and** the digest of the `flux-manifests` OCI manifest. A
/// second digest for one version is another release. Written `flux/v2.9.4@sha256:...`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseKey {
    /// Upstream version.
    pub version: Version,
    /// Digest of the OCI manifest of `flux-manifests` at the moment of discovery.
    pub manifests: Digest,
}

/// Why a text is no release key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("release {text:?} is not flux/vX.Y.Z@sha256:<hex>")]
pub struct ParseReleaseKeyError {
    /// What was read.
    pub text: String,
}

impl ReleaseKey {
    /// The name of the release in the API where only one digest exists for the version:
    /// `releases/flux/v2.9.4`.
    #[must_use]
    pub fn api_name(&self) -> String {
        format!("releases/{PRODUCT}/{}", self.version)
    }
}

impl fmt::Display for ReleaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PRODUCT}/{}@{}", self.version, self.manifests)
    }
}

impl FromStr for ReleaseKey {
    type Err = ParseReleaseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text
            .strip_prefix(PRODUCT)
            .and_then(|rest| rest.strip_prefix('/'))
            .and_then(|rest| rest.split_once('@'))
            .and_then(|(version, digest)| Some((version.parse().ok()?, digest.parse().ok()?)));
        match parsed {
            Some((version, manifests)) => Ok(Self { version, manifests }),
            None => Err(ParseReleaseKeyError {
                text: text.to_owned(),
            }),
        }
    }
}

/// What a release contains, derived from the verified bytes of its manifests and resolved once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseContents {
    /// The release.
    pub release: ReleaseKey,
    /// Digest of the layer (tar.gz) that holds the manifests; its bytes are a blob on the bus.
    pub layer: Digest,
    /// Digest of the manifests document inside the layer, as plain text.
    pub document: Digest,
    /// One image for each component of the release.
    pub images: BTreeMap<Component, ImageContents>,
}

/// One image of a release: what its tag was resolved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageContents {
    /// Upstream name, tag and index digest.
    pub image: ImageRef,
    /// Digest of the OCI image index: what is signed, and what reaches a cluster.
    pub index: Digest,
    /// The platform images below the index, in the index's order.
    pub platforms: Vec<PlatformImage>,
}

/// An image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformImage {
    /// Where it runs.
    pub platform: Platform,
    /// Digest of its OCI manifest.
    pub manifest: Digest,
    /// Digest of its config.
    pub config: Digest,
}

/// Operating system and architecture, in Go's words, like `linux/arm64`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// Operating system.
    pub os: String,
    /// Architecture; a variant follows behind a slash, like `arm/v7`.
    pub architecture: String,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

impl ImageContents {
    /// Whether this digest is the index or belongs to one of its platforms: the three forms in which
    /// container runtimes report an `imageID`.
    #[must_use]
    pub fn covers(&self, digest: Digest) -> bool {
        self.index == digest
            || self
                .platforms
                .iter()
                .any(|p| p.manifest == digest || p.config == digest)
    }
}

impl ReleaseContents {
    /// The component whose image this digest belongs to, in any of its three forms.
    #[must_use]
    pub fn component_of(&self, digest: Digest) -> Option<Component> {
        self.images
            .iter()
            .find(|(_, image)| image.covers(digest))
            .map(|(component, _)| *component)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_reads_back() {
        let key = ReleaseKey {
            version: Version::new(2, 9, 4),
            manifests: Digest::of(b"m"),
        };
        assert_eq!(key.to_string().parse::<ReleaseKey>().unwrap(), key);
        assert_eq!(key.api_name(), "releases/flux/v2.9.4");
        for bad in ["flux/v2.9.4", "helm/v2.9.4@sha256:00", "flux/2.9.4@sha256:00", ""] {
            assert!(bad.parse::<ReleaseKey>().is_err(), "{bad}");
        }
    }
}
