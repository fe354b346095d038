//! What is known about releases and baselines, from the view alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bus::{ViewError, subject};
use domain::assignment::StatementRef;
use domain::{
    Baseline, BaselineKey, CheckResult, Digest, Evidence, ReleaseContents, ReleaseKey, RoleSummary, Version,
};
use policy::Verified;
use wire::verification::v1;

use crate::Engine;
use crate::statements::Summary;

/// A release with what the verifier says about it.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) key: ReleaseKey,
    pub(crate) summary: (StatementRef, RoleSummary),
    pub(crate) contents: Option<(StatementRef, ReleaseContents)>,
    /// The evidence that the summary names, without the material that it was verified from.
    pub(crate) evidence: Vec<Evidence>,
    /// Where that stands, in the same order.
    pub(crate) statements: Vec<StatementRef>,
    /// What this service found when it verified the material itself.
    pub(crate) verified: Vec<Verified>,
}

/// A release that was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) release: Arc<Release>,
    /// The version was seen before with another digest.
    pub(crate) tag_moved: bool,
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

/// What was gathered about releases at the look before. A summary names everything by digest, so what was gathered
/// whole stays what it is, until the view is made anew.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<Gathered>);

#[derive(Debug, Default)]
struct Gathered {
    /// Of the view.
    making: u64,
    /// By the digest of the summary.
    releases: BTreeMap<Digest, Arc<Release>>,
}

impl Cache {
    /// What is known of this making.
    fn of(&self, making: u64) -> BTreeMap<Digest, Arc<Release>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.making == making {
            held.releases.clone()
        } else {
            BTreeMap::new()
        }
    }

    fn put(&self, gathered: Gathered) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = gathered;
    }
}

impl Engine {
    /// Releases that have a summary and are wanted. Completeness is judged by contents, never by the hint.
    pub(crate) async fn releases(
        &self,
        wanted: impl Fn(&ReleaseKey) -> bool,
    ) -> Result<Vec<Found>, ViewError> {
        let view = &self.hub.view;
        let discovered = self.statements.discovered.of(view).await?;
        let summaries = self.statements.summaries.of(view).await?;
        let of_release: BTreeMap<&ReleaseKey, &Summary> = summaries
            .iter()
            .map(|stated| (&stated.summary.release, stated.as_ref()))
            .collect();
        let making = view.making().await?;
        let known = self.gathered.of(making);
        let mut whole = BTreeMap::new();
        let mut seen: BTreeMap<&Version, Digest> = BTreeMap::new();
        let mut releases = Vec::new();
        for key in discovered.iter() {
            let first = *seen.entry(&key.version).or_insert(key.manifests);
            let Some(stated) = of_release.get(key.as_ref()).filter(|_| wanted(key)) else {
                continue;
            };
            let digest = stated.statement.digest;
            let (release, is_whole) = match known.get(&digest) {
                Some(release) => (Arc::clone(release), true),
                None => self.release(stated).await?,
            };
            if is_whole {
                whole.insert(digest, Arc::clone(&release));
            }
            let tag_moved = first != key.manifests;
            releases.push(Found { release, tag_moved });
        }
        self.gathered.put(Gathered {
            making,
            releases: whole,
        });
        Ok(releases)
    }

    /// A release by its summary, verified, and whether everything was there that the summary names.
    async fn release(&self, stated: &Summary) -> Result<(Arc<Release>, bool), ViewError> {
        let summary = &stated.summary;
        let contents = match summary.contents {
            None => None,
            Some(digest) => self.contents(summary, digest).await?,
        };
        let (mut statements, mut evidence) = (Vec::new(), Vec::new());
        for line in &summary.checks {
            let Ok(name) = line.subject.parse() else { continue };
            let Some(found) = self.hub.view.get(&name).await? else {
                continue;
            };
            let read = wire::decode::<v1::Evidence, Evidence>(&found.statement);
            // Only the evidence that the summary names, by the digest that it names.
            if let (true, Ok(read)) = (found.digest() == line.evidence, read) {
                statements.push(found.reference());
                evidence.push(read);
            }
        }
        let derived = contents.as_ref().map(|(_, contents)| contents);
        let verified = self.verify(&summary.release, derived, &evidence, self.hub.clock.now());
        for evidence in &mut evidence {
            evidence.material = Vec::new();
        }
        // What failed may fail by the clock of this machine: it is looked at again.
        let passed = |verified: &Verified| verified.result == CheckResult::Passed;
        let whole = contents.is_some() == summary.contents.is_some()
            && evidence.len() == summary.checks.len()
            && verified.iter().all(passed);
        let release = Release {
            key: summary.release.clone(),
            summary: (stated.statement.clone(), summary.clone()),
            contents,
            evidence,
            statements,
            verified,
        };
        Ok((Arc::new(release), whole))
    }

    async fn contents(
        &self,
        summary: &RoleSummary,
        digest: Digest,
    ) -> Result<Option<(StatementRef, ReleaseContents)>, ViewError> {
        let release = &summary.release;
        let name = subject::verification_contents(subject::Scope::Release(release), summary.attempt);
        let Some(fact) = self.hub.view.get(&name).await? else {
            return Ok(None);
        };
        let read = wire::decode::<v1::ReleaseContents, ReleaseContents>(&fact.statement);
        let same = |contents: &ReleaseContents| contents.release == *release && fact.digest() == digest;
        Ok(read
            .ok()
            .filter(same)
            .map(|contents| (fact.reference(), contents)))
    }

    /// The baselines that members of the fleet run now.
    pub(crate) async fn in_use(&self) -> Result<BTreeMap<BaselineKey, Arc<InUse>>, ViewError> {
        let (statements, view) = (&self.statements, &self.hub.view);
        let known = statements.baselines.of(view).await?;
        let members = statements.members.of(view).await?;
        let members = members.iter().filter(|member| !member.removed);
        let members: BTreeSet<_> = members.map(|member| &member.cluster).collect();
        let mut in_use = BTreeMap::new();
        for facts in statements.facts.of(view).await?.iter() {
            if !members.contains(&facts.cluster) {
                continue;
            }
            if let Some(found) = known.iter().find(|known| known.baseline.describes(facts)) {
                in_use.insert(found.baseline.key(), Arc::clone(found));
            }
        }
        Ok(in_use)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release() -> Arc<Release> {
        let key = ReleaseKey {
            version: Version::new(2, 9, 4),
            manifests: Digest::of(b"m"),
        };
        let statement = StatementRef {
            subject: String::new(),
            digest: Digest::of(b"summary"),
        };
        let summary = RoleSummary {
            release: key.clone(),
            attempt: 1,
            contents: None,
            checks: Vec::new(),
        };
        Arc::new(Release {
            key,
            summary: (statement, summary),
            contents: None,
            evidence: Vec::new(),
            statements: Vec::new(),
            verified: Vec::new(),
        })
    }

    #[test]
    fn what_was_gathered_is_forgotten_where_the_view_was_made_anew() {
        let cache = Cache::default();
        let digest = Digest::of(b"summary");
        let releases = BTreeMap::from([(digest, release())]);
        cache.put(Gathered { making: 3, releases });
        assert!(cache.of(3).contains_key(&digest));
        assert!(cache.of(4).is_empty());
    }
}
