//! What an operator can set.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[service]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// File with the Sigstore trust root (`trusted_root.json`).
    pub trust_root: PathBuf,
    /// Where artifacts are fetched.
    #[serde(default)]
    pub registry: registry::Config,
    /// How long after its discovery a release without signature may still get one: upstream pushes first
    /// and signs later. Afterwards the check is NOT_CHECKED.
    #[serde(
        default = "grace",
        with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required"
    )]
    #[schemars(with = "String", extend("pattern" = "[0-9]", "examples" = ["6h"]))]
    pub signature_grace: std::time::Duration,
    /// How long after an attempt that found no signature the next one is made.
    #[serde(
        default = "retry",
        with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required"
    )]
    #[schemars(with = "String", extend("pattern" = "[0-9]", "examples" = ["24h"]))]
    pub signature_retry: std::time::Duration,
}

impl Settings {
    /// The defaults, with this trust root.
    #[must_use]
    pub fn new(trust_root: PathBuf) -> Self {
        Self {
            trust_root,
            registry: registry::Config::default(),
            signature_grace: grace(),
            signature_retry: retry(),
        }
    }
}

const fn grace() -> std::time::Duration {
    std::time::Duration::from_secs(6 * 60 * 60)
}

const fn retry() -> std::time::Duration {
    std::time::Duration::from_secs(24 * 60 * 60)
}
