//! An export of a hub that has decided about a release and rolled it out: checked by `fluxgate audit verify`, and then with nothing
//! of ours, by the very commands that its README tells.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use integration_tests::lab::Lab;
use integration_tests::outsider::{commands, run};
use wire::common::v1::Outcome;

use super::{Ran, done, fluxgate, outside};
use crate::story::{ONE, completed, decided, enforce, publish, set};

pub(crate) async fn verifies(lab: Lab) -> anyhow::Result<()> {
    let (stage, hub) = set(&lab, &ONE).await?;
    publish(&stage, &hub).await?;
    decided(&hub, Outcome::Allow).await?;
    enforce(&stage, &hub).await?;
    completed(&hub).await?;
    let folder = outside(&stage)?;
    let server = format!("--server {}", hub.url());
    done(&folder, &format!("{server} audit export --out export")).await?;
    done(
        &folder,
        &format!("{server} audit export --out part --release v2.9.4"),
    )
    .await?;
    asked(&folder, &server).await?;
    // From here on there is no hub.
    hub.kill().await?;
    fs::copy(folder.join("export/keys/ledger.vkey"), folder.join("ledger.vkey"))?;
    for dir in ["export", "part"] {
        let ran = verify(&folder, dir).await?;
        ensure!(ran.exit == Some(0), "{dir}: {ran:#?}");
        for signer in [
            "cluster-agent ",
            ", controller ",
            ", policy ",
            ", root key 1",
            ", verifier ",
        ] {
            ensure!(ran.stdout.contains(signer), "{signer}: {}", ran.stdout);
        }
        ensure!(!ran.stdout.contains("counts for nothing"), "{}", ran.stdout);
        by_hand(&folder.join(dir)).await?;
    }
    tampered(&folder).await
}

async fn verify(folder: &Path, dir: &str) -> anyhow::Result<Ran> {
    fluxgate(
        folder,
        &format!("audit verify {dir} --key ledger.vkey --root root.pub"),
    )
    .await
}

/// What the ledger answers while there is a hub: lists, an entry with its proof, and the waterfall.
async fn asked(folder: &Path, server: &str) -> anyhow::Result<()> {
    let decisions = done(
        folder,
        &format!("{server} audit list --kind decision --release v2.9.4 -o json"),
    )
    .await?;
    let decisions: serde_json::Value = serde_json::from_str(&decisions)?;
    let sequence = decisions
        .pointer("/items/0/sequence")
        .and_then(serde_json::Value::as_str);
    let sequence = sequence.context("a decision has a sequence")?;
    let shown = done(
        folder,
        &format!("{server} audit show {sequence} --key export/keys/ledger.vkey"),
    )
    .await?;
    ensure!(shown.contains(", role policy in trust bundle 1"), "{shown}");
    let trace = decisions
        .pointer("/items/0/traceId")
        .and_then(serde_json::Value::as_str);
    let by_name = done(folder, &format!("{server} trace releases/v2.9.4")).await?;
    let by_id = done(
        folder,
        &format!("{server} trace {}", trace.context("and a trace")?),
    )
    .await?;
    ensure!(by_name == by_id, "{by_name}\n{by_id}");
    let by_rollout = done(folder, &format!("{server} trace rollouts/flux-v2.9.4-1")).await?;
    ensure!(by_name == by_rollout, "{by_name}\n{by_rollout}");
    for service in [
        "release-watcher",
        "signature-verifier",
        "policy-engine",
        "  decision",
        "rollout-controller",
        "  assignment canary",
        "cluster-agent",
        "  result canary",
    ] {
        let row = by_name.lines().any(|line| line.starts_with(service));
        ensure!(row, "no row of {service}: {by_name}");
    }
    Ok(())
}

