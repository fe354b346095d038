//! Taking back what was asked but not begun: when a person stopped it, the mode falls back to Observe, the ALLOW
//! is gone, a key has come to its end, the cluster runs something else or left the fleet, or the rollout is over. What an agent has
//! accepted goes on: half an upgrade is worse than a whole one, and the agent checks stops and mode itself.
//!
//! That an agent said no changes nothing: what lies there unexpired could be carried out when it looks again.
//! While its rollout goes on, one whose agent is capped stays until it ends. A refusal for any other reason is
//! taken back at once; that it was a failure stays known ([`super::Reports::declined`]).

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
    task.may_still_begin(world.now)
        .then(|| objection(world, cluster, task))
        .flatten()
}

/// Why an assignment that was not begun must not be.
fn objection(world: &Known<'_>, cluster: &ClusterName, task: &AssignmentView) -> Option<(Reason, String)> {
    let member = world.member(cluster);
    let wave = world.wave_of(cluster);
    let name = wave.map(|wave| wave.name.as_str());
    if let Some(stops) = member.and_then(|member| world.stops_of(member, name, Some(&task.rollout))) {
        return Some((Reason::Stopped, stops.text()));
    }
    if world
        .active()
        .is_none_or(|rollout| *rollout.key() != task.rollout)
    {
        return Some((Reason::Stopped, format!("rollout {} is not active", task.rollout)));
    }
    let (Some(member), Some(wave)) = (member, wave) else {
        return Some((Reason::Stopped, "the cluster has left the fleet".to_owned()));
    };
    if let Some(reason) = task
        .reports
        .refused
        .filter(|reason| *reason != Reason::ModeObserve)
    {
        let detail = format!("its agent refused it: {reason}");
        // One that saw a stop that was lifted since is asked again.
        let why = if reason == Reason::Stopped {
            reason
        } else {
            Reason::ClusterRefused
        };
        return Some((why, detail));
    }
    if world.orphans.contains(cluster) {
        let detail = "a key that signed it, or what it rests on, has come to its end";
        return Some((Reason::StatementInvalid, detail.to_owned()));
    }
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
