//! What an operator can set.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use bus::connection::{Credentials, Settings};
use runtime::SecretFile;
use runtime::config::{Invalid, Validate};
use runtime::telemetry::TelemetryConfig;

/// The configuration of audit-log alone in its process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How NATS is reached.
    #[serde(default)]
    pub nats: NatsConfig,
    /// Where gRPC is served.
    #[serde(default)]
    pub grpc: Listen,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    #[serde(default)]
    pub ops: Listen,
    /// Logs and spans.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    /// The ledger.
    pub ledger: LedgerConfig,
}

/// How NATS is reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NatsConfig {
    /// `nats://host:port`; several with commas.
    pub url: String,
    /// A `.creds` file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
    /// PEM of the certificate authority, where it is not one of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_certificate: Option<PathBuf>,
}

impl Default for NatsConfig {
    fn default() -> Self {
        let url = "nats://127.0.0.1:4222".to_owned();
        Self {
            url,
            credentials_file: None,
            root_certificate: None,
        }
    }
}

impl NatsConfig {
    /// The settings of the connection.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            url: self.url.clone(),
            name: crate::NAME.to_owned(),
            credentials: self
                .credentials_file
                .clone()
                .map_or(Credentials::None, Credentials::File),
            root_certificate: self.root_certificate.clone(),
            ..Settings::default()
        }
    }
}

/// A port.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Loopback address and port; port 0 lets the system choose.
    pub listen: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }
}

/// The ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerConfig {
    /// Folder of the ledger. Unlike every other state of fluxgate it must not be lost: back it up.
    pub state: PathBuf,
    /// Private key of the role `ledger` (P-256, PKCS#8 PEM): signs the status.
    pub key: SecretFile,
    /// Private key of the log (Ed25519, PKCS#8 PEM): signs checkpoints.
    pub note_key: SecretFile,
    /// Name of the log, the origin line of its checkpoints: something like a URL without scheme that is
    /// nobody else's, like `fluxgate.example.com/fleet`.
    pub origin: String,
    /// Monitoring address of nats-server, like `http://127.0.0.1:8222`: durability is watched there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring_url: Option<String>,
}

impl Validate for Config {
    fn validate(&self) -> Result<(), Invalid> {
        let invalid = |key: &str, found: &str, expected: &str, remedy: &str| Invalid {
            key: format!("ledger.{key}"),
            found: format!("{found:?}"),
            expected: expected.to_owned(),
            remedy: remedy.to_owned(),
        };
        let origin = &self.ledger.origin;
        if origin.is_empty() || origin.contains(|c: char| c.is_whitespace() || c == '+') {
            let remedy = "name the log like fluxgate.example.com/fleet";
            return Err(invalid(
                "origin",
                origin,
                "a name without blanks and plus signs",
                remedy,
            ));
        }
        match &self.ledger.monitoring_url {
            Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
                let remedy = "set it to what nats-server's http_port serves, or leave it out";
                Err(invalid("monitoring_url", url, "an http or https address", remedy))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, runtime::config::ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit-log.toml");
        std::fs::write(&file, text).unwrap();
        runtime::config::load_with(Some(&file), [].into())
    }

    const LEDGER: &str = "[ledger]\nstate = '/s'\nkey = '/k'\nnote_key = '/n'\n";

    #[test]
    fn keys_state_and_origin_are_enough() {
        let config = load(&format!("{LEDGER}origin = 'fluxgate.example.com/fleet'\n")).unwrap();
        assert_eq!(config.nats.settings().url, "nats://127.0.0.1:4222");
        assert!(config.grpc.listen.ip().is_loopback());
        let shown = runtime::config::print_config(&config).unwrap();
        assert!(shown.contains("note_key = \"/n\""), "{shown}");
    }

    #[test]
    fn what_can_not_stand_is_refused() {
        let refused = |rest: &str| runtime::errors::chain(&load(&format!("{LEDGER}{rest}")).unwrap_err());
        assert!(refused("origin = 'a b'\n").contains("ledger.origin"));
        assert!(refused("origin = 'a'\nmonitoring_url = 'localhost'\n").contains("ledger.monitoring_url"));
        assert!(refused("origin = 'a'\nmonitoring = 'localhost'\n").contains("monitoring"));
    }
}
