//! References to images, by their upstream names.

use std::fmt;
use std::str::FromStr;

use crate::Digest;

/// An OCI reference by its upstream name: repository with registry host, tag, digest; at least one of
/// tag and digest. Written `repo:tag@sha256:...` (OCI distribution-spec).
///
/// Where the bytes come from is a matter of mirrors (`registry`), never of this name: identities and
/// `docker-reference` are checked on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseImageRefError {
    /// No registry host before the first slash: names are never completed by guessing.
    #[error("image {0:?} names no registry host")]
    Host(String),
    /// The repository holds a character that OCI does not allow.
    #[error("image {0:?} has a repository that is not lower-case path segments")]
    Repository(String),
    /// The tag is not one of OCI's.
    #[error("image {0:?} has a tag that is not 1 to 128 of [A-Za-z0-9_.-]")]
    Tag(String),
    /// The digest is not one.
    #[error("image {0:?} has a malformed digest")]
    Digest(String),
    /// Neither tag nor digest.
    #[error("image {0:?} has neither tag nor digest")]
    Bare(String),
}

impl ImageRef {
    /// A reference by tag.
    ///
    /// # Errors
    /// If repository or tag are malformed.
    pub fn tagged(repository: &str, tag: &str) -> Result<Self, ParseImageRefError> {
        format!("{repository}:{tag}").parse()
    }

    /// The same repository and tag, pinned to a digest.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// Repository with registry host, like `ghcr.io/fluxcd/source-controller`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The last segment of the repository, like `source-controller`.
    #[must_use]
    pub fn short_name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    /// The tag, if one is named.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if pinned.
    #[must_use]
    pub const fn digest(&self) -> Option<Digest> {
        self.digest
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn is_repository(text: &str) -> bool {
    let Some((host, path)) = text.split_once('/') else {
        return false;
    };
    let segment = |s: &str| {
        !s.is_empty()
            && s.bytes().any(|b| b != b'.')
            && s.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
    };
    host.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b".-:".contains(&b))
        && path.split('/').all(segment)
}

fn has_host(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(host, _)| host.contains(['.', ':']) || host == "localhost")
}

impl FromStr for ImageRef {
    type Err = ParseImageRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => match digest.parse() {
                Ok(digest) => (rest, Some(digest)),
                Err(_) => return Err(ParseImageRefError::Digest(text.to_owned())),
            },
            None => (text, None),
        };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            Some(_) | None => (rest, None),
        };
        if !has_host(repository) {
            return Err(ParseImageRefError::Host(text.to_owned()));
        }
        if !is_repository(repository) {
            return Err(ParseImageRefError::Repository(text.to_owned()));
        }
        if tag.is_some_and(|tag| {
            tag.is_empty()
                || tag.len() > 128
                || !tag
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        }) {
            return Err(ParseImageRefError::Tag(text.to_owned()));
        }
        if tag.is_none() && digest.is_none() {
            return Err(ParseImageRefError::Bare(text.to_owned()));
        }
        Ok(Self {
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_reaches_a_cluster() {
        let digest = Digest::of(b"index");
        let text = format!("ghcr.io/fluxcd/source-controller:v1.9.4@{digest}");
        let image: ImageRef = text.parse().unwrap();
        assert_eq!(image.repository(), "ghcr.io/fluxcd/source-controller");
        assert_eq!(image.short_name(), "source-controller");
        assert_eq!(image.tag(), Some("v1.9.4"));
        assert_eq!(image.digest(), Some(digest));
        assert_eq!(image.to_string(), text);
    }

    #[test]
    fn reads_ports_and_digests_alone() {
        let image: ImageRef = "127.0.0.1:5000/x/y:v1".parse().unwrap();
        assert_eq!(
            (image.repository(), image.tag()),
            ("127.0.0.1:5000/x/y", Some("v1"))
        );
        let image: ImageRef = format!("127.0.0.1:5000/x@{}", Digest::of(b"")).parse().unwrap();
        assert_eq!((image.repository(), image.tag()), ("127.0.0.1:5000/x", None));
    }

    #[test]
    fn refuses_what_would_have_to_be_guessed() {
        for bad in [
            "alpine:3",
            "library/alpine:3",
            "ghcr.io/Flux/x:v1",
            "ghcr.io/x",
            "ghcr.io/x:",
            "ghcr.io//x:v1",
            "ghcr.io/../x:v1",
        ] {
            assert!(bad.parse::<ImageRef>().is_err(), "{bad}");
        }
    }
}
