//! Nothing outlives its starter: this very program starts itself as a victim, which starts parts and is killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, ensure};
use integration_tests::lab::Lab;
use integration_tests::lab::cluster::Cluster;
use integration_tests::lab::nats::Nats;

use crate::within::eventually;

const VICTIM: &str = "FLUXGATE_LAB_TEST_VICTIM";

pub(crate) fn is_victim() -> bool {
    std::env::var_os(VICTIM).is_some()
}

/// Starts parts, writes their process ids on one line, and waits to be killed.
pub(crate) fn be_victim() -> ExitCode {
    let Ok(runtime) = tokio::runtime::Runtime::new() else {
        return ExitCode::FAILURE;
    };
    let ended: anyhow::Result<()> = runtime.block_on(async {
        let lab = Lab::start().await?;
        let nats = Nats::start(&lab).await?;
        let cluster = Cluster::start(&lab, "victim").await?;
        let [api, controllers] = cluster.parts().map(|part| part.id());
        writeln!(std::io::stdout(), "{} {api} {controllers}", nats.part().id())?;
        std::future::pending().await
    });
    if ended.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

pub(crate) async fn parts_end_when_their_starter_is_killed(lab: Lab) -> anyhow::Result<()> {
    let mut victim = Command::new(std::env::current_exe()?);
    // The shared lab's folder, so that the victim's goes away with it.
    victim
        .env(VICTIM, "1")
        .env("FLUXGATE_LAB_DIR", lab.folder())
        .stdout(Stdio::piped());
    let mut victim = victim.spawn()?;
    let mut line = String::new();
    BufReader::new(victim.stdout.take().context("no stdout")?).read_line(&mut line)?;
    let parts: Vec<&str> = line.split_whitespace().collect();
    ensure!(
        parts.len() == 3 && parts.iter().all(|id| runs(id)),
        "the victim started no parts: {line}"
    );
    victim.kill()?;
    victim.wait()?;
    eventually("all parts are gone", async || {
        Ok((!parts.iter().any(|id| runs(id))).then_some(()))
    })
    .await
}

pub(crate) async fn parts_outlive_the_thread_that_started_them(lab: Lab) -> anyhow::Result<()> {
    let starter = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new()?;
        anyhow::Ok(runtime.block_on(Nats::start(&lab))?)
    });
    // The thread and its runtime's threads are gone after this; the kernel would tell the part at once.
    let nats = starter
        .join()
        .map_err(|_panic| anyhow::anyhow!("the starter panicked"))??;
    let client = async_nats::connect(nats.url())
        .await
        .context("the part ended with the thread")?;
    client.flush().await?;
    let id = nats.part().id().to_string();
    ensure!(runs(&id));
    drop(nats);
    ensure!(!runs(&id), "a dropped part is still there");
    Ok(())
}

fn runs(id: &str) -> bool {
    Path::new("/proc").join(id).exists()
}
