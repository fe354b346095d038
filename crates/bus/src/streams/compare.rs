//! Comparing what is with what has to be, field by field of the server's own JSON.

use std::fmt;

use async_nats::Client;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, Info};
use async_nats::jetstream::{Context, ErrorCode};
use serde_json::{Map, Value};

use super::{Settings, StreamsError, definitions, server, server_error};
use crate::jetstream::context;

/// Fields that are not ours to say: names for people, the server's own notes, where an operator places it.
const IGNORED: [&str; 3] = ["description", "metadata", "placement"];
/// `check` warns from here on; a full event stream refuses everything for ever.
const FULL_PERCENT: u64 = 70;

/// What `migrate` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A stream was made.
    Created(String),
    /// A field of a stream was changed.
    Changed(Difference),
}

/// A field that is not what it has to be. Values are JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The stream.
    pub stream: String,
    /// The field, as in the server's JSON.
    pub field: String,
    /// What is defined.
    pub expected: String,
    /// What the server had.
    pub found: String,
}

/// What `verify` found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A stream is missing: run `fluxgate migrate`.
    Missing(String),
    /// A field differs.
    Differs(Difference),
    /// A stream is nearly full.
    Filling {
        /// The stream.
        stream: String,
        /// How full.
        percent: u64,
    },
    /// The server is older than what keeps its promises.
    OldServer {
        /// Its version.
        version: String,
    },
    /// The server does not sync every write: a power cut loses what it acknowledged.
    NotSynced,
    /// Whether the server syncs every write is unknown: no monitoring address is configured.
    SyncUnknown,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created(stream) => write!(f, "stream {stream} made"),
            Self::Changed(d) => {
                write!(
                    f,
                    "stream {}: {} changed from {} to {}",
                    d.stream, d.field, d.found, d.expected
                )
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(stream) => write!(f, "stream {stream} is missing; run fluxgate migrate"),
            Self::Differs(d) => {
                write!(
                    f,
                    "stream {} has {} = {}, not {}",
                    d.stream, d.field, d.found, d.expected
                )
            }
            Self::Filling { stream, percent } => write!(f, "stream {stream} is {percent} % full"),
            Self::OldServer { version } => {
                write!(
                    f,
                    "nats-server {version} is too old; {} or later is needed",
                    server::LOWEST
                )
            }
            Self::NotSynced => {
                f.write_str("nats-server does not sync every write; set sync_interval: always")
            }
            Self::SyncUnknown => f.write_str("whether nats-server syncs every write is unknown"),
        }
    }
}

/// Makes what is missing, changes what can be changed without losing anything.
///
/// # Errors
/// If the server gives no answer or a stream differs where it can't be changed; what was done before stays.
pub async fn migrate(client: &Client, settings: &Settings) -> Result<Vec<Change>, StreamsError> {
    let context = context(client);
    let mut changes = Vec::new();
    for expected in definitions(settings) {
        match find(&context, &expected.name).await? {
            None => {
                let made = context.create_stream(expected.clone()).await;
                made.map_err(|error| server_error("making", &expected.name, error))?;
                changes.push(Change::Created(expected.name));
            }
            Some(info) => changes.extend(change(&context, &expected, &info.config).await?),
        }
    }
    Ok(changes)
}

/// Compares, and changes nothing.
///
/// # Errors
/// If the server gives no answer.
pub async fn verify(client: &Client, settings: &Settings) -> Result<Vec<Finding>, StreamsError> {
    let context = context(client);
    let mut findings = server::verify(client, settings.monitor_url.as_deref()).await?;
    for expected in definitions(settings) {
        let Some(info) = find(&context, &expected.name).await? else {
            findings.push(Finding::Missing(expected.name));
            continue;
        };
        findings.extend(
            differences(&expected, &info.config)
                .into_iter()
                .map(Finding::Differs),
        );
        let size = u64::try_from(info.config.max_bytes).unwrap_or(u64::MAX).max(1);
        let percent = info.state.bytes.saturating_mul(100) / size;
        if percent >= FULL_PERCENT {
            findings.push(Finding::Filling {
                stream: expected.name,
                percent,
            });
        }
    }
    Ok(findings)
}

