//! `just bench`: measures on real parts, and prints tables.

use std::process::ExitCode;

use clap::Parser;
use integration_tests::bench::{Bench, run};
use integration_tests::lab::{Lab, tether};
use integration_tests::terminal::{self, write};

/// Measures fluxgate on real parts of this machine. Nothing passes or fails by a time.
#[derive(Debug, Parser)]
#[command(
    name = "bench",
    after_help = "Exit codes: 0 measured, 1 could not be measured, 2 wrong usage, 130 interrupted."
)]
struct Arguments {
    /// Which: step, view, idle, pipeline or fleet; all of them if none is named
    #[arg(value_name = "NAME", value_parser = bench)]
    names: Vec<Bench>,
    /// How many steps, events or agents, where the bench has a number
    #[arg(long, value_name = "N", default_value_t = 1000)]
    size: usize,
}

fn bench(text: &str) -> Result<Bench, String> {
    let known = || Bench::ALL.map(Bench::name).join(", ");
    Bench::ALL
        .into_iter()
        .find(|bench| bench.name() == text)
        .ok_or_else(|| format!("benches are {}", known()))
}

fn main() -> ExitCode {
    tether::run_if_asked();
    let arguments = Arguments::parse();
    terminal::run(all(&arguments))
}

async fn all(arguments: &Arguments) -> ExitCode {
    let lab = match Lab::start().await {
        Ok(lab) => lab,
        Err(error) => {
            write(&format!("error: {}", runtime::errors::chain(&error)));
            return ExitCode::FAILURE;
        }
    };
    if cfg!(debug_assertions) {
        write("These binaries are not optimised: `just bench` builds the ones to measure.");
    }
    let wanted = if arguments.names.is_empty() {
        Bench::ALL.to_vec()
    } else {
        arguments.names.clone()
    };
    for bench in wanted {
        write(bench.name());
        if let Err(error) = run(bench, &lab, arguments.size, write).await {
            write(&format!(
                "error: {}: {}",
                bench.name(),
                runtime::errors::chain(&error)
            ));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
