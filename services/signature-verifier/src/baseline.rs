//! What clusters run, mapped to verified images.
//!
//! The image ids that nodes report (index, platform manifest or config digest) are compared by digest with
//! what the registry has under the tag that the Deployment names; that index must carry Flux's signature.
//! What can't be mapped so stays unknown, and the cluster gets no baseline: nothing is decided for it.

use std::collections::{BTreeMap, BTreeSet};

use bus::Area;
use bus::subject::{self, Scope};
use domain::{
    Artifact, Baseline, CheckResult, ClusterFacts, Component, CrdSet, Digest, ImageContents, ImageRef,
    Reason, ReleaseKey, Version,
};
use wire::verification::v1;

use crate::Verifier;

const ATTEMPT: u64 = 1;

/// Why a baseline is not verified now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BaselineError {
    #[error("reading the view")]
    View(#[from] bus::ViewError),
    #[error("fetching {0}")]
    Registry(ImageRef, #[source] registry::Error),
    #[error("publishing a baseline")]
    Journal(#[source] bus::journal::JournalError),
    #[error("storing manifests of a baseline")]
    Blob(#[source] bus::blobs::BlobError),
    #[error("naming an artifact of {0}")]
    Name(Version, #[source] domain::image::ParseImageRefError),
}

/// A component whose image could not be mapped.
struct Unknown {
    component: Component,
    detail: String,
}

/// The manifests of the version that runs.
struct Manifests {
    layer: Digest,
    bytes: Vec<u8>,
}

impl Verifier {
    /// Gives every cluster that has sent facts its baseline.
    pub(crate) async fn baselines(&self) -> Result<(), BaselineError> {
        let known = self.known().await?;
        let mut made: Vec<Baseline> = Vec::new();
        for fact in self.hub.view.list(Area::Cluster, "facts").await? {
            let Ok(facts) = wire::decode::<wire::fleet::v1::ClusterFacts, ClusterFacts>(&fact.statement)
            else {
                continue;
            };
            if known
                .iter()
                .chain(&made)
                .any(|baseline| baseline.describes(&facts))
            {
                continue;
            }
            if let Some(baseline) = self.baseline(&facts).await? {
                made.push(baseline);
            }
        }
        Ok(())
    }

    async fn known(&self) -> Result<Vec<Baseline>, BaselineError> {
        let facts = self.hub.view.list(Area::Verification, "contents").await?;
        let read = |fact: &bus::Fact| wire::decode::<v1::BaselineContents, _>(&fact.statement).ok();
        Ok(facts.iter().filter_map(read).collect())
    }

    async fn baseline(&self, facts: &ClusterFacts) -> Result<Option<Baseline>, BaselineError> {
        if facts.components.is_empty() {
            return Ok(None);
        }
        let images = match self.mapped(facts).await? {
            Ok(images) => images,
            Err(unknown) => {
                let reason = Reason::BaselineImageUnknown;
                tracing::warn!(cluster = %facts.cluster, component = %unknown.component, %reason,
                    detail = unknown.detail, "what runs could not be verified");
                return Ok(None);
            }
        };
        let crds = facts.crd_set();
        let (version, layer) = self.version(&images, &crds).await?;
        let baseline = Baseline {
            version,
            layer,
            images,
            crds,
        };
        let name = subject::verification_contents(Scope::Baseline(&baseline.key()), ATTEMPT);
        let claim = v1::BaselineContents::from(&baseline);
        self.hub
            .journal
            .once(&name, &claim, "")
            .await
            .map_err(BaselineError::Journal)?;
        tracing::info!(cluster = %facts.cluster, baseline = %baseline.key(), "baseline verified");
        Ok(Some(baseline))
    }

    /// Each component's index, verified, if it covers every id that the nodes report.
    async fn mapped(
        &self,
        facts: &ClusterFacts,
    ) -> Result<Result<BTreeMap<Component, ImageContents>, Unknown>, BaselineError> {
        let mut images = BTreeMap::new();
        for (component, found) in &facts.components {
            let unknown = |detail: String| {
                Ok(Err(Unknown {
                    component: *component,
                    detail,
                }))
            };
            let Some(tag) = found.image.tag().and_then(|tag| tag.parse::<Version>().ok()) else {
                return unknown(format!("{} has no version for a tag", found.image));
            };
            let upstream = upstream(Artifact::Image(*component), &tag)?;
            let resolved = self.registry.resolve_image(&upstream).await;
            let resolved = resolved.map_err(|error| BaselineError::Registry(upstream.clone(), error))?;
            let Some(contents) = resolved else {
                return unknown(format!("the registry has no {upstream}"));
            };
            if found.image_ids.is_empty() {
                return unknown("no pod reports an image id".to_owned());
            }
            if let Some(id) = found.image_ids.iter().find(|id| !contents.covers(**id)) {
                return unknown(format!(
                    "a node reports {id}, which is not part of {}",
                    contents.image
                ));
            }
            let signed = self
                .is_signed(Artifact::Image(*component), &upstream, contents.index)
                .await?;
            if !signed {
                return unknown(format!("{} carries no signature of Flux", contents.image));
            }
            images.insert(*component, contents);
        }
        Ok(Ok(images))
    }

    async fn is_signed(
        &self,
        artifact: Artifact,
        image: &ImageRef,
        digest: Digest,
    ) -> Result<bool, BaselineError> {
        let version = image
            .tag()
            .and_then(|tag| tag.parse().ok())
            .unwrap_or(Version::new(0, 0, 0));
        let release = ReleaseKey {
            version,
            manifests: digest,
        };
        let checked = self.check(&release, artifact, image, digest).await;
        let checked = checked.map_err(|error| BaselineError::Registry(image.clone(), error))?;
        Ok(checked.result == CheckResult::Passed)
    }

    /// The version of Flux that pins exactly these tags and has exactly these CRDs, and the layer of its
    /// signed manifests.
    async fn version(
        &self,
        images: &BTreeMap<Component, ImageContents>,
        crds: &CrdSet,
    ) -> Result<(Option<Version>, Option<Digest>), BaselineError> {
        let tag = |image: &ImageContents| image.image.tag()?.parse::<Version>().ok();
        let tags: Option<BTreeMap<Component, Version>> = images
            .iter()
            .map(|(component, image)| Some((*component, tag(image)?)))
            .collect();
        let candidates = flux::tables::releases_with(&tags.unwrap_or_default());
        for version in candidates.into_iter().rev() {
            let Some(manifests) = self.manifests_of(&version).await? else {
                continue;
            };
            if describes(&manifests, images, crds) {
                self.hub
                    .blobs
                    .put(&manifests.bytes)
                    .await
                    .map_err(BaselineError::Blob)?;
                return Ok((Some(version), Some(manifests.layer)));
            }
        }
        Ok((None, None))
    }

    async fn manifests_of(&self, version: &Version) -> Result<Option<Manifests>, BaselineError> {
        let image = upstream(Artifact::FluxManifests, version)?;
        let fetched = self.registry.flux_manifests(&image).await;
        let Some(fetched) = fetched.map_err(|error| BaselineError::Registry(image.clone(), error))? else {
            return Ok(None);
        };
        if !self
            .is_signed(Artifact::FluxManifests, &image, fetched.manifest)
            .await?
        {
            return Ok(None);
        }
        Ok(Some(Manifests {
            layer: fetched.layer,
            bytes: fetched.layer_bytes,
        }))
    }
}

fn upstream(artifact: Artifact, tag: &Version) -> Result<ImageRef, BaselineError> {
    ImageRef::tagged(&flux::identity::repository(artifact), &tag.to_string())
        .map_err(|error| BaselineError::Name(tag.clone(), error))
}

/// Whether these manifests, reduced to the components that run, have the same images and CRDs.
fn describes(manifests: &Manifests, images: &BTreeMap<Component, ImageContents>, crds: &CrdSet) -> bool {
    let keep: BTreeSet<Component> = images.keys().copied().collect();
    let reduced = registry::document(&manifests.bytes, 4 * 1024 * 1024)
        .ok()
        .and_then(|document| flux::manifest::parse(&document).ok())
        .and_then(|objects| flux::subset::render(&objects, &keep).ok());
    let Some(objects) = reduced else { return false };
    let same_crds = flux::manifest::crd_set(&objects).is_ok_and(|set| set == *crds);
    let same_images = flux::manifest::images(&objects).is_ok_and(|named| {
        named.iter().all(|(component, image)| {
            images
                .get(component)
                .is_some_and(|found| found.image.tag() == image.tag())
        })
    });
    same_crds && same_images
}
