//! What is known about releases and baselines, from the view alone.

use std::collections::BTreeMap;

use bus::{Area, Fact, ViewError, subject};
use domain::assignment::StatementRef;
use domain::{
    Baseline, BaselineKey, ClusterFacts, ClusterMember, Digest, Evidence, ReleaseContents, ReleaseKey,
    RoleSummary,
};
use wire::verification::v1;

use crate::Engine;

/// A release with what the verifier says about it.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) key: ReleaseKey,
    /// The version was seen before with another digest.
    pub(crate) tag_moved: bool,
    pub(crate) summary: (StatementRef, RoleSummary),
    pub(crate) contents: Option<(StatementRef, ReleaseContents)>,
    /// The evidence that the summary names, each with its place and the digest of its envelope.
    pub(crate) evidence: Vec<(StatementRef, Evidence)>,
}

/// A baseline that some member of the fleet runs.
#[derive(Debug, Clone)]
pub(crate) struct InUse {
    pub(crate) statement: StatementRef,
    pub(crate) baseline: Baseline,
}

impl InUse {
    /// Whether the release could be an upgrade of it; what is unknown could be.
    pub(crate) fn is_below(&self, release: &ReleaseKey) -> bool {
        self.baseline
            .version
            .as_ref()
            .is_none_or(|version| *version < release.version)
    }
}

fn reference(fact: &Fact) -> StatementRef {
    StatementRef {
        subject: fact.subject.to_string(),
        digest: fact.digest(),
    }
}

impl Engine {
    /// Releases that have a summary. Completeness is judged by contents, never by the hint.
    pub(crate) async fn releases(&self) -> Result<Vec<Release>, ViewError> {
        let mut releases: Vec<Release> = Vec::new();
        let mut hints = self.hub.view.list(Area::Release, "discovered").await?;
        hints.sort_by_key(|fact| fact.sequence);
        let mut seen: BTreeMap<domain::Version, Digest> = BTreeMap::new();
        for hint in hints {
            let found =
                wire::decode::<wire::release::v1::ReleaseDiscovered, wire::Discovered>(&hint.statement);
            let Ok(wire::Discovered { release, .. }) = found else {
                continue;
            };
            let first = *seen.entry(release.version.clone()).or_insert(release.manifests);
            let tag_moved = first != release.manifests;
            if let Some(release) = self.release(release, tag_moved).await? {
                releases.push(release);
            }
        }
        Ok(releases)
    }

    async fn release(&self, key: ReleaseKey, tag_moved: bool) -> Result<Option<Release>, ViewError> {
        let series = subject::verification_summary(&key, 1);
        let Some(fact) = self.hub.view.latest(series.series()).await? else {
            return Ok(None);
        };
        let Ok(summary) = wire::decode::<v1::RoleSummary, RoleSummary>(&fact.statement) else {
            return Ok(None);
        };
        let contents = match summary.contents {
            None => None,
            Some(digest) => self.contents(&key, summary.attempt, digest).await?,
        };
        let mut evidence = Vec::with_capacity(summary.checks.len());
        for line in &summary.checks {
            let Ok(name) = line.subject.parse() else { continue };
            let Some(found) = self.hub.view.get(&name).await? else {
                continue;
            };
            let read = wire::decode::<v1::Evidence, Evidence>(&found.statement);
            // Only the evidence that the summary names, by the digest that it names.
            if let (true, Ok(read)) = (found.digest() == line.evidence, read) {
                evidence.push((reference(&found), read));
            }
        }
        Ok(Some(Release {
            key,
            tag_moved,
            summary: (reference(&fact), summary),
            contents,
            evidence,
        }))
    }

    async fn contents(
        &self,
        release: &ReleaseKey,
        attempt: u64,
        digest: Digest,
    ) -> Result<Option<(StatementRef, ReleaseContents)>, ViewError> {
        let name = subject::verification_contents(subject::Scope::Release(release), attempt);
        let Some(fact) = self.hub.view.get(&name).await? else {
            return Ok(None);
        };
        let read = wire::decode::<v1::ReleaseContents, ReleaseContents>(&fact.statement);
        let same = |contents: &ReleaseContents| contents.release == *release && fact.digest() == digest;
        Ok(read
            .ok()
            .filter(same)
            .map(|contents| (reference(&fact), contents)))
    }

    /// The baselines that members of the fleet run now.
    pub(crate) async fn in_use(&self) -> Result<BTreeMap<BaselineKey, InUse>, ViewError> {
        let contents = self.hub.view.list(Area::Verification, "contents").await?;
        let known: Vec<InUse> = contents
            .iter()
            .filter_map(|fact| {
                let baseline = wire::decode::<v1::BaselineContents, Baseline>(&fact.statement).ok()?;
                Some(InUse {
                    statement: reference(fact),
                    baseline,
                })
            })
            .collect();
        let mut in_use = BTreeMap::new();
        for fact in self.hub.view.list(Area::Cluster, "member").await? {
            let member = wire::decode::<wire::fleet::v1::ClusterMember, ClusterMember>(&fact.statement);
            let Ok(member) = member else { continue };
            if member.removed {
                continue;
            }
            let series = subject::facts(&member.cluster, 1);
            let Some(newest) = self.hub.view.latest(series.series()).await? else {
                continue;
            };
            let facts = wire::decode::<wire::fleet::v1::ClusterFacts, ClusterFacts>(&newest.statement);
            let Ok(facts) = facts else { continue };
            if let Some(found) = known.iter().find(|known| known.baseline.describes(&facts)) {
                in_use.insert(found.baseline.key(), found.clone());
            }
        }
        Ok(in_use)
    }
}
