//! Taking back what was asked but not begun: when the mode falls back to Observe, the ALLOW is gone, the
//! cluster runs something else or left the fleet, or the rollout is over. What an agent has accepted goes on:
//! half an upgrade is worse than a whole one, and the agent checks the mode itself.
//!
//! That an agent said no changes nothing: what lies there unexpired could be carried out when it looks again.
//! While its rollout goes on, one whose agent is capped stays until it ends; a refusal for any other reason
//! halts the rollout, and is taken back then.

use domain::{ClusterName, Mode, Reason};

use super::AssignmentView;
use super::steps::{Plan, Step, StopDraft};
use super::world::Known;

pub(super) fn plan(world: &Known<'_>, plan: &mut Plan) {
    for (cluster, task) in &world.assignments {
        if let Some((reason, detail)) = taken_back(world, cluster, task) {
            let draft = StopDraft {
                cluster: cluster.clone(),
                stops: task.epoch,
                reason,
                detail,
            };
            plan.steps.push(Step::Stop(draft));
        }
    }
}

/// Why an assignment is taken back, if it is to be.
pub(super) fn taken_back(
    world: &Known<'_>,
    cluster: &ClusterName,
    task: &AssignmentView,
) -> Option<(Reason, String)> {
    (task.may_still_begin(world.now) && !halts(world, cluster, task))
        .then(|| objection(world, cluster, task))
        .flatten()
}

/// Whether it is a failure of the rollout that goes on: it is counted first.
fn halts(world: &Known<'_>, cluster: &ClusterName, task: &AssignmentView) -> bool {
    let counted = task
        .reports
        .refused
        .is_some_and(|reason| reason != Reason::ModeObserve)
        && task.reports.result.is_none();
    let running = world
        .active()
        .is_some_and(|rollout| *rollout.key() == task.rollout);
    counted && running && world.member(cluster).is_some()
}

/// Why an assignment that was not begun must not be.
fn objection(world: &Known<'_>, cluster: &ClusterName, task: &AssignmentView) -> Option<(Reason, String)> {
    let Some(rollout) = world.active().filter(|rollout| *rollout.key() == task.rollout) else {
        return Some((Reason::Stopped, format!("rollout {} is not active", task.rollout)));
    };
    let (Some(member), Some(wave)) = (world.member(cluster), rollout.wave_of(cluster)) else {
        return Some((Reason::Stopped, "the cluster has left the fleet".to_owned()));
    };
    if world.mode(&wave.name, member) == Mode::Observe {
        return Some((Reason::ModeObserve, "the mode is Observe".to_owned()));
    }
    let current = world.facts.get(cluster).and_then(|facts| facts.baseline.as_ref());
    if current != Some(&task.baseline) {
        return Some((
            Reason::BaselineMoved,
            format!("the cluster no longer runs {}", task.baseline),
        ));
    }
    if world
        .allowed(&task.target, &wave.policy, &task.baseline)
        .is_none()
    {
        return Some((
            Reason::NotAllowed,
            format!("policy {} does not allow it any more", wave.policy),
        ));
    }
    None
}
