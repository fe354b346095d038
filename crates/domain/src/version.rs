//! Versions as Flux tags them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A version as upstream tags it: `v` and a semantic version (semver.org 2.0.0), like `v2.9.4`.
///
/// Ordered by semver precedence; build metadata is refused, because two tags that differ in it alone
/// would compare as different versions of equal rank.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(semver::Version);

/// How far apart two versions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bump {
    /// Same version.
    None,
    /// Same major and minor.
    Patch,
    /// Same major.
    Minor,
    /// Another major.
    Major,
}

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("version {text:?} is not v and three numbers, like v2.9.4")]
pub struct ParseVersionError {
    /// What was read.
    pub text: String,
}

impl Version {
    /// A version without pre-release part.
    #[must_use]
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self(semver::Version::new(major, minor, patch))
    }

    /// The semantic version, without the leading `v`.
    #[must_use]
    pub const fn semver(&self) -> &semver::Version {
        &self.0
    }

    /// Whether it has a pre-release part, like `v2.9.0-rc.1`.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// Whether the patch number is zero: the first release of a minor.
    #[must_use]
    pub fn is_dot_zero(&self) -> bool {
        self.0.patch == 0 && !self.is_prerelease()
    }

    /// How far `to` is from this version, whatever the direction.
    #[must_use]
    pub fn bump_to(&self, to: &Self) -> Bump {
        if self.0.major != to.0.major {
            Bump::Major
        } else if self.0.minor != to.0.minor {
            Bump::Minor
        } else if self == to {
            Bump::None
        } else {
            Bump::Patch
        }
    }

    /// The number of minors that a step upward to `to` leaves out; 0 for the next minor or a patch.
    #[must_use]
    pub fn minors_skipped_to(&self, to: &Self) -> u64 {
        to.0.minor.saturating_sub(self.0.minor).saturating_sub(1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseVersionError {
            text: text.to_owned(),
        };
        let bare = text.strip_prefix('v').ok_or_else(error)?;
        match semver::Version::parse(bare) {
            Ok(version) if version.build.is_empty() => Ok(Self(version)),
            Ok(_) | Err(_) => Err(error()),
        }
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn is_written_as_upstream_tags_it() {
        assert_eq!(v("v2.9.4").to_string(), "v2.9.4");
        for bad in ["2.9.4", "v2.9", "v2.9.4+build", "vv2.9.4", "latest", ""] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }

    #[test]
    fn is_ordered_by_precedence() {
        assert!(v("v2.9.4") > v("v2.9.3"));
        assert!(v("v2.10.0") > v("v2.9.4"));
        assert!(v("v2.10.0-rc.1") < v("v2.10.0"));
    }

    #[test]
    fn knows_the_size_of_a_step() {
        assert_eq!(v("v2.9.3").bump_to(&v("v2.9.4")), Bump::Patch);
        assert_eq!(v("v2.9.3").bump_to(&v("v2.9.3")), Bump::None);
        assert_eq!(v("v2.7.5").bump_to(&v("v2.9.3")), Bump::Minor);
        assert_eq!(v("v2.7.5").minors_skipped_to(&v("v2.9.3")), 1);
        assert_eq!(v("v2.8.0").minors_skipped_to(&v("v2.9.0")), 0);
        assert_eq!(v("v1.0.0").bump_to(&v("v2.0.0")), Bump::Major);
    }
}
