//! The log as the planner wants it. Nothing is decided here.

use std::collections::{BTreeMap, BTreeSet};

use bus::{Area, Fact, ViewError, subject};
use domain::decision::Outcome;
use domain::fleet::{HealthReport, Heartbeat, Report};
use domain::rollout::{RolloutFinished, RolloutStarted, WaveBaked, WaveOpened};
use domain::{
    Assignment, Baseline, ClusterFacts, ClusterMember, ClusterName, Decision, Epoch, Reason, Version,
};
use hub::{HubError, LedgerState};
use jiff::Timestamp;
use planner::reducer::{AssignmentView, DecisionView, FactsView, Modes, PreviousRollout, RolloutView, World};
use wire::{fleet, policy, rollout, verification};

use crate::Controller;

/// Why the world is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorldError {
    #[error("reading the view")]
    View(#[from] ViewError),
    #[error("asking whether the ledger confirms")]
    Ledger(#[source] HubError),
}

/// A cluster's assignments: the newest one with its task, and everything that was said about it.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    pub(crate) view: AssignmentView,
    pub(crate) newest: Assignment,
    pub(crate) envelope: Fact,
    pub(crate) reports: Vec<Report>,
}

/// Everything that the service decides by, owned.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) members: Vec<ClusterMember>,
    pub(crate) facts: BTreeMap<ClusterName, (ClusterFacts, FactsView)>,
    pub(crate) decisions: Vec<DecisionView>,
    pub(crate) modes: Modes,
    pub(crate) rollouts: Vec<(Timestamp, RolloutView)>,
    pub(crate) courses: BTreeMap<ClusterName, Course>,
    pub(crate) health: BTreeMap<ClusterName, HealthReport>,
    pub(crate) heartbeats: BTreeMap<ClusterName, Heartbeat>,
    pub(crate) ledger: LedgerState,
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
                .map(|(_, rollout)| rollout.clone()),
            previous: self.previous(),
            restarts: BTreeSet::new(),
            assignments: self
                .courses
                .iter()
                .map(|(name, c)| (name.clone(), c.view.clone()))
                .collect(),
            heartbeats: self.heartbeats.clone(),
            health: self.health.clone(),
            ledger_ok: self.ledger == LedgerState::Confirmed,
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
        let members = self.members().await?;
        let (facts, health) = (self.facts(&members).await?, self.health(&members).await?);
        let mut courses = BTreeMap::new();
        for member in &members {
            if let Some(course) = self.course(&member.cluster).await? {
                courses.insert(member.cluster.clone(), course);
            }
        }
        Ok(Known {
            facts,
            decisions: self.decisions().await?,
            modes: self.modes().await?,
            rollouts: self.rollouts().await?,
            courses,
            health,
            heartbeats: self.newest_heartbeats(&members).await,
            ledger: self.hub.ledger().await.map_err(WorldError::Ledger)?,
            now: self.hub.clock.now(),
            members,
        })
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
        for member in members {
            let series = subject::facts(&member.cluster, 1);
            let Some(fact) = self.hub.view.latest(series.series()).await? else {
                continue;
            };
            let facts = wire::decode::<fleet::v1::ClusterFacts, ClusterFacts>(&fact.statement);
            let Ok(facts) = facts else { continue };
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

    async fn modes(&self) -> Result<Modes, ViewError> {
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

    /// All rollouts, in the order in which they began.
    async fn rollouts(&self) -> Result<Vec<(Timestamp, RolloutView)>, ViewError> {
        let mut started = self.hub.view.all_of(Area::Rollout, "started").await?;
        started.sort_by_key(|fact| fact.sequence);
        let mut rollouts = Vec::with_capacity(started.len());
        for fact in started {
            let begun = wire::decode::<rollout::v1::RolloutStarted, RolloutStarted>(&fact.statement);
            let Ok(begun) = begun else { continue };
            rollouts.push((fact.time, self.rollout(begun).await?));
        }
        Ok(rollouts)
    }

    async fn rollout(&self, started: RolloutStarted) -> Result<RolloutView, ViewError> {
        let key = &started.rollout;
        let (mut opened, mut baked) = (BTreeMap::new(), BTreeMap::new());
        for wave in &started.waves {
            if let Some(fact) = self
                .hub
                .view
                .get(&subject::rollout_opened(key, &wave.name))
                .await?
            {
                let read = wire::decode::<rollout::v1::WaveOpened, WaveOpened>(&fact.statement);
                if let Ok(read) = read {
                    opened.insert(read.wave, fact.time);
                }
            }
            if let Some(fact) = self
                .hub
                .view
                .get(&subject::rollout_baked(key, &wave.name))
                .await?
            {
                let read = wire::decode::<rollout::v1::WaveBaked, WaveBaked>(&fact.statement);
                if let Ok(read) = read {
                    baked.insert(read.wave.clone(), read);
                }
            }
        }
        let finished = self.hub.view.get(&subject::rollout_finished(key)).await?;
        let finished = finished.and_then(|fact| {
            wire::decode::<rollout::v1::RolloutFinished, RolloutFinished>(&fact.statement).ok()
        });
        Ok(RolloutView {
            started,
            opened,
            baked,
            finished,
        })
    }

    /// A cluster's assignments, each with what was said about it.
    pub(crate) async fn course(&self, cluster: &ClusterName) -> Result<Option<Course>, ViewError> {
        let series = subject::assignment(cluster, Epoch(1));
        let mut course: Option<Course> = None;
        for envelope in self.hub.view.series(series.series()).await? {
            let read = wire::decode::<fleet::v1::Assignment, Assignment>(&envelope.statement);
            let Ok(newest) = read else { continue };
            let (previous, mut reports) = match course.take() {
                Some(course) => (Some(course.view), course.reports),
                None => (None, Vec::new()),
            };
            let mut view = AssignmentView::next(previous.as_ref(), &newest);
            // A report counts for the assignment that it names by digest, not for its number alone.
            for report in self.reports(cluster, newest.epoch, envelope.digest()).await? {
                view.report(&report);
                reports.push(report);
            }
            course = Some(Course {
                view,
                newest,
                envelope,
                reports,
            });
        }
        Ok(course)
    }

    async fn reports(
        &self,
        cluster: &ClusterName,
        epoch: Epoch,
        assignment: domain::Digest,
    ) -> Result<Vec<Report>, ViewError> {
        let subjects = [
            subject::accepted,
            subject::refused,
            subject::applied,
            subject::result,
        ];
        let mut reports = Vec::new();
        for subject in subjects {
            let Some(fact) = self.hub.view.get(&subject(cluster, epoch)).await? else {
                continue;
            };
            let read = wire::decode::<fleet::v1::Report, Report>(&fact.statement);
            reports.extend(read.ok().filter(|report| report.assignment == assignment));
        }
        Ok(reports)
    }

    async fn health(
        &self,
        members: &[ClusterMember],
    ) -> Result<BTreeMap<ClusterName, HealthReport>, ViewError> {
        let mut health = BTreeMap::new();
        for member in members {
            let series = subject::health(&member.cluster, 1);
            let Some(fact) = self.hub.view.latest(series.series()).await? else {
                continue;
            };
            let read = wire::decode::<fleet::v1::HealthReport, HealthReport>(&fact.statement);
            if let Ok(report) = read {
                health.insert(member.cluster.clone(), report);
            }
        }
        Ok(health)
    }
}

/// The reason of a decision without rules, which no policy of ours makes.
const fn fallback(outcome: Outcome) -> Reason {
    match outcome {
        Outcome::Allow => Reason::SignatureVerified,
        Outcome::Wait | Outcome::NeedsApproval | Outcome::Deny => Reason::EvidenceMissing,
    }
}
