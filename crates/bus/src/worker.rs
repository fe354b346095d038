//! Effects: a durable pull consumer that hands each event to a handler until it says that it is done.
//!
//! Explicit acknowledgement, no `backoff` (it would override the wait), no limit on deliveries. While a handler
//! works the server is told so every 10 s. A handler that panics has rejected; what is rejected is a dead
//! letter first and terminated then. Waiting for hours is a timer over the view, never a redelivery.
//!
//! Deliveries are not judged: a handler acts on what the view says of the subject.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::stream::ConsumerCreateStrictErrorKind;
use async_trait::async_trait;
use futures::StreamExt as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::jetstream::context;
use crate::log::{ClientError, Stored};
use crate::streams::EVENTS;

mod delivery;

/// How long the server waits for a sign of life before it delivers again.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// Deliveries in flight, those that wait for their turn included.
const IN_FLIGHT: i64 = 256;
const PAUSE: Duration = Duration::from_secs(1);

/// What a handler says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Ack,
    /// Not now. Delays grow with each delivery, to 10 minutes.
    Retry {
        /// The first delay.
        after: Duration,
        /// For people.
        reason: String,
    },
    /// Never.
    Reject {
        /// For people; goes into the dead letter.
        reason: String,
    },
}

/// Does what an event asks for. May run twice, and may die between any two lines.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Handles one delivery; `attempt` counts from 1.
    async fn handle(&self, delivery: &Stored, attempt: u64) -> Outcome;
}

/// Why a worker stopped.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The server has a consumer of this name with another configuration: deliveries would follow other rules.
    #[error("consumer {durable} exists with another configuration; delete it by hand if that is meant")]
    Differs {
        /// The durable's name.
        durable: String,
    },
    /// The server gave no answer, or refused.
    #[error("running consumer {durable}")]
    Server {
        /// The durable's name.
        durable: String,
        /// What the client said.
        #[source]
        source: ClientError,
    },
}

impl WorkerError {
    /// Whether doing the same again can help.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Differs { .. } => false,
            Self::Server { .. } => true,
        }
    }
}

/// What a worker has done so far.
#[derive(Debug, Default)]
pub struct Counters {
    /// Handled.
    pub acked: AtomicU64,
    /// Put off.
    pub retried: AtomicU64,
    /// Rejected, panics included.
    pub rejected: AtomicU64,
    /// Deliveries beyond the twentieth of an event: somebody must look.
    pub stuck: AtomicU64,
}

/// A durable consumer with its handler.
pub struct Worker {
    client: Client,
    durable: String,
    filters: Vec<String>,
    handler: Arc<dyn Handler>,
    concurrency: usize,
    counters: Arc<Counters>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("durable", &self.durable)
            .finish_non_exhaustive()
    }
}

impl Worker {
    /// A worker named like its service, for events of these filters (which must not overlap), eight at a time.
    #[must_use]
    pub fn new(
        client: Client,
        durable: impl Into<String>,
        filters: Vec<String>,
        handler: Arc<dyn Handler>,
    ) -> Self {
        let durable = durable.into();
        Self {
            client,
            durable,
            filters,
            handler,
            concurrency: 8,
            counters: Arc::default(),
        }
    }

    /// With this many handlers at a time.
    #[must_use]
    pub fn with_concurrency(self, concurrency: usize) -> Self {
        Self {
            concurrency: concurrency.max(1),
            ..self
        }
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Works until shut down; then waits for the handlers at work. Goes on through lost connections and
    /// streams made anew.
    ///
    /// # Errors
    /// Only what trying again cannot help: a consumer of this name with another configuration.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        let context = context(&self.client);
        let permits = Arc::new(Semaphore::new(self.concurrency));
        let mut tasks = JoinSet::new();
        while !shutdown.is_cancelled() {
            let round = self.round(&context, (&permits, &mut tasks), &shutdown);
            match Box::pin(round).await {
                Ok(()) => {}
                Err(error) if error.retryable() => {
                    tracing::warn!(
                        durable = self.durable,
                        error = &error as &dyn std::error::Error,
                        "consuming"
                    );
                    let _cancelled = shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                }
                Err(error) => return Err(error),
            }
        }
        while tasks.join_next().await.is_some() {}
        if let Err(error) = self.client.flush().await {
            tracing::warn!(
                durable = self.durable,
                error = &error as &dyn std::error::Error,
                "flushing"
            );
        }
        Ok(())
    }

    /// Consumes until shut down or until the consumer fails.
    async fn round(
        &self,
        context: &Context,
        (permits, tasks): (&Arc<Semaphore>, &mut JoinSet<()>),
        shutdown: &CancellationToken,
    ) -> Result<(), WorkerError> {
        let consumer = self.consumer(context).await?;
        let messages = consumer.stream().max_messages_per_batch(64).messages().await;
        let mut messages = messages.map_err(|error| self.failed(error))?;
        loop {
            let Some(next) = shutdown.run_until_cancelled(messages.next()).await else {
                return Ok(());
            };
            let message = match next {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(self.failed(error)),
                None => return Err(self.failed("the server ended the consumer")),
            };
            let delivery = delivery::Delivery {
                message,
                context: context.clone(),
                service: self.durable.clone(),
                counters: Arc::clone(&self.counters),
            };
            tasks.spawn(delivery.run(Arc::clone(&self.handler), Arc::clone(permits)));
            while tasks.try_join_next().is_some() {}
        }
    }

    async fn consumer(&self, context: &Context) -> Result<Consumer<pull::Config>, WorkerError> {
        let config = pull::Config {
            durable_name: Some(self.durable.clone()),
            filter_subjects: self.filters.clone(),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_deliver: -1,
            max_ack_pending: IN_FLIGHT,
            ..pull::Config::default()
        };
        match context.create_consumer_strict_on_stream(config, EVENTS).await {
            Ok(consumer) => Ok(consumer),
            Err(error) if error.kind() == ConsumerCreateStrictErrorKind::AlreadyExists => {
                Err(WorkerError::Differs {
                    durable: self.durable.clone(),
                })
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, source: impl Into<ClientError>) -> WorkerError {
        WorkerError::Server {
            durable: self.durable.clone(),
            source: source.into(),
        }
    }
}

impl Counters {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
