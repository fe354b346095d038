//! What clusters run, mapped to verified images.
//!
//! The image ids that nodes report (index, platform manifest or config digest) are compared by digest with
//! what the registry has under the tag that the Deployment names; that index must carry Flux's signature.
//! What can't be mapped so stays unknown, and the cluster gets no baseline: nothing is decided for it.
//!
//! Which release it is (`version`) is part of what is said. Where that can't be found out now, nothing is said
//! yet; a baseline without a version is of images and CRDs that no release has together, and is said again
//! with one when that turns out to be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use attest::Role;
use bus::subject::{self, Scope};
use bus::{Fact, Journal, Turn, ViewError};
use domain::{
    Artifact, Baseline, CheckResult, ClusterFacts, ClusterName, Component, Digest, ImageContents, ImageRef,
    Reason, ReleaseContents, ReleaseKey, Version,
};
use jiff::Timestamp;
use wire::verification::v1;

use crate::Verifier;

mod statements;
mod version;

pub(crate) use statements::Statements;
use statements::stated;
use version::Origin;

/// Why a baseline is not verified now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BaselineError {
    #[error("reading the view")]
    View(#[from] ViewError),
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

/// The same for all that run the same.
fn item(facts: &ClusterFacts) -> Digest {
    Digest::of(format!("{:?} {:?}", facts.components, facts.crd_set()).as_bytes())
}

impl Verifier {
    /// Gives every cluster that has sent facts its baseline. What can't be mapped is logged, waits, and keeps
    /// no other cluster from getting its own.
    ///
    /// # Errors
    /// If the view can't be read.
    pub(crate) async fn baselines(&self, now: Timestamp) -> Result<(), ViewError> {
        let statements = &self.statements;
        let baselines = statements.baselines.of(&self.view).await?;
        let releases = statements.releases.of(&self.view).await?;
        let removed = self.removed().await?;
        let (mut made, mut items): (Vec<Baseline>, _) = (Vec::new(), BTreeSet::new());
        // Many clusters run the same.
        let mut open: BTreeMap<u64, bool> = BTreeMap::new();
        let mut is_open = |(fact, baseline): &(Fact, Baseline)| {
            *open
                .entry(fact.sequence)
                .or_insert_with(|| self.is_open(fact, baseline))
        };
        for facts in statements.facts.of(&self.view).await?.iter() {
            if facts.components.is_empty()
                || removed.contains(&facts.cluster)
                || made.iter().any(|baseline| baseline.describes(facts))
            {
                continue;
            }
            let known = baselines
                .iter()
                .map(AsRef::as_ref)
                .find(|(_, baseline)| baseline.describes(facts));
            if known.is_some_and(|known| !is_open(known)) {
                continue;
            }
            let item = item(facts);
            items.insert(item);
            if !self.running.is_due(&item, now) {
                continue;
            }
            match self.baseline(facts, known, &releases, now).await {
                Ok(Some(baseline)) if baseline.version.is_some() => {
                    self.running.done(&item);
                    made.push(baseline);
                }
                // Without a version it is looked at again, later.
                Ok(_) => self.running.failed(item, now),
                Err(error) => {
                    let error = runtime::errors::chain(&error);
                    tracing::warn!(cluster = %facts.cluster, error, "a baseline could not be verified");
                    self.running.failed(item, now);
                }
            }
        }
        self.running.keep(&items);
        Ok(())
    }

    /// Whether there may be something to add to a baseline that stands.
    fn is_open(&self, fact: &Fact, baseline: &Baseline) -> bool {
        baseline.version.is_none() || self.journal.is_orphaned(fact, Role::Verifier)
    }

    async fn removed(&self) -> Result<BTreeSet<ClusterName>, ViewError> {
        let members = self.statements.members.of(&self.view).await?;
        let removed = members.iter().filter(|member| member.removed);
        Ok(removed.map(|member| member.cluster.clone()).collect())
    }

    /// The baseline of a cluster, published; `None` where it can't be known now.
    async fn baseline(
        &self,
        facts: &ClusterFacts,
        known: Option<&(Fact, Baseline)>,
        releases: &[Arc<ReleaseContents>],
        now: Timestamp,
    ) -> Result<Option<Baseline>, BaselineError> {
        let mut baseline = match known {
            Some((_, baseline)) => baseline.clone(),
            None => match self.mapped(facts, now).await? {
                Ok(images) => Baseline {
                    version: None,
                    layer: None,
                    images,
                    crds: facts.crd_set(),
                },
                Err(unknown) => {
                    let reason = Reason::BaselineImageUnknown;
                    tracing::warn!(cluster = %facts.cluster, component = %unknown.component, %reason,
                        detail = unknown.detail, "what runs could not be verified");
                    return Ok(None);
                }
            },
        };
        if baseline.version.is_none() {
            match self.origin(&baseline, releases, now).await? {
                Origin::Release(version, layer) => {
                    (baseline.version, baseline.layer) = (Some(version), Some(layer));
                }
                Origin::None => {}
                Origin::Unknown(why) => {
                    tracing::warn!(cluster = %facts.cluster, why, "which release runs can't be known yet");
                    if known.is_none() {
                        return Ok(None);
                    }
                }
            }
        }
        let stated = publish(&self.journal, &baseline).await?;
        if let Some(bus::Written::Ours(fact)) = stated {
            let version = baseline.version.as_ref().map(ToString::to_string);
            tracing::info!(cluster = %facts.cluster, baseline = %baseline.key(), version,
                attempt = fact.subject.n(), "baseline verified");
        }
        Ok(Some(baseline))
    }

    /// Each component's index, verified, if it covers every id that the nodes report.
    async fn mapped(
        &self,
        facts: &ClusterFacts,
        now: Timestamp,
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
                .signature((Artifact::Image(*component), &upstream, contents.index), now)
                .await?;
            if signed != CheckResult::Passed {
                return unknown(format!("{} carries no signature of Flux", contents.image));
            }
            images.insert(*component, contents);
        }
        Ok(Ok(images))
    }

    async fn signature(
        &self,
        subject: crate::artifact::Subject<'_>,
        now: Timestamp,
    ) -> Result<CheckResult, BaselineError> {
        let (_, image, digest) = subject;
        let version = image
            .tag()
            .and_then(|tag| tag.parse().ok())
            .unwrap_or(Version::new(0, 0, 0));
        let release = ReleaseKey {
            version,
            manifests: digest,
        };
        let checked = self.check(&release, subject, now).await;
        let checked = checked.map_err(|error| BaselineError::Registry(image.clone(), error))?;
        Ok(checked.result)
    }
}

/// Publishes a baseline, where nothing is said about it yet; again where what is said lacks the version that is
/// known now, or was signed by a key that does not act any more.
async fn publish(journal: &Journal, baseline: &Baseline) -> Result<Option<bus::Written>, BaselineError> {
    let claim = v1::BaselineContents::from(baseline);
    let evaluate = |turn: Turn<'_>| {
        let adds = |newest: &Fact| {
            let lacks = stated(newest).is_some_and(|stated| stated.version.is_none());
            (lacks && baseline.version.is_some()) || journal.is_orphaned(newest, Role::Verifier)
        };
        turn.newest.is_none_or(adds).then(|| claim.clone())
    };
    let name = subject::verification_contents(Scope::Baseline(&baseline.key()), 1);
    let written = journal.series(name.series(), "", evaluate).await;
    written.map_err(BaselineError::Journal)
}

fn upstream(artifact: Artifact, tag: &Version) -> Result<ImageRef, BaselineError> {
    ImageRef::tagged(&flux::identity::repository(artifact), &tag.to_string())
        .map_err(|error| BaselineError::Name(tag.clone(), error))
}

#[cfg(test)]
mod tests;
