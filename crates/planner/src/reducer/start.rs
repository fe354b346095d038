//! Which rollout begins, while none is active.

use domain::rollout::{RolloutEnd, RolloutStarted, WaveSnapshot};
use domain::{
    BaselineKey, ClusterMember, ClusterName, Health, Outcome, Reason, ReleaseKey, RolloutKey, Version,
};
use jiff::Timestamp;

use super::steps::{Plan, Scope, Step};
use super::world::{DecisionView, FactsView, Known};
use super::{AssignmentView, ResultKind, stopped};
use crate::strategy::Wave;

pub(super) fn plan(world: &Known<'_>, plan: &mut Plan) {
    let Some(release) = candidate(world) else {
        return nothing_to_start(world, plan);
    };
    match obstacle(world, &release) {
        Ok(waves) => plan.steps.push(Step::Start(started(world, release, waves))),
        Err((reason, detail)) => plan.wait(Scope::Rollout, reason, detail),
    }
}

/// What keeps a rollout to this release from beginning; the waves that it would have where nothing does.
pub(super) fn obstacle(
    world: &Known<'_>,
    release: &ReleaseKey,
) -> Result<Vec<WaveSnapshot>, (Reason, String)> {
    let version = &release.version;
    let halted = world
        .previous(version)
        .filter(|last| last.end == RolloutEnd::Halted);
    if let Some(last) = halted {
        let halted = RolloutKey {
            version: version.clone(),
            ordinal: last.ordinal,
        };
        if !world.restarts.contains(&halted) {
            let detail = format!(
                "{halted} was halted: it is begun again when a person retries it, a newer version by itself"
            );
            // Only a recall, the word of a person, halts without a code.
            return Err((last.reason.unwrap_or(Reason::Stopped), detail));
        }
    }
    if let Some(stops) = world.stops_of_fleet() {
        return Err((Reason::Stopped, stops.text()));
    }
    if !world.ledger_ok {
        return Err((
            Reason::LedgerUnconfirmed,
            format!("no rollout to {version} begins"),
        ));
    }
    let waves = world.strategy.snapshot(world.members);
    let waves = waves.map_err(|error| (Reason::FleetUnfit, error.to_string()))?;
    match unproved(world, version, &waves) {
        Some(detail) => Err((Reason::FleetUnfit, detail)),
        None => Ok(waves),
    }
}

/// The first wave that has clusters must be able to prove the release: those that run something newer can't.
fn unproved(world: &Known<'_>, version: &Version, waves: &[WaveSnapshot]) -> Option<String> {
    let wave = waves.iter().find(|wave| !wave.clusters.is_empty())?;
    let newer = |cluster: &&ClusterName| {
        let runs = world.facts.get(*cluster).and_then(|facts| facts.version.as_ref());
        runs.is_some_and(|runs| runs > version)
    };
    let left = wave.clusters.len() - wave.clusters.iter().filter(newer).count();
    let (name, wanted) = (&wave.name, wave.bake_clusters.max(1));
    (left < usize::try_from(wanted).unwrap_or(usize::MAX)).then(|| {
        format!(
            "clusters of wave {name} that can prove {version}: {left}, wanted by its bake: {wanted}; the others run \
             something newer"
        )
    })
}

fn started(world: &Known<'_>, release: ReleaseKey, waves: Vec<WaveSnapshot>) -> RolloutStarted {
    let previous = world.previous(&release.version);
    let clusters = waves.iter().map(|wave| wave.clusters.len()).sum::<usize>();
    let clusters = u32::try_from(clusters).unwrap_or(u32::MAX);
    let strategy = world.strategy;
    RolloutStarted {
        rollout: RolloutKey {
            version: release.version.clone(),
            ordinal: previous.map_or(1, |previous| previous.ordinal.saturating_add(1)),
        },
        release,
        strategy: strategy.id.clone(),
        waves,
        failure_budget: strategy.failure_budget.map(|budget| budget.of(clusters)),
        unreachable_budget: strategy.unreachable_budget.map(|budget| budget.of(clusters)),
        superseding: strategy.superseding,
    }
}

