//! nats-server as the lab runs it.

use anyhow::{Context, ensure};
use async_nats::jetstream;
use integration_tests::lab::nats::Nats;
use integration_tests::lab::{Error, Lab};

const USERS: &str = "authorization { users: [ { user: agent, password: secret } ] }";

pub(crate) async fn keeps_what_it_acknowledged(lab: Lab) -> anyhow::Result<()> {
    let mut nats = Nats::start(&lab).await?;
    let client = async_nats::connect(nats.url()).await?;
    let stream = jetstream::stream::Config {
        name: "KEPT".into(),
        subjects: vec!["kept.>".into()],
        ..Default::default()
    };
    let bus = jetstream::new(client.clone());
    bus.create_stream(stream).await?;
    bus.publish("kept.a", "written".into()).await?.await?;
    let before = nats.url();
    nats.kill().await?;
    nats.restart().await?;
    ensure!(nats.url() == before, "the port changed");
    let again = jetstream::new(async_nats::connect(nats.url()).await?);
    let message = again
        .get_stream("KEPT")
        .await?
        .get_last_raw_message_by_subject("kept.a")
        .await?;
    ensure!(message.payload == "written");
    Ok(())
}

pub(crate) async fn refuses_strangers(lab: Lab) -> anyhow::Result<()> {
    let nats = Nats::start_with(&lab, USERS).await?;
    ensure!(
        async_nats::connect(nats.url()).await.is_err(),
        "a stranger was let in"
    );
    let options = async_nats::ConnectOptions::with_user_and_password("agent".into(), "secret".into());
    options.connect(nats.url()).await.context("the configured user")?;
    Ok(())
}

pub(crate) async fn names_the_log_of_a_failed_start(_shared: Lab) -> anyhow::Result<()> {
    // A lab of its own, since a failure makes it keep its folder.
    let lab = Lab::start().await?;
    let folder = lab.folder().to_owned();
    let error = Nats::start_with(&lab, "no such setting {")
        .await
        .err()
        .context("the server started")?;
    let Error::PartEnded { log, tail, .. } = &error else {
        anyhow::bail!("another error: {error}")
    };
    ensure!(
        !tail.is_empty() && error.to_string().contains(&log.display().to_string()),
        "{error}"
    );
    let log = log.clone();
    drop(lab);
    ensure!(log.exists(), "the log was not kept");
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
