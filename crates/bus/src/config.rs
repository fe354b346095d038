//! The part of a configuration that everybody on the bus has: services, agents and the command line.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::connection::{Credentials, Settings};

/// How to reach NATS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

    /// What [`crate::connect`] takes; `name` is how the server lists the connection.
    #[must_use]
    pub fn settings(&self, name: &str) -> Settings {
        Settings {
            url: self.url.clone(),
            name: name.to_owned(),
            credentials: match &self.credentials {
                Some(file) => Credentials::File(file.clone()),
                None => Credentials::None,
            },
            root_certificate: self.root_certificate.clone(),
            inbox_prefix: None,
        }
    }
}

/// The pinned root key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_the_first_bundle_and_no_credentials() {
        let trust: TrustConfig = serde_json::from_str(r#"{"root_key": "/root.pub"}"#).unwrap();
        assert_eq!(trust.lowest_bundle, 1);
        let nats: NatsConfig = serde_json::from_str(r#"{"url": "nats://h:1"}"#).unwrap();
        assert_eq!(nats, NatsConfig::open("nats://h:1"));
        let settings = nats.settings("agent edge-1");
        assert_eq!(
            (settings.url.as_str(), settings.name.as_str()),
            ("nats://h:1", "agent edge-1")
        );
        assert_eq!(settings.credentials, Credentials::None);
        let file = r#"{"url": "u", "credentials": "/a.creds"}"#;
        let nats: NatsConfig = serde_json::from_str(file).unwrap();
        assert_eq!(
            nats.settings("n").credentials,
            Credentials::File("/a.creds".into())
        );
        assert!(serde_json::from_str::<NatsConfig>(r#"{"url": "u", "user": "x"}"#).is_err());
    }
}
