//! Manifests and indexes as the OCI image-spec 1.1 writes them, and as little of them as is used.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::{Digest, ImageRef, Platform};
use serde::Deserialize;

use crate::error::Failure;

/// Longest manifest that is read; registries accept at most this (distribution-spec, "manifests").
pub(crate) const MAX_MANIFEST_BYTES: u64 = 4 << 20;

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// What we ask for, and all that we can read.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// A manifest or index: bytes whose digest was computed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Upstream name, pinned to `digest`.
    pub image: ImageRef,
    /// SHA-256 of `bytes`.
    pub digest: Digest,
    /// What the bytes are, by their own `mediaType`, or by their structure where they name none.
    pub media_type: String,
    /// The body, exactly as fetched.
    pub bytes: Bytes,
}

/// A descriptor (image-spec, `descriptor.md`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the object.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Annotations of the object.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) platform: Option<PlatformFields>,
}

/// Operating system and architecture, in an index entry and in an image config alike.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct PlatformFields {
    os: String,
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

/// What a body is.
#[derive(Debug)]
pub(crate) enum Content {
    /// Entries of an index.
    Index(Vec<Descriptor>),
    /// Config and layers of an image or artifact.
    Image {
        config: Descriptor,
        layers: Vec<Descriptor>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u64,
    media_type: Option<String>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

impl Manifest {
    pub(crate) fn read(image: &ImageRef, digest: Digest, bytes: Bytes) -> Result<Self, Failure> {
        let (media_type, _) = parse(&bytes)?;
        Ok(Self {
            image: image.pinned(digest),
            digest,
            media_type,
            bytes,
        })
    }

    pub(crate) fn content(&self) -> Result<Content, Failure> {
        parse(&self.bytes).map(|(_, content)| content)
    }

    /// Whether this is an image index or a Docker manifest list.
    #[must_use]
    pub fn is_index(&self) -> bool {
        matches!(self.media_type.as_str(), OCI_INDEX | DOCKER_LIST)
    }
}

impl PlatformFields {
    /// BuildKit's attestation manifests name this platform.
    pub(crate) fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    pub(crate) fn platform(&self) -> Platform {
        let architecture = match self.variant.as_deref() {
            Some(variant) if !variant.is_empty() => format!("{}/{variant}", self.architecture),
            Some(_) | None => self.architecture.clone(),
        };
        Platform {
            os: self.os.clone(),
            architecture,
        }
    }
}

/// A body that could be read as index **and** as image is refused, and so is one whose `mediaType`
/// contradicts its structure: two readers must never see two things (CVE-2021-41190).
fn parse(bytes: &[u8]) -> Result<(String, Content), Failure> {
    let document: Document = serde_json::from_slice(bytes).map_err(Failure::Json)?;
    if document.schema_version != 2 {
        return Err(Failure::Malformed("manifest has a schema version other than 2"));
    }
    let (content, allowed) = match (document.manifests, document.config, document.layers) {
        (Some(manifests), None, None) => (Content::Index(manifests), [OCI_INDEX, DOCKER_LIST]),
        (None, Some(config), Some(layers)) => {
            (Content::Image { config, layers }, [OCI_MANIFEST, DOCKER_MANIFEST])
        }
        _ => {
            return Err(Failure::Malformed(
                "manifest is neither an index nor config and layers",
            ));
        }
    };
    let [oci, _] = allowed;
    match document.media_type {
        None => Ok((oci.to_owned(), content)),
        Some(named) if allowed.contains(&named.as_str()) => Ok((named, content)),
        Some(_) => Err(Failure::Malformed(
            "manifest has a media type that its content contradicts",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(json: &str) -> Result<String, Failure> {
        parse(json.as_bytes()).map(|(media_type, _)| media_type)
    }

    #[test]
    fn what_it_is_follows_from_its_bytes() {
        assert_eq!(kind(r#"{"schemaVersion":2,"manifests":[]}"#).unwrap(), OCI_INDEX);
        let list = format!(r#"{{"schemaVersion":2,"mediaType":"{DOCKER_LIST}","manifests":[]}}"#);
        assert_eq!(kind(&list).unwrap(), DOCKER_LIST);
    }

    #[test]
    fn a_body_with_two_readings_is_refused() {
        let config = format!(r#"{{"mediaType":"x","size":1,"digest":"{}"}}"#, Digest::of(b""));
        let both = format!(r#"{{"schemaVersion":2,"manifests":[],"config":{config},"layers":[]}}"#);
        assert!(matches!(kind(&both), Err(Failure::Malformed(_))));
        let contradicts = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","manifests":[]}}"#);
        assert!(matches!(kind(&contradicts), Err(Failure::Malformed(_))));
        let twice = r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#;
        assert!(matches!(kind(twice), Err(Failure::Json(_))));
        assert!(matches!(
            kind(r#"{"schemaVersion":1,"manifests":[]}"#),
            Err(Failure::Malformed(_))
        ));
    }
}
