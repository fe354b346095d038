//! Which release a cluster runs.
//!
//! Candidates are the releases whose contents stand on the log with exactly the indexes that run, and the
//! known releases that pin the tags that run. One that fits has these images and these CRDs, by its own
//! verified manifests. Whoever could not be looked at may be the one: then it is not known, which is not the
//! same as none.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::{
    Artifact, Baseline, CheckResult, Component, CrdSet, Digest, ImageContents, ReleaseContents, Version,
};
use jiff::Timestamp;

use super::{BaselineError, upstream};
use crate::Verifier;

/// Manifests are never larger than this, unpacked.
const MAX_DOCUMENT: u64 = 4 * 1024 * 1024;

/// Where images and CRDs come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// From this release, whose manifests layer this is; the layer is stored.
    Release(Version, Digest),
    /// From no release: every candidate was looked at and does not fit.
    None,
    /// It can't be known now.
    Unknown(String),
}

/// A release that may be what runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Candidate<'a> {
    /// Its contents stand on the log.
    Verified(&'a ReleaseContents),
    /// It pins the tags that run.
    Tagged(Version),
}

impl Candidate<'_> {
    const fn version(&self) -> &Version {
        match self {
            Self::Verified(contents) => &contents.release.version,
            Self::Tagged(version) => version,
        }
    }
}

/// The manifests of a candidate.
enum Manifests {
    Found {
        layer: Digest,
        bytes: Vec<u8>,
    },
    /// They are not Flux's.
    Foreign,
    /// Not fetched, or not signed yet.
    Unknown(String),
}

impl Verifier {
    /// The release that a baseline is of.
    pub(super) async fn origin(
        &self,
        baseline: &Baseline,
        releases: &[Arc<ReleaseContents>],
        now: Timestamp,
    ) -> Result<Origin, BaselineError> {
        let mut unknown = None;
        for candidate in candidates(&baseline.images, releases.iter().map(AsRef::as_ref)) {
            let manifests = match &candidate {
                Candidate::Verified(contents) => self.stored(contents).await?,
                Candidate::Tagged(version) => self.fetched(version, now).await?,
            };
            match manifests {
                Manifests::Found { layer, bytes } => {
                    if describes(&bytes, baseline) {
                        self.blobs.put(&bytes).await.map_err(BaselineError::Blob)?;
                        return Ok(Origin::Release(candidate.version().clone(), layer));
                    }
                }
                Manifests::Foreign => {}
                Manifests::Unknown(why) => unknown = unknown.or(Some(why)),
            }
        }
        Ok(unknown.map_or(Origin::None, Origin::Unknown))
    }

    /// The manifests that contents on the log name: they were verified before those were signed.
    async fn stored(&self, contents: &ReleaseContents) -> Result<Manifests, BaselineError> {
        let layer = contents.layer;
        let blob = self.blobs.get(layer).await;
        if let Some(bytes) = blob.map_err(BaselineError::Blob)? {
            return Ok(Manifests::Found { layer, bytes });
        }
        let release = &contents.release;
        let image = upstream(Artifact::FluxManifests, &release.version)?.pinned(release.manifests);
        Ok(match self.registry.flux_manifests(&image).await {
            Ok(Some(fetched)) if fetched.layer == layer => Manifests::Found {
                layer,
                bytes: fetched.layer_bytes,
            },
            Ok(Some(_)) => Manifests::Foreign,
            Ok(None) => Manifests::Unknown(format!("the registry has no {image}")),
            Err(error) => Manifests::Unknown(runtime::errors::chain(&error)),
        })
    }

    /// The manifests that upstream's tag names, verified.
    async fn fetched(&self, version: &Version, now: Timestamp) -> Result<Manifests, BaselineError> {
        let image = upstream(Artifact::FluxManifests, version)?;
        let fetched = match self.registry.flux_manifests(&image).await {
            Ok(Some(fetched)) => fetched,
            Ok(None) => return Ok(Manifests::Unknown(format!("the registry has no {image}"))),
            Err(error) => return Ok(Manifests::Unknown(runtime::errors::chain(&error))),
        };
        let signed = self
            .signature((Artifact::FluxManifests, &image, fetched.manifest), now)
            .await;
        Ok(match signed {
            Ok(CheckResult::Passed) => Manifests::Found {
                layer: fetched.layer,
                bytes: fetched.layer_bytes,
            },
            Ok(CheckResult::Failed) => {
                tracing::warn!(%image, "manifests are not signed by Flux");
                Manifests::Foreign
            }
            Ok(CheckResult::NotChecked) => Manifests::Unknown(format!("{image} carries no signature yet")),
            Err(error) => Manifests::Unknown(runtime::errors::chain(&error)),
        })
    }
}

/// The releases that may be what runs, newest first. What the log has about a version counts, not its tags.
pub(super) fn candidates<'a>(
    images: &BTreeMap<Component, ImageContents>,
    releases: impl Iterator<Item = &'a ReleaseContents> + Clone,
) -> Vec<Candidate<'a>> {
    let has = |contents: &&ReleaseContents| {
        images.iter().all(|(component, image)| {
            contents
                .images
                .get(component)
                .is_some_and(|named| named.index == image.index)
        })
    };
    let tag = |image: &ImageContents| image.image.tag()?.parse::<Version>().ok();
    let tags: Option<BTreeMap<Component, Version>> = images
        .iter()
        .map(|(component, image)| Some((*component, tag(image)?)))
        .collect();
    let verified: BTreeSet<&Version> = releases
        .clone()
        .map(|contents| &contents.release.version)
        .collect();
    let tagged = flux::tables::releases_with(&tags.unwrap_or_default())
        .into_iter()
        .filter(|version| !verified.contains(version))
        .map(Candidate::Tagged);
    let mut all: Vec<_> = releases
        .filter(has)
        .map(Candidate::Verified)
        .chain(tagged)
        .collect();
    all.sort_by_key(|candidate| Reverse(candidate.version().clone()));
    all
}

/// Whether these manifests, reduced to the components that run, have the same images and CRDs.
fn describes(layer: &[u8], baseline: &Baseline) -> bool {
    let keep: BTreeSet<Component> = baseline.images.keys().copied().collect();
    let reduced = registry::document(layer, MAX_DOCUMENT)
        .ok()
        .and_then(|document| flux::manifest::parse(&document).ok())
        .and_then(|objects| flux::subset::render(&objects, &keep).ok());
    let Some(objects) = reduced else { return false };
    let same_images = flux::manifest::images(&objects).is_ok_and(|named| {
        named.iter().all(|(component, image)| {
            baseline
                .images
                .get(component)
                .is_some_and(|found| found.image.tag() == image.tag())
        })
    });
    let same_crds =
        flux::manifest::crd_set(&objects).is_ok_and(|brought| crds_fit(&brought, &baseline.crds, &keep));
    same_images && same_crds
}

/// Whether the CRDs that are there can be those that the manifests bring to these components: all of them,
/// with equal versions. What belongs to no component of Flux is somebody else's; what belongs to a component
/// that does not run was left behind.
pub(super) fn crds_fit(brought: &CrdSet, found: &CrdSet, running: &BTreeSet<Component>) -> bool {
    let all_there = brought.iter().all(|(name, crd)| found.get(name) == Some(crd));
    let strange = |name: &String| {
        !brought.contains_key(name)
            && flux::tables::crd_owner(name).is_some_and(|owner| running.contains(&owner))
    };
    all_there && !found.keys().any(strange)
}
