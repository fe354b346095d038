//! Which rollout begins, while none is active.

use domain::rollout::{RolloutEnd, RolloutStarted};
use domain::{ClusterMember, Health, Outcome, Reason, ReleaseKey, RolloutKey};

use super::steps::{Plan, Scope, Step};
use super::world::{DecisionView, FactsView, Known};
use super::{AssignmentView, ResultKind};

pub(super) fn plan(world: &Known<'_>, plan: &mut Plan) {
    let Some(release) = candidate(world) else {
        return nothing_to_start(world, plan);
    };
    let previous = world.previous(&release.version);
    if let Some(previous) = previous.filter(|previous| previous.end == RolloutEnd::Halted) {
        let halted = RolloutKey {
            version: release.version.clone(),
            ordinal: previous.ordinal,
        };
        if !world.restarts.contains(&halted) {
            let detail = format!("{halted} was halted; this version is not begun again, a newer one is");
            return plan.wait(Scope::Rollout, Reason::ClusterUnhealthy, detail);
        }
    }
    if !world.ledger_ok {
        let detail = format!("no rollout to {} begins", release.version);
        return plan.wait(Scope::Rollout, Reason::LedgerUnconfirmed, detail);
    }
    match world.strategy.snapshot(world.members) {
        Ok(waves) => plan.steps.push(Step::Start(RolloutStarted {
            rollout: RolloutKey {
                version: release.version.clone(),
                ordinal: previous.map_or(1, |previous| previous.ordinal.saturating_add(1)),
            },
            release,
            strategy: world.strategy.id.clone(),
            waves,
        })),
        Err(error) => plan.wait(Scope::Rollout, Reason::FleetUnfit, error.to_string()),
    }
}

/// The highest release that is allowed for a cluster below it.
pub(super) fn candidate(world: &Known<'_>) -> Option<ReleaseKey> {
    let allows = world
        .decisions
        .iter()
        .filter(|decision| decision.valid_allow(world.now).is_some());
    let wanted = allows.filter(|decision| world.members.iter().any(|member| wants(world, member, decision)));
    wanted.map(|decision| &decision.release).max().cloned()
}

/// Whether the decision is about this cluster, and about a release above what it runs.
fn wants(world: &Known<'_>, member: &ClusterMember, decision: &DecisionView) -> bool {
    let release = &decision.release;
    let Some(wave) = world
        .strategy
        .wave_of(member)
        .filter(|wave| wave.policy == decision.policy)
    else {
        return false;
    };
    let Some(facts) = world.facts.get(&member.cluster).filter(|_| !member.removed) else {
        return false;
    };
    facts.baseline.as_ref() == Some(&decision.baseline)
        && facts
            .version
            .as_ref()
            .is_some_and(|version| *version < release.version)
        && world.allowed(release, &wave.policy, &decision.baseline).is_some()
        && !world
            .assignments
            .get(&member.cluster)
            .is_some_and(|task| task.overtakes(facts, release))
}

impl AssignmentView {
    /// Whether these facts are older than our own upgrade to the release: the agent has not looked again.
    fn overtakes(&self, facts: &FactsView, release: &ReleaseKey) -> bool {
        let healthy = self
            .reports
            .result
            .filter(|r| r.kind == ResultKind::Finished(Health::Healthy));
        self.target == *release && healthy.is_some_and(|result| facts.observed <= result.at)
    }
}

/// Says for each cluster of a wave why nothing higher is begun for it.
fn nothing_to_start(world: &Known<'_>, plan: &mut Plan) {
    for member in world.members.iter().filter(|member| !member.removed) {
        let Some(wave) = world.strategy.wave_of(member) else {
            continue;
        };
        let scope = Scope::Cluster(member.cluster.clone());
        let Some(facts) = world.facts.get(&member.cluster) else {
            plan.wait(scope, Reason::WaitingForAgent, "the agent has sent no facts yet");
            continue;
        };
        let Some(baseline) = &facts.baseline else {
            let detail = "what runs is not mapped to verified images yet";
            plan.wait(scope, Reason::WaitingForDecision, detail);
            continue;
        };
        let about = |d: &&DecisionView| {
            d.policy == wave.policy && d.baseline == *baseline && !facts.is_at(&d.release)
        };
        let highest = world
            .decisions
            .iter()
            .filter(about)
            .max_by(|a, b| a.release.cmp(&b.release));
        let Some(decision) = highest else { continue };
        let detail = format!(
            "policy {} says {} about {}",
            wave.policy, decision.outcome, decision.release.version
        );
        match decision.outcome {
            Outcome::Allow if decision.valid_allow(world.now).is_some() => {}
            Outcome::Allow => plan.wait(scope, Reason::DecisionExpired, detail),
            Outcome::Wait | Outcome::NeedsApproval | Outcome::Deny => {
                plan.wait_until(scope, decision.reason, detail, decision.wait_until);
            }
        }
    }
}
