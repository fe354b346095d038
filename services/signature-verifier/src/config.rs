//! What an operator can set.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The section `[service]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    pub signature_grace: std::time::Duration,
}

impl Settings {
    /// The defaults, with this trust root.
    #[must_use]
    pub fn new(trust_root: PathBuf) -> Self {
        Self {
            trust_root,
            registry: registry::Config::default(),
            signature_grace: grace(),
        }
    }
}

const fn grace() -> std::time::Duration {
    std::time::Duration::from_secs(6 * 60 * 60)
}
