//! Taking back what was asked but not begun: when the mode falls back to Observe, the ALLOW is gone, the
//! cluster runs something else, or the rollout is over. What an agent has accepted goes on: half an upgrade
//! is worse than a whole one, and the agent checks the mode itself.

use domain::{Action, ClusterName, Mode, Reason};

use super::AssignmentView;
use super::steps::{Plan, Step, StopDraft};
use super::world::Known;

pub(super) fn plan(world: &Known<'_>, plan: &mut Plan) {
    for (cluster, task) in &world.assignments {
        if task.action == Action::Stop || task.reports.accepted || !task.in_work(world.now) {
            continue;
        }
        if let Some((reason, detail)) = objection(world, cluster, task) {
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
