//! A service whose key the bundle does not know says nothing that counts.

use anyhow::{bail, ensure};
use attest::{Role, SigningKey};
use domain::{Mode, Reason};
use integration_tests::lab::Lab;
use integration_tests::stage::{Hub, Service, Stage, StageError};
use tonic::Code;
use wire::audit::v1::Entry;
use wire::common::v1::Mode as WireMode;

use super::forge::{assignment, reissued, resigned};
use super::images::Abandoned;
use crate::story::{ONE, enforce, look, nothing_changed, publish, settled};
use crate::within::eventually;

/// A hub in which one role has another key than the bundle says, and a good release.
async fn exchanged(lab: &Lab, role: Role) -> anyhow::Result<(Stage, Hub)> {
    let mut stage = Stage::build(lab, &ONE).await?;
    stage.files.exchange_key(role)?;
    let hub = stage.start_hub().await?;
    stage.start_agents().await?;
    Ok((stage, hub))
}

/// What is on the log, by the ledger.
async fn logged(hub: &Hub, kind: &str) -> anyhow::Result<Vec<Entry>> {
    let entries = hub.entries("").await?.entries;
    Ok(entries.into_iter().filter(|entry| entry.kind == kind).collect())
}

/// The hub has said that a statement under this area would not count.
async fn void(hub: &Hub, area: &str) -> anyhow::Result<()> {
    eventually(
        &format!("a statement of {area} that would not count"),
        async || {
            let log = hub.log(Service::PolicyEngine);
            let named = |line: &str| {
                line.contains(&format!("fluxgate.v1.{area}.")) && line.contains("would not count")
            };
            Ok(log.lines().any(named).then_some(()))
        },
    )
    .await
}

/// The release was really there to be acted on, and nobody acted.
async fn no_upgrade(stage: &Stage, hub: &Hub) -> anyhow::Result<()> {
    ensure!(
        !logged(hub, "release-discovered").await?.is_empty(),
        "the release was not seen"
    );
    ensure!(
        logged(hub, "assignment").await?.is_empty(),
        "there is an assignment"
    );
    ensure!(hub.rollouts().await?.is_empty(), "there is a rollout");
    let agent = stage.sites[0].agent_log();
    ensure!(!agent.contains("Accepted"), "the agent accepted something");
    Ok(())
}

pub(crate) async fn verifier(lab: Lab) -> anyhow::Result<()> {
    let (stage, hub) = exchanged(&lab, Role::Verifier).await?;
    let before = look(&stage).await?;
    enforce(&stage, &hub).await?;
    publish(&stage, &hub).await?;
    void(&hub, "verification").await?;
    eventually("the agent's facts", async || {
        Ok(logged(&hub, "cluster-facts").await?.pop())
    })
    .await?;
    nothing_changed(&stage, &before).await?;
    ensure!(
        logged(&hub, "role-summary").await?.is_empty(),
        "there is a summary"
    );
    ensure!(hub.decisions("").await?.is_empty(), "there is a decision");
    no_upgrade(&stage, &hub).await
}

pub(crate) async fn policy(lab: Lab) -> anyhow::Result<()> {
    let (stage, hub) = exchanged(&lab, Role::Policy).await?;
    settled(&stage, &hub).await?;
    let before = look(&stage).await?;
    enforce(&stage, &hub).await?;
    publish(&stage, &hub).await?;
    void(&hub, "policy").await?;
    eventually("the verifier's summary", async || {
        Ok(logged(&hub, "role-summary").await?.pop())
    })
    .await?;
    nothing_changed(&stage, &before).await?;
    ensure!(hub.decisions("").await?.is_empty(), "there is a decision");
    no_upgrade(&stage, &hub).await
}

pub(crate) async fn controller(lab: Lab) -> anyhow::Result<()> {
    let (stage, hub) = exchanged(&lab, Role::Controller).await?;
    let before = look(&stage).await?;
    // The controller can't say what a person asks it to say.
    let refused = hub.set_mode(ONE[0].wave, WireMode::Enforce).await;
    let Err(StageError::Hub(status)) = refused else {
        bail!("a mode by a stranger was taken: {refused:?}")
    };
    ensure!(status.code() == Code::Unavailable, "{status:?}");
    publish(&stage, &hub).await?;
    void(&hub, "cluster").await?;
    eventually("the verifier's summary", async || {
        Ok(logged(&hub, "role-summary").await?.pop())
    })
    .await?;
    nothing_changed(&stage, &before).await?;
    ensure!(
        logged(&hub, "cluster-member").await?.is_empty(),
        "there is a member"
    );
    no_upgrade(&stage, &hub).await
}

/// Each role's statement in turn is word for word the genuine one, signed by a stranger, and lies before the
/// agent; all others are genuine.
pub(crate) async fn strangers_reach_the_agent(lab: Lab) -> anyhow::Result<()> {
    let scene = Abandoned::after_observing(&lab).await?;
    let (stranger, _pem) = SigningKey::generate()?;
    let controller = scene.forge.key(Role::Controller)?;
    let (genuine, _header) = assignment(&scene.dossier)?;

    let forged = reissued(&scene.dossier, (&stranger, 1), |a| a.mode = Mode::Enforce)?;
    scene.refused(&forged, Reason::StatementInvalid).await?;

    let (dossier, decision) = resigned(&scene.dossier, &genuine.decision, &stranger)?;
    let forged = reissued(&dossier, (&controller, 2), |a| {
        (a.mode, a.decision) = (Mode::Enforce, decision)
    })?;
    scene.refused(&forged, Reason::StatementInvalid).await?;

    let (dossier, contents) = resigned(&scene.dossier, &genuine.contents, &stranger)?;
    let forged = reissued(&dossier, (&controller, 3), |a| {
        (a.mode, a.contents) = (Mode::Enforce, contents)
    })?;
    scene.refused(&forged, Reason::StatementInvalid).await?;

    let (dossier, summary) = resigned(&scene.dossier, &genuine.summaries[0], &stranger)?;
    let forged = reissued(&dossier, (&controller, 4), |a| {
        (a.mode, a.summaries) = (Mode::Enforce, vec![summary])
    })?;
    scene.refused(&forged, Reason::StatementInvalid).await?;

    nothing_changed(&scene.stage, &scene.before).await?;
    scene.without_the_lie(5).await
}
