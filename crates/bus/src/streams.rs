//! Every stream and bucket, defined here alone.
//!
//! `migrate` makes what is missing and changes what can be changed without losing anything; anything else that
//! differs is an error, never a deletion. `verify` compares only.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::stream::{Compression, Config, DiscardPolicy, RetentionPolicy, StorageType};

use crate::log::ClientError;

mod compare;
mod server;

pub use compare::{Change, Finding, migrate, verify};

/// The event stream.
pub const EVENTS: &str = "FLUXGATE_EVENTS";
/// Bytes by digest.
pub const BLOBS: &str = "FLUXGATE_BLOBS";
/// What workers rejected.
pub const DEAD_LETTERS: &str = "FLUXGATE_DEAD_LETTERS";
/// What a blob's subject begins with; 64 hex digits follow.
pub const BLOB_PREFIX: &str = "fluxgate.blob.sha256";
/// What a dead letter's subject begins with; the service follows.
pub const DEAD_PREFIX: &str = "fluxgate.dead";

/// No blob is larger, and no value of a bucket.
pub const MAX_BLOB: usize = 900 * 1024;
/// No value of a bucket is larger.
pub const MAX_VALUE: usize = 256 * 1024;

/// A bucket: a projection that can be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// Cluster to what its agent is to read.
    Assignments,
    /// Cluster to its newest heartbeat.
    Heartbeats,
    /// Status of the ledger, checkpoints.
    Status,
}

impl Bucket {
    /// Every bucket.
    pub const ALL: [Self; 3] = [Self::Assignments, Self::Heartbeats, Self::Status];

    /// The bucket's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assignments => "assignments",
            Self::Heartbeats => "heartbeats",
            Self::Status => "status",
        }
    }

    /// The stream behind it.
    #[must_use]
    pub fn stream(self) -> String {
        format!("KV_{}", self.name())
    }

    /// The subject of a key.
    #[must_use]
    pub fn subject(self, key: &str) -> String {
        format!("$KV.{}.{key}", self.name())
    }
}

/// What is an operator's to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Copies of each stream: 1 on one machine, 3 in production.
    pub replicas: usize,
    /// Size of the event stream; it refuses everything when full, for ever.
    pub events_bytes: i64,
    /// Size of the blob stream.
    pub blobs_bytes: i64,
    /// Size of the dead letters; the oldest make room.
    pub dead_letters_bytes: i64,
    /// Size of each bucket.
    pub bucket_bytes: i64,
    /// `http://host:port` of the server's monitoring, to learn whether every write is synced.
    pub monitor_url: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        const MIB: i64 = 1024 * 1024;
        // About 1.6 KB of disk for each small event: a fleet of 100 clusters writes some 100,000 a year.
        Self {
            replicas: 1,
            events_bytes: 2048 * MIB,
            blobs_bytes: 1024 * MIB,
            dead_letters_bytes: 64 * MIB,
            bucket_bytes: 256 * MIB,
            monitor_url: None,
        }
    }
}

/// Why streams could not be made, changed or compared.
#[derive(Debug, thiserror::Error)]
pub enum StreamsError {
    /// A stream has another configuration, which can't be changed without losing something.
    #[error(
        "stream {stream} has {field} = {found}, not {expected}; it is never changed by force: \
         a new stream is a decision of its own"
    )]
    Differs {
        /// The stream.
        stream: String,
        /// The field, as in the server's JSON.
        field: String,
        /// What is defined here, as JSON.
        expected: String,
        /// What the server has, as JSON.
        found: String,
    },
    /// The server gave no answer, or refused.
    #[error("{operation} stream {stream}")]
    Server {
        /// What was done.
        operation: &'static str,
        /// The stream.
        stream: String,
        /// What the client said.
        #[source]
        source: ClientError,
    },
    /// The monitoring address gave no answer.
    #[error("reading {url}")]
    Monitor {
        /// The address.
        url: String,
        /// What the client said.
        #[source]
        source: ClientError,
    },
}

impl StreamsError {
    /// Whether doing the same again can help.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Differs { .. } => false,
            Self::Server { .. } | Self::Monitor { .. } => true,
        }
    }
}

/// Every stream, as it has to be.
#[must_use]
pub fn definitions(settings: &Settings) -> Vec<Config> {
    let mut all = vec![events(settings), blobs(settings), dead_letters(settings)];
    all.extend(Bucket::ALL.map(|which| bucket(which, settings)));
    all
}

/// What all have in common; every default of the server is written out, so that comparing is exact.
fn base(name: &str, subjects: Vec<String>, settings: &Settings) -> Config {
    Config {
        name: name.to_owned(),
        subjects,
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: settings.replicas,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        max_age: Duration::ZERO,
        max_message_size: -1,
        duplicate_window: Duration::from_secs(120),
        discard: DiscardPolicy::New,
        allow_direct: true,
        compression: Some(Compression::None),
        ..Config::default()
    }
}

fn events(settings: &Settings) -> Config {
    let subjects = vec![format!("{}.>", crate::subject::PREFIX)];
    Config {
        max_bytes: settings.events_bytes,
        deny_delete: true,
        deny_purge: true,
        ..base(EVENTS, subjects, settings)
    }
}

/// The newest message of a subject stays: whoever holds the bytes can put them over wrong ones.
fn blobs(settings: &Settings) -> Config {
    Config {
        max_bytes: settings.blobs_bytes,
        max_messages_per_subject: 1,
        // Room for headers.
        max_message_size: i32::try_from(MAX_BLOB + 1024).unwrap_or(i32::MAX),
        ..base(BLOBS, vec![format!("{BLOB_PREFIX}.*")], settings)
    }
}

fn dead_letters(settings: &Settings) -> Config {
    Config {
        max_bytes: settings.dead_letters_bytes,
        discard: DiscardPolicy::Old,
        ..base(DEAD_LETTERS, vec![format!("{DEAD_PREFIX}.*")], settings)
    }
}

/// As the client library's key-value store would make it, with history 1.
fn bucket(bucket: Bucket, settings: &Settings) -> Config {
    Config {
        max_bytes: settings.bucket_bytes,
        max_messages_per_subject: 1,
        max_message_size: i32::try_from(MAX_VALUE + 1024).unwrap_or(i32::MAX),
        allow_rollup: true,
        deny_delete: true,
        ..base(&bucket.stream(), vec![bucket.subject(">")], settings)
    }
}

fn server_error(operation: &'static str, stream: &str, source: impl Into<ClientError>) -> StreamsError {
    StreamsError::Server {
        operation,
        stream: stream.to_owned(),
        source: source.into(),
    }
}

/// The server's version, as it said when we connected.
fn version(client: &Client) -> String {
    client.server_info().version
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_stream_keeps_everything_and_refuses_when_it_is_full() {
        let settings = Settings::default();
        let all = definitions(&settings);
        let events = &all[0];
        assert_eq!(events.name, EVENTS);
        assert_eq!(events.subjects, ["fluxgate.v1.>"]);
        assert_eq!(events.retention, RetentionPolicy::Limits);
        assert_eq!(events.storage, StorageType::File);
        assert!(events.deny_delete && events.deny_purge && events.allow_direct);
        assert!(events.max_bytes > 0 && events.max_bytes == settings.events_bytes);
        assert_eq!(events.max_age, Duration::ZERO);
        let counts = [events.max_messages, events.max_messages_per_subject];
        assert_eq!(counts, [-1, -1]);
        for config in &all {
            let makes_room = config.discard == DiscardPolicy::Old;
            assert_eq!(makes_room, config.name == DEAD_LETTERS, "{}", config.name);
        }
    }
}
