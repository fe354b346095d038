//! The stream is lost with its server. An export fills a new one at the old sequences; services fold it to the
//! same view; the ledger does not confirm it, and nothing new is allowed, until it is begun anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::ensure;
use attest::{PublicKey, Trust};
use bus::{EventLog, JetStreamLog, Judge, Schema, View};
use integration_tests::lab::Lab;
use integration_tests::lab::nats::Nats;
use integration_tests::stage::{Hub, Stage};
use tokio_util::sync::CancellationToken;
use wire::common::v1::Outcome;

use super::{done, fillers, fluxgate, outside};
use crate::story::{ONE, decided, publish, set};
use crate::within::eventually;

/// The new ledger's name.
const SECOND: &str = "fluxgate.dev/ledger-2";

pub(crate) async fn stream(lab: Lab) -> anyhow::Result<()> {
    let (mut stage, hub) = set(&lab, &ONE).await?;
    let folder = outside(&stage)?;
    let server = format!("--server {}", hub.url());
    done(&folder, &format!("{server} audit export --out export")).await?;
    // Nothing was stored then: only what every export has.
    let none = "--since 2100-01-01T00:00:00Z";
    done(&folder, &format!("{server} audit export --out part {none}")).await?;
    fs::copy(folder.join("export/keys/ledger.vkey"), folder.join("ledger.vkey"))?;
    let size = fs::read_to_string(folder.join("export/entries.ndjson"))?
        .lines()
        .count() as u64;
    hub.kill().await?;
    let before = folded(&stage, size).await?;
    ensure!(!before.is_empty(), "nothing counted on the stream");

    // Server and stream are gone; a new one, on another port, has nothing.
    stage.nats = Nats::start(&lab).await?;
    let nats = stage.nats.url();
    done(&folder, &format!("migrate --nats {nats}")).await?;
    let restore = format!("audit restore export --nats {nats} --key ledger.vkey --root root.pub");
    done(&folder, &restore).await?;
    // Again: it finds what it put.
    done(&folder, &restore).await?;
    ensure!(folded(&stage, size).await? == before, "the view is another one");

    fillers::keep_the_numbers(&lab, &stage, &folder).await?;
    unconfirmed(&stage).await?;
    begun_anew(&stage, &folder, &nats).await
}

/// Subject and digest of everything that counts among the first `size` events of the stage's stream.
async fn folded(stage: &Stage, size: u64) -> anyhow::Result<BTreeMap<u64, String>> {
    let settings = bus::connection::Settings {
        url: stage.nats.url(),
        name: "somebody".to_owned(),
        ..bus::connection::Settings::default()
    };
    let log: Arc<dyn EventLog> = Arc::new(JetStreamLog::new(&bus::connect(&settings).await?));
    let keys = &stage.files.keys;
    let root = PublicKey::from_pem(&fs::read_to_string(keys.join("root.pub"))?)?;
    let trust = Trust::open(&root, 1, &fs::read(keys.join(fluxgate::keys::BUNDLE))?)?;
    let schema = Schema {
        well_formed: wire::schema::well_formed,
        agent_key: wire::schema::agent_key,
        report_epoch: wire::schema::report_epoch,
    };
    let view = View::open(None, Judge::new(schema, trust)).await?;
    let (folding, stop) = (view.clone(), CancellationToken::new());
    let token = stop.clone();
    let running = tokio::spawn(async move { folding.run(log, token).await });
    view.reached(size).await;
    stop.cancel();
    running.await??;
    let facts = view.after(0, 10_000).await?;
    let told = facts.iter().filter(|fact| fact.sequence <= size);
    Ok(told
        .map(|fact| (fact.sequence, format!("{} {}", fact.subject, fact.digest())))
        .collect())
}

/// A hub on the restored stream: its ledger follows another one, and says so; a new release is not allowed.
async fn unconfirmed(stage: &Stage) -> anyhow::Result<()> {
    let hub = stage.start_hub().await?;
    eventually("a ledger that does not confirm", async || {
        let status = hub.ledger().await?;
        let other = "the ledger follows one created at";
        Ok((!status.sound && status.problem.contains(other)).then_some(()))
    })
    .await?;
    publish(stage, &hub).await?;
    let decision = decided(&hub, Outcome::Wait).await?;
    let reasons: Vec<&str> = decision.rules.iter().map(|rule| rule.reason.as_str()).collect();
    ensure!(reasons.contains(&"LEDGER_UNCONFIRMED"), "{reasons:?}");
    hub.kill().await?;
    Ok(())
}

/// A new ledger under a new name holds what the old one's checkpoint covers, and confirms.
async fn begun_anew(stage: &Stage, folder: &Path, nats: &str) -> anyhow::Result<()> {
    let place = stage.files.folder.join("ledger");
    let note_key = stage.files.keys.join("ledger-note.key");
    let rebuild = |origin: &str| {
        format!(
            "audit rebuild --nats {nats} --ledger {} --note-key {} --key ledger.vkey --export export --origin {origin}",
            place.display(),
            note_key.display()
        )
    };
    let ran = fluxgate(folder, &rebuild(SECOND)).await?;
    ensure!(ran.exit == Some(2), "nothing is written over: {ran:#?}");
    fs::rename(&place, stage.files.folder.join("ledger.lost"))?;
    let ran = fluxgate(folder, &rebuild("fluxgate.dev/ledger")).await?;
    ensure!(ran.exit == Some(2), "it may not have the old name: {ran:#?}");
    let ran = fluxgate(folder, &rebuild(SECOND)).await?;
    ensure!(ran.exit == Some(0), "{ran:#?}");
    let holds = "holds everything that the old ledger's checkpoints cover";
    ensure!(ran.stderr.contains(holds), "{ran:#?}");

    let hub = stage.start_hub().await?;
    confirms(&hub).await?;
    // The release that had to wait is allowed now.
    decided(&hub, Outcome::Allow).await?;
    hub.kill().await?;
    Ok(())
}

async fn confirms(hub: &Hub) -> anyhow::Result<()> {
    eventually("a ledger that confirms under its new name", async || {
        let status = hub.ledger().await?;
        let new = status.checkpoint.starts_with(&format!("{SECOND}\n"));
        Ok((status.sound && new).then_some(()))
    })
    .await
}
