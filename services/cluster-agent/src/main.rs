//! The agent alone in its process.

use std::process::ExitCode;

use agent::Config;
use runtime::errors::chain;
use runtime::{Clock, Shutdown};

fn main() -> ExitCode {
    runtime::process::main(cluster_agent::NAME, run)
}

async fn run(config: Config, shutdown: Shutdown) -> Result<(), String> {
    Box::pin(cluster_agent::run(config, Clock::system(), shutdown))
        .await
        .map_err(|error| chain(&error))
}