async fn find(context: &Context, stream: &str) -> Result<Option<Info>, StreamsError> {
    match context.get_stream(stream).await {
        Ok(found) => Ok(Some(found.cached_info().clone())),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(own) if own.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(server_error("reading", stream, error)),
        },
    }
}

async fn change(context: &Context, expected: &Config, found: &Config) -> Result<Vec<Change>, StreamsError> {
    let differences = differences(expected, found);
    if differences.is_empty() {
        return Ok(Vec::new());
    }
    let mut next = found.clone();
    for difference in &differences {
        if !apply(&difference.field, expected, &mut next) {
            let Difference {
                stream,
                field,
                expected,
                found,
            } = difference.clone();
            return Err(StreamsError::Differs {
                stream,
                field,
                expected,
                found,
            });
        }
    }
    let changed = context.update_stream(&next).await;
    changed.map_err(|error| server_error("changing", &expected.name, error))?;
    Ok(differences.into_iter().map(Change::Changed).collect())
}

/// Changes one field where nothing can be lost by it.
fn apply(field: &str, expected: &Config, next: &mut Config) -> bool {
    match field {
        "max_bytes" if expected.max_bytes > next.max_bytes => next.max_bytes = expected.max_bytes,
        "max_msg_size" if expected.max_message_size > next.max_message_size => {
            next.max_message_size = expected.max_message_size;
        }
        "num_replicas" if expected.num_replicas > next.num_replicas => {
            next.num_replicas = expected.num_replicas;
        }
        "deny_delete" if expected.deny_delete => next.deny_delete = true,
        "deny_purge" if expected.deny_purge => next.deny_purge = true,
        "allow_direct" if expected.allow_direct => next.allow_direct = true,
        _ => return false,
    }
    true
}

/// Every field that differs.
pub(super) fn differences(expected: &Config, found: &Config) -> Vec<Difference> {
    let (expected_fields, found_fields) = (fields(expected), fields(found));
    let mut names: Vec<&String> = expected_fields.keys().chain(found_fields.keys()).collect();
    names.sort();
    names.dedup();
    let mut all = Vec::new();
    for name in names {
        let value = |of: &Map<String, Value>| of.get(name).cloned().unwrap_or(Value::Null);
        let (wanted, has) = (value(&expected_fields), value(&found_fields));
        if wanted != has {
            all.push(Difference {
                stream: expected.name.clone(),
                field: name.clone(),
                expected: wanted.to_string(),
                found: has.to_string(),
            });
        }
    }
    all
}

/// The configuration as the server spells it, without what is not ours and without written-out defaults.
fn fields(config: &Config) -> Map<String, Value> {
    let mut fields = match serde_json::to_value(config) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(),
    };
    for ignored in IGNORED {
        fields.remove(ignored);
    }
    if fields.get("persist_mode").is_some_and(|mode| mode == "default") {
        fields.remove("persist_mode");
    }
    fields.retain(|_, value| !value.is_null());
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::definitions;

    #[test]
    fn nothing_differs_from_itself() {
        for config in definitions(&Settings::default()) {
            assert_eq!(differences(&config, &config), []);
        }
    }

    #[test]
    fn a_stream_that_loses_events_differs() {
        let expected = &definitions(&Settings::default())[0];
        let mut found = expected.clone();
        found.max_age = std::time::Duration::from_secs(1);
        found.persist_mode = Some(async_nats::jetstream::stream::PersistenceMode::Async);
        let names: Vec<String> = differences(expected, &found)
            .into_iter()
            .map(|d| d.field)
            .collect();
        assert_eq!(names, ["max_age", "persist_mode"]);
        assert!(!apply("max_age", expected, &mut found));
    }

    #[test]
    fn only_growing_is_a_change() {
        let expected = &definitions(&Settings::default())[0];
        let mut smaller = Config {
            max_bytes: 1,
            ..expected.clone()
        };
        assert!(apply("max_bytes", expected, &mut smaller));
        assert_eq!(smaller.max_bytes, expected.max_bytes);
        let mut larger = Config {
            max_bytes: expected.max_bytes + 1,
            ..expected.clone()
        };
        assert!(!apply("max_bytes", expected, &mut larger));
    }
}
