//! From bytes to a definite answer.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{Appended, Expect, Journal, JournalError, LONGEST_PAUSE, LogError, Written};
use crate::subject::Subject;

/// Pauses that grow, until a deadline.
struct Patience<'a> {
    subject: &'a Subject,
    deadline: Instant,
    pause: Duration,
}

impl Patience<'_> {
    /// Waits a little longer than the last time; an error where that would be past the deadline, or where
    /// the log said what trying again cannot help.
    async fn wait(&mut self, source: Option<LogError>) -> Result<(), JournalError> {
        let subject = self.subject;
        if let Some(source) = source {
            if !source.retryable() {
                return Err(JournalError::Refused {
                    subject: subject.clone(),
                    source,
                });
            }
            tracing::debug!(subject = %subject, error = &source as &dyn std::error::Error, "trying again");
            if Instant::now() + self.pause >= self.deadline {
                return Err(JournalError::Unknown {
                    subject: subject.clone(),
                    source: Some(source),
                });
            }
        } else if Instant::now() + self.pause >= self.deadline {
            return Err(JournalError::Unknown {
                subject: subject.clone(),
                source: None,
            });
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

impl Journal {
    const fn patience<'a>(&self, subject: &'a Subject, deadline: Instant) -> Patience<'a> {
        Patience {
            subject,
            deadline,
            pause: self.first_pause,
        }
    }

    /// Publishes until it is known what stands under the subject.
    pub(super) async fn settle(
        &self,
        subject: &Subject,
        payload: Bytes,
        traceparent: Option<&str>,
        deadline: Instant,
    ) -> Result<Written, JournalError> {
        if let Some(written) = self.standing(subject, &payload).await? {
            return Ok(written);
        }
        if let Err(source) = self.view.examine(subject, &payload).await? {
            // What it needs may stand on the log already, not yet folded.
            self.catch_up(subject, deadline).await?;
            if let Some(written) = self.standing(subject, &payload).await? {
                return Ok(written);
            }
            if let Err(source) = self.view.examine(subject, &payload).await? {
                return Err(JournalError::Void {
                    subject: subject.clone(),
                    source: Box::new(source),
                });
            }
            tracing::debug!(subject = %subject, error = &source as &dyn std::error::Error, "caught up");
        }
        let span = traceparent
            .filter(|parent| !parent.is_empty())
            .map_or_else(tracing::Span::none, |parent| {
                runtime::telemetry::send_span(&subject.template(), parent)
            });
        self.append(subject, payload, (traceparent, deadline))
            .instrument(span)
            .await
    }

    /// Appends until it is known what stands under the subject, where nothing did a moment ago.
    async fn append(
        &self,
        subject: &Subject,
        payload: Bytes,
        (traceparent, deadline): (Option<&str>, Instant),
    ) -> Result<Written, JournalError> {
        let mut patience = self.patience(subject, deadline);
        let mut expect = Expect::Absent;
        loop {
            match self
                .log
                .append(subject, payload.clone(), traceparent, expect)
                .await
            {
                Ok(Appended::Stored(sequence)) => {
                    tracing::Span::current().record("fluxgate.sequence", sequence);
                    self.reach(sequence, subject, deadline).await?;
                    let standing = self.standing(subject, &payload).await?;
                    let lapsed = || JournalError::Lapsed {
                        subject: subject.clone(),
                        sequence,
                    };
                    return standing.ok_or_else(lapsed);
                }
                Ok(Appended::Conflict) => {
                    self.catch_up(subject, deadline).await?;
                    // Read before asking what stands: all of it has been judged by then.
                    let judged = self.view.cursor();
                    if let Some(written) = self.standing(subject, &payload).await? {
                        return Ok(written);
                    }
                    expect = self
                        .over_invalid(subject, (expect, judged), &mut patience)
                        .await?;
                }
                Err(error) => patience.wait(Some(error)).await?,
            }
        }
    }

    /// What counts under the subject, if anything does.
    async fn standing(&self, subject: &Subject, ours: &Bytes) -> Result<Option<Written>, JournalError> {
        let fact = self.view.get(subject).await?;
        Ok(fact.map(|fact| {
            if fact.envelope == *ours {
                Written::Ours(fact)
            } else {
                Written::Theirs(fact)
            }
        }))
    }

    /// Nothing stored under the subject counts, up to what was judged: expect the last of that. What came later may
    /// be valid, and is judged before anything goes over it.
    async fn over_invalid(
        &self,
        subject: &Subject,
        (before, judged): (Expect, u64),
        patience: &mut Patience<'_>,
    ) -> Result<Expect, JournalError> {
        let name = subject.to_string();
        let mut last = before.sequence();
        loop {
            match self.log.first_after(&name, last).await {
                Ok(Some(event)) if event.sequence > judged => return Ok(Expect::Sequence(last)),
                Ok(Some(event)) => last = event.sequence,
                Ok(None) => break,
                Err(error) => patience.wait(Some(error)).await?,
            }
        }
        if last == before.sequence() {
            // A conflict with nothing new there: the replica that answered lags behind.
            patience.wait(None).await?;
            return Ok(before);
        }
        self.alarm(subject, last);
        Ok(Expect::Sequence(last))
    }

    /// Waits until the view has folded everything that the stream's leader has now.
    pub(super) async fn catch_up(&self, subject: &Subject, deadline: Instant) -> Result<(), JournalError> {
        let mut patience = self.patience(subject, deadline);
        let last = loop {
            match self.log.last_sequence().await {
                Ok(last) => break last,
                Err(error) => patience.wait(Some(error)).await?,
            }
        };
        self.reach(last, subject, deadline).await
    }

    async fn reach(&self, sequence: u64, subject: &Subject, deadline: Instant) -> Result<(), JournalError> {
        let unknown = || JournalError::Unknown {
            subject: subject.clone(),
            source: None,
        };
        let reached = tokio::time::timeout_at(deadline, self.view.reached(sequence)).await;
        reached.map_err(|_late| unknown())
    }
}
