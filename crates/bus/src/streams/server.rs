//! What the server itself has to be: new enough, and syncing every write.

use std::time::Duration;

use async_nats::Client;
use serde_json::Value;

use super::{Finding, StreamsError, version};

/// Fixes that our promises stand on are in this version.
pub(super) const LOWEST: &str = "2.12.7";
const LOWEST_PARTS: [u64; 3] = [2, 12, 7];
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn verify(client: &Client, monitor: Option<&str>) -> Result<Vec<Finding>, StreamsError> {
    let mut findings = Vec::new();
    let version = version(client);
    if !new_enough(&version) {
        findings.push(Finding::OldServer { version });
    }
    match monitor {
        None => findings.push(Finding::SyncUnknown),
        Some(url) if !syncs_always(url).await? => findings.push(Finding::NotSynced),
        Some(_) => {}
    }
    Ok(findings)
}

fn new_enough(version: &str) -> bool {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<u64> = core.split('.').map_while(|part| part.parse().ok()).collect();
    parts.len() == 3 && parts.as_slice() >= LOWEST_PARTS.as_slice()
}

/// `sync_interval` still prints its default under `always`; `sync_always` says it.
async fn syncs_always(monitor: &str) -> Result<bool, StreamsError> {
    let url = format!("{}/jsz?config=true", monitor.trim_end_matches('/'));
    let failed = |source: crate::log::ClientError| StreamsError::Monitor {
        url: url.clone(),
        source,
    };
    let request = async {
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        client.get(&url).send().await?.error_for_status()?.bytes().await
    };
    let body = request.await.map_err(|error| failed(error.into()))?;
    let answer: Value = serde_json::from_slice(&body).map_err(|error| failed(error.into()))?;
    Ok(answer
        .pointer("/config/sync_always")
        .and_then(Value::as_bool)
        .unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for good in ["2.12.7", "2.14.9", "2.15.0-RC.1", "3.0.0"] {
            assert!(new_enough(good), "{good}");
        }
        for old in ["2.12.6", "2.9.10", "1.99.99", "", "latest"] {
            assert!(!new_enough(old), "{old}");
        }
    }
}
