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
        let Some(facts) = self.world.facts.get(&member.cluster) else {
            return Gate::Agent;
        };
        let target = self.rollout.target();
        if facts.is_at(target) {
            return Gate::AtTarget;
        }
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
        let (policy, target, now) = (&self.wave.policy, self.rollout.target(), self.world.now);
        let newest = self
            .world
            .decisions(target, policy, baseline)
            .find(|d| d.valid_allow(now).is_none());
        let Some(decision) = newest else {
            let detail = format!(
                "policy {policy} has not decided about {} on {baseline}",
                target.version
            );
            return Gate::Decision {
                reason: Reason::WaitingForDecision,
                detail,
                until: None,
            };
        };
        match decision.outcome {
            Outcome::Allow => {
                let detail = format!("the ALLOW of policy {policy} is no longer valid");
                Gate::Decision {
                    reason: Reason::DecisionExpired,
                    detail,
                    until: None,
                }
            }
            outcome @ (Outcome::Wait | Outcome::NeedsApproval | Outcome::Deny) => {
                let detail = format!(
                    "policy {policy} says {outcome} about {} on {baseline}",
                    target.version
                );
                Gate::Decision {
                    reason: decision.reason,
                    detail,
                    until: decision.wait_until,
                }
            }
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
            Some(task) if task.rollout == *self.rollout.key() && task.was_tried(&allowed.baseline) => {
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
        let stopped = self.action == Action::Stop && !self.reports.declined;
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
