//! Genuine assignments in the wrong place or at the wrong time.

use anyhow::{Context as _, ensure};
use attest::Dossier;
use domain::{Action, Mode, Reason};
use integration_tests::lab::Lab;
use integration_tests::stage::{Hub, TWO};
use wire::common::v1::Mode as WireMode;

use super::forge::{Forge, assignment};
use crate::story::{ONE, agent_refuses, comes_to_run, look, nothing_changed, publish, set};
use crate::within::eventually;

/// Waits for the cluster's assignment with Enforce.
async fn enforced(forge: &Forge, hub: &Hub, cluster: &str) -> anyhow::Result<Dossier> {
    hub.set_mode(cluster, WireMode::Enforce).await?;
    eventually(&format!("an assignment of {cluster} with Enforce"), async || {
        let Some(dossier) = forge.dossier(cluster).await? else {
            return Ok(None);
        };
        let (assignment, _header) = assignment(&dossier)?;
        let good = assignment.mode == Mode::Enforce && assignment.action == Action::Upgrade;
        Ok(good.then_some(dossier))
    })
    .await
}

pub(crate) async fn of_the_other_cluster(lab: Lab) -> anyhow::Result<()> {
    let (mut stage, hub) = set(&lab, &TWO).await?;
    let before = look(&stage).await?;
    for site in &mut stage.sites {
        site.kill_agent().await?;
    }
    let published = publish(&stage, &hub).await?;
    let forge = Forge::open(&stage).await?;
    let [canary, prod] = TWO.map(|plan| plan.name);
    let dossier = enforced(&forge, &hub, canary).await?;
    hub.kill().await?;
    forge.put(prod, &dossier).await?;
    let from = stage.sites[1].agent_log().len();
    stage.sites[1].start_agent(&lab).await?;
    agent_refuses(&stage.sites[1], from, Reason::WrongCluster).await?;
    nothing_changed(&stage, &before).await?;
    // Where it belongs it is carried out.
    stage.sites[0].start_agent(&lab).await?;
    comes_to_run(&stage.sites[0], &published).await
}

pub(crate) async fn older(lab: Lab) -> anyhow::Result<()> {
    let (mut stage, hub) = set(&lab, &ONE).await?;
    let before = look(&stage).await?;
    stage.sites[0].kill_agent().await?;
    let published = publish(&stage, &hub).await?;
    let forge = Forge::open(&stage).await?;
    let name = ONE[0].name;
    let older = enforced(&forge, &hub, name).await?;
    hub.set_mode(name, WireMode::Observe).await?;
    let stopped = eventually("a STOP", async || {
        let dossier = forge.dossier(name).await?.context("the assignment is there")?;
        let (assignment, _header) = assignment(&dossier)?;
        Ok((assignment.action == Action::Stop).then_some(assignment))
    })
    .await?;
    ensure!(
        stopped.epoch > assignment(&older)?.0.epoch,
        "a STOP without an epoch of its own"
    );
    hub.kill().await?;

    let from = stage.sites[0].agent_log().len();
    stage.sites[0].start_agent(&lab).await?;
    agent_refuses(&stage.sites[0], from, Reason::Stopped).await?;
    let from = stage.sites[0].agent_log().len();
    forge.put(name, &older).await?;
    agent_refuses(&stage.sites[0], from, Reason::EpochOld).await?;
    nothing_changed(&stage, &before).await?;

    stage.sites[0].kill_agent().await?;
    let from = stage.sites[0].agent_log().len();
    stage.sites[0].start_agent(&lab).await?;
    agent_refuses(&stage.sites[0], from, Reason::EpochOld).await?;
    nothing_changed(&stage, &before).await?;

    // Without its memory the agent would have carried it out: nothing else kept it from doing so.
    stage.sites[0].kill_agent().await?;
    std::fs::remove_file(stage.sites[0].file.state.join("memory.json"))?;
    stage.sites[0].start_agent(&lab).await?;
    comes_to_run(&stage.sites[0], &published).await
}
