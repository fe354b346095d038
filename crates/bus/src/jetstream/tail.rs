//! Following the stream: a consumer without acknowledgements, made anew from the next sequence whenever it
//! fails, ends or skips a delivery.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{Context, Message};
use futures::StreamExt as _;

use super::{read_error, timestamp, traceparent};
use crate::log::{LogError, Stored, Tail};
use crate::streams;

/// The server says that it is there this often, where it has nothing else to say.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// The server forgets the consumer of a reader that is gone after this.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A server that was killed has forgotten the consumer; its heartbeat would be missed only after seconds.
const LOOK_FOR_RECONNECT_EVERY: Duration = Duration::from_millis(200);

struct State {
    context: Context,
    filters: Vec<String>,
    /// The stream sequence to go on from.
    next: u64,
    open: Option<Open>,
    pause: Duration,
}

struct Open {
    messages: pull::Stream,
    /// Deliveries of this consumer so far.
    delivered: u64,
    /// How often the client had connected when the consumer was made.
    connects: u64,
}

pub(super) fn follow(context: Context, from: u64, filters: Vec<String>) -> Tail {
    let state = State {
        context,
        filters,
        next: from.max(1),
        open: None,
        pause: FIRST_PAUSE,
    };
    futures::stream::unfold(state, |mut state| async {
        let event = state.event().await;
        Some((event, state))
    })
    .boxed()
}

impl State {
    /// The next event, or why there is none right now. After an error the next call opens a new consumer.
    async fn event(&mut self) -> Result<Stored, LogError> {
        let result = self.try_event().await;
        match &result {
            Ok(stored) => {
                self.next = stored.sequence.saturating_add(1);
                self.pause = FIRST_PAUSE;
            }
            Err(error) => {
                tracing::debug!(
                    error = error as &dyn std::error::Error,
                    next = self.next,
                    "reading anew"
                );
                self.open = None;
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
        result
    }

    async fn try_event(&mut self) -> Result<Stored, LogError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open().await?,
        };
        let client = self.context.client();
        let message = tokio::select! {
            next = open.messages.next() => next,
            () = reconnected(&client, open.connects) => {
                return Err(read_error(streams::EVENTS, "the client connected anew"));
            }
        };
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(read_error(streams::EVENTS, error)),
            None => return Err(read_error(streams::EVENTS, "the server ended the consumer")),
        };
        let (stored, delivery) = read(&message)?;
        if delivery != open.delivered.saturating_add(1) || stored.sequence < self.next {
            return Err(read_error(
                streams::EVENTS,
                "a delivery was skipped or came twice",
            ));
        }
        open.delivered = delivery;
        self.open = Some(open);
        Ok(stored)
    }

    async fn open(&self) -> Result<Open, LogError> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: self.next,
            },
            ack_policy: AckPolicy::None,
            filter_subjects: self.filters.clone(),
            inactive_threshold: FORGOTTEN_AFTER,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let connects = connects(&self.context.client());
        let failed = |error: crate::log::ClientError| read_error(streams::EVENTS, error);
        let consumer = self
            .context
            .create_consumer_on_stream(config, streams::EVENTS)
            .await;
        let consumer = consumer.map_err(|error| failed(error.into()))?;
        let messages = consumer.stream().heartbeat(HEARTBEAT).messages().await;
        Ok(Open {
            messages: messages.map_err(|error| failed(error.into()))?,
            delivered: 0,
            connects,
        })
    }
}

fn connects(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Relaxed)
}

/// Waits until the client has connected more often than this.
async fn reconnected(client: &Client, before: u64) {
    while connects(client) == before {
        tokio::time::sleep(LOOK_FOR_RECONNECT_EVERY).await;
    }
}

/// The event and the number of its delivery.
pub(crate) fn read(message: &Message) -> Result<(Stored, u64), LogError> {
    let info = message
        .info()
        .map_err(|error| read_error(&message.subject, error))?;
    let sequence = info.stream_sequence;
    let stored = Stored {
        sequence,
        subject: message.subject.to_string(),
        payload: message.payload.clone(),
        time: timestamp(info.published).ok_or(LogError::Metadata { sequence })?,
        traceparent: message.headers.as_ref().and_then(traceparent),
    };
    Ok((stored, info.consumer_sequence))
}
