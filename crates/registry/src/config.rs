//! Where bytes are fetched, and how long that may take.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[registry]` part of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Mirrors, `[[registry.mirror]]`; the longest matching `from` wins, order does not matter.
    #[serde(rename = "mirror")]
    pub mirrors: Vec<Mirror>,
    /// How long one object may take, with its token, redirects and tries; written like `30s`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String", extend("pattern" = "[0-9]", "examples" = ["30s"]))]
    pub timeout: Duration,
    /// The `User-Agent` of every request.
    pub user_agent: String,
}

/// Names below `from` are fetched below `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// An upstream registry host, or a host and whole path segments, like `ghcr.io/fluxcd`.
    pub from: String,
    /// Host and optional port and path, like `mirror.example.org/ghcr`. `http://` in front asks for plain
    /// HTTP, which loopback hosts alone may have; everything else is HTTPS.
    pub to: String,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `from` is no registry host with optional path segments.
    #[error("registry.mirror.from {from:?} is not a registry host with optional path, like ghcr.io/fluxcd")]
    From {
        /// As configured.
        from: String,
    },
    /// `to` is no host with optional port and path.
    #[error(
        "registry.mirror.to {to:?} is not host[:port][/path], optionally with https:// or http:// in front"
    )]
    To {
        /// As configured.
        to: String,
    },
    /// Plain HTTP to a host that is not this machine.
    #[error("registry.mirror.to {to:?} asks for plain HTTP on a host that is not loopback; use https://")]
    PlainHttp {
        /// As configured.
        to: String,
    },
    /// Two mirrors for one prefix.
    #[error("registry.mirror.from {from:?} is configured twice; keep one")]
    Twice {
        /// As configured.
        from: String,
    },
    /// No time at all.
    #[error("registry.timeout is zero; set a duration like 30s")]
    Timeout,
    /// The TLS or HTTP stack could not be set up, or the user agent is no header value.
    #[error("setting up the registry client")]
    Http(#[source] reqwest::Error),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mirrors: Vec::new(),
            timeout: Duration::from_secs(30),
            user_agent: concat!("fluxgate/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_is_documented() {
        let text = r#"{"mirror":[{"from":"ghcr.io","to":"http://127.0.0.1:5000"}],"timeout":"5s"}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(
            (config.mirrors.len(), config.timeout),
            (1, Duration::from_secs(5))
        );
        assert_eq!(config.user_agent, Config::default().user_agent);
        assert!(serde_json::from_str::<Config>(r#"{"mirrors":[]}"#).is_err());
    }

    #[test]
    fn no_time_at_all_and_a_broken_user_agent_are_refused() {
        let none = Config {
            timeout: Duration::ZERO,
            ..Config::default()
        };
        assert!(matches!(crate::Client::new(&none), Err(ConfigError::Timeout)));
        let broken = Config {
            user_agent: "a\nb".into(),
            ..Config::default()
        };
        assert!(matches!(crate::Client::new(&broken), Err(ConfigError::Http(_))));
    }
}
