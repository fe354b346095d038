//! How the clusters of an opened wave stand.

use domain::{Action, ClusterName, Health, Mode, Reason};
use jiff::Timestamp;

use super::gate::WaveView;
use super::world::{Known, RolloutView};
use super::{AssignmentView, ResultKind, stops};

/// How a cluster stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It left the fleet.
    Gone,
    /// It runs the target and is well, since then.
    Done { since: Timestamp },
    /// It went wrong: left behind within the budgets, beyond them the rollout ends.
    Failed { reason: Reason, detail: String },
    /// It may be writing.
    InWork,
    /// Its assignment is being taken back; it may be writing, and may be asked again.
    Stopping,
    /// It runs the target, but is not known to be well.
    Unsettled { reason: Reason, detail: String },
    /// Its own agent does not let fluxgate write; asked again when the assignment has ended.
    Capped { until: Timestamp },
    /// A person holds it, and nothing is going on there: its wave goes on without it.
    Held { detail: String },
    /// Nothing was begun.
    Pending,
}

/// One cluster of an opened wave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look<'w> {
    pub(super) cluster: &'w ClusterName,
    pub(super) standing: Standing,
    /// A person holds it, whatever was done there.
    pub(super) held: bool,
    /// Its agent was silent for so long that it counts as lost. One that is held may be silent.
    pub(super) lost: bool,
    /// It runs something newer than the target: there is nothing to do, and it proves nothing about the target.
    pub(super) newer: bool,
}

/// How every cluster of a wave that was opened at `opened` stands. Those that left the fleet are not there.
pub(super) fn survey(view: WaveView<'_>, opened: Timestamp) -> Vec<Look<'_>> {
    let looks = view
        .wave
        .clusters
        .iter()
        .map(|cluster| look(view, cluster, opened));
    looks.filter(|look| look.standing != Standing::Gone).collect()
}

/// How one cluster of a wave that was opened at `opened` stands.
pub(super) fn look<'w>(view: WaveView<'_>, cluster: &'w ClusterName, opened: Timestamp) -> Look<'w> {
    let standing = standing(view.world, view.rollout, cluster, opened);
    let held = view.world.held(cluster).is_some();
    let lost = !standing.failed() && view.world.lost(cluster, opened);
    let facts = view.world.facts.get(cluster);
    let version = facts.and_then(|facts| facts.version.as_ref());
    Look {
        cluster,
        standing,
        held,
        lost,
        newer: version.is_some_and(|version| *version > view.rollout.target().version),
    }
}

/// Judges a cluster of a wave that was opened at `opened`.
fn standing(world: &Known<'_>, rollout: &RolloutView, cluster: &ClusterName, opened: Timestamp) -> Standing {
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
        let there = at_target(world, cluster, opened);
        if there.done().is_some() || there.failed() {
            return there;
        }
        return held(world, cluster).unwrap_or(there);
    }
    held(world, cluster).unwrap_or(Standing::Pending)
}

fn held(world: &Known<'_>, cluster: &ClusterName) -> Option<Standing> {
    let stops = world.held(cluster)?;
    Some(Standing::Held { detail: stops.text() })
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
    if let Some(result) = result {
        match result.kind {
            ResultKind::Finished(Health::Healthy) => return Some(since_done(world, cluster, result.at)),
            ResultKind::Finished(Health::Unhealthy | Health::Inconclusive) => return failed(task),
            ResultKind::WouldUpgrade => return capped(world, cluster, task),
        }
    }
    // What was accepted is going on by itself, whatever was said before, and whatever stop crossed it.
    if task.reports.accepted && task.in_work(world.now) {
        return Some(Standing::InWork);
    }
    if ours {
        if let Some(failed) = failed(task) {
            return Some(failed);
        }
        if task.reports.refused.is_some() {
            // Nothing is wrong with the release: the operator of the cluster has not given leave.
            return capped(world, cluster, task);
        }
    }
    task.in_work(world.now).then_some(match task.action {
        Action::Upgrade => Standing::InWork,
        Action::Stop => Standing::Stopping,
    })
}

fn failed(task: &AssignmentView) -> Option<Standing> {
    let (reason, detail) = task.failure()?;
    Some(Standing::Failed { reason, detail })
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
        Some(Health::Unhealthy) => unsettled(Reason::ClusterUnhealthy, &ill(world, cluster)),
        None => unsettled(
            Reason::WaitingForAgent,
            "it runs the target and its agent is silent",
        ),
    }
}

/// What is wrong with a cluster that ran the target before the wave was opened, and who can end the wait: nothing is
/// done there, so it does not end by itself.
fn ill(world: &Known<'_>, cluster: &ClusterName) -> String {
    let facts = world.facts.get(cluster);
    let version = facts
        .and_then(|facts| facts.version.as_ref())
        .map_or_else(|| "the target".to_owned(), ToString::to_string);
    let health = Health::Unhealthy;
    let report = world.health.get(cluster).filter(|report| report.health == health);
    let symptom = report
        .and_then(|report| report.symptoms.first())
        .map(|symptom| format!(": {} {}: {}", symptom.reason, symptom.object, symptom.detail))
        .unwrap_or_default();
    format!(
        "it already runs {version} and is {health}{symptom}; repair it, or roll it back: nothing is done there until \
         it is well"
    )
}

impl Standing {
    /// Since when it is done, if it is.
    pub(super) const fn done(&self) -> Option<Timestamp> {
        match self {
            Self::Done { since } => Some(*since),
            Self::Gone
            | Self::Failed { .. }
            | Self::InWork
            | Self::Stopping
            | Self::Unsettled { .. }
            | Self::Capped { .. }
            | Self::Held { .. }
            | Self::Pending => None,
        }
    }

    /// Whether it may be writing: it holds a place.
    pub(super) const fn in_work(&self) -> bool {
        match self {
            Self::InWork | Self::Stopping => true,
            Self::Gone
            | Self::Done { .. }
            | Self::Failed { .. }
            | Self::Unsettled { .. }
            | Self::Capped { .. }
            | Self::Held { .. }
            | Self::Pending => false,
        }
    }

    pub(super) const fn failed(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}

/// Clusters that the wave goes on without.
pub(super) fn left_behind(view: WaveView<'_>, look: &Look<'_>) -> Option<(Reason, String)> {
    match &look.standing {
        Standing::Held { detail } => Some((Reason::Stopped, detail.clone())),
        Standing::Failed { reason, detail } => {
            let budget = view.wave.failure_budget;
            let detail = format!(
                "left behind: {detail} (tolerated in wave {}: {budget})",
                view.wave.name
            );
            Some((*reason, detail))
        }
        Standing::Gone
        | Standing::Done { .. }
        | Standing::InWork
        | Standing::Stopping
        | Standing::Unsettled { .. }
        | Standing::Capped { .. }
        | Standing::Pending => {
            if !look.lost {
                return None;
            }
            if look.held {
                let detail = "it is held and its agent is silent; what it may have begun goes on";
                return Some((Reason::Stopped, detail.to_owned()));
            }
            let budget = view.rollout.started.unreachable_budget?;
            let detail = format!("left behind: its agent is silent (tolerated: {budget})");
            Some((Reason::ClusterUnreachable, detail))
        }
    }
}
