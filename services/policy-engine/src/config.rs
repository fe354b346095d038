//! What an operator can set.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[service]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// File with the Sigstore trust root that this service verifies by: its own copy, not the verifier's.
    pub trust_root: PathBuf,
    /// Files with the policies.
    pub policies: Vec<PathBuf>,
}