/// The highest release that is allowed, and not recalled, for a cluster below it that can be begun: it is not
/// stopped, its agent is there, and an earlier rollout to this release has not left it behind as failed.
pub(super) fn candidate(world: &Known<'_>) -> Option<ReleaseKey> {
    let allows = world
        .decisions
        .iter()
        .filter(|decision| decision.valid_allow(world.now).is_some())
        .filter(|decision| world.recall(&decision.release.version).is_none());
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
        && world.fresh_heartbeat(&member.cluster).is_some()
        && world.stops_of_candidate(member, &wave.name).is_none()
        && world
            .assignments
            .get(&member.cluster)
            .is_none_or(|task| !task.overtakes(facts, release) && failed_at(world, task, release).is_none())
}

/// How the newest attempt to bring a cluster to this release or a newer one failed, unless a person asked for
/// another one.
pub(super) fn failed_at(
    world: &Known<'_>,
    task: &AssignmentView,
    release: &ReleaseKey,
) -> Option<(Reason, String)> {
    let again = task.target.version < release.version || world.restarts.contains(&task.rollout);
    task.failure().filter(|_| !again)
}

impl AssignmentView {
    /// Whether these facts are older than our own upgrade to the release or a newer one: the agent has not
    /// looked again.
    fn overtakes(&self, facts: &FactsView, release: &ReleaseKey) -> bool {
        let healthy = self
            .reports
            .result
            .filter(|r| r.kind == ResultKind::Finished(Health::Healthy));
        self.target >= *release && healthy.is_some_and(|result| facts.observed <= result.at)
    }
}

/// Says for each cluster of a wave why nothing higher is begun for it.
fn nothing_to_start(world: &Known<'_>, plan: &mut Plan) {
    for member in world.members.iter().filter(|member| !member.removed) {
        let Some(wave) = world.strategy.wave_of(member) else {
            continue;
        };
        if let Some((reason, detail, until)) = why_not(world, member, wave) {
            plan.wait_until(Scope::Cluster(member.cluster.clone()), reason, detail, until);
        }
    }
}

/// Why nothing higher is begun for a cluster; `None` where there is nothing higher.
fn why_not(
    world: &Known<'_>,
    member: &ClusterMember,
    wave: &Wave,
) -> Option<(Reason, String, Option<Timestamp>)> {
    let Some(facts) = world.facts.get(&member.cluster) else {
        return Some((
            Reason::WaitingForAgent,
            "the agent has sent no facts yet".to_owned(),
            None,
        ));
    };
    let Some(baseline) = &facts.baseline else {
        let detail = "what runs is not mapped to verified images yet".to_owned();
        return Some((Reason::WaitingForDecision, detail, None));
    };
    let decision = highest(world, facts, baseline, &wave.policy)?;
    let version = &decision.release.version;
    let said = format!("policy {} says {} about {version}", wave.policy, decision.outcome);
    match decision.outcome {
        Outcome::Allow if decision.valid_allow(world.now).is_some() => {}
        Outcome::Allow => return Some((Reason::DecisionExpired, said, None)),
        Outcome::Wait | Outcome::NeedsApproval | Outcome::Deny => {
            return Some((decision.reason, said, decision.wait_until));
        }
    }
    if facts.version.is_none() {
        let detail = "what runs is no single known version".to_owned();
        return Some((Reason::BaselineVersionUnknown, detail, None));
    }
    if let Some(recall) = world.recall(version) {
        return Some((Reason::Stopped, stopped::text(recall), None));
    }
    if let Some(stops) = world.stops_of_candidate(member, &wave.name) {
        return Some((Reason::Stopped, stops.text(), None));
    }
    let task = world.assignments.get(&member.cluster);
    if let Some((reason, detail)) = task.and_then(|task| failed_at(world, task, &decision.release)) {
        let detail = format!("left behind: {detail}; a newer release is tried, this one is not");
        return Some((reason, detail, None));
    }
    let silent = world.fresh_heartbeat(&member.cluster).is_none();
    silent.then(|| {
        let detail = "no heartbeat within the last five minutes".to_owned();
        (Reason::WaitingForAgent, detail, None)
    })
}

/// The newest decision about the highest release that is above what a cluster runs; a recalled one only where
/// there is no other.
pub(super) fn highest<'w>(
    world: &'w Known<'_>,
    facts: &FactsView,
    baseline: &BaselineKey,
    policy: &str,
) -> Option<&'w DecisionView> {
    let about = |d: &&DecisionView| d.policy == policy && d.baseline == *baseline && !facts.is_at(&d.release);
    let rank = |d: &&DecisionView| (world.recall(&d.release.version).is_none(), d.release.clone());
    world.decisions.iter().filter(about).max_by_key(rank)
}
