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

mod obstacles;
mod statements;
mod version;

pub(crate) use obstacles::{Obstacle, Obstacles};
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

impl BaselineError {
    const fn reason(&self) -> Reason {
        match self {
            Self::Registry(..) => Reason::RegistryUnreachable,
            Self::Name(..) => Reason::BaselineImageUnknown,
            Self::View(_) | Self::Journal(_) | Self::Blob(_) => Reason::HubUnavailable,
        }
    }
}

/// A component whose image could not be mapped.
struct Unknown {
    component: Component,
    detail: String,
}

/// What looking at a cluster came to.
enum Looked {
    /// It is published; without a version where no one release has these images and CRDs.
    Baseline(Baseline),
    /// Nothing could be published.
    Obstacle(Obstacle),
}

/// What is known about what a cluster runs.
#[derive(Debug)]
pub(crate) enum Standing {
    /// It is verified.
    Baseline(Box<Baseline>),
    /// It is not, or its version is not known: what was in the way, and when.
    Obstacle(Obstacle, Timestamp),
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
            let looked = self.baseline(facts, known, &releases, now).await;
            match self.settle(facts, looked) {
                Ok(baseline) => {
                    self.running.done(&item);
                    self.obstacles.gone(&item);
                    made.push(baseline);
                }
                // Looked at again, later.
                Err(obstacle) => {
                    self.running.failed(item, now);
                    self.obstacles.met(item, obstacle, now);
                }
            }
        }
        self.obstacles.keep(&items);
        self.running.keep(&items);
        Ok(())
    }

    /// The baseline with its version, or what is in the way of it; that is logged.
    fn settle(
        &self,
        facts: &ClusterFacts,
        looked: Result<Looked, BaselineError>,
    ) -> Result<Baseline, Obstacle> {
        let obstacle = match looked {
            Ok(Looked::Baseline(baseline)) if baseline.version.is_some() => return Ok(baseline),
            Ok(Looked::Baseline(_)) => Obstacle {
                reason: Reason::BaselineVersionUnknown,
                detail: "its images and CRDs are those of no one release".to_owned(),
            },
            Ok(Looked::Obstacle(obstacle)) => obstacle,
            Err(error) => Obstacle {
                reason: error.reason(),
                detail: runtime::errors::chain(&error),
            },
        };
        let Obstacle { reason, detail } = &obstacle;
        tracing::warn!(cluster = %facts.cluster, %reason, detail, "what runs could not be verified");
        Err(obstacle)
    }

    /// What is known about what a cluster runs: its baseline, or what was in the way of it when this process looked
    /// last; `None` where the agent has sent no facts, or nobody has looked at them yet.
    ///
    /// # Errors
    /// If the view can't be read.
    pub(crate) async fn standing(&self, cluster: &ClusterName) -> Result<Option<Standing>, ViewError> {
        let facts = self.statements.facts.of(&self.view).await?;
        let Some(facts) = facts.iter().find(|facts| facts.cluster == *cluster) else {
            return Ok(None);
        };
        if let Some((obstacle, met)) = self.obstacles.of(&item(facts)) {
            return Ok(Some(Standing::Obstacle(obstacle, met)));
        }
        let baselines = self.statements.baselines.of(&self.view).await?;
        let found = baselines.iter().find(|stated| stated.1.describes(facts));
        Ok(found.map(|stated| Standing::Baseline(Box::new(stated.1.clone()))))
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

    /// The baseline of a cluster, published.
    async fn baseline(
        &self,
        facts: &ClusterFacts,
        known: Option<&(Fact, Baseline)>,
        releases: &[Arc<ReleaseContents>],
        now: Timestamp,
    ) -> Result<Looked, BaselineError> {
        let mut baseline = match known {
            Some((_, baseline)) => baseline.clone(),
            None => match self.mapped(facts, now).await? {
                Ok(images) => Baseline {
                    version: None,
                    layer: None,
                    images,
                    crds: facts.crd_set(),
                },
                Err(Unknown { component, detail }) => {
                    return Ok(Looked::Obstacle(Obstacle {
                        reason: Reason::BaselineImageUnknown,
                        detail: format!("{component}: {detail}"),
                    }));
                }
            },
        };
        let mut unknown = None;
        if baseline.version.is_none() {
            match self.origin(&baseline, releases, now).await? {
                Origin::Release(version, layer) => {
                    (baseline.version, baseline.layer) = (Some(version), Some(layer));
                }
                Origin::None => {}
                Origin::Unknown(why) if known.is_none() => {
                    return Ok(Looked::Obstacle(Obstacle {
                        reason: Reason::BaselineVersionUnknown,
                        detail: format!("which release runs can't be known yet: {why}"),
                    }));
                }
                Origin::Unknown(why) => unknown = Some(why),
            }
        }
        let stated = publish(&self.journal, &baseline).await?;
        if let Some(bus::Written::Ours(fact)) = stated {
            let version = baseline.version.as_ref().map(ToString::to_string);
            tracing::info!(cluster = %facts.cluster, baseline = %baseline.key(), version,
                attempt = fact.subject.n(), "baseline verified");
        }
        Ok(match unknown {
            None => Looked::Baseline(baseline),
            Some(why) => Looked::Obstacle(Obstacle {
                reason: Reason::BaselineVersionUnknown,
                detail: format!("which release runs can't be known yet: {why}"),
            }),
        })
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
