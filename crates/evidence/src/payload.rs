//! The simplesigning payload: what a cosign signature says it is about.
//!
//! containers/image `atomic-signature` ("Red Hat simple signing") as cosign writes it: `critical.type` is a
//! fixed text, `critical.image` the digest that was signed, `critical.identity` the repository without tag.

use std::collections::BTreeMap;
use std::fmt;

use domain::{Digest, ImageRef};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

/// `critical.type` of every cosign payload (cosign SIGNATURE_SPEC, "Payload").
const TYPE: &str = "cosign container image signature";

/// The payload. Unknown and doubled fields are refused: what is not understood could change the meaning.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payload {
    critical: Critical,
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "read to refuse doubled keys; annotations of a signer decide nothing"
    )]
    optional: Option<Annotations>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    identity: Identity,
    image: Image,
    r#type: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    #[serde(rename = "docker-reference")]
    docker_reference: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    docker_manifest_digest: String,
}

/// What a payload says that it must not say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PayloadMismatch {
    /// Another kind of claim.
    #[error("the payload is of type {found:?}, not {TYPE:?}")]
    Type { found: String },
    /// Another digest.
    #[error("the payload is about {found:?}, not {expected}")]
    Digest { found: String, expected: Digest },
    /// Another repository.
    #[error("the payload is about the repository {found:?}, not {expected:?}")]
    Repository { found: String, expected: String },
}

impl Payload {
    /// Whether the payload is about this image: type, digest and repository, each exactly. The repository
    /// is the upstream one, whatever mirror the bytes came from.
    pub(crate) fn check(&self, image: &ImageRef, digest: Digest) -> Result<(), PayloadMismatch> {
        let Critical {
            identity,
            image: signed,
            r#type,
        } = &self.critical;
        if r#type != TYPE {
            return Err(PayloadMismatch::Type {
                found: r#type.clone(),
            });
        }
        if signed.docker_manifest_digest != digest.to_string() {
            let found = signed.docker_manifest_digest.clone();
            return Err(PayloadMismatch::Digest {
                found,
                expected: digest,
            });
        }
        if identity.docker_reference != image.repository() {
            let found = identity.docker_reference.clone();
            return Err(PayloadMismatch::Repository {
                found,
                expected: image.repository().to_owned(),
            });
        }
        Ok(())
    }
}

/// `optional`: annotations of the signer, texts or numbers under names that occur once.
#[derive(Debug)]
struct Annotations;

#[derive(Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "the variants say which values are accepted")]
enum Scalar {
    Text(String),
    Number(i64),
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnnotationsVisitor)
    }
}

struct AnnotationsVisitor;

impl<'de> Visitor<'de> for AnnotationsVisitor {
    type Value = Annotations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("annotations under names that occur once")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
        let mut seen: BTreeMap<String, Scalar> = BTreeMap::new();
        while let Some((name, value)) = map.next_entry()? {
            if let Some(_doubled) = seen.insert(name, value) {
                return Err(de::Error::custom("annotation occurs twice"));
            }
        }
        Ok(Annotations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: &str, reference: &str, digest: &str) -> String {
        format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"{reference}"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"{kind}"}},"optional":null}}"#
        )
    }

    fn check(text: &str) -> Result<(), PayloadMismatch> {
        let image = "ghcr.io/fluxcd/source-controller:v1.9.4".parse().unwrap();
        serde_json::from_str::<Payload>(text)
            .unwrap()
            .check(&image, Digest::of(b"index"))
    }

    #[test]
    fn type_digest_and_repository_must_be_equal() {
        let digest = Digest::of(b"index").to_string();
        let repository = "ghcr.io/fluxcd/source-controller";
        assert!(check(&text(TYPE, repository, &digest)).is_ok());
        let wrong = check(&text("atomic container signature", repository, &digest));
        assert!(matches!(wrong, Err(PayloadMismatch::Type { .. })));
        for other in [Digest::of(b"x").to_string(), digest.to_uppercase(), String::new()] {
            let wrong = check(&text(TYPE, repository, &other));
            assert!(matches!(wrong, Err(PayloadMismatch::Digest { .. })), "{other}");
        }
        for other in [
            "ghcr.io/fluxcd/source-controller:v1.9.4",
            "ghcr.io/fluxcd/helm-controller",
            "",
        ] {
            let wrong = check(&text(TYPE, other, &digest));
            assert!(
                matches!(wrong, Err(PayloadMismatch::Repository { .. })),
                "{other}"
            );
        }
    }

    #[test]
    fn doubled_unknown_and_missing_fields_are_refused() {
        let good = text(TYPE, "ghcr.io/x", "sha256:00");
        let doubled_digest = good.replace(
            r#""docker-manifest-digest""#,
            r#""docker-manifest-digest":"a","docker-manifest-digest""#,
        );
        let unknown = good.replace(r#""optional":null"#, r#""optional":null,"more":1"#);
        let doubled = good.replace(r#""optional":null"#, r#""optional":{"a":"1","a":"2"}"#);
        let trailing = format!("{good}{{}}");
        for bad in [doubled_digest.as_str(), &unknown, &doubled, &trailing, "{}", ""] {
            assert!(serde_json::from_str::<Payload>(bad).is_err(), "{bad}");
        }
        let annotated = good.replace(r#""optional":null"#, r#""optional":{"a":"1","timestamp":2}"#);
        assert!(serde_json::from_str::<Payload>(&annotated).is_ok());
    }
}
