//! What an operator can set.

use std::path::PathBuf;

use runtime::SecretFile;
use runtime::config::{Invalid, Validate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[service]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Folder of the ledger. Unlike every other state of fluxgate it must not be lost: back it up.
    pub ledger: PathBuf,
    /// Private key of the log (Ed25519, PKCS#8 PEM): signs checkpoints. The key of the role `ledger`, which
    /// signs the status, is the hub's.
    pub note_key: SecretFile,
    /// Name of the log, the origin line of its checkpoints: something like a URL without scheme that is
    /// nobody else's, like `fluxgate.example.com/fleet`.
    pub origin: String,
    /// Monitoring address of nats-server, like `http://127.0.0.1:8222`: durability is watched there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring_url: Option<String>,
}

impl Validate for Settings {
    fn validate(&self) -> Result<(), Invalid> {
        let invalid = |key: &str, found: &str, expected: &str, remedy: &str| Invalid {
            key: format!("service.{key}"),
            found: format!("{found:?}"),
            expected: expected.to_owned(),
            remedy: remedy.to_owned(),
        };
        let origin = &self.origin;
        if origin.is_empty() || origin.contains(|c: char| c.is_whitespace() || c == '+') {
            let remedy = "name the log like fluxgate.example.com/fleet";
            return Err(invalid(
                "origin",
                origin,
                "a name without blanks and plus signs",
                remedy,
            ));
        }
        match &self.monitoring_url {
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
    use hub::process::ServiceConfig;

    use super::*;

    fn load(text: &str) -> Result<ServiceConfig<Settings>, runtime::config::ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit-log.toml");
        std::fs::write(&file, text).unwrap();
        runtime::config::load_with(Some(&file), [].into())
    }

    const HUB: &str = "[hub]\nkey = '/k'\n[hub.nats]\nurl = 'nats://h:1'\n[hub.trust]\nroot_key = '/r'\n\
                       [service]\nledger = '/s'\nnote_key = '/n'\n";

    #[test]
    fn ledger_note_key_and_origin_are_enough() {
        let config = load(&format!("{HUB}origin = 'fluxgate.example.com/fleet'\n")).unwrap();
        config.service.validate().unwrap();
        let shown = runtime::config::print_config(&config).unwrap();
        assert!(shown.contains("note_key = \"/n\""), "{shown}");
    }

    #[test]
    fn what_can_not_stand_is_refused() {
        let refused = |rest: &str| {
            let config = load(&format!("{HUB}{rest}")).unwrap();
            config.service.validate().unwrap_err().key
        };
        assert_eq!(refused("origin = 'a b'\n"), "service.origin");
        assert_eq!(
            refused("origin = 'a'\nmonitoring_url = 'localhost'\n"),
            "service.monitoring_url"
        );
        let unknown = load(&format!("{HUB}origin = 'a'\nmonitoring = 'localhost'\n")).unwrap_err();
        assert!(runtime::errors::chain(&unknown).contains("monitoring"));
    }
}
