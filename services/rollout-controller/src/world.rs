//! The log as the planner wants it. Nothing is decided here.
//!
//! Members alone have facts, health and heartbeats; courses are there for clusters that left the fleet too, so
//! that what they were asked is taken back.

use std::collections::BTreeMap;

use bus::{Area, Fact, ViewError, subject};
use domain::decision::Outcome;
use domain::fleet::{HealthReport, Heartbeat};
use domain::{Baseline, ClusterFacts, ClusterMember, ClusterName, Decision, Reason, Version};
use hub::{HubError, LedgerState};
use jiff::Timestamp;
use planner::reducer::{DecisionView, FactsView, Modes, PreviousRollout, RolloutView, World};
use wire::{fleet, policy, rollout, verification};

use crate::Controller;
use crate::fold::{Courses, Rollouts};
use crate::said::Said;

/// Why the world is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorldError {
    #[error("reading the view")]
    View(#[from] ViewError),
    #[error("asking whether the ledger confirms")]
    Ledger(#[source] HubError),
}

/// Everything that the service decides by, owned.
#[derive(Debug)]
pub(crate) struct Known {
    /// The view's cursor before anything below was read: what is decided by it names this sequence.
    pub(crate) as_of: u64,
    pub(crate) members: Vec<ClusterMember>,
    pub(crate) facts: BTreeMap<ClusterName, (ClusterFacts, FactsView)>,
    pub(crate) decisions: Vec<DecisionView>,
    pub(crate) modes: Modes,
    /// The newest word about each scope of a stop, lifted or not.
    pub(crate) stops: Vec<Said>,
    /// What persons asked to be tried again.
    pub(crate) retried: Vec<Said>,
    pub(crate) rollouts: Rollouts,
    pub(crate) courses: Courses,
    pub(crate) health: BTreeMap<ClusterName, HealthReport>,
    pub(crate) heartbeats: BTreeMap<ClusterName, Heartbeat>,
    pub(crate) ledger: LedgerState,
    /// Since when agents have been heard without a break.
    pub(crate) listening_since: Timestamp,
    pub(crate) now: Timestamp,
}

impl Known {
    /// As the planner wants it.
    pub(crate) fn world<'a>(&'a self, strategy: &'a planner::Strategy) -> World<'a> {
        let active = self
            .rollouts
            .iter()
            .find(|(_, rollout)| rollout.finished.is_none());
        World {
            now: self.now,
            strategy,
            members: &self.members,
            facts: self
                .facts
                .iter()
                .map(|(name, (_, view))| (name.clone(), view.clone()))
                .collect(),
            decisions: self.decisions.clone(),
            modes: self.modes.clone(),
            rollout: active
                .or_else(|| self.rollouts.last())
                .map(|(_, rollout)| RolloutView::clone(rollout)),
            previous: self.previous(),
            restarts: self.retried.iter().filter_map(Said::retried).cloned().collect(),
            stops: self.active_stops().cloned().collect(),
            assignments: self
                .courses
                .iter()
                .map(|(name, c)| (name.clone(), c.view.clone()))
                .collect(),
            heartbeats: self.heartbeats.clone(),
            health: self.health.clone(),
            ledger_ok: self.ledger == LedgerState::Confirmed,
            listening_since: self.listening_since,
        }
    }

    fn previous(&self) -> BTreeMap<Version, PreviousRollout> {
        let mut previous: BTreeMap<Version, PreviousRollout> = BTreeMap::new();
        for (_, rollout) in &self.rollouts {
            let Some(finished) = &rollout.finished else {
                continue;
            };
            let key = &rollout.started.rollout;
            let newer = previous
                .get(&key.version)
                .is_none_or(|known| known.ordinal < key.ordinal);
            if newer {
                let last = PreviousRollout {
                    ordinal: key.ordinal,
                    end: finished.end,
                };
                previous.insert(key.version.clone(), last);
            }
        }
        previous
    }
}

impl Controller {
    /// Reads everything.
    pub(crate) async fn known(&self) -> Result<Known, WorldError> {
        let as_of = self.hub.view.cursor();
        let members = self.members().await?;
        let (facts, health) = (self.facts(&members).await?, self.health(&members).await?);
        let (courses, rollouts) = self.folded().await?;
        let (ledger, now) = (self.hub.ledger().await, self.hub.clock.now());
        let confirmed = matches!(ledger, Ok(LedgerState::Confirmed));
        Ok(Known {
            as_of,
            facts,
            decisions: self.decisions().await?,
            modes: self.modes().await?,
            stops: self.stops().await?,
            retried: self.retried().await?,
            rollouts,
            courses,
            health,
            heartbeats: self.newest_heartbeats(&members).await,
            listening_since: self.heartbeats.listening_since(confirmed, now),
            ledger: ledger.map_err(WorldError::Ledger)?,
            now,
            members,
        })
    }

    /// Every cluster's course and every rollout, with what came since the last look.
    pub(crate) async fn folded(&self) -> Result<(Courses, Rollouts), ViewError> {
        let mut fold = self.fold.lock().await;
        fold.catch_up(&self.hub.view).await?;
        Ok((fold.courses.clone(), fold.rollouts.clone()))
    }

    /// The newest facts of each member with the baseline that describes them.
    async fn facts(
        &self,
        members: &[ClusterMember],
    ) -> Result<BTreeMap<ClusterName, (ClusterFacts, FactsView)>, ViewError> {
        let contents = self.hub.view.list(Area::Verification, "contents").await?;
        let read =
            |fact: &Fact| wire::decode::<verification::v1::BaselineContents, Baseline>(&fact.statement).ok();
        let baselines: Vec<Baseline> = contents.iter().filter_map(read).collect();
        let mut all = BTreeMap::new();
        for fact in self.hub.view.list(Area::Cluster, "facts").await? {
            let facts = wire::decode::<fleet::v1::ClusterFacts, ClusterFacts>(&fact.statement);
            let Ok(facts) = facts else { continue };
            let Some(member) = speaker(members, &fact, &facts.cluster) else {
                continue;
            };
            let found = baselines.iter().find(|baseline| baseline.describes(&facts));
            let view = FactsView {
                baseline: found.map(Baseline::key),
                version: found.and_then(|baseline| baseline.version.clone()),
                observed: facts.observed,
            };
            all.insert(member.cluster.clone(), (facts, view));
        }
        Ok(all)
    }

    async fn decisions(&self) -> Result<Vec<DecisionView>, ViewError> {
        let facts = self.hub.view.list(Area::Policy, "decision").await?;
        let view = |fact: &Fact| {
            let decision: Decision = wire::decode::<policy::v1::Decision, _>(&fact.statement).ok()?;
            let leading = decision
                .rules
                .iter()
                .find(|rule| rule.outcome == decision.outcome);
            Some(DecisionView {
                reason: leading.map_or(fallback(decision.outcome), |rule| rule.reason),
                release: decision.release,
                policy: decision.policy.name,
                baseline: decision.baseline,
                outcome: decision.outcome,
                valid_until: decision.valid_until,
                wait_until: decision.wait_until,
            })
        };
        Ok(facts.iter().filter_map(view).collect())
    }

    pub(crate) async fn modes(&self) -> Result<Modes, ViewError> {
        let mut modes = Modes::default();
        for fact in self.hub.view.list(Area::Rollout, "mode").await? {
            let set = wire::decode::<rollout::v1::ModeSet, wire::ModeSetting>(&fact.statement);
            let Ok(set) = set else { continue };
            match set.scope {
                wire::Scope::Wave(wave) => modes.waves.insert(wave, set.mode),
                wire::Scope::Cluster(cluster) => modes.clusters.insert(cluster, set.mode),
            };
        }
        Ok(modes)
    }

    async fn health(
        &self,
        members: &[ClusterMember],
    ) -> Result<BTreeMap<ClusterName, HealthReport>, ViewError> {
        let mut health = BTreeMap::new();
        for fact in self.hub.view.list(Area::Cluster, "health").await? {
            let read = wire::decode::<fleet::v1::HealthReport, HealthReport>(&fact.statement);
            let Ok(report) = read else { continue };
            if let Some(member) = speaker(members, &fact, &report.cluster) {
                health.insert(member.cluster.clone(), report);
            }
        }
        Ok(health)
    }
}

/// The member that a statement under this name can speak of.
fn speaker<'m>(
    members: &'m [ClusterMember],
    fact: &Fact,
    cluster: &ClusterName,
) -> Option<&'m ClusterMember> {
    let own = subject::cluster_workflow(cluster) == fact.subject.workflow();
    members.iter().find(|member| own && member.cluster == *cluster)
}

/// The reason of a decision without rules, which no policy of ours makes.
const fn fallback(outcome: Outcome) -> Reason {
    match outcome {
        Outcome::Allow => Reason::SignatureVerified,
        Outcome::Wait | Outcome::NeedsApproval | Outcome::Deny => Reason::EvidenceMissing,
    }
}
