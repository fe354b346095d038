//! What an operator can set.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[service]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Versions that are announced: a semver range without the leading `v`, like `>=2.9.0, <3`.
    #[serde(default = "range")]
    pub range: String,
    /// How often the repository is looked at.
    #[serde(
        default = "interval",
        with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required"
    )]
    #[schemars(with = "String", extend("pattern" = "[0-9]", "examples" = ["10m", "1h"]))]
    pub interval: Duration,
    /// Where artifacts are fetched.
    #[serde(default)]
    pub registry: registry::Config,
}

fn range() -> String {
    ">=2.0.0, <3".to_owned()
}

const fn interval() -> Duration {
    Duration::from_secs(10 * 60)
}
