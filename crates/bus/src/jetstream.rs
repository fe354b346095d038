//! The event log on NATS JetStream.
//!
//! Publishes carry `Nats-Expected-Last-Subject-Sequence` and `Nats-Expected-Stream`, never a `Nats-Msg-Id`
//! (R1 and R3 streams answer a repeated one differently). Reads are direct gets of "the next message of this
//! subject at or after a sequence". The tail is an ephemeral consumer of our own that is made anew from the
//! next sequence whenever it fails or skips: what the client library's ordered consumer does, but the
//! beginning of a new stream is not hidden from the reader.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{DirectGetError, DirectGetErrorKind};
use async_nats::jetstream::{self, Context, ErrorCode};
use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use crate::log::{Appended, EventLog, Expect, LogError, Stored, Tail};
use crate::streams;
use crate::subject::Subject;

mod tail;

pub(crate) use tail::read;

/// Header with the W3C trace context.
pub const TRACEPARENT: &str = "traceparent";

/// How long a publish or a request waits. In-flight publishes do not fail when the connection breaks, so this
/// is also how long it takes to notice.
pub const TIMEOUT: Duration = Duration::from_secs(2);

/// A JetStream context with our time-out, that waits where too many publishes are in flight.
#[must_use]
pub fn context(client: &async_nats::Client) -> Context {
    jetstream::ContextBuilder::new()
        .timeout(TIMEOUT)
        .backpressure_on_inflight(true)
        .build(client.clone())
}

/// The stream `FLUXGATE_EVENTS`.
#[derive(Debug, Clone)]
pub struct JetStreamLog {
    context: Context,
}

impl JetStreamLog {
    /// The log that this client sees.
    #[must_use]
    pub fn new(client: &async_nats::Client) -> Self {
        Self {
            context: context(client),
        }
    }

    async fn info(&self) -> Result<jetstream::stream::Info, LogError> {
        let stream = self.context.get_stream(streams::EVENTS).await;
        let stream = stream.map_err(|error| read_error(streams::EVENTS, error))?;
        Ok(stream.cached_info().clone())
    }

    async fn stream(&self) -> Result<jetstream::stream::Stream<()>, LogError> {
        let stream = self.context.get_stream_no_info(streams::EVENTS).await;
        stream.map_err(|error| read_error(streams::EVENTS, error))
    }
}

#[async_trait]
impl EventLog for JetStreamLog {
    async fn append(
        &self,
        subject: &Subject,
        payload: Bytes,
        traceparent: Option<&str>,
        expect: Expect,
    ) -> Result<Appended, LogError> {
        let size = payload.len();
        let mut message = PublishMessage::build()
            .payload(payload)
            .expected_last_subject_sequence(expect.sequence())
            .expected_stream(streams::EVENTS);
        // A header value must stay on its line.
        if let Some(traceparent) = traceparent.filter(|text| text.bytes().all(|b| b.is_ascii_graphic())) {
            message = message.header(TRACEPARENT, traceparent);
        }
        let name = subject.to_string();
        let answer = match self.context.send_publish(name.clone(), message).await {
            Ok(acknowledged) => acknowledged.await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(stored) if stored.stream == streams::EVENTS => Ok(Appended::Stored(stored.sequence)),
            Ok(stored) => Err(LogError::OtherStream {
                subject: name,
                stream: stored.stream,
            }),
            Err(error) => refused(error, name, size),
        }
    }

    async fn first_after(&self, subject: &str, after: u64) -> Result<Option<Stored>, LogError> {
        let stream = self.stream().await?;
        let next = after.saturating_add(1);
        found(
            stream.direct_get_next_for_subject(subject, Some(next)).await,
            subject,
        )
    }

    async fn get(&self, sequence: u64) -> Result<Option<Stored>, LogError> {
        if sequence == 0 {
            return Ok(None);
        }
        let stream = self.stream().await?;
        found(stream.direct_get(sequence).await, &sequence.to_string())
    }

    async fn last_sequence(&self) -> Result<u64, LogError> {
        Ok(self.info().await?.state.last_sequence)
    }

    async fn created(&self) -> Result<Timestamp, LogError> {
        timestamp(self.info().await?.created).ok_or(LogError::Metadata { sequence: 0 })
    }

    async fn tail(&self, from: u64, filters: Vec<String>) -> Result<Tail, LogError> {
        Ok(tail::follow(self.context.clone(), from, filters))
    }
}

/// What a failed publish means.
fn refused(error: PublishError, subject: String, size: usize) -> Result<Appended, LogError> {
    match error.kind() {
        PublishErrorKind::WrongLastSequence => return Ok(Appended::Conflict),
        PublishErrorKind::MaxPayloadExceeded => return Err(LogError::Oversized { subject, size }),
        PublishErrorKind::StreamNotFound
        | PublishErrorKind::WrongLastMessageId
        | PublishErrorKind::TimedOut
        | PublishErrorKind::BrokenPipe
        | PublishErrorKind::MaxAckPending
        | PublishErrorKind::Other => {}
    }
    match code_of(&error) {
        Some(ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT) => Ok(Appended::Conflict),
        Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM) => Err(LogError::Oversized { subject, size }),
        _ => Err(LogError::Unknown {
            subject,
            source: error.into(),
        }),
    }
}

/// The server's own code inside an error of the client.
pub(crate) fn code_of(error: &(dyn std::error::Error + 'static)) -> Option<ErrorCode> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(own) = error.downcast_ref::<jetstream::Error>() {
            return Some(own.error_code());
        }
        next = error.source();
    }
    None
}

fn found(answer: Result<StreamMessage, DirectGetError>, what: &str) -> Result<Option<Stored>, LogError> {
    match answer {
        Ok(message) => stored(message).map(Some),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(read_error(what, error)),
    }
}

fn stored(message: StreamMessage) -> Result<Stored, LogError> {
    let time = timestamp(message.time).ok_or(LogError::Metadata {
        sequence: message.sequence,
    })?;
    Ok(Stored {
        sequence: message.sequence,
        subject: message.subject.to_string(),
        payload: message.payload,
        time,
        traceparent: traceparent(&message.headers),
    })
}

fn read_error(what: &str, error: impl Into<crate::log::ClientError>) -> LogError {
    LogError::Read {
        what: what.to_owned(),
        source: error.into(),
    }
}

/// The trace context of a message.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<String> {
    headers.get(TRACEPARENT).map(|value| value.as_str().to_owned())
}

/// The client library's time as ours; `None` outside the years that `jiff` knows.
pub(crate) fn timestamp(time: async_nats::datetime::DateTime) -> Option<Timestamp> {
    Timestamp::from_nanosecond(time.unix_timestamp_nanos()).ok()
}
