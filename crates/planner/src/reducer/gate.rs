//! What a cluster needs before it is written to: known facts, a valid ALLOW on what it runs, Enforce.

use domain::rollout::WaveSnapshot;
use domain::{Action, BaselineKey, ClusterMember, Mode, Outcome, Reason, ReleaseKey};
use jiff::Timestamp;

use super::steps::{AssignDraft, Plan, Scope, Step};
use super::world::{FactsView, Known, RolloutView};
use super::{AssignmentView, ResultKind};

/// How far a cluster is from being written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gate {
    /// It runs the target, or something newer.
    AtTarget,
    /// A person has stopped it.
    Stopped { hold: bool, detail: String },
    /// Nothing is known about it.
    Agent,
    /// It is not allowed.
    Decision {
        reason: Reason,
        detail: String,
        until: Option<Timestamp>,
    },
    /// It is allowed, but nobody said that fluxgate may write.
    Observe(Allowed),
    /// It is allowed and may be written to.
    Enforce(Allowed),
}

/// A valid ALLOW.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) baseline: BaselineKey,
    pub(super) until: Timestamp,
}

/// One wave of a rollout, in a world: what its clusters are judged by.
#[derive(Clone, Copy)]
pub(super) struct WaveView<'w> {
    pub(super) world: &'w Known<'w>,
    pub(super) rollout: &'w RolloutView,
    pub(super) wave: &'w WaveSnapshot,
}

impl WaveView<'_> {
    pub(super) fn scope(&self) -> Scope {
        Scope::Wave(self.wave.name.clone())
    }

    /// How far a cluster is from being written to.
    pub(super) fn gate(&self, member: &ClusterMember) -> Gate {
        let facts = self.world.facts.get(&member.cluster);
        if facts.is_some_and(|facts| facts.is_at(self.rollout.target())) {
            return Gate::AtTarget;
        }
        let (wave, rollout) = (Some(self.wave.name.as_str()), Some(self.rollout.key()));
        if let Some(stops) = self.world.stops_of(member, wave, rollout) {
            return Gate::Stopped {
                hold: stops.hold(),
                detail: stops.text(),
            };
        }
        match facts {
            Some(facts) => self.of_facts(member, facts),
            None => Gate::Agent,
        }
    }

    fn of_facts(&self, member: &ClusterMember, facts: &FactsView) -> Gate {
        let target = self.rollout.target();
        let Some(baseline) = &facts.baseline else {
            let detail = "what runs is not mapped to verified images yet".to_owned();
            return Gate::Decision {
                reason: Reason::WaitingForDecision,
                detail,
                until: None,
            };
        };
        let Some(until) = self.world.allowed(target, &self.wave.policy, baseline) else {
            return self.not_allowed(baseline);
        };
        if facts.version.is_none() {
            let detail = "what runs is no single known version".to_owned();
            return Gate::Decision {
                reason: Reason::BaselineVersionUnknown,
                detail,
                until: None,
            };
        }
        let allowed = Allowed {
            baseline: baseline.clone(),
            until,
        };
        match self.world.mode(&self.wave.name, member) {
            Mode::Observe => Gate::Observe(allowed),
            Mode::Enforce => Gate::Enforce(allowed),
        }
    }

    fn not_allowed(&self, baseline: &BaselineKey) -> Gate {
        let (reason, detail, until) =
            objection(self.world, self.rollout.target(), &self.wave.policy, baseline);
        Gate::Decision {
            reason,
            detail,
            until,
        }
    }

    /// Gives a cluster under Observe its one dry run, or says what came of it.
    pub(super) fn dry_run(&self, member: &ClusterMember, allowed: &Allowed, plan: &mut Plan) {
        let scope = Scope::Cluster(member.cluster.clone());
        match self.world.assignments.get(&member.cluster) {
            Some(task) if task.in_work(self.world.now) => {
                plan.wait(
                    scope,
                    Reason::WaitingForEnforce,
                    format!("epoch {} is still in work", task.epoch),
                );
            }
            Some(task)
                if task.rollout == *self.rollout.key()
                    && task.was_tried(&allowed.baseline)
                    && !self.world.orphans.contains(&member.cluster) =>
            {
                let (reason, detail) = outcome_of(task);
                plan.wait(scope, reason, detail);
            }
            Some(_) | None => {
                plan.steps
                    .push(Step::Assign(self.draft(member, allowed, Mode::Observe)));
                plan.wait(
                    scope,
                    Reason::WaitingForEnforce,
                    "the mode is Observe; a dry run is asked for",
                );
            }
        }
    }

    /// A new assignment.
    pub(super) fn draft(&self, member: &ClusterMember, allowed: &Allowed, mode: Mode) -> AssignDraft {
        AssignDraft {
            cluster: member.cluster.clone(),
            rollout: self.rollout.key().clone(),
            release: self.rollout.target().clone(),
            policy: self.wave.policy.clone(),
            baseline: allowed.baseline.clone(),
            mode,
            action: Action::Upgrade,
            stable_for: self.world.strategy.stable_for,
            success_deadline: self.world.strategy.success_deadline,
            expires: self.world.expiry(allowed.until),
            renews: None,
        }
    }
}