/// Executes the README's commands as they stand there, but cosign's: that is `just peers`. What they need and is
/// not on this machine fails the trial.
async fn by_hand(export: &Path) -> anyhow::Result<()> {
    let readme = fs::read_to_string(export.join("README.txt"))?;
    let script = commands(&readme).context("the README has commands")?.script;
    let ran = run(export, &script).await.context("running bash")?;
    for word in [
        "checkpoint",
        "payload",
        "leaf",
        "type",
        "signature",
        "key",
        "bundle",
    ] {
        let said = ran.stdout.lines().any(|line| line == format!("OK {word}"));
        ensure!(
            said,
            "no `OK {word}` in {} (jq and openssl 3 are needed): {ran:#?}\n{script}",
            export.display()
        );
    }
    ensure!(ran.succeeded, "{ran:#?}\n{script}");
    ensure!(
        ran.stdout
            .contains("\"predicateType\": \"https://slsa.dev/verification_summary/v1\""),
        "{ran:#?}"
    );
    Ok(())
}

/// One flipped bit in a file of each kind, a removed leaf, a removed file, a wrong key: each is refused with what
/// and where; a folder that is not there is another matter.
async fn tampered(folder: &Path) -> anyhow::Result<()> {
    let blob = first(&folder.join("export/blobs/sha256"))?;
    let tile = first(&folder.join("export/tiles/tile/0/000.p"))?;
    let files = [
        "export.json",
        "entries.ndjson",
        "envelopes/3.json",
        &format!("blobs/sha256/{blob}"),
        "checkpoint",
        &format!("tiles/tile/0/000.p/{tile}"),
        "keys/policy.pub",
        "keys/bundle.json",
        "README.txt",
    ];
    for file in files {
        let path = folder.join("export").join(file);
        let good = fs::read(&path).with_context(|| file.to_owned())?;
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        *bad.get_mut(middle).context("an empty file")? ^= 1;
        refused(folder, &path, Some(&bad), file).await?;
        refused(folder, &path, None, file).await?;
        fs::write(&path, good)?;
    }
    let entries = folder.join("export/entries.ndjson");
    let good = fs::read_to_string(&entries)?;
    let mut lines: Vec<&str> = good.split_inclusive('\n').collect();
    let removed = lines.remove(4);
    refused(
        folder,
        &entries,
        Some(lines.concat().as_bytes()),
        "entries.ndjson",
    )
    .await?;
    lines.insert(5, removed);
    refused(
        folder,
        &entries,
        Some(lines.concat().as_bytes()),
        "entries.ndjson",
    )
    .await?;
    fs::write(&entries, good)?;
    let ran = verify(folder, "export").await?;
    ensure!(ran.exit == Some(0), "all was put back: {ran:#?}");
    let (key, _) = audit_log::NoteKey::generate("fluxgate.dev/ledger")?;
    fs::write(folder.join("ledger.vkey"), key.verifier().to_string())?;
    let ran = verify(folder, "export").await?;
    ensure!(
        ran.exit == Some(1) && ran.stdout.contains("no signature by the ledger's key"),
        "{ran:#?}"
    );
    let ran = verify(folder, "nowhere").await?;
    ensure!(
        ran.exit == Some(2) && ran.stderr.contains("reading nowhere"),
        "{ran:#?}"
    );
    Ok(())
}

async fn refused(folder: &Path, path: &Path, bytes: Option<&[u8]>, file: &str) -> anyhow::Result<()> {
    match bytes {
        Some(bytes) => fs::write(path, bytes)?,
        None => fs::remove_file(path)?,
    }
    let ran = verify(folder, "export").await?;
    ensure!(
        ran.exit == Some(1),
        "{file} {:?}: {ran:#?}",
        bytes.map(<[u8]>::len)
    );
    ensure!(ran.stdout.contains(file), "{file}: {}", ran.stdout);
    Ok(())
}

fn first(folder: &Path) -> anyhow::Result<String> {
    let entry = fs::read_dir(folder)?.next().context("an empty folder")??;
    Ok(entry.file_name().to_string_lossy().into_owned())
}
