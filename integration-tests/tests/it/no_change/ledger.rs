//! While the ledger is silent nothing new is allowed; once it confirms again the upgrade goes on.

use anyhow::{Context as _, ensure};
use attest::{Envelope, Header, Role, Statement, claim};
use bus::streams::Bucket;
use integration_tests::lab::Lab;
use integration_tests::stage::{Hub, Service, Stage};
use jiff::{SignedDuration, Timestamp};
use wire::audit::v1::LedgerStatus;
use wire::common::v1::Outcome;

use super::forge::Forge;
use crate::story::{ONE, completed, decided, enforce, look, nothing_changed, publish, runs, settled};

pub(crate) async fn silent_for_six_minutes(lab: Lab) -> anyhow::Result<()> {
    let mut stage = Stage::build(&lab, &ONE).await?;
    let mut hub = stage.start_hub_apart(&Service::ALL).await?;
    stage.start_agents().await?;
    settled(&stage, &hub).await?;
    hub.kill_service(Service::AuditLog).await?;
    age(&stage).await?;
    silent(&stage, &mut hub).await
}

pub(crate) async fn never_heard(lab: Lab) -> anyhow::Result<()> {
    let mut stage = Stage::build(&lab, &ONE).await?;
    let others: Vec<Service> = Service::ALL
        .into_iter()
        .filter(|s| *s != Service::AuditLog)
        .collect();
    let mut hub = stage.start_hub_apart(&others).await?;
    stage.start_agents().await?;
    settled(&stage, &hub).await?;
    silent(&stage, &mut hub).await
}

/// Puts a status in the place of the newest one that is as genuine, and six minutes old.
async fn age(stage: &Stage) -> anyhow::Result<()> {
    let forge = Forge::open(stage).await?;
    let bucket = forge.bucket(Bucket::Status);
    let newest = bucket
        .get(hub::ledger::KEY)
        .await?
        .context("audit-log has confirmed")?;
    let statement = Statement::parse(Envelope::parse(&newest.value)?.payload())?;
    let mut status: LedgerStatus = statement.claim()?;
    ensure!(status.sound, "the ledger did not confirm: {}", status.problem);
    let then = Timestamp::now() - SignedDuration::from_mins(6);
    status.report_time = Some(wire::time::timestamp(then));
    let header = Header {
        time: then,
        ..statement.header()?
    };
    let aged = claim::sign(&header, &status, &forge.key(Role::Ledger)?)?;
    bucket.put(hub::ledger::KEY, aged.to_bytes().into()).await?;
    Ok(())
}

async fn silent(stage: &Stage, hub: &mut Hub) -> anyhow::Result<()> {
    let before = look(stage).await?;
    enforce(stage, hub).await?;
    let published = publish(stage, hub).await?;
    let decision = decided(hub, Outcome::Wait).await?;
    let reasons: Vec<&str> = decision.rules.iter().map(|rule| rule.reason.as_str()).collect();
    ensure!(reasons.contains(&"LEDGER_UNCONFIRMED"), "{reasons:?}");
    nothing_changed(stage, &before).await?;
    ensure!(hub.rollouts().await?.is_empty(), "a rollout was begun");
    let forge = Forge::open(stage).await?;
    ensure!(
        forge.dossier(ONE[0].name).await?.is_none(),
        "an assignment was made"
    );
    // The ledger's silence was all that was missing.
    hub.restart(Service::AuditLog).await?;
    completed(hub).await?;
    runs(&stage.sites[0], &published).await
}
