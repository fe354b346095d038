//! The part of a configuration that every service of the hub has.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Bus, trust, key and state of one service.
#[derive(Debug, Clone, Serialize, Deserialize)]
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

/// How to reach NATS.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsConfig {
    /// `nats://host:port` or `tls://host:port`; several with commas.
    pub url: String,
    /// A `.creds` file (JWT and seed). None where the server asks for none.
    #[serde(default)]
    pub credentials: Option<PathBuf>,
    /// PEM of the certificate authority, where it is not one of the system's.
    #[serde(default)]
    pub root_certificate: Option<PathBuf>,
}

impl NatsConfig {
    /// A server that asks for no credentials.
    #[must_use]
    pub fn open(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credentials: None,
            root_certificate: None,
        }
    }

    /// What the bus connects with.
    #[must_use]
    pub fn settings(&self, name: &str) -> bus::connection::Settings {
        bus::connection::Settings {
            url: self.url.clone(),
            name: name.to_owned(),
            credentials: match &self.credentials {
                Some(file) => bus::connection::Credentials::File(file.clone()),
                None => bus::connection::Credentials::None,
            },
            root_certificate: self.root_certificate.clone(),
            inbox_prefix: None,
        }
    }
}

/// The pinned root key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustConfig {
    /// File with the root's public key (PEM).
    pub root_key: PathBuf,
    /// The lowest version of the trust bundle that is accepted.
    #[serde(default = "first")]
    pub lowest_bundle: u64,
}

const fn first() -> u64 {
    1
}
