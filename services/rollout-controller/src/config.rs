//! What an operator can set.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[service]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The fleet's file; read again when it changes.
    pub fleet: PathBuf,
    /// The strategy's file; the next rollout takes a snapshot of it.
    pub strategy: PathBuf,
}
