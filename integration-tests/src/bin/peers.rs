//! `./justw peers`: what a stock cosign and Tessera's `fsck` say about what fluxgate's own tests are made of.
//!
//! Exit code 1 where fluxgate allows a wrong release or refuses a good one, where cosign refuses a good one, or
//! where `fsck` does not accept the ledger's tiles (or accepts spoilt ones).

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser;
use integration_tests::lab::progress::StderrLines;
use integration_tests::lab::registry::Registry;
use integration_tests::lab::tools::Tool;
use integration_tests::lab::{Lab, tether};
use integration_tests::peers::cosign::Cosign;
use integration_tests::peers::ours::Judge;
use integration_tests::peers::releases::{Hearing, Row};
use integration_tests::peers::table;
use integration_tests::peers::tiles::{self, Checked};
use jiff::Timestamp;
use testkit::factory::Factory;
use testkit::sigstore::DemoSigstore;

/// Asks a stock cosign and Tessera's fsck about the releases and the ledger that fluxgate is tested with.
#[derive(Debug, Parser)]
#[command(
    name = "peers",
    after_help = "Exit codes: 0 all agree as they should, 1 they do not, 2 wrong usage."
)]
struct Arguments {}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _written = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn main() -> ExitCode {
    tether::run_if_asked();
    let Arguments {} = Arguments::parse();
    let ran = tokio::runtime::Runtime::new()
        .context("starting threads")
        .and_then(|executor| executor.block_on(run()));
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<bool> {
    let wanted: Vec<Tool> = [Tool::Registry].into_iter().chain(Tool::PEERS).collect();
    let lab = Lab::start_with(Arc::new(StderrLines), &wanted).await?;
    let started = Instant::now();
    let releases = releases(&lab).await?;
    let tiles = tiles(&lab).await?;
    say(&format!(
        "\n{:.1} s without building",
        started.elapsed().as_secs_f64()
    ));
    Ok(releases && tiles)
}

async fn releases(lab: &Lab) -> anyhow::Result<bool> {
    let registry = Registry::start(lab).await?;
    let sigstore = DemoSigstore::new(Timestamp::now())?;
    let root = sigstore.trusted_root_json()?;
    let path = lab.folder().join("trusted_root.json");
    std::fs::write(&path, &root).with_context(|| format!("writing {}", path.display()))?;
    let host = registry.host();
    let judge = Judge::new(&host, &root)?;
    let factory = Factory::new(&host, sigstore)?;
    let cosign = Cosign::new(
        lab.tools().path(Tool::Cosign)?,
        path,
        lab.folder().to_owned(),
        &host,
    );
    say(&table::head());
    let mut hearing = Hearing::open(&factory, &judge, &cosign).await?;
    let rows = hearing.all(|row| say(&table::line(row))).await?;
    say("");
    for line in table::closing(&rows) {
        say(&line);
    }
    let wrong = rows.iter().filter(|row| row.is_wrong()).count();
    if wrong > 0 {
        say(&format!("{wrong} rows are WRONG"));
    }
    Ok(wrong == 0 && rows.iter().any(|row: &Row| row.good))
}

async fn tiles(lab: &Lab) -> anyhow::Result<bool> {
    let program = lab.tools().path(Tool::Fsck)?;
    let folder = lab.folder().join("ledger");
    let written = tiles::write(&folder, Timestamp::now()).await?;
    let good = tiles::check(program, &written).await?;
    tiles::spoil(&written)?;
    let spoilt = tiles::check(program, &written).await?;
    let sound = |checked: &Checked| matches!(checked, Checked::Sound { .. });
    say("");
    for (name, checked) in [
        ("as audit-log wrote them", &good),
        ("with one byte changed", &spoilt),
    ] {
        let said = match checked {
            Checked::Sound { size } => format!("accepted, {size} leaves"),
            Checked::Unsound(why) => format!("refused: {why}"),
        };
        say(&format!("Tessera fsck, tiles {name}: {said}"));
    }
    Ok(sound(&good) && !sound(&spoilt))
}
