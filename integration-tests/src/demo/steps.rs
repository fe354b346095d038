//! Steps that several scenes have in common.

use std::collections::{BTreeMap, BTreeSet};

use wire::common::v1::{Mode, Outcome};
use wire::fleet::v1::ReportKind;
use wire::rollout::v1::RolloutFinished;

use super::{DemoError, Played, Teller, ending};
use crate::lab::Lab;
use crate::stage::{Hub, Stage, StageError, THREE, until};

/// The objects of each cluster at one moment.
pub(super) type Seen = Vec<BTreeMap<String, String>>;

/// Builds the stage of a scene: three clusters with the running version, the hub, the agents.
pub(super) async fn set(lab: &Lab, teller: &Teller) -> Result<Played, DemoError> {
    teller.say(
        "starting nats-server, a registry, and three clusters with Flux 2.9.3 (the default four components)",
    );
    let mut stage = Stage::build(lab, &THREE).await?;
    let hub = stage.start_hub().await?;
    stage.start_agents().await?;
    teller.say(&format!(
        "the hub (`fluxgate dev`) serves at {}; an agent runs beside each cluster",
        hub.url()
    ));
    teller.say("the agents demand statements of verifier, policy and controller; no scanner is demanded: there is none yet");
    Ok(Played { stage, hub })
}

/// Each cluster has a verified baseline and is healthy: only then does silence mean something.
pub(super) async fn settled(played: &Played, teller: &Teller) -> Result<(), StageError> {
    for site in &played.stage.sites {
        until(("a verified baseline", 60), async || {
            teller.catch_up(&played.hub).await?;
            // The hub does not know the cluster before it has read its file.
            Ok(match played.hub.cluster(&site.name).await {
                Ok(cluster) if !cluster.baseline.is_empty() => Ok(()),
                Ok(cluster) => Err(format!("{:?}", cluster.waits)),
                Err(error) => Err(runtime::errors::chain(&error)),
            })
        })
        .await?;
    }
    Ok(())
}

/// The newest decision is an ALLOW.
pub(super) async fn allowed(hub: &Hub, teller: &Teller) -> Result<(), StageError> {
    until(("an ALLOW for 2.9.4", 60), async || {
        teller.catch_up(hub).await?;
        let decisions = hub.decisions("").await?;
        let newest = decisions.iter().filter_map(|view| view.decision.as_ref()).next();
        Ok(match newest {
            Some(decision) if decision.outcome() == Outcome::Allow => Ok(()),
            Some(decision) => Err(format!("{:?}: {:?}", decision.outcome(), decision.rules)),
            None => Err("no decision".to_owned()),
        })
    })
    .await
}

/// The cluster's agent has said that it would upgrade.
pub(super) async fn would_upgrade(hub: &Hub, teller: &Teller, name: &str) -> Result<(), StageError> {
    until(("WOULD_UPGRADE under Observe", 60), async || {
        teller.catch_up(hub).await?;
        let cluster = hub.cluster(name).await?;
        let said = cluster
            .reports
            .iter()
            .any(|report| report.kind() == ReportKind::WouldUpgrade);
        Ok(if said {
            Ok(())
        } else {
            Err(format!("{:?} {:?}", cluster.reports, cluster.waits))
        })
    })
    .await
}

/// A person lets fluxgate write in every wave.
pub(super) async fn enforce(played: &Played) -> Result<(), StageError> {
    let waves: BTreeSet<&str> = played.stage.sites.iter().map(|site| site.wave.as_str()).collect();
    for wave in waves {
        played.hub.set_mode(wave, Mode::Enforce).await?;
    }
    Ok(())
}

/// How the newest rollout ended.
pub(super) async fn ended(hub: &Hub, teller: &Teller) -> Result<RolloutFinished, StageError> {
    until(("the rollout to end", 180), async || {
        teller.catch_up(hub).await?;
        let rollouts = hub.rollouts().await?;
        let Some(rollout) = rollouts.first() else {
            return Ok(Err("no rollout".to_owned()));
        };
        Ok(match &rollout.finished {
            Some(finished) => Ok(finished.clone()),
            None => Err(format!("{:?} {:?}", rollout.waves, rollout.waits)),
        })
    })
    .await
}

/// All objects of all clusters (Lease and Event left out).
pub(super) async fn look(stage: &Stage) -> Result<Seen, StageError> {
    let mut seen = Vec::new();
    for site in &stage.sites {
        seen.push(site.objects().await?);
    }
    Ok(seen)
}

/// Says for each of these clusters that nothing in it has changed.
pub(super) async fn unchanged(
    stage: &Stage,
    before: &Seen,
    (teller, names): (&Teller, &[&str]),
) -> Result<(), DemoError> {
    for (site, before) in stage.sites.iter().zip(before) {
        if !names.contains(&site.name.as_str()) {
            continue;
        }
        let after = site.objects().await?;
        let changed: Vec<_> = after
            .iter()
            .filter(|(name, version)| before.get(*name) != Some(version))
            .collect();
        if !changed.is_empty() || after.len() != before.len() {
            return Err(ending(format!("{} unchanged", site.name), format!("{changed:?}")));
        }
        teller.say(&format!(
            "{}: all {} objects are as they were (Lease and Event left out)",
            site.name,
            after.len()
        ));
    }
    Ok(())
}
