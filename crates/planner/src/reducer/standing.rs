//! How one cluster of an opened wave stands.

use domain::{Action, ClusterName, Health, Mode, Reason};
use jiff::Timestamp;

use super::world::{Known, RolloutView};
use super::{AssignmentView, ResultKind, stops};

/// How a cluster stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It left the fleet.
    Gone,
    /// It runs the target and is well, since then.
    Done { since: Timestamp },
    /// It went wrong: the rollout ends.
    Failed { reason: Reason, detail: String },
    /// It may be writing.
    InWork,
    /// Its assignment is being taken back; it may be writing, and may be asked again.
    Stopping,
    /// It runs the target, but is not known to be well.
    Unsettled { reason: Reason, detail: String },
    /// Its own agent does not let fluxgate write; asked again when the assignment has ended.
    Capped { until: Timestamp },
    /// Nothing was begun.
    Pending,
}

/// Judges a cluster of a wave that was opened at `opened`.
pub(super) fn standing(
    world: &Known<'_>,
    rollout: &RolloutView,
    cluster: &ClusterName,
    opened: Timestamp,
) -> Standing {
    if world.member(cluster).is_none() {
        return Standing::Gone;
    }
    let task = world.assignments.get(cluster);
    if let Some(known) = task.and_then(|task| of_task(world, rollout, (cluster, task), opened)) {
        return known;
    }
    if world
        .facts
        .get(cluster)
        .is_some_and(|facts| facts.is_at(rollout.target()))
    {
        return at_target(world, cluster, opened);
    }
    Standing::Pending
}

/// What the newest assignment says, if it says anything.
fn of_task(
    world: &Known<'_>,
    rollout: &RolloutView,
    (cluster, task): (&ClusterName, &AssignmentView),
    opened: Timestamp,
) -> Option<Standing> {
    let enforced = task.mode == Mode::Enforce;
    let ours = enforced && task.rollout == *rollout.key();
    // What an earlier rollout to the same release began may end in this one.
    let theirs = enforced && task.target == *rollout.target();
    let result = task
        .reports
        .result
        .filter(|result| ours || (theirs && result.at > opened));
    match result.map(|result| (result.kind, result.at)) {
        Some((ResultKind::Finished(Health::Healthy), at)) => return Some(since_done(world, cluster, at)),
        Some((ResultKind::Finished(health @ (Health::Unhealthy | Health::Inconclusive)), _)) => {
            let detail = format!("epoch {} ended {health}", task.epoch);
            return Some(Standing::Failed {
                reason: Reason::ClusterUnhealthy,
                detail,
            });
        }
        Some((ResultKind::WouldUpgrade, _)) => return capped(world, cluster, task),
        None => {}
    }
    match task.reports.refused.filter(|_| ours) {
        // Nothing is wrong with the release: the operator of the cluster has not given leave.
        Some(Reason::ModeObserve) => return capped(world, cluster, task),
        Some(reason) => {
            let detail = format!("epoch {} was refused: {reason}", task.epoch);
            return Some(Standing::Failed {
                reason: Reason::ClusterRefused,
                detail,
            });
        }
        None => {}
    }
    if !task.in_work(world.now) {
        return None;
    }
    Some(match task.action {
        Action::Upgrade => Standing::InWork,
        Action::Stop => Standing::Stopping,
    })
}

/// It stays with the agent until it ends, unless it is taken back.
fn capped(world: &Known<'_>, cluster: &ClusterName, task: &AssignmentView) -> Option<Standing> {
    let lies_there = task.action == Action::Upgrade
        && world.now < task.expires
        && stops::taken_back(world, cluster, task).is_none();
    lies_there.then_some(Standing::Capped { until: task.expires })
}

/// A cluster that was upgraded stays done until its agent says that it is unhealthy.
fn since_done(world: &Known<'_>, cluster: &ClusterName, since: Timestamp) -> Standing {
    let report = world
        .health
        .get(cluster)
        .filter(|report| report.observed >= since);
    let heartbeat = world
        .heartbeats
        .get(cluster)
        .filter(|heartbeat| heartbeat.sent >= since);
    let symptoms = report.map(|report| {
        report
            .symptoms
            .iter()
            .map(|s| s.reason.code())
            .collect::<Vec<_>>()
    });
    let said = [
        report.map(|report| report.health),
        heartbeat.map(|heartbeat| heartbeat.health),
    ];
    if said.contains(&Some(Health::Unhealthy)) {
        let symptoms = symptoms.unwrap_or_default().join(", ");
        let detail = format!("{} after its upgrade {symptoms}", Health::Unhealthy)
            .trim_end()
            .to_owned();
        return Standing::Failed {
            reason: Reason::ClusterUnhealthy,
            detail,
        };
    }
    Standing::Done { since }
}

/// A cluster that runs the target without our doing. That it was unwell before is no fault of the release;
/// that it became unwell since the wave was opened is, and only a health report says *became*.
fn at_target(world: &Known<'_>, cluster: &ClusterName, opened: Timestamp) -> Standing {
    let report = world
        .health
        .get(cluster)
        .filter(|report| report.observed > opened);
    if report.is_some_and(|report| report.health == Health::Unhealthy) {
        let detail = format!("{} since the wave was opened", Health::Unhealthy);
        return Standing::Failed {
            reason: Reason::ClusterUnhealthy,
            detail,
        };
    }
    let unsettled = |reason, detail: &str| Standing::Unsettled {
        reason,
        detail: detail.to_owned(),
    };
    match world.fresh_heartbeat(cluster).map(|heartbeat| heartbeat.health) {
        Some(Health::Healthy) => Standing::Done { since: opened },
        Some(Health::Inconclusive) => {
            unsettled(Reason::HealthUnknown, "it runs the target and can't be judged")
        }
        Some(Health::Unhealthy) => unsettled(
            Reason::ClusterUnhealthy,
            "it ran the target before and is not well",
        ),
        None => unsettled(
            Reason::WaitingForAgent,
            "it runs the target and its agent is silent",
        ),
    }
}
