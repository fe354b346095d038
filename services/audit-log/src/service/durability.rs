//! Whether nats-server syncs each write before it acknowledges: `config.sync_always` of its `/jsz`.
//! (`sync_interval` still prints its default there.)
//!
//! An answer is good for five minutes: a monitoring port that is away for a moment is no reason to block, one
//! that never answered is.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use runtime::Shutdown;

use super::Shared;
use super::soundness::Problem;

/// How long an answer holds.
const HOLDS: SignedDuration = SignedDuration::from_mins(5);
/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Jsz {
    #[serde(default)]
    config: JszConfig,
}

#[derive(Deserialize, Default)]
struct JszConfig {
    #[serde(default)]
    sync_always: bool,
}

/// Why the server's settings are not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("asking {url}")]
    Http {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("reading the answer of {url}")]
    Json {
        url: String,
        #[source]
        source: serde_json::Error,
    },
}

impl Shared {
    /// Watches until the stop; returns at once where no monitoring address is configured.
    pub(super) async fn watch_durability(&self, shutdown: &Shutdown) {
        let Some(url) = &self.monitoring_url else { return };
        let url = format!("{}/jsz", url.trim_end_matches('/'));
        let mut asked: Option<Timestamp> = None;
        loop {
            let now = self.clock.now();
            match sync_always(&url).await {
                Ok(always) => {
                    asked = Some(now);
                    self.soundness
                        .update(|state| state.durability = (!always).then_some(Problem::NotDurable));
                }
                Err(error) => {
                    tracing::warn!(error = runtime::errors::chain(&error), "durability is not known");
                    if asked.is_none_or(|then| now.duration_since(then) > HOLDS) {
                        self.soundness
                            .update(|state| state.durability = Some(Problem::DurabilityUnknown));
                    }
                }
            }
            if !self.pause(self.pace.durability, shutdown).await {
                return;
            }
        }
    }
}

async fn sync_always(url: &str) -> Result<bool, AskError> {
    let failed = |source| AskError::Http {
        url: url.to_owned(),
        source,
    };
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .map_err(failed)?;
    let response = client
        .get(url)
        .send()
        .await
        .map_err(failed)?
        .error_for_status()
        .map_err(failed)?;
    let body = response.bytes().await.map_err(failed)?;
    parse(&body).map_err(|source| AskError::Json {
        url: url.to_owned(),
        source,
    })
}

fn parse(body: &[u8]) -> Result<bool, serde_json::Error> {
    serde_json::from_slice::<Jsz>(body).map(|jsz| jsz.config.sync_always)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_says_so_syncs_always() {
        assert!(parse(br#"{"server_id":"N","config":{"max_memory":1,"sync_always":true}}"#).unwrap());
        assert!(!parse(br#"{"config":{"sync_interval":120000000000}}"#).unwrap());
        assert!(!parse(b"{}").unwrap());
        assert!(parse(b"<html>").is_err());
    }
}
