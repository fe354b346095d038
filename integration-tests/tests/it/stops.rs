//! What persons stop is not begun, and goes on when they lift it: on real parts, from the word to the cluster.

use anyhow::{Context as _, ensure};
use domain::Action;
use integration_tests::lab::Lab;
use integration_tests::stage::forge::{Forge, assignment};
use integration_tests::stage::{Hub, Site, TWO};
use libtest_mimic::Trial;
use wire::common::v1::{Mode, Outcome, WatchEvent};
use wire::fleet::v1 as fleet;
use wire::rollout::v1::{RolloutState, WatchRolloutsResponse};

use crate::story::{agent_refuses, comes_to_run, decided, enforce, look, nothing_changed, publish, set};
use crate::trial::trial;
use crate::within::{eventually, within};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "stops::freeze_hold_and_recall_keep_what_they_name_and_nothing_else",
        freeze_hold_and_recall,
    )]
}

const REASON: &str = "an incident elsewhere";

async fn freeze_hold_and_recall(lab: Lab) -> anyhow::Result<()> {
    let (mut stage, hub) = set(&lab, &TWO).await?;
    let before = look(&stage).await?;

    // Frozen before it is there: nothing is begun, and everybody says why.
    hub.set_stop("fleet", true, REASON).await?;
    enforce(&stage, &hub).await?;
    let published = publish(&stage, &hub).await?;
    decided(&hub, Outcome::Allow).await?;
    for site in &stage.sites {
        stopped(&hub, &site.name, "freeze fleet").await?;
    }
    nothing_changed(&stage, &before).await?;
    ensure!(begun(&hub, "canary").await?.is_none(), "canary was begun");

    // One cluster is held, the fleet goes on: canary is upgraded, prod is not.
    let held = hub.set_stop("cluster/prod", true, REASON).await?;
    ensure!(held.clusters == ["prod"], "{:?}", held.clusters);
    hub.set_stop("fleet", false, "it is over").await?;
    comes_to_run(&stage.sites[0], &published).await?;
    let name = running(&hub).await?;
    stopped(&hub, "prod", "hold cluster/prod").await?;
    ensure!(begun(&hub, "prod").await?.is_none(), "prod was begun");

    // What was issued and not accepted is taken back before the recall is answered; the agent begins nothing.
    stage.sites[1].kill_agent().await?;
    let mut watch = hub.watch_rollouts("").await?;
    hub.set_stop("cluster/prod", false, "it is over").await?;
    let issued = within(60, "an assignment of prod", async || begun(&hub, "prod").await).await?;
    let recalled = hub
        .set_stop("version/v2.9.4", true, "upstream withdrew it")
        .await?;
    ensure!(recalled.in_work.is_empty(), "{:?}", recalled.in_work);
    let newest = newest(&hub, "prod").await?.context("an assignment")?;
    ensure!(
        newest.action() == fleet::Action::Stop && newest.epoch == issued.epoch + 1,
        "answered before it was taken back: {newest:?}"
    );
    ensure!(
        newest.stops == ["recall version/v2.9.4: upstream withdrew it"],
        "{:?}",
        newest.stops
    );
    let forge = Forge::open(&stage).await?;
    let dossier = forge
        .dossier("prod")
        .await?
        .context("an assignment in the bucket")?;
    ensure!(
        assignment(&dossier)?.0.action == Action::Stop,
        "the agent reads another one"
    );
    let token = halted(&mut watch, &name).await?;
    drop(watch);
    let from = stage.sites[1].agent_log().len();
    stage.sites[1].start_agent(&lab).await?;
    agent_refuses(&stage.sites[1], from, domain::Reason::Stopped).await?;
    unchanged(&stage.sites[1], &before[1]).await?;

    // Lifted and tried again, it goes to its end; the watch goes on where it was left.
    hub.set_stop("version/v2.9.4", false, "upstream was wrong")
        .await?;
    let next = hub.retry(&name, "upstream was wrong").await?;
    let mut watch = hub.watch_rollouts(&token).await?;
    comes_to_run(&stage.sites[1], &published).await?;
    let completed = async |message: &WatchRolloutsResponse| {
        let rollout = message.rollout.as_ref();
        rollout.is_some_and(|rollout| rollout.name == next && rollout.state() == RolloutState::Completed)
    };
    loop {
        let message = heard(&mut watch).await?;
        ensure!(
            message.event() != WatchEvent::Snapshot,
            "everything came again: {message:?}"
        );
        if completed(&message).await {
            return Ok(());
        }
    }
}

/// The cluster waits because of this stop, and its gates say so.
async fn stopped(hub: &Hub, name: &str, stop: &str) -> anyhow::Result<()> {
    eventually(
        &format!("{name} to say that it is stopped by {stop}"),
        async || {
            let cluster = hub.cluster(name).await?;
            ensure!(
                cluster
                    .stops
                    .iter()
                    .any(|text| text.starts_with(stop) && text.contains(REASON)),
                "stops are {:?}",
                cluster.stops
            );
            let closed =
                |gate: &fleet::Gate| !gate.open && gate.reason == "STOPPED" && gate.detail.contains(REASON);
            ensure!(cluster.gates.iter().any(closed), "gates are {:?}", cluster.gates);
            Ok(Some(()))
        },
    )
    .await
}

async fn newest(hub: &Hub, name: &str) -> anyhow::Result<Option<fleet::Assignment>> {
    Ok(hub.cluster(name).await?.assignment)
}

/// The newest assignment of a cluster, if it is one to write.
async fn begun(hub: &Hub, name: &str) -> anyhow::Result<Option<fleet::Assignment>> {
    let newest = newest(hub, name).await?;
    Ok(newest.filter(|a| a.mode() == Mode::Enforce && a.action() == fleet::Action::Upgrade))
}

/// The name of the only rollout, which goes on.
async fn running(hub: &Hub) -> anyhow::Result<String> {
    let rollouts = hub.rollouts().await?;
    ensure!(rollouts.len() == 1, "{rollouts:?}");
    let rollout = rollouts.into_iter().next().context("a rollout")?;
    ensure!(rollout.state() == RolloutState::Running, "{rollout:?}");
    Ok(rollout.name)
}

/// The next message of a watch.
async fn heard(watch: &mut tonic::Streaming<WatchRolloutsResponse>) -> anyhow::Result<WatchRolloutsResponse> {
    let next = tokio::time::timeout(std::time::Duration::from_secs(60), watch.message()).await;
    next.context("nothing more was heard of rollouts")??
        .context("the watch ended")
}

/// Waits until a watch tells that the rollout was halted; gives the token to go on from.
async fn halted(watch: &mut tonic::Streaming<WatchRolloutsResponse>, name: &str) -> anyhow::Result<String> {
    loop {
        let message = heard(watch).await?;
        let rollout = message.rollout.as_ref().filter(|rollout| rollout.name == name);
        if rollout.is_some_and(|rollout| rollout.state() == RolloutState::Halted) {
            return Ok(message.resume_token);
        }
    }
}

/// No Deployment of the cluster has changed.
async fn unchanged(site: &Site, before: &std::collections::BTreeMap<String, String>) -> anyhow::Result<()> {
    let after = site.objects().await?;
    let deployment = |(name, _): &(&String, &String)| name.to_lowercase().contains("deployment");
    let (was, is): (Vec<_>, Vec<_>) = (
        before.iter().filter(deployment).collect(),
        after.iter().filter(deployment).collect(),
    );
    ensure!(
        !was.is_empty() && was == is,
        "{} changed: {was:?} to {is:?}",
        site.name
    );
    Ok(())
}
