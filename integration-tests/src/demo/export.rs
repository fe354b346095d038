//! The end of `good-patch`: an export of the ledger, checked by `fluxgate audit verify` and then with nothing of ours.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{DemoError, Played, Teller, ending};
use crate::lab::tools::{Tool, Tools};
use crate::outsider::{commands, has, run};
use crate::stage::{StageError, binary};

/// Exports the ledger into a new folder below `place`, and checks it there.
pub(super) async fn check(played: &Played, teller: &Teller, place: &Path) -> Result<(), DemoError> {
    let folder = fresh(place)?;
    let server = played.hub.url();
    fluxgate(
        &folder,
        &["--server", &server, "-q", "audit", "export", "--out", "export"],
    )
    .await?;
    let file = |name: &str| folder.join(name);
    copy(
        &played.stage.files.keys.join(fluxgate::keys::ROOT_PUB),
        &file("root.pub"),
    )?;
    copy(&file("export/keys/ledger.vkey"), &file("ledger.vkey"))?;
    teller.say(&format!("the ledger was exported to {}", folder.display()));
    let verified = [
        "audit",
        "verify",
        "export",
        "--key",
        "ledger.vkey",
        "--root",
        "root.pub",
    ];
    fluxgate(&folder, &verified).await?;
    teller.say(&format!("checked offline: fluxgate {}", verified.join(" ")));
    by_hand(&folder.join("export"), teller).await?;
    teller.plain("");
    teller.plain("    Do it again, without fluxgate, by the commands that stand in the export:");
    teller.plain(&format!(
        "      cd {} && less README.txt",
        folder.join("export").display()
    ));
    teller.plain("");
    Ok(())
}

/// The README's commands, with the tools that this machine has. What it has not is said, and is no success.
async fn by_hand(export: &Path, teller: &Teller) -> Result<(), DemoError> {
    let path = export.join("README.txt");
    let readme = std::fs::read_to_string(&path).map_err(failed(&path))?;
    let Some(found) = commands(&readme) else {
        return Err(ending("commands in README.txt", readme));
    };
    by_tools(export, (&["jq", "openssl"], &found.script), teller).await?;
    if has("cosign").await {
        return by_tools(export, (&["cosign"], &found.cosign), teller).await;
    }
    let Some(built) = Tools::held(Tool::Cosign) else {
        teller
            .say("NOT CHECKED by cosign: it is not on this machine (`./justw demo` builds one where Go is)");
        return Ok(());
    };
    let folder = built.parent().unwrap_or(&built).display().to_string();
    let script = format!("export PATH=\"$PATH:{folder}\"\n{}", found.cosign);
    checked(export, (&["cosign"], &script), teller).await?;
    teller.say(&format!("that cosign is {}", built.display()));
    Ok(())
}

async fn by_tools(export: &Path, (tools, script): (&[&str], &str), teller: &Teller) -> Result<(), DemoError> {
    let mut missing = Vec::new();
    for tool in tools {
        if !has(tool).await {
            missing.push(*tool);
        }
    }
    if missing.is_empty() {
        return checked(export, (tools, script), teller).await;
    }
    teller.say(&format!(
        "NOT CHECKED by {}: {} not on this machine",
        tools.join(" and "),
        missing.join(", ")
    ));
    Ok(())
}

async fn checked(export: &Path, (tools, script): (&[&str], &str), teller: &Teller) -> Result<(), DemoError> {
    let ran = run(export, script).await.map_err(failed(export))?;
    let good: Vec<&str> = ran
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("OK "))
        .collect();
    if !ran.succeeded || good.is_empty() {
        return Err(ending(
            format!("an export that {} accept", tools.join(" and ")),
            format!("{}{}", ran.stdout, ran.stderr),
        ));
    }
    teller.say(&format!(
        "checked by {} alone: {}",
        tools.join(" and "),
        good.join(", ")
    ));
    Ok(())
}

/// An empty folder.
fn fresh(place: &Path) -> Result<PathBuf, StageError> {
    let folder = place.join("demo-export");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(failed(&folder))?;
    }
    std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
    Ok(folder)
}

fn copy(from: &Path, to: &Path) -> Result<(), StageError> {
    std::fs::copy(from, to).map(|_bytes| ()).map_err(failed(to))
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> StageError {
    move |source| StageError::File {
        path: path.to_owned(),
        source,
    }
}

/// Runs `fluxgate` as a person types it, in this folder.
async fn fluxgate(folder: &Path, words: &[&str]) -> Result<(), DemoError> {
    let program = binary("fluxgate")?;
    let ran = tokio::process::Command::new(&program)
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(failed(&program))?;
    if ran.status.success() {
        return Ok(());
    }
    Err(ending(
        format!("fluxgate {}", words.join(" ")),
        String::from_utf8_lossy(&ran.stderr).into_owned(),
    ))
}
