//! The course of an active rollout: halt, give way to a newer one, or go on with the first wave that has
//! not baked.

use domain::rollout::{RolloutEnd, RolloutFinished};
use domain::{Mode, Reason};

use super::gate::WaveView;
use super::standing::{Standing, standing};
use super::start::candidate;
use super::steps::{Plan, Scope, Step};
use super::wave;
use super::world::{Known, RolloutView};

pub(super) fn plan(world: &Known<'_>, rollout: &RolloutView, plan: &mut Plan) {
    if let Some(detail) = failures(world, rollout) {
        return finish(rollout, RolloutEnd::Halted, detail, plan);
    }
    if let Some(detail) = superseded(world, rollout) {
        return finish(rollout, RolloutEnd::Superseded, detail, plan);
    }
    let waves = &rollout.started.waves;
    let mut ahead = waves
        .iter()
        .filter(|wave| !rollout.baked.contains_key(&wave.name));
    let Some(current) = ahead.next() else {
        let clusters: usize = waves.iter().map(|wave| wave.clusters.len()).sum();
        let detail = format!(
            "{}: {} waves, {clusters} clusters",
            Reason::UpgradeComplete,
            waves.len()
        );
        return finish(rollout, RolloutEnd::Completed, detail, plan);
    };
    let view = |wave| WaveView { world, rollout, wave };
    match rollout.opened.get(&current.name) {
        Some(opened) => wave::go_on(view(current), *opened, plan),
        None => wave::open(view(current), plan),
    }
    for later in ahead {
        let detail = format!("wave {} has not baked", current.name);
        plan.wait(Scope::Wave(later.name.clone()), Reason::WaitingForWave, detail);
        wave::prepare(view(later), plan);
    }
}

fn finish(rollout: &RolloutView, end: RolloutEnd, detail: String, plan: &mut Plan) {
    plan.steps.push(Step::Finish(RolloutFinished {
        rollout: rollout.key().clone(),
        end,
        detail,
    }));
}

/// Everything that went wrong in the opened waves. A wave that has baked counts too: that a cluster falls
/// ill later is no less a reason not to go on.
fn failures(world: &Known<'_>, rollout: &RolloutView) -> Option<String> {
    let mut failed = Vec::new();
    for wave in &rollout.started.waves {
        let Some(opened) = rollout.opened.get(&wave.name) else {
            continue;
        };
        for cluster in &wave.clusters {
            if let Standing::Failed { reason, detail } = standing(world, rollout, cluster, *opened) {
                failed.push(format!("{reason}: {cluster} in wave {}: {detail}", wave.name));
            }
        }
    }
    (!failed.is_empty()).then(|| failed.join("; "))
}

/// Whether a newer release is to be rolled out and this one has changed nothing yet. Otherwise the newer
/// one waits, so that it never starves the bake.
fn superseded(world: &Known<'_>, rollout: &RolloutView) -> Option<String> {
    let version = &rollout.target().version;
    let newer = candidate(world).filter(|newer| newer.version > *version)?;
    let asked = |task: &super::AssignmentView| task.rollout == *rollout.key() && task.mode == Mode::Enforce;
    let untouched = rollout.opened.is_empty() && !world.assignments.values().any(asked);
    (untouched && world.ledger_ok)
        .then(|| format!("{} is allowed and nothing was changed yet", newer.version))
}
