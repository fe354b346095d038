//! One delivery, from the server's hands to its answer.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{AckKind, Context, Message};
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior};

use super::{Counters, Handler, Outcome};
use crate::jetstream::read;
use crate::log::{ClientError, LogError, Stored};
use crate::streams::{DEAD_LETTERS, DEAD_PREFIX};

/// How often the server is told that the handler is at work.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// No delay is longer.
pub(super) const LONGEST_DELAY: Duration = Duration::from_secs(600);
/// From here on somebody must look.
const TOO_OFTEN: u64 = 20;
/// When the dead letter itself could not be stored.
const DEAD_LETTER_AGAIN: Duration = Duration::from_secs(5);

pub(super) struct Delivery {
    pub(super) message: Message,
    pub(super) context: Context,
    pub(super) service: String,
    pub(super) counters: Arc<Counters>,
}

impl Delivery {
    /// Handles it when its turn comes, and answers.
    pub(super) async fn run(self, handler: Arc<dyn Handler>, permits: Arc<Semaphore>) {
        let (event, attempt) = match self.read() {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a delivery says nothing of itself"
                );
                return;
            }
        };
        if attempt > TOO_OFTEN {
            Counters::count(&self.counters.stuck);
            tracing::warn!(
                service = self.service,
                subject = event.subject,
                sequence = event.sequence,
                attempt,
                "delivered too often; somebody must look"
            );
        }
        let event = Arc::new(event);
        let outcome = self
            .handled(handler, permits, (Arc::clone(&event), attempt))
            .await;
        if let Err(error) = self.answer(&event, attempt, outcome).await {
            // It is delivered again after the wait.
            tracing::warn!(subject = event.subject, error, "answering a delivery");
        }
    }

    fn read(&self) -> Result<(Stored, u64), LogError> {
        let (event, _) = read(&self.message)?;
        let delivered = self.message.info().map_or(1, |info| info.delivered);
        Ok((event, u64::try_from(delivered).unwrap_or(1)))
    }

    /// Waits for a turn and for the handler; the server hears of it all the while.
    async fn handled(
        &self,
        handler: Arc<dyn Handler>,
        permits: Arc<Semaphore>,
        (event, attempt): (Arc<Stored>, u64),
    ) -> Outcome {
        // A task of its own: a panic ends that task and nothing else.
        let mut task = tokio::spawn(async move {
            // The semaphore is never closed.
            let _turn = permits.acquire_owned().await;
            handler.handle(&event, attempt).await
        });
        let mut progress = tokio::time::interval_at(Instant::now() + PROGRESS_EVERY, PROGRESS_EVERY);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ended = &mut task => {
                    return ended.unwrap_or_else(|error| Outcome::Reject { reason: panicked(error) });
                }
                _ = progress.tick() => {
                    if let Err(error) = self.message.ack_with(AckKind::Progress).await {
                        tracing::warn!(error, "telling the server that a handler is at work");
                    }
                }
            }
        }
    }

    async fn answer(&self, event: &Stored, attempt: u64, outcome: Outcome) -> Result<(), ClientError> {
        match outcome {
            Outcome::Ack => {
                Counters::count(&self.counters.acked);
                self.message.ack().await
            }
            Outcome::Retry { after, reason } => {
                Counters::count(&self.counters.retried);
                let delay = delay(after, attempt);
                tracing::info!(subject = event.subject, attempt, ?delay, reason, "put off");
                self.message.ack_with(AckKind::Nak(Some(delay))).await
            }
            Outcome::Reject { reason } => {
                Counters::count(&self.counters.rejected);
                tracing::error!(
                    subject = event.subject,
                    sequence = event.sequence,
                    reason,
                    "rejected"
                );
                match self.bury(event, attempt, &reason).await {
                    Ok(()) => self.message.ack_with(AckKind::Term).await,
                    Err(error) => {
                        tracing::warn!(error, "storing a dead letter");
                        self.message.ack_with(AckKind::Nak(Some(DEAD_LETTER_AGAIN))).await
                    }
                }
            }
        }
    }

    /// Stores the dead letter. Where the answer is lost it may be stored twice.
    async fn bury(&self, event: &Stored, attempt: u64, reason: &str) -> Result<(), ClientError> {
        let line: String = reason
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(1000)
            .collect();
        let message = PublishMessage::build()
            .payload(event.payload.clone())
            .expected_stream(DEAD_LETTERS)
            .header("fluxgate-subject", event.subject.as_str())
            .header("fluxgate-sequence", event.sequence.to_string())
            .header("fluxgate-attempt", attempt.to_string())
            .header("fluxgate-reason", line);
        let subject = format!("{DEAD_PREFIX}.{}", self.service);
        self.context.send_publish(subject, message).await?.await?;
        Ok(())
    }
}

fn panicked(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no text");
            format!("the handler panicked: {text}")
        }
        Err(error) => format!("the handler was ended: {error}"),
    }
}

/// `after`, doubled with each delivery.
pub(super) fn delay(after: Duration, attempt: u64) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1).min(20)).unwrap_or(20);
    after
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(LONGEST_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_ten_minutes() {
        let seconds = |attempt| delay(Duration::from_secs(1), attempt).as_secs();
        assert_eq!(
            [seconds(1), seconds(2), seconds(3), seconds(10), seconds(11)],
            [1, 2, 4, 512, 600]
        );
        assert_eq!(seconds(u64::MAX), 600);
        assert_eq!(delay(Duration::from_secs(3600), 1), LONGEST_DELAY);
    }
}
