//! A service of the hub dies at several points of one story.

use std::collections::BTreeMap;

use anyhow::ensure;
use integration_tests::lab::Lab;
use integration_tests::stage::{Hub, Service, Stage};
use wire::common::v1::Outcome;
use wire::fleet::v1::ReportKind;

use crate::story::{ONE, completed, decided, enforce, publish, runs, settled, would_upgrade};
use crate::within::eventually;

pub(super) async fn policy_engine(lab: Lab) -> anyhow::Result<()> {
    let (stage, mut hub) = apart(&lab).await?;
    // Before it can decide; after it has; while a cluster is being changed.
    hub.kill_service(Service::PolicyEngine).await?;
    let published = publish(&stage, &hub).await?;
    summarised(&hub).await?;
    hub.restart(Service::PolicyEngine).await?;
    decided(&hub, Outcome::Allow).await?;
    hub.restart(Service::PolicyEngine).await?;
    would_upgrade(&hub, ONE[0].name).await?;
    enforce(&stage, &hub).await?;
    reported(&hub, ReportKind::Accepted).await?;
    hub.restart(Service::PolicyEngine).await?;
    completed(&hub).await?;
    runs(&stage.sites[0], &published).await?;
    each_once(&hub).await
}

pub(super) async fn controller(lab: Lab) -> anyhow::Result<()> {
    let (stage, mut hub) = apart(&lab).await?;
    // Before it can plan; after the dry run; while a cluster is being changed, so that what the agent says
    // meanwhile has nobody to receive it; while the wave bakes.
    hub.kill_service(Service::RolloutController).await?;
    let published = publish(&stage, &hub).await?;
    decided(&hub, Outcome::Allow).await?;
    hub.restart(Service::RolloutController).await?;
    would_upgrade(&hub, ONE[0].name).await?;
    hub.restart(Service::RolloutController).await?;
    enforce(&stage, &hub).await?;
    reported(&hub, ReportKind::Accepted).await?;
    hub.kill_service(Service::RolloutController).await?;
    eventually("everything to be written", async || {
        Ok(stage.sites[0]
            .agent_log()
            .contains("everything is written")
            .then_some(()))
    })
    .await?;
    hub.restart(Service::RolloutController).await?;
    reported(&hub, ReportKind::Finished).await?;
    hub.restart(Service::RolloutController).await?;
    completed(&hub).await?;
    runs(&stage.sites[0], &published).await?;
    each_once(&hub).await
}

async fn apart(lab: &Lab) -> anyhow::Result<(Stage, Hub)> {
    let mut stage = Stage::build(lab, &ONE).await?;
    let hub = stage.start_hub_apart(&Service::ALL).await?;
    stage.start_agents().await?;
    settled(&stage, &hub).await?;
    Ok((stage, hub))
}

/// The verifier has spoken.
async fn summarised(hub: &Hub) -> anyhow::Result<()> {
    eventually("the verifier's summary", async || {
        let entries = hub.entries("").await?.entries;
        Ok(entries
            .iter()
            .any(|entry| entry.kind == "role-summary")
            .then_some(()))
    })
    .await
}

/// The agent's newest report of this kind is known to the hub.
async fn reported(hub: &Hub, kind: ReportKind) -> anyhow::Result<()> {
    eventually(&format!("{kind:?}"), async || {
        let cluster = hub.cluster(ONE[0].name).await?;
        Ok(cluster
            .reports
            .iter()
            .any(|report| report.kind() == kind)
            .then_some(()))
    })
    .await
}

/// One rollout, one event for each of its steps and for each epoch, and epochs without a gap.
async fn each_once(hub: &Hub) -> anyhow::Result<()> {
    ensure!(hub.rollouts().await?.len() == 1, "a second rollout");
    let mut epochs = Vec::new();
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for entry in hub.entries("").await?.entries {
        let first = seen.insert(entry.subject.clone(), entry.sequence);
        ensure!(
            first.is_none(),
            "{} stands on the log at {first:?} and {}",
            entry.subject,
            entry.sequence
        );
        if entry.kind == "assignment" {
            let n = entry.subject.rsplit('.').next().unwrap_or_default();
            epochs.push(n.parse::<u64>()?);
        }
    }
    let wanted: Vec<u64> = (1..).take(epochs.len()).collect();
    ensure!(!epochs.is_empty() && epochs == wanted, "epochs {epochs:?}");
    let kinds: Vec<_> = seen
        .keys()
        .filter(|subject| subject.contains(".started."))
        .collect();
    ensure!(kinds.len() == 1, "{kinds:?}");
    Ok(())
}
