//! `version`.

use serde_json::json;

use super::Context;
use crate::cli::Format;
use crate::exit::Exit;
use crate::failure::Failure;

/// The API that this binary speaks.
const API: &str = "fluxgate.*.v1";

pub(super) fn run(context: &Context<'_>) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let commit = option_env!("FLUXGATE_COMMIT").unwrap_or("unknown");
    match context.screen.format() {
        Format::Json => {
            context
                .screen
                .json(&json!({ "version": version, "commit": commit, "api": [API] }))?;
        }
        Format::Table | Format::Wide => {
            context
                .screen
                .data(&format!("fluxgate {version}\ncommit   {commit}\napi      {API}"));
        }
    }
    Ok(Exit::Done)
}
