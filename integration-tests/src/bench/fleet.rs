//! A rollout over many simulated agents: two canaries, then all the rest at once.

use std::sync::Arc;
use std::time::Instant;

use testkit::factory::ReleaseSpec;
use wire::common::v1::Mode;
use wire::rollout::v1::RolloutEnd;

use super::agents::{Common, Simulated, root_key, start};
use super::{BenchError, memory};
use crate::lab::Lab;
use crate::stage::{COMING, Hub, RUNNING, Service, Stage, StageError, until};

/// Clusters in the first wave.
const CANARIES: usize = 2;
/// Longest time for a rollout over all of them, in seconds.
const WITHIN: u64 = 1800;

pub(super) async fn run(lab: &Lab, size: usize, write: fn(&str)) -> Result<(), BenchError> {
    let stage = Stage::build(lab, &[]).await?;
    // The stage has made this release; made again it has the same digests.
    let running = stage.publish(&ReleaseSpec::good(RUNNING)).await?;
    let names = (0..size.max(CANARIES + 1)).map(|n| format!("cluster-{n:04}"));
    let clusters = names
        .map(|name| Simulated::new(&name))
        .collect::<Result<Vec<_>, _>>()?;
    let all = clusters.len();
    write_fleet(&stage, &clusters)?;
    let hub = stage.start_hub().await?;
    let settings = bus::connection::Settings {
        url: stage.nats.url(),
        name: "simulated agents".to_owned(),
        ..bus::connection::Settings::default()
    };
    let common = Arc::new(Common {
        client: bus::connect(&settings).await?,
        root: root_key(&stage.files.keys)?,
        running,
    });
    let begun = Instant::now();
    let _agents = start(&common, clusters);
    let last = format!("cluster-{:04}", all - 1);
    known(&hub, &last).await?;
    write(&format!(
        "  {all} agents known after     {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    stage.publish(&ReleaseSpec::good(COMING)).await?;
    for wave in ["canary", "main"] {
        hub.set_mode(wave, Mode::Enforce).await?;
    }
    let begun = Instant::now();
    hub.reconcile().await?;
    ended(&hub).await?;
    let held = hub.process_id(Service::RolloutController).and_then(memory);
    write(&format!(
        "  rollout over all           {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    write(&format!(
        "  the hub holds              {}",
        held.map_or_else(|| "not known".to_owned(), |held| format!("{held:.0} MB"))
    ));
    write(&format!(
        "  events on the log          {}",
        hub.ledger().await?.confirmed
    ));
    Ok(())
}

/// The hub has a verified baseline of this cluster. It does not know the cluster before it has read its file.
pub(super) async fn known(hub: &Hub, name: &str) -> Result<(), StageError> {
    until(("a baseline of the last cluster", WITHIN), async || {
        Ok(match hub.cluster(name).await {
            Ok(cluster) if !cluster.baseline.is_empty() => Ok(()),
            Ok(cluster) => Err(format!("{:?}", cluster.waits)),
            Err(error) => Err(runtime::errors::chain(&error)),
        })
    })
    .await
}

async fn ended(hub: &Hub) -> Result<(), BenchError> {
    let end = until(("the end of the rollout", WITHIN), async || {
        let rollouts = hub.rollouts().await?;
        let found = rollouts.into_iter().next().and_then(|rollout| rollout.finished);
        Ok(found.ok_or_else(|| "it goes on".to_owned()))
    })
    .await?;
    if end.end() == RolloutEnd::Completed {
        return Ok(());
    }
    Err(BenchError::Made(format!("a completed rollout: {}", end.detail)))
}

/// The fleet of these clusters, and a strategy of two waves without a bake.
pub(super) fn write_fleet(stage: &Stage, clusters: &[Simulated]) -> Result<(), BenchError> {
    let mut fleet = "apiVersion: fleet.fluxgate.dev/v1alpha1\nkind: Fleet\nclusters:\n".to_owned();
    for (place, cluster) in clusters.iter().enumerate() {
        let wave = if place < CANARIES { "canary" } else { "main" };
        fleet.push_str(&format!(
            "  - name: {}\n    labels: {{fluxgate.dev/wave: {wave}}}\n    agentKey: {}\n    maxMode: Enforce\n    \
             images: {{registry: ghcr.io}}\n",
            cluster.name,
            cluster.key.public().fingerprint()
        ));
    }
    let wave = |name: &str, concurrency: &str| {
        format!(
            "    - name: {name}\n      selector: {{matchLabels: {{fluxgate.dev/wave: {name}}}}}\n      minClusters: 0\n      \
             maxConcurrency: {concurrency}\n      bake: {{duration: 0s}}\n"
        )
    };
    let strategy = format!(
        "apiVersion: rollout.fluxgate.dev/v1alpha1\nkind: Strategy\nmetadata: {{name: default}}\nspec:\n  waves:\n{}{}  \
         health: {{stableFor: 1s, successDeadline: 30m}}\n",
        wave("canary", "100%"),
        wave("main", "100%")
    );
    for (path, text) in [(&stage.files.fleet, fleet), (&stage.files.strategy, strategy)] {
        std::fs::write(path, text).map_err(|source| BenchError::File {
            path: path.display().to_string(),
            source,
        })?;
    }
    Ok(())
}
