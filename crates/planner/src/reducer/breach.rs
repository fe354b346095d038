//! What ends a rollout before its end: a recall, more failures or silent clusters than its budgets tolerate, or
//! a wave that can no longer have the clusters it needs.

use domain::Reason;

use super::bake::wanted;
use super::course::Course;
use super::gate::WaveView;
use super::standing::{Look, Standing};

/// Why the rollout is halted, if it is.
pub(super) fn breach(course: &Course<'_>) -> Option<String> {
    recalled(course)
        .or_else(|| failures(course))
        .or_else(|| silence(course))
        .or_else(|| unfit(course))
}

fn recalled(course: &Course<'_>) -> Option<String> {
    let recall = course.world.recall(&course.rollout.target().version)?;
    Some(format!("recalled: {} (by {})", recall.reason, recall.principal))
}

/// More failures than a wave, or the whole, tolerates. A wave that has baked counts too: that a cluster falls
/// ill later is no less a reason not to go on. So does a cluster that was held afterwards.
fn failures(course: &Course<'_>) -> Option<String> {
    let (mut failed, mut breached) = (Vec::new(), Vec::new());
    for (wave, looks) in &course.opened {
        let before = failed.len();
        for look in looks {
            if let Standing::Failed { reason, detail } = &look.standing {
                failed.push(format!(
                    "{reason}: {} in wave {}: {detail}",
                    look.cluster, wave.name
                ));
            }
        }
        let count = failed.len() - before;
        if exceeds(count, wave.failure_budget) {
            breached.push(format!(
                "failed in wave {}: {count}, tolerated: {}",
                wave.name, wave.failure_budget
            ));
        }
    }
    if let Some(budget) = course
        .rollout
        .started
        .failure_budget
        .filter(|b| exceeds(failed.len(), *b))
    {
        breached.push(format!(
            "failed in all waves: {}, tolerated: {budget}",
            failed.len()
        ));
    }
    (!breached.is_empty()).then(|| format!("{}; {}", failed.join("; "), breached.join("; ")))
}

/// More silent clusters in the opened waves than the rollout tolerates.
fn silence(course: &Course<'_>) -> Option<String> {
    let budget = course.rollout.started.unreachable_budget?;
    let mut lost = Vec::new();
    for (wave, looks) in &course.opened {
        for look in looks.iter().filter(|look| look.lost && !look.held) {
            lost.push(format!("{} in wave {}", look.cluster, wave.name));
        }
    }
    let (count, reason) = (lost.len(), Reason::ClusterUnreachable);
    exceeds(count, budget).then(|| {
        format!(
            "{reason}: {}; silent: {count}, tolerated: {budget}",
            lost.join(", ")
        )
    })
}

/// The wave whose turn it is can no longer be opened, or no longer bake, whatever its clusters do: the snapshot
/// does not change any more. One that is held may still be released, one that is silent may come back.
fn unfit(course: &Course<'_>) -> Option<String> {
    let wave = course.current()?;
    let reason = Reason::FleetUnfit;
    let members = wave
        .clusters
        .iter()
        .filter(|cluster| course.world.member(cluster).is_some());
    let members = u32::try_from(members.count()).unwrap_or(u32::MAX);
    if members < wave.min_clusters {
        let (wave, least) = (&wave.name, wave.min_clusters);
        return Some(format!(
            "{reason}: clusters left in wave {wave}: {members}, wanted: {least}"
        ));
    }
    let (_, looks) = course
        .opened
        .iter()
        .find(|(opened, _)| opened.name == wave.name)?;
    let view = WaveView {
        world: course.world,
        rollout: course.rollout,
        wave,
    };
    let may_be_well = |look: &&Look<'_>| !look.standing.failed() && !look.newer;
    let left = u32::try_from(looks.iter().filter(may_be_well).count()).unwrap_or(u32::MAX);
    let wanted = wanted(view, looks);
    (left < wanted).then(|| {
        let (wave, version) = (&wave.name, &course.rollout.target().version);
        format!(
            "{reason}: clusters left in wave {wave} that can prove {version}: {left}, wanted by its bake: {wanted}"
        )
    })
}

fn exceeds(count: usize, budget: u32) -> bool {
    count > usize::try_from(budget).unwrap_or(usize::MAX)
}
