//! The service alone in its process: `audit-log [CONFIG.toml] [--print-config]`.

use std::path::PathBuf;

use anyhow::Context as _;
use audit_log::{Config, NAME};
use runtime::Shutdown;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (options, files): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let file = files.first().map(PathBuf::from);
    if let Some(unknown) = options.iter().find(|option| *option != "--print-config") {
        anyhow::bail!("{unknown} is no option; usage: {NAME} [CONFIG.toml] [--print-config]");
    }
    let config: Config = runtime::config::load(file.as_deref())?;
    if !options.is_empty() {
        std::io::Write::write_all(
            &mut std::io::stdout(),
            runtime::config::print_config(&config)?.as_bytes(),
        )?;
        return Ok(());
    }
    let telemetry = runtime::telemetry::init(NAME, &config.telemetry)?;
    let shutdown = Shutdown::default();
    shutdown.on_signals().context("listening to signals")?;
    let ended = audit_log::run(config, shutdown).await;
    telemetry.shutdown().await;
    Ok(ended?)
}
