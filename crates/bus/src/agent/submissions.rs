//! The hub's side: envelopes of agents as they come in, limited in size and rate.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::{Client, Message, Subscriber};
use bytes::Bytes;
use domain::ClusterName;
use futures::StreamExt as _;
use tokio::time::Instant;

use super::{AgentError, Answer, MAX_SUBMISSION, Submission, SubmissionKind, submit_subject};

/// What an agent that was away for long may send at once.
const BURST: f64 = 30.0;
/// After that: a heartbeat every 30 s and a health change now and then need far less.
const PER_SECOND: f64 = 1.0;
/// Clusters remembered; an agent that spoke longest ago is forgotten, which gives it a new burst.
const REMEMBERED: usize = 10_000;

/// One envelope, waiting for an answer. Nothing about it is verified but that its sender may publish for this
/// cluster, which is the server's word.
#[derive(Debug)]
pub struct Request {
    /// The cluster whose subject it came on.
    pub cluster: ClusterName,
    /// What the sender says that it is.
    pub kind: SubmissionKind,
    /// The envelope.
    pub envelope: Bytes,
    client: Client,
    reply: async_nats::Subject,
}

impl Request {
    /// Answers.
    ///
    /// # Errors
    /// If the answer can't be handed to the client; the agent will submit again.
    pub async fn respond(self, answer: &Answer) -> Result<(), AgentError> {
        respond(&self.client, self.reply, answer).await
    }
}

async fn respond(client: &Client, reply: async_nats::Subject, answer: &Answer) -> Result<(), AgentError> {
    let payload = serde_json::to_vec(answer).map_err(AgentError::Answer)?;
    let subject = reply.to_string();
    let sent = client.publish(reply, payload.into()).await;
    sent.map_err(|error| AgentError::Publish {
        subject,
        source: error.into(),
    })
}

/// The envelopes of all agents.
#[derive(Debug)]
pub struct Submissions {
    client: Client,
    subscriber: Subscriber,
    rates: HashMap<ClusterName, Allowance>,
}

impl Submissions {
    /// Begins to listen. Only the active controller does.
    ///
    /// # Errors
    /// If subscribing fails.
    pub async fn subscribe(client: &Client) -> Result<Self, AgentError> {
        let subject = submit_subject("*");
        let subscriber = match client.subscribe(subject.clone()).await {
            Ok(subscriber) => subscriber,
            Err(error) => {
                return Err(AgentError::Subscribe {
                    subject,
                    source: error.into(),
                });
            }
        };
        Ok(Self {
            client: client.clone(),
            subscriber,
            rates: HashMap::new(),
        })
    }

    /// The next envelope within the limits; others are answered here. `None` when the connection was closed.
    pub async fn next(&mut self) -> Option<Request> {
        loop {
            let message = self.subscriber.next().await?;
            let Some(reply) = message.reply.clone() else {
                continue;
            };
            match self.admit(&message) {
                Ok((cluster, submission)) => {
                    let envelope = submission.envelope.into();
                    let client = self.client.clone();
                    return Some(Request {
                        cluster,
                        kind: submission.kind,
                        envelope,
                        client,
                        reply,
                    });
                }
                Err(answer) => {
                    tracing::warn!(subject = %message.subject, ?answer, "a submission was turned away");
                    if let Err(error) = respond(&self.client, reply, &answer).await {
                        tracing::warn!(error = &error as &dyn std::error::Error, "answering a submission");
                    }
                }
            }
        }
    }

    fn admit(&mut self, message: &Message) -> Result<(ClusterName, Submission), Answer> {
        let refused = |why: &str| Answer::Refused(why.to_owned());
        let token = message.subject.split('.').nth(2).unwrap_or_default();
        let Ok(cluster) = token.parse::<ClusterName>() else {
            return Err(refused("no cluster name"));
        };
        if !self.allowed(&cluster, Instant::now()) {
            return Err(Answer::Later("more submissions than allowed".to_owned()));
        }
        if message.payload.len() > MAX_SUBMISSION {
            return Err(refused("larger than allowed"));
        }
        match serde_json::from_slice(&message.payload) {
            Ok(submission) => Ok((cluster, submission)),
            Err(_) => Err(refused("no submission")),
        }
    }

    fn allowed(&mut self, cluster: &ClusterName, now: Instant) -> bool {
        if self.rates.len() >= REMEMBERED && !self.rates.contains_key(cluster) {
            let oldest = self
                .rates
                .iter()
                .min_by_key(|(_, rate)| rate.seen)
                .map(|(name, _)| name.clone());
            self.rates.remove(&oldest.unwrap_or_else(|| cluster.clone()));
        }
        let full = Allowance {
            left: BURST,
            seen: now,
        };
        self.rates.entry(cluster.clone()).or_insert(full).take(now)
    }
}

/// A bucket of tokens.
#[derive(Debug)]
struct Allowance {
    left: f64,
    seen: Instant,
}

impl Allowance {
    fn take(&mut self, now: Instant) -> bool {
        let passed: Duration = now.saturating_duration_since(self.seen);
        self.seen = now;
        self.left = (self.left + passed.as_secs_f64() * PER_SECOND).min(BURST);
        let allowed = self.left >= 1.0;
        if allowed {
            self.left -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let begin = Instant::now();
        let mut allowance = Allowance {
            left: BURST,
            seen: begin,
        };
        let taken = (0..100).filter(|_| allowance.take(begin)).count();
        assert_eq!(taken, 30);
        assert!(allowance.take(begin + Duration::from_secs(1)));
        assert!(!allowance.take(begin + Duration::from_secs(1)));
    }
}
