//! Filling a new event stream with events that an older one held, each at its old sequence.
//!
//! The only writer that names the sequence it wants (`Nats-Expected-Last-Sequence`), for `audit restore` alone:
//! what is restored keeps its numbers, because statements name them. It may die and begin again: what stands on
//! the stream already is compared, never written over.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;

use crate::jetstream::{JetStreamLog, TRACEPARENT, context};
use crate::log::{ClientError, EventLog as _, LogError};
use crate::streams;

const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

/// Why a stream was not filled.
#[derive(Debug, thiserror::Error)]
pub enum RefillError {
    /// Something else stands there.
    #[error("sequence {sequence} of the stream holds another event, under {found}")]
    Other {
        /// The sequence.
        sequence: u64,
        /// The subject that was found.
        found: String,
    },
    /// The stream holds more than is to be restored, or somebody else writes to it.
    #[error("stream goes on with other events: its last sequence is {last}, {expected} was expected")]
    Further {
        /// The sequence that was expected.
        expected: u64,
        /// The last one.
        last: u64,
    },
    /// The server gave no definite answer.
    #[error("publishing sequence {sequence}")]
    Publish {
        /// The sequence.
        sequence: u64,
        /// What the client said.
        #[source]
        source: ClientError,
    },
    /// The stream can't be read.
    #[error("reading the stream")]
    Log(#[from] LogError),
}

impl RefillError {
    /// Whether doing the same again can help.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Other { .. } | Self::Further { .. } => false,
            Self::Publish { .. } => true,
            Self::Log(error) => error.retryable(),
        }
    }
}

/// A stream that is being filled.
#[derive(Debug)]
pub struct Refill {
    context: Context,
    log: JetStreamLog,
    last: u64,
}

impl Refill {
    /// Begins with the stream as it is.
    ///
    /// # Errors
    /// If the stream can't be read: `fluxgate migrate` makes it.
    pub async fn begin(client: &async_nats::Client) -> Result<Self, RefillError> {
        let log = JetStreamLog::new(client);
        let last = log.last_sequence().await?;
        Ok(Self {
            context: context(client),
            log,
            last,
        })
    }

    /// The highest sequence that the stream held when it was begun, or that was put since.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// Puts an event at this sequence, or finds it there. Sequences are put in order, from 1.
    ///
    /// # Errors
    /// If another event stands there, somebody else writes, or the server gives no answer.
    pub async fn put(
        &mut self,
        sequence: u64,
        subject: &str,
        payload: &Bytes,
        traceparent: Option<&str>,
    ) -> Result<(), RefillError> {
        if sequence <= self.last {
            return self.compare(sequence, subject, payload).await;
        }
        let mut tries = 1;
        loop {
            let Err(source) = self.publish(sequence, subject, payload, traceparent).await else {
                self.last = sequence;
                return Ok(());
            };
            // Whether it was stored is unknown: look, then try again.
            let last = self.log.last_sequence().await?;
            if last >= sequence {
                self.last = last;
                return self.compare(sequence, subject, payload).await;
            }
            if tries >= TRIES {
                return Err(RefillError::Publish { sequence, source });
            }
            tries += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Checks that nothing stands behind the last event that was put.
    ///
    /// # Errors
    /// If something does, or the stream can't be read.
    pub async fn end(&self, sequence: u64) -> Result<(), RefillError> {
        let last = self.log.last_sequence().await?;
        if last == sequence {
            Ok(())
        } else {
            Err(RefillError::Further {
                expected: sequence,
                last,
            })
        }
    }

    async fn publish(
        &self,
        sequence: u64,
        subject: &str,
        payload: &Bytes,
        traceparent: Option<&str>,
    ) -> Result<(), ClientError> {
        let mut message = PublishMessage::build()
            .payload(payload.clone())
            .expected_last_sequence(sequence.saturating_sub(1))
            .expected_stream(streams::EVENTS);
        if let Some(traceparent) = traceparent.filter(|text| text.bytes().all(|b| b.is_ascii_graphic())) {
            message = message.header(TRACEPARENT, traceparent);
        }
        self.context
            .send_publish(subject.to_owned(), message)
            .await?
            .await?;
        Ok(())
    }

    async fn compare(&self, sequence: u64, subject: &str, payload: &Bytes) -> Result<(), RefillError> {
        match self.log.get(sequence).await? {
            Some(found) if found.subject == subject && found.payload == *payload => Ok(()),
            Some(found) => Err(RefillError::Other {
                sequence,
                found: found.subject,
            }),
            None => Err(RefillError::Further {
                expected: sequence,
                last: self.last,
            }),
        }
    }
}
