//! The part of a configuration that every service of the hub has.

use std::path::PathBuf;

pub use bus::config::{NatsConfig, TrustConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bus, trust, key and state of one service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HubConfig {
    /// How to reach NATS.
    pub nats: NatsConfig,
    /// Whom to trust.
    pub trust: TrustConfig,
    /// File with this service's private key (PKCS#8 PEM), as `fluxgate keys init` makes it. A service that
    /// signs nothing (release-watcher) needs none.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// Folder for the read model; it can be deleted at any time. In memory where absent.
    #[serde(default)]
    pub state: Option<PathBuf>,
}
