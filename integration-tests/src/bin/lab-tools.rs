//! Builds the lab's tools and prints where they are, one `name<TAB>path` a line. With `--smoke [CLUSTERS]` it then
//! starts every part once (see `lab::smoke`).

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, bail};
use integration_tests::lab::progress::{Progress, StderrLines};
use integration_tests::lab::{Lab, smoke, tether};

fn main() -> ExitCode {
    tether::run_if_asked();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not by returning it: a person wants the causes, not the backtrace that RUST_BACKTRACE adds.
            StderrLines.line(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let clusters: Option<usize> = match arguments.as_slice() {
        [] => None,
        ["--smoke"] => Some(1),
        ["--smoke", number] => Some(number.parse().context("reading the number of clusters")?),
        _ => bail!("usage: lab-tools [--smoke [CLUSTERS]]"),
    };
    tokio::runtime::Runtime::new()?.block_on(look(clusters))
}

async fn look(clusters: Option<usize>) -> anyhow::Result<()> {
    let lab = Lab::start().await?;
    let mut out = std::io::stdout();
    for (tool, path) in lab.tools().iter() {
        writeln!(out, "{tool}\t{}", path.display())?;
    }
    if let Some(clusters) = clusters {
        smoke::smoke(&lab, clusters)
            .await
            .context("the lab does not work here")?;
    }
    Ok(())
}
