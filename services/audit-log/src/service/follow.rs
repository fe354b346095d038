//! Following the stream: every event becomes a leaf, in order, without a hole.
//!
//! A gap, another stream or other bytes end the following; it is tried again from the cursor, so that what
//! was a passing fault heals by itself and what is none stays unconfirmed for ever.

use futures::StreamExt as _;
use jiff::Timestamp;

use bus::log::{LogError, Stored};
use runtime::Shutdown;

use super::Shared;
use super::soundness::Problem;
use crate::describe::event;
use crate::ledger::LedgerError;

/// Events that are appended in one transaction.
const BATCH: usize = 256;

/// Why following ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
    #[error("stream can't be confirmed any further")]
    Problem(Problem),
    #[error("reading the stream")]
    Log(#[from] LogError),
    #[error("appending to the ledger")]
    Ledger(#[from] LedgerError),
    #[error("tail of the stream ended")]
    Ended,
}

impl Shared {
    /// Follows until the stop.
    pub(super) async fn follow(&self, shutdown: &Shutdown) {
        loop {
            let ended = tokio::select! {
                () = shutdown.requested() => return,
                ended = self.follow_once() => ended,
            };
            self.note_end(&ended);
            if !self.pause(self.pace.retry, shutdown).await {
                return;
            }
        }
    }

    fn note_end(&self, ended: &FollowError) {
        tracing::warn!(
            error = runtime::errors::chain(ended),
            "following the stream ended, trying again"
        );
        let problem = match ended {
            FollowError::Problem(problem) => problem.clone(),
            FollowError::Ledger(LedgerError::Recreated { held, found }) => Problem::Recreated {
                held: *held,
                found: *found,
            },
            FollowError::Ledger(LedgerError::Gap { expected, found }) => Problem::Gap {
                expected: *expected,
                found: *found,
            },
            // Stands among the disputes, until it was read again and found right.
            FollowError::Ledger(LedgerError::Changed { .. }) => return,
            FollowError::Ledger(_) => Problem::Unwritten,
            // The stream can't be reached. Statuses go on and may be sound: what is wrong is for
            // `compare_stream` to say, which finds within `Pace::lag` that the stream does not answer, or that
            // it holds what is not here.
            FollowError::Log(_) | FollowError::Ended => return,
        };
        self.soundness.update(|state| state.following = Some(problem));
    }

    /// Follows until something is wrong, and says what.
    pub(super) async fn follow_once(&self) -> FollowError {
        match self.follow_tail().await {
            Ok(()) => FollowError::Ended,
            Err(error) => error,
        }
    }

    async fn follow_tail(&self) -> Result<(), FollowError> {
        let created = self.same_stream().await?;
        let from = self.ledger.head().await.size + 1;
        // No filter: the stream is the ledger's whole subject, and a filter would look like gaps.
        let tail = self.log.tail(from, Vec::new()).await?;
        let mut batches = tail.ready_chunks(BATCH);
        // Sound is who has caught up with what was there at the beginning.
        let goal = self.log.last_sequence().await?;
        if goal < from {
            self.soundness.update(|state| state.following = None);
        }
        while let Some(batch) = batches.next().await {
            // After the batch was received: what came from another stream is never appended.
            let found = self.same_stream().await?;
            if found != created {
                return Err(FollowError::Problem(Problem::Recreated { held: created, found }));
            }
            self.append(created, goal, batch).await?;
        }
        Ok(())
    }

    /// The stream's creation time, if it is the stream that the ledger follows.
    async fn same_stream(&self) -> Result<Timestamp, FollowError> {
        let found = self.log.created().await?;
        match self.ledger.stream_created().await? {
            Some(held) if held != found => Err(FollowError::Problem(Problem::Recreated { held, found })),
            Some(_) | None => {
                self.soundness.update(|state| state.created = Some(found));
                Ok(found)
            }
        }
    }

    /// Appends a batch up to its first gap. The ledger has caught up once it holds `goal`.
    async fn append(
        &self,
        created: Timestamp,
        goal: u64,
        batch: Vec<Result<Stored, LogError>>,
    ) -> Result<(), FollowError> {
        let mut next = self.ledger.head().await.size + 1;
        let mut events = Vec::with_capacity(batch.len());
        let mut wrong = None;
        for stored in batch {
            match stored {
                Ok(stored) if stored.sequence > next => {
                    let problem = Problem::Gap {
                        expected: next,
                        found: stored.sequence,
                    };
                    wrong = Some(FollowError::Problem(problem));
                    break;
                }
                Ok(stored) => {
                    next = next.max(stored.sequence + 1);
                    events.push(event(stored));
                }
                Err(error) => {
                    // The tail goes on by itself; what it left out shows as a gap.
                    tracing::warn!(error = runtime::errors::chain(&error), "reading an event failed");
                }
            }
        }
        match self.ledger.append(created, &events).await {
            Err(LedgerError::Changed { sequence }) => {
                self.dispute(sequence, "the stream sent it again with other bytes")
                    .await?;
                return Err(LedgerError::Changed { sequence }.into());
            }
            result => result?,
        };
        let held = self.ledger.head().await.size;
        let caught_up = wrong.is_none() && held >= goal;
        self.soundness.update(|state| {
            state.held = held;
            if caught_up {
                state.following = None;
            }
        });
        wrong.map_or(Ok(()), Err)
    }
}
