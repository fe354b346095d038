//! Resource names of the API and what they name.

use domain::release::PRODUCT;
use domain::{ReleaseKey, Version};

/// A release as a client names it: by version alone, or by the whole key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseName {
    /// `releases/flux/v2.9.4`: the first release with that version.
    Version(Version),
    /// `releases/flux/v2.9.4@sha256:...`.
    Key(ReleaseKey),
}

impl ReleaseName {
    /// Reads `releases/flux/v2.9.4`, with or without digest; also without `releases/` or `flux/`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix("releases/").unwrap_or(text);
        let version = bare
            .strip_prefix(PRODUCT)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(bare);
        if version.contains('@') {
            return format!("{PRODUCT}/{version}").parse().ok().map(Self::Key);
        }
        version.parse().ok().map(Self::Version)
    }

    /// Whether it names this release.
    #[must_use]
    pub fn names(&self, release: &ReleaseKey) -> bool {
        match self {
            Self::Version(version) => *version == release.version,
            Self::Key(key) => key == release,
        }
    }
}

/// The name of a release; with its digest where the version's tag moved.
#[must_use]
pub fn release(release: &ReleaseKey, tag_moved: bool) -> String {
    if tag_moved {
        format!("releases/{release}")
    } else {
        release.api_name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Digest;

    #[test]
    fn releases_are_named_by_version_or_key() {
        let key = ReleaseKey {
            version: Version::new(2, 9, 4),
            manifests: Digest::of(b"m"),
        };
        for text in ["releases/flux/v2.9.4", "flux/v2.9.4", "v2.9.4"] {
            assert!(ReleaseName::parse(text).unwrap().names(&key), "{text}");
        }
        assert_eq!(
            ReleaseName::parse(&release(&key, true)),
            Some(ReleaseName::Key(key.clone()))
        );
        assert_eq!(release(&key, false), "releases/flux/v2.9.4");
        assert_eq!(ReleaseName::parse("releases/helm/x"), None);
    }
}
