//! Between agents and the hub: what an agent may do on the bus, and the hub's side of it.
//!
//! An agent creates no consumer and publishes no event. It reads its own key of the bucket `assignments` and
//! blobs by direct get, is woken by a core message, and hands its signed envelopes to the hub by request. The
//! hub limits size and rate; the envelope is verified by whoever writes it to the log.

use std::time::Duration;

use async_nats::{Client, Subscriber};
use bytes::Bytes;
use domain::{ClusterName, Digest};
use serde::{Deserialize, Serialize};

use crate::blobs::{BlobError, Blobs};
use crate::buckets::{BucketError, Entry, Values};
use crate::log::ClientError;
use crate::streams::Bucket;

mod submissions;

pub use submissions::{Request, Submissions};

/// No submission is larger.
pub const MAX_SUBMISSION: usize = 256 * 1024;
/// How long an agent waits for the hub's answer, which comes after the event is stored.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// What an agent's envelope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubmissionKind {
    /// ClusterFacts.
    Facts,
    /// Health.
    Health,
    /// A report: the assignment was taken.
    Accepted,
    /// A report: the assignment was refused.
    Refused,
    /// A report: everything is written.
    Applied,
    /// A report: how it went.
    Result,
    /// A heartbeat: goes to the bucket, not to the log.
    Heartbeat,
}

/// What an agent sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// What it is.
    pub kind: SubmissionKind,
    /// The envelope's JSON, byte for byte.
    pub envelope: String,
}

/// What the hub answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Stored; the number of the event, or the revision of a heartbeat.
    Stored(u64),
    /// Refused for good, and why: sending the same again is useless.
    Refused(String),
    /// Not now: send it again later.
    Later(String),
}

/// Why an agent could not be served.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The envelope is no text, or larger than [`MAX_SUBMISSION`].
    #[error("an envelope of {size} bytes cannot be submitted")]
    Envelope {
        /// Its size.
        size: usize,
    },
    /// No answer from the hub: it may have stored the event all the same. Send the same envelope again.
    #[error("submitting to the hub")]
    NoAnswer(#[source] ClientError),
    /// An answer that is none.
    #[error("reading the hub's answer")]
    Answer(#[source] serde_json::Error),
    /// Subscribing failed.
    #[error("subscribing to {subject}")]
    Subscribe {
        /// The subject.
        subject: String,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// Publishing failed.
    #[error("publishing to {subject}")]
    Publish {
        /// The subject.
        subject: String,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// The assignment can't be read.
    #[error("reading the assignment")]
    Bucket(#[from] BucketError),
    /// A blob can't be read.
    #[error("reading a blob")]
    Blob(#[from] BlobError),
}

impl AgentError {
    /// Whether doing the same again can help.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Envelope { .. } | Self::Answer(_) => false,
            Self::NoAnswer(_) | Self::Subscribe { .. } | Self::Publish { .. } => true,
            Self::Bucket(error) => error.retryable(),
            Self::Blob(error) => error.retryable(),
        }
    }
}

fn submit_subject(cluster: &str) -> String {
    format!("fluxgate.agent.{cluster}.submit")
}

fn wake_subject(cluster: &ClusterName) -> String {
    format!("fluxgate.agent.{cluster}.wake")
}

/// The bus as one agent sees it.
#[derive(Debug, Clone)]
pub struct AgentBus {
    client: Client,
    cluster: ClusterName,
    assignments: Values,
    blobs: Blobs,
}

impl AgentBus {
    /// The bus for the agent of this cluster.
    #[must_use]
    pub fn new(client: Client, cluster: ClusterName) -> Self {
        let (assignments, blobs) = (Values::new(&client, Bucket::Assignments), Blobs::new(&client));
        Self {
            client,
            cluster,
            assignments,
            blobs,
        }
    }

    /// What the cluster is to be, as the hub wrote it. Nothing about it is verified.
    ///
    /// # Errors
    /// If the server gives no answer.
    pub async fn assignment(&self) -> Result<Option<Entry>, AgentError> {
        Ok(self.assignments.get(self.cluster.as_str()).await?)
    }

    /// Bytes by digest.
    ///
    /// # Errors
    /// If the server gives no answer.
    pub async fn blob(&self, digest: Digest) -> Result<Option<Vec<u8>>, AgentError> {
        Ok(self.blobs.get(digest).await?)
    }

    /// Hands an envelope to the hub and waits for its answer.
    ///
    /// # Errors
    /// If there is no answer: then the same envelope is to be submitted again.
    pub async fn submit(&self, kind: SubmissionKind, envelope: &[u8]) -> Result<Answer, AgentError> {
        let size = envelope.len();
        let Ok(text) = std::str::from_utf8(envelope) else {
            return Err(AgentError::Envelope { size });
        };
        let submission = Submission {
            kind,
            envelope: text.to_owned(),
        };
        let payload = serde_json::to_vec(&submission).map_err(AgentError::Answer)?;
        if payload.len() > MAX_SUBMISSION {
            return Err(AgentError::Envelope { size });
        }
        let request = async_nats::Request::new()
            .payload(payload.into())
            .timeout(Some(ANSWER_WITHIN));
        let subject = submit_subject(self.cluster.as_str());
        let answer = self.client.send_request(subject, request).await;
        let answer = answer.map_err(|error| AgentError::NoAnswer(error.into()))?;
        serde_json::from_slice(&answer.payload).map_err(AgentError::Answer)
    }

    /// Messages that say: look now. They carry nothing and may be lost; the agent polls as well.
    ///
    /// # Errors
    /// If subscribing fails.
    pub async fn wakes(&self) -> Result<Subscriber, AgentError> {
        let subject = wake_subject(&self.cluster);
        let subscribed = self.client.subscribe(subject.clone()).await;
        subscribed.map_err(|error| AgentError::Subscribe {
            subject,
            source: error.into(),
        })
    }
}

/// Wakes the agent of a cluster.
///
/// # Errors
/// If the message can't be handed to the client; whether it arrives is never known.
pub async fn wake(client: &Client, cluster: &ClusterName) -> Result<(), AgentError> {
    let subject = wake_subject(cluster);
    let sent = client.publish(subject.clone(), Bytes::new()).await;
    sent.map_err(|error| AgentError::Publish {
        subject,
        source: error.into(),
    })
}
