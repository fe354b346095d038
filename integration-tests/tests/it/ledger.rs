//! The ledger for those who were not there: an export that an outsider checks, and what becomes of a ledger whose
//! stream was lost.

mod fillers;
mod outsider;
mod restored;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context as _, ensure};
use integration_tests::stage::Stage;
use libtest_mimic::Trial;

use crate::trial::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("ledger::export_is_verified_by_an_outsider", outsider::verifies),
        trial(
            "ledger::a_lost_stream_is_restored_from_an_export",
            restored::stream,
        ),
    ]
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exit: Option<i32>,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            exit: output.status.code(),
        }
    }
}

/// Runs `fluxgate` as a person types it, in this folder; no word of the line has a blank in it.
pub(crate) async fn fluxgate(folder: &Path, line: &str) -> anyhow::Result<Ran> {
    let own = std::env::current_exe()?;
    let beside = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("fluxgate"));
    let program = beside.into_iter().find(|path| path.is_file());
    let ran =
        tokio::process::Command::new(program.context("fluxgate is not built; run this through `./justw`")?)
            .args(line.split_whitespace())
            .current_dir(folder)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
    Ok(ran.into())
}

/// As [`fluxgate`], for what has to succeed.
pub(crate) async fn done(folder: &Path, line: &str) -> anyhow::Result<String> {
    let ran = fluxgate(folder, line).await?;
    ensure!(ran.exit == Some(0), "fluxgate {line}: {ran:#?}");
    Ok(ran.stdout)
}

/// A folder for what an outsider is given, and the two keys that they have from elsewhere.
pub(crate) fn outside(stage: &Stage) -> anyhow::Result<PathBuf> {
    let folder = stage.lab.folder().join("outside");
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(stage.files.keys.join("root.pub"), folder.join("root.pub"))?;
    Ok(folder)
}