/// Why a policy does not allow a release on a baseline, and when it may.
pub(super) fn objection(
    world: &Known<'_>,
    target: &ReleaseKey,
    policy: &str,
    baseline: &BaselineKey,
) -> (Reason, String, Option<Timestamp>) {
    let version = &target.version;
    let newest = world
        .decisions(target, policy, baseline)
        .find(|decision| decision.valid_allow(world.now).is_none());
    let Some(decision) = newest else {
        let detail = format!("policy {policy} has not decided about {version} on {baseline}");
        return (Reason::WaitingForDecision, detail, None);
    };
    match decision.outcome {
        Outcome::Allow => {
            let detail = format!("the ALLOW of policy {policy} is no longer valid");
            (Reason::DecisionExpired, detail, None)
        }
        outcome @ (Outcome::Wait | Outcome::NeedsApproval | Outcome::Deny) => {
            let detail = format!("policy {policy} says {outcome} about {version} on {baseline}");
            (decision.reason, detail, decision.wait_until)
        }
    }
}

fn outcome_of(task: &AssignmentView) -> (Reason, String) {
    let epoch = task.epoch;
    if let Some(reason) = task.reports.refused {
        return (
            Reason::ClusterRefused,
            format!("the dry run of epoch {epoch} was refused: {reason}"),
        );
    }
    match task.reports.result.map(|result| result.kind) {
        Some(ResultKind::WouldUpgrade) => (
            Reason::WaitingForEnforce,
            format!("the dry run of epoch {epoch} found no obstacle"),
        ),
        Some(ResultKind::Finished(health)) => (
            Reason::WaitingForEnforce,
            format!("epoch {epoch} ended {health}; the mode is Observe"),
        ),
        None => (
            Reason::WaitingForEnforce,
            format!("epoch {epoch} has no result; the mode is Observe"),
        ),
    }
}

impl AssignmentView {
    /// Whether this baseline had its dry run, or an upgrade from it was stopped: either way there is
    /// nothing new to learn from another dry run. Of one that the agent had declined nothing is known.
    fn was_tried(&self, baseline: &BaselineKey) -> bool {
        let stopped = self.action == Action::Stop && self.reports.declined.is_none();
        self.baseline == *baseline && (self.mode == Mode::Observe || stopped)
    }
}

impl FactsView {
    /// Whether the cluster runs the release or something newer: there is nothing to do.
    pub(super) fn is_at(&self, target: &ReleaseKey) -> bool {
        self.version
            .as_ref()
            .is_some_and(|version| *version >= target.version)
    }
}
