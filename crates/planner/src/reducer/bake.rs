//! Baking a wave: all clusters that count are well for long enough, are enough, and Flux has reconciled enough
//! on them.
//!
//! Stops do not hold a bake up: it begins nothing.

use std::collections::BTreeMap;

use domain::rollout::WaveBaked;
use domain::{ClusterName, Health, Mode, Reason};
use jiff::Timestamp;

use super::gate::WaveView;
use super::standing::Look;
use super::steps::{Plan, Scope, Step};
use super::world::{Known, later};

/// Bakes the wave, whose last cluster was done at `began`; `counted` are those that it is judged by.
pub(super) fn bake(
    (view, looks): (WaveView<'_>, &[Look<'_>]),
    began: Timestamp,
    counted: &[&ClusterName],
    plan: &mut Plan,
) {
    let (WaveView { world, rollout, wave }, scope) = (view, view.scope());
    let ends = later(began, wave.bake);
    if world.now < ends {
        let detail = format!("all clusters are done since {began:.0}");
        return plan.wait_until(scope, Reason::WaitingForBake, detail, Some(ends));
    }
    let mut heartbeats = BTreeMap::new();
    let mut silent = Vec::new();
    for cluster in counted.iter().copied() {
        match well(world, cluster, began) {
            Ok(sent) => {
                heartbeats.insert(cluster.clone(), sent);
            }
            Err((reason, detail)) => {
                silent.push(cluster);
                plan.wait(Scope::Cluster(cluster.clone()), reason, detail);
            }
        }
    }
    let reconciles = heartbeats.keys().map(|cluster| reconciles(view, cluster)).sum();
    let clusters = u32::try_from(heartbeats.len()).unwrap_or(u32::MAX);
    let wanted = wanted(view, looks);
    let short = if !silent.is_empty() {
        let missing = silent.len();
        Some(format!(
            "{missing} clusters have no fresh HEALTHY heartbeat since {began:.0}"
        ))
    } else if clusters < wanted {
        Some(format!(
            "{clusters} of {wanted} clusters that the bake wants are upgraded and healthy"
        ))
    } else if wanted > 0 && reconciles < wave.bake_reconciles {
        let wanted = wave.bake_reconciles;
        Some(format!(
            "{reconciles} of {wanted} reconciliations that the bake wants were seen"
        ))
    } else {
        None
    };
    if let Some(detail) = short {
        return plan.wait(scope, Reason::WaitingForBake, detail);
    }
    plan.steps.push(Step::BakeWave(WaveBaked {
        rollout: rollout.key().clone(),
        wave: wave.name.clone(),
        bake_started: began,
        bake_ended: world.now,
        heartbeats,
        clusters,
        reconciles,
    }));
}

/// How many clusters that run the target must be well for the wave to bake, whatever the budgets tolerate: one
/// at least, or it proves nothing. A wave whose clusters all run something newer has nothing to prove, unless no
/// wave before it has proved anything.
pub(super) fn wanted(view: WaveView<'_>, looks: &[Look<'_>]) -> u32 {
    let proved = view.rollout.baked.values().any(|baked| baked.clusters > 0);
    let idle = looks.is_empty() || (proved && looks.iter().all(|look| look.newer));
    view.wave.bake_clusters.max(u32::from(!idle))
}

/// How often Flux has reconciled on the cluster since it became the target, as its agent counts. What was
/// counted for an older release proves nothing; of a cluster that was never upgraded by us the agent's count is
/// taken as it is.
fn reconciles(view: WaveView<'_>, cluster: &ClusterName) -> u64 {
    let Some(heartbeat) = view.world.heartbeats.get(cluster) else {
        return 0;
    };
    let task = view.world.assignments.get(cluster);
    let counts = task.filter(|task| task.mode == Mode::Enforce).is_none_or(|task| {
        task.target.version >= view.rollout.target().version && heartbeat.epoch >= task.task
    });
    if counts { heartbeat.reconciles } else { 0 }
}

/// The heartbeat that proves that a cluster is well: fresh, HEALTHY, sent since the bake began, and not
/// contradicted by a later health report.
fn well(
    world: &Known<'_>,
    cluster: &ClusterName,
    began: Timestamp,
) -> Result<Timestamp, (Reason, &'static str)> {
    let Some(heartbeat) = world
        .fresh_heartbeat(cluster)
        .filter(|heartbeat| heartbeat.sent >= began)
    else {
        return Err((
            Reason::WaitingForAgent,
            "no heartbeat within the last five minutes and since the bake began",
        ));
    };
    let report = world
        .health
        .get(cluster)
        .filter(|report| report.observed > heartbeat.sent);
    match report.map_or(heartbeat.health, |report| report.health) {
        Health::Healthy => Ok(heartbeat.sent),
        Health::Inconclusive | Health::Unhealthy => {
            Err((Reason::HealthUnknown, "the last word is not HEALTHY"))
        }
    }
}
