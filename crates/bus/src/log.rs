//! The event log behind one trait: append with an expectation, read by sequence, follow.
//!
//! An `Err` from `append` means "unknown": the event may be stored already, or land later. Only `Stored` and
//! `Conflict` are answers. There is no reading of "the last message of a subject" here: anyone who may publish
//! can put one there.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;

use crate::subject::Subject;

/// What a publisher expects the subject to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Absent,
    /// As its last event the one with this stream sequence: an invalid one, which ours goes over.
    Sequence(u64),
}

impl Expect {
    /// The sequence as in the header `Nats-Expected-Last-Subject-Sequence`.
    #[must_use]
    pub const fn sequence(self) -> u64 {
        match self {
            Self::Absent => 0,
            Self::Sequence(sequence) => sequence,
        }
    }
}

/// A definite answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Stored with this stream sequence.
    Stored(u64),
    /// The subject does not hold what was expected; nothing was stored.
    Conflict,
}

/// An event as it stands on the stream. Nothing about it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place on the stream.
    pub sequence: u64,
    /// The subject as published; may be no [`Subject`] at all.
    pub subject: String,
    /// The bytes.
    pub payload: Bytes,
    /// When the server stored it.
    pub time: Timestamp,
    /// W3C `traceparent` of the publishing span.
    pub traceparent: Option<String>,
}

/// What a client of NATS says when it fails.
pub type ClientError = Box<dyn std::error::Error + Send + Sync>;

/// Why the log gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Whether the event is stored is unknown.
    #[error("publishing {subject}: whether it is stored is unknown")]
    Unknown {
        /// The subject.
        subject: String,
        /// What the client said.
        #[source]
        source: ClientError,
    },
    /// The event is larger than the server takes; nothing was stored.
    #[error("publishing {subject}: {size} bytes are more than the server takes")]
    Oversized {
        /// The subject.
        subject: String,
        /// Size of the payload.
        size: usize,
    },
    /// Another stream than ours answered for the subject.
    #[error("publishing {subject}: stored by stream {stream}, not by ours")]
    OtherStream {
        /// The subject.
        subject: String,
        /// Who answered.
        stream: String,
    },
    /// Reading failed.
    #[error("reading {what}")]
    Read {
        /// What was read: a subject, a sequence, the stream's information.
        what: String,
        /// What the client said.
        #[source]
        source: ClientError,
    },
    /// A message says about itself what cannot be.
    #[error("reading message {sequence}: its metadata is malformed")]
    Metadata {
        /// Its sequence; 0 where not even that is known.
        sequence: u64,
    },
}

impl LogError {
    /// Whether doing the same again can help.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::Read { .. } => true,
            Self::Oversized { .. } | Self::OtherStream { .. } | Self::Metadata { .. } => false,
        }
    }
}

/// Events in stream order. An `Err` is not the end: the tail goes on by itself. After one (a new stream is made
/// only by deleting the old, which ends its consumers) a reader compares [`EventLog::created`] before it goes on.
pub type Tail = BoxStream<'static, Result<Stored, LogError>>;

/// The event stream. Implemented by [`crate::jetstream::JetStreamLog`] and [`crate::memory::MemoryLog`].
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Publishes, if the subject holds what is expected.
    async fn append(
        &self,
        subject: &Subject,
        payload: Bytes,
        traceparent: Option<&str>,
        expect: Expect,
    ) -> Result<Appended, LogError>;

    /// The first event with a sequence higher than `after` of this subject, or of those that it matches where
    /// it holds wildcards of NATS. `None` may come from a replica that lags behind.
    async fn first_after(&self, subject: &str, after: u64) -> Result<Option<Stored>, LogError>;

    /// The event with this sequence. `None` may come from a replica that lags behind.
    async fn get(&self, sequence: u64) -> Result<Option<Stored>, LogError>;

    /// The highest sequence given out, as the stream's leader knows it; 0 on an empty stream.
    async fn last_sequence(&self) -> Result<u64, LogError>;

    /// When the stream was made: another time means another stream, whose sequences mean something else.
    async fn created(&self) -> Result<Timestamp, LogError>;

    /// Every event from this sequence on, also those to come; only of the filters' subjects where there are
    /// filters (they must not overlap).
    async fn tail(&self, from: u64, filters: Vec<String>) -> Result<Tail, LogError>;
}
