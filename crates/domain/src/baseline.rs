//! What a cluster runs: the images of its components and the versions of its CRDs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::{Component, Digest, ImageContents, Version};

/// The versions of one CRD.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CrdVersions {
    /// Every version in `spec.versions`, served or not.
    pub versions: BTreeSet<String>,
    /// The one with `storage: true`.
    pub storage: String,
}

/// CRD name (like `buckets.source.toolkit.fluxcd.io`) to its versions.
pub type CrdSet = BTreeMap<String, CrdVersions>;

/// A short name for a baseline: the first 16 hex digits of the SHA-256 of its canonical form (sorted
/// index digests, then CRD sets), so that clusters which run the same share one decision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaselineKey(String);

/// Why a text is no baseline key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("baseline {text:?} is not 16 lower-case hex digits")]
pub struct ParseBaselineKeyError {
    /// What was read.
    pub text: String,
}

impl fmt::Display for BaselineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for BaselineKey {
    type Err = ParseBaselineKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 16 && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseBaselineKeyError {
                text: text.to_owned(),
            })
        }
    }
}

/// What a cluster runs, as verified: every image that its nodes report is mapped to an index whose
/// signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// The Flux version that all images and CRD sets belong to; `None` where they are mixed or unknown.
    pub version: Option<Version>,
    /// Digest of the verified manifests layer of `version`, as in ReleaseContents: what the install
    /// looked like before anyone customised it. `None` where it is unknown; the bytes are a blob.
    pub layer: Option<Digest>,
    /// Component to its image.
    pub images: BTreeMap<Component, ImageContents>,
    /// CRD sets as the API server has them.
    pub crds: CrdSet,
}

impl Baseline {
    /// The key: equal for clusters that run the same, whatever the order of facts.
    #[must_use]
    pub fn key(&self) -> BaselineKey {
        key_of(self.images.values().map(|image| image.index), &self.crds)
    }
}

/// The key of a baseline from its index digests and CRD sets.
#[must_use]
pub fn key_of(indexes: impl Iterator<Item = Digest>, crds: &CrdSet) -> BaselineKey {
    let mut canonical = String::from("fluxgate/baseline/v1\n");
    for index in indexes.collect::<BTreeSet<_>>() {
        canonical.push_str(&format!("{index}\n"));
    }
    for (name, crd) in crds {
        let versions: Vec<&str> = crd.versions.iter().map(String::as_str).collect();
        canonical.push_str(&format!("{name} {} {}\n", versions.join(","), crd.storage));
    }
    let mut hex = Digest::of(canonical.as_bytes()).hex();
    hex.truncate(16);
    BaselineKey(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_ignores_order_and_sees_every_change() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let crd = |storage: &str| CrdVersions {
            versions: ["v1".to_owned(), "v1beta2".to_owned()].into(),
            storage: storage.to_owned(),
        };
        let crds = CrdSet::from([("x.fluxcd.io".to_owned(), crd("v1"))]);
        let key = key_of([a, b].into_iter(), &crds);
        assert_eq!(key, key_of([b, a].into_iter(), &crds));
        assert_ne!(key, key_of([a].into_iter(), &crds));
        let other = CrdSet::from([("x.fluxcd.io".to_owned(), crd("v1beta2"))]);
        assert_ne!(key, key_of([a, b].into_iter(), &other));
        assert_eq!(key.to_string().parse::<BaselineKey>().unwrap(), key);
    }
}
