//! `fluxgate.common`: digests, references, images, CRDs and the enums that every area uses.

use std::collections::BTreeMap;

use domain::assignment::StatementRef;
use domain::fleet::CrdFacts;
use domain::{
    CheckResult, Component, CrdSet, CrdVersions, Digest, Health, ImageContents, Mode, Outcome, Platform,
    PlatformImage,
};

use super::field;
use crate::WireError;
use crate::common::v1;

impl From<Digest> for v1::Digest {
    fn from(digest: Digest) -> Self {
        Self {
            algorithm: "sha256".to_owned(),
            hex: digest.hex(),
        }
    }
}

impl TryFrom<v1::Digest> for Digest {
    type Error = WireError;

    fn try_from(message: v1::Digest) -> Result<Self, WireError> {
        field::one_digest("Digest", &message)
    }
}

impl From<&StatementRef> for v1::StatementRef {
    fn from(reference: &StatementRef) -> Self {
        Self {
            subject: reference.subject.clone(),
            digest: Some(reference.digest.into()),
        }
    }
}

impl TryFrom<v1::StatementRef> for StatementRef {
    type Error = WireError;

    fn try_from(message: v1::StatementRef) -> Result<Self, WireError> {
        Ok(Self {
            subject: field::text("StatementRef.subject", message.subject)?,
            digest: field::digest("StatementRef.digest", message.digest)?,
        })
    }
}

impl From<(&Component, &ImageContents)> for v1::ImageContents {
    fn from((component, contents): (&Component, &ImageContents)) -> Self {
        Self {
            component: component.to_string(),
            image: contents.image.to_string(),
            index: Some(contents.index.into()),
            platforms: contents.platforms.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::ImageContents> for (Component, ImageContents) {
    type Error = WireError;

    fn try_from(message: v1::ImageContents) -> Result<Self, WireError> {
        let contents = ImageContents {
            image: field::parsed("ImageContents.image", &message.image)?,
            index: field::digest("ImageContents.index", message.index)?,
            platforms: field::list(message.platforms)?,
        };
        if contents
            .image
            .digest()
            .is_some_and(|digest| digest != contents.index)
        {
            return Err(WireError::Digest {
                field: "ImageContents.image",
            });
        }
        Ok((
            field::parsed("ImageContents.component", &message.component)?,
            contents,
        ))
    }
}

/// The images of a release or a baseline.
pub(crate) fn images(images: &BTreeMap<Component, ImageContents>) -> Vec<v1::ImageContents> {
    images.iter().map(Into::into).collect()
}

/// The images of a release or a baseline, each component once.
pub(crate) fn read_images(
    field: &'static str,
    images: Vec<v1::ImageContents>,
) -> Result<BTreeMap<Component, ImageContents>, WireError> {
    field::keyed(field, images.into_iter().map(TryInto::try_into))
}

impl From<&PlatformImage> for v1::PlatformImage {
    fn from(image: &PlatformImage) -> Self {
        Self {
            os: image.platform.os.clone(),
            architecture: image.platform.architecture.clone(),
            manifest: Some(image.manifest.into()),
            config: Some(image.config.into()),
        }
    }
}

impl TryFrom<v1::PlatformImage> for PlatformImage {
    type Error = WireError;

    fn try_from(message: v1::PlatformImage) -> Result<Self, WireError> {
        Ok(Self {
            platform: Platform {
                os: field::text("PlatformImage.os", message.os)?,
                architecture: field::text("PlatformImage.architecture", message.architecture)?,
            },
            manifest: field::digest("PlatformImage.manifest", message.manifest)?,
            config: field::digest("PlatformImage.config", message.config)?,
        })
    }
}

impl From<(&String, &CrdVersions)> for v1::CrdVersions {
    fn from((name, crd): (&String, &CrdVersions)) -> Self {
        Self {
            name: name.clone(),
            versions: crd.versions.iter().cloned().collect(),
            storage: crd.storage.clone(),
            stored: Vec::new(),
        }
    }
}

impl TryFrom<v1::CrdVersions> for (String, CrdVersions) {
    type Error = WireError;

    fn try_from(message: v1::CrdVersions) -> Result<Self, WireError> {
        let (name, facts): (String, CrdFacts) = message.try_into()?;
        if facts.stored.is_empty() {
            Ok((name, facts.crd))
        } else {
            Err(WireError::Unexpected {
                field: "CrdVersions.stored",
            })
        }
    }
}

impl From<(&String, &CrdFacts)> for v1::CrdVersions {
    fn from((name, facts): (&String, &CrdFacts)) -> Self {
        Self {
            stored: facts.stored.iter().cloned().collect(),
            ..(name, &facts.crd).into()
        }
    }
}

impl TryFrom<v1::CrdVersions> for (String, CrdFacts) {
    type Error = WireError;

    fn try_from(message: v1::CrdVersions) -> Result<Self, WireError> {
        let versions = |field, names: Vec<String>| {
            field::distinct(field, names.into_iter().map(|name| field::text(field, name)))
        };
        let crd = CrdVersions {
            versions: versions("CrdVersions.versions", message.versions)?,
            storage: field::text("CrdVersions.storage", message.storage)?,
        };
        let stored = versions("CrdVersions.stored", message.stored)?;
        Ok((
            field::text("CrdVersions.name", message.name)?,
            CrdFacts { crd, stored },
        ))
    }
}

/// The CRDs of a baseline.
pub(crate) fn crds(crds: &CrdSet) -> Vec<v1::CrdVersions> {
    crds.iter().map(Into::into).collect()
}

/// Both directions of an enum whose variants have the same names on both sides.
macro_rules! choices {
    ($domain:ty, $message:ty, $name:literal, [$($variant:ident),*]) => {
        impl From<$domain> for $message {
            fn from(value: $domain) -> Self {
                match value {
                    $(<$domain>::$variant => Self::$variant),*
                }
            }
        }

        impl TryFrom<$message> for $domain {
            type Error = $crate::WireError;

            fn try_from(value: $message) -> Result<Self, $crate::WireError> {
                match value {
                    $(<$message>::$variant => Ok(Self::$variant),)*
                    <$message>::Unspecified => Err($crate::WireError::Enum { field: $name, value: 0 }),
                }
            }
        }
    };
}
pub(crate) use choices;

choices!(
    CheckResult,
    v1::CheckResult,
    "CheckResult",
    [Passed, Failed, NotChecked]
);
choices!(
    Outcome,
    v1::Outcome,
    "Outcome",
    [Allow, Wait, NeedsApproval, Deny]
);
choices!(Mode, v1::Mode, "Mode", [Observe, Enforce]);
choices!(Health, v1::Health, "Health", [Healthy, Inconclusive, Unhealthy]);
