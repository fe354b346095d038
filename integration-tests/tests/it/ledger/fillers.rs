//! A stream that is filled from an export without all leaves: fillers keep the numbers; and a ledger begun anew from
//! it says that this is not what the old one held.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use bus::{EventLog as _, JetStreamLog};
use integration_tests::lab::Lab;
use integration_tests::lab::nats::Nats;
use integration_tests::stage::Stage;

use super::{done, fluxgate};

/// `part` holds a bundle and a member, `export` everything.
pub(crate) async fn keep_the_numbers(lab: &Lab, stage: &Stage, folder: &Path) -> anyhow::Result<()> {
    let nats = Nats::start(lab).await?;
    let url = nats.url();
    done(folder, &format!("migrate --nats {url}")).await?;
    let restore = |from: &str| format!("audit restore {from} --nats {url} --key ledger.vkey --root root.pub");
    let ran = fluxgate(folder, &restore("part")).await?;
    ensure!(ran.exit == Some(1), "{ran:#?}");
    ensure!(ran.stderr.contains("nothing was restored"), "{ran:#?}");
    done(folder, &format!("{} --allow-lost", restore("part"))).await?;
    numbered(&url).await?;
    // What stands on a stream is never written over.
    let ran = fluxgate(folder, &restore("export")).await?;
    ensure!(ran.exit == Some(2), "{ran:#?}");
    ensure!(ran.stderr.contains("holds another event"), "{ran:#?}");
    differs(stage, folder, &url).await
}

/// No number is missing, and only what was there counts.
async fn numbered(url: &str) -> anyhow::Result<()> {
    let settings = bus::connection::Settings {
        url: url.to_owned(),
        name: "somebody".to_owned(),
        ..bus::connection::Settings::default()
    };
    let log = JetStreamLog::new(&bus::connect(&settings).await?);
    let last = log.last_sequence().await?;
    let mut kinds = BTreeMap::new();
    for sequence in 1..=last {
        let stored = log.get(sequence).await?.context("no number is missing")?;
        let about = audit_log::describe::describe(&stored.subject, &stored.payload);
        *kinds.entry(about.kind).or_insert(0_u64) += 1;
    }
    let kept = ["trust-bundle", "cluster-member"].map(|kind| kinds.get(kind).copied().unwrap_or_default());
    ensure!(kept == [1, 1], "{kinds:?}");
    ensure!(kinds.get("lost") == Some(&(last - 2)), "{kinds:?}");
    Ok(())
}

/// A ledger begun anew from it: what differs is told, and it is only made where that is accepted.
async fn differs(stage: &Stage, folder: &Path, url: &str) -> anyhow::Result<()> {
    let rebuild = format!(
        "audit rebuild --nats {url} --ledger poor --origin fluxgate.dev/poor --note-key {} --key ledger.vkey \
         --export export",
        stage.files.keys.join("ledger-note.key").display()
    );
    let ran = fluxgate(folder, &rebuild).await?;
    ensure!(ran.exit == Some(1), "{ran:#?}");
    for text in [
        "events of the stream are not the leaves of this checkpoint",
        ": not what leaf ",
        "no ledger was made",
    ] {
        ensure!(ran.stderr.contains(text), "{text}: {ran:#?}");
    }
    ensure!(!folder.join("poor").exists(), "a ledger was made");
    let ran = fluxgate(folder, &format!("{rebuild} --accept-differences")).await?;
    ensure!(ran.exit == Some(0), "{ran:#?}");
    ensure!(folder.join("poor/ledger.sqlite").exists(), "no ledger was made");
    Ok(())
}
