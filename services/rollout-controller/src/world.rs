//! The log as the planner wants it. Nothing is decided here.
//!
//! Members alone have facts, health and heartbeats; courses are there for clusters that left the fleet too, so
//! that what they were asked is taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use attest::Role;
use bus::{Fact, ViewError};
use domain::fleet::{HealthReport, Heartbeat};
use domain::{Baseline, ClusterFacts, ClusterMember, ClusterName, Version};
use hub::{HubError, LedgerState};
use jiff::Timestamp;
use planner::reducer::{DecisionView, FactsView, Modes, PreviousRollout, RolloutView, World};

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

/// What each member's agent saw last, with the baseline that describes it.
pub(crate) type Facts = BTreeMap<ClusterName, (Arc<ClusterFacts>, FactsView)>;

/// Who is a member.
type Members<'m> = BTreeSet<&'m ClusterName>;

/// Everything that the service decides by, owned.
#[derive(Debug)]
pub(crate) struct Known {
    /// The view's cursor before anything below was read: what is decided by it names this sequence.
    pub(crate) as_of: u64,
    pub(crate) members: Vec<ClusterMember>,
    pub(crate) facts: Facts,
    pub(crate) decisions: Vec<DecisionView>,
    pub(crate) modes: Modes,
    /// The newest word about each scope of a stop, lifted or not.
    pub(crate) stops: Vec<Said>,
    /// What persons asked to be tried again.
    pub(crate) retried: Vec<Said>,
    pub(crate) rollouts: Rollouts,
    pub(crate) courses: Courses,
    /// Clusters that can't act upon what they were asked any more ([`crate::keys`]).
    pub(crate) orphans: BTreeSet<ClusterName>,
    /// Whether an agent would act upon what this controller signs: only then is asking anew of any use.
    pub(crate) own_key_acts: bool,
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
            orphans: if self.own_key_acts {
                self.orphans.clone()
            } else {
                BTreeSet::new()
            },
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
                previous.insert(key.version.clone(), finished.into());
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
        let names: Members<'_> = members.iter().map(|member| &member.cluster).collect();
        let (facts, health) = (self.facts(&names).await?, self.health(&names).await?);
        let (courses, rollouts) = self.folded().await?;
        let (ledger, now) = (self.hub.ledger().await, self.hub.clock.now());
        let orphans = self.orphans(&courses, now).await?;
        let confirmed = matches!(ledger, Ok(LedgerState::Confirmed));
        Ok(Known {
            as_of,
            facts,
            decisions: self.decisions().await?,
            modes: self.modes().await?,
            stops: self.stops().await?,
            retried: self.retried().await?,
            rollouts,
            orphans,
            own_key_acts: self.hub.journal.acts(Role::Controller),
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
    async fn facts(&self, members: &Members<'_>) -> Result<Facts, ViewError> {
        let view = &self.hub.view;
        let baselines = self.statements.baselines(view).await?;
        let mut all = BTreeMap::new();
        for facts in self.statements.facts(view).await?.iter() {
            if !members.contains(&facts.cluster) {
                continue;
            }
            let mut known = baselines.iter().map(|stated| &stated.baseline);
            let found = known.find(|baseline| baseline.describes(facts));
            let view = FactsView {
                baseline: found.map(Baseline::key),
                version: found.and_then(|baseline| baseline.version.clone()),
                observed: facts.observed,
            };
            all.insert(facts.cluster.clone(), (Arc::clone(facts), view));
        }
        Ok(all)
    }

    /// The newest decisions. An ALLOW of a key that has come to its end is none: no agent would act upon it.
    async fn decisions(&self) -> Result<Vec<DecisionView>, ViewError> {
        let now = self.hub.clock.now();
        let decisions = self.statements.decisions(&self.hub.view).await?;
        let view = |(fact, decision): &(Fact, DecisionView)| DecisionView {
            valid_until: decision
                .valid_until
                .filter(|until| *until <= now || self.acts(fact, Role::Policy)),
            ..decision.clone()
        };
        Ok(decisions.iter().map(|decided| view(decided)).collect())
    }

    pub(crate) async fn modes(&self) -> Result<Modes, ViewError> {
        let mut modes = Modes::default();
        for set in self.statements.modes(&self.hub.view).await?.iter() {
            match &set.scope {
                wire::Scope::Wave(wave) => modes.waves.insert(wave.clone(), set.mode),
                wire::Scope::Cluster(cluster) => modes.clusters.insert(cluster.clone(), set.mode),
            };
        }
        Ok(modes)
    }

    async fn health(&self, members: &Members<'_>) -> Result<BTreeMap<ClusterName, HealthReport>, ViewError> {
        let reports = self.statements.health(&self.hub.view).await?;
        let own = reports.iter().filter(|report| members.contains(&report.cluster));
        Ok(own
            .map(|report| (report.cluster.clone(), HealthReport::clone(report)))
            .collect())
    }
}
