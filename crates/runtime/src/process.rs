//! The `main` of a process that runs from one configuration file until it is told to stop.

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Shutdown;
use crate::config::{self, Validate};
use crate::errors::chain;
use crate::telemetry::{self, TelemetryConfig};

/// Usage errors and configurations that do not fit (as clap's).
const USAGE: u8 = 2;
/// The process could not do its work.
const FAILED: u8 = 3;

/// A configuration that says how to log.
pub trait Logged {
    /// Logs and spans.
    fn telemetry(&self) -> &TelemetryConfig;
}

/// `NAME [--config FILE] [--print-config]`: loads the configuration, starts telemetry, listens to signals,
/// runs, drains. Exit code 0 after a requested stop, 2 for a wrong argument or configuration, 3 otherwise.
pub fn main<C, R>(name: &'static str, run: impl FnOnce(C, Shutdown) -> R) -> ExitCode
where
    C: DeserializeOwned + Serialize + Validate + Logged,
    R: Future<Output = Result<(), String>>,
{
    let (file, print) = match arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            say(&format!("{name}: {why}\n\n{}", usage(name)));
            return ExitCode::from(if why.is_empty() { 0 } else { USAGE });
        }
    };
    let loaded: C = match config::load(file.as_deref()) {
        Ok(loaded) => loaded,
        Err(error) => {
            say(&format!("{name}: {}", chain(&error)));
            return ExitCode::from(USAGE);
        }
    };
    if print {
        return match config::print_config(&loaded) {
            Ok(text) => {
                show(&text);
                ExitCode::SUCCESS
            }
            Err(error) => {
                say(&format!("{name}: {}", chain(&error)));
                ExitCode::from(FAILED)
            }
        };
    }
    match execute(name, loaded, run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&format!("{name}: {why}"));
            ExitCode::from(FAILED)
        }
    }
}

fn usage(name: &str) -> String {
    format!(
        "Usage: {name} [--config FILE] [--print-config]\n\n  --config FILE    TOML; environment variables like \
         FLUXGATE__SECTION__KEY go over it\n  --print-config   show the configuration in force, without \
         secrets, and end"
    )
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<(Option<PathBuf>, bool), String> {
    let (mut file, mut print) = (None, false);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--config" => file = Some(given.next().ok_or("--config wants a file")?.into()),
            "--print-config" => print = true,
            "--help" | "-h" => return Err(String::new()),
            other => return Err(format!("{other} is no argument")),
        }
    }
    Ok((file, print))
}

#[expect(
    clippy::print_stderr,
    reason = "what a process says before its log exists, or when it ends"
)]
fn say(text: &str) {
    eprintln!("{text}");
}

#[expect(
    clippy::print_stdout,
    reason = "the configuration is the data that was asked for"
)]
fn show(text: &str) {
    println!("{text}");
}

fn execute<C, R>(name: &'static str, config: C, run: impl FnOnce(C, Shutdown) -> R) -> Result<(), String>
where
    C: Logged,
    R: Future<Output = Result<(), String>>,
{
    let executor = tokio::runtime::Runtime::new().map_err(|error| chain(&error))?;
    executor.block_on(async {
        let telemetry = telemetry::init(name, config.telemetry()).map_err(|error| chain(&error))?;
        let shutdown = Shutdown::default();
        shutdown.on_signals().map_err(|error| chain(&error))?;
        let result = run(config, shutdown).await;
        telemetry.shutdown().await;
        result
    })
}
