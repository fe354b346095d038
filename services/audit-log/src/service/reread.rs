//! Reading again what was confirmed: does the stream still say what it said, and is our own copy as it was?
//!
//! Each pass asks for the disputed sequences and a few more, going round the whole ledger and starting
//! anywhere. A flipped bit on disk can make JetStream lose a message silently; this is what sees it.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use domain::Digest;
use jiff::Timestamp;
use runtime::Shutdown;

use super::soundness::Problem;
use super::{Progress, Shared};
use crate::ledger::LedgerError;

/// Sequences that one pass reads besides the disputed ones.
const SEQUENCES: u64 = 256;

impl Progress {
    /// Takes in what ledger and stream hold now; no `last` where the stream did not answer.
    fn see(&mut self, held: u64, last: Option<u64>, now: Timestamp) {
        while self.due.front().is_some_and(|(_, due)| *due <= held) {
            self.due.pop_front();
        }
        let Some(last) = last else { return };
        self.answered = now;
        let known = self.due.back().map_or(held, |(_, due)| *due);
        if last > known {
            self.due.push_back((now, last));
        }
    }
}

impl Shared {
    /// Reads again until the stop.
    pub(super) async fn reread(&self, shutdown: &Shutdown) {
        // Anywhere: two services that start together, or one that restarts often, see different parts.
        let mut next = self.clock.now().subsec_nanosecond().unsigned_abs().into();
        loop {
            match self.reread_once(next).await {
                Ok(after) => next = after,
                Err(error) => {
                    tracing::warn!(
                        error = runtime::errors::chain(&error),
                        "reading the ledger again failed"
                    );
                }
            }
            if !self.pause(self.pace.reread, shutdown).await {
                return;
            }
        }
    }

    /// One pass from this sequence on (modulo the ledger's size); returns where the next one goes on.
    pub(super) async fn reread_once(&self, from: u64) -> Result<u64, LedgerError> {
        self.compare_stream().await?;
        let disputed: BTreeSet<u64> = self.soundness.now().disputed.into_keys().collect();
        for sequence in &disputed {
            self.compare(*sequence).await?;
        }
        let size = self.ledger.head().await.size;
        if size == 0 {
            return Ok(from);
        }
        let count = SEQUENCES.min(size);
        for offset in 0..count {
            let sequence = from.wrapping_add(offset) % size + 1;
            if !disputed.contains(&sequence) {
                self.compare(sequence).await?;
            }
        }
        Ok((from % size) + count)
    }

    /// Compares what can be said of the stream as a whole.
    async fn compare_stream(&self) -> Result<(), LedgerError> {
        // First the ledger's size: the stream only grows.
        let held = self.ledger.head().await.size;
        let answer = match (self.log.created().await, self.log.last_sequence().await) {
            (Ok(created), Ok(last)) => Some((created, last)),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(
                    error = runtime::errors::chain(&error),
                    "asking for the stream failed"
                );
                None
            }
        };
        let late = self.is_late(held, answer.map(|(_, last)| last));
        let problem = match (answer, self.ledger.stream_created().await?) {
            (None, _) if late => Some(Problem::Unread),
            (None, _) => return Ok(()),
            (Some((found, _)), Some(held)) if held != found => Some(Problem::Recreated { held, found }),
            (Some((_, last)), _) if last < held => Some(Problem::Shortened { held, last }),
            (Some((_, last)), _) if late => Some(Problem::Behind { held, last }),
            (Some(_), _) => None,
        };
        self.soundness.update(|state| state.stream = problem);
        Ok(())
    }

    /// When the stream last answered what it holds; the start of the service where it has not yet.
    pub(super) fn compared(&self) -> Timestamp {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.answered
    }

    /// Whether for a while the stream has not answered, or has held what the ledger still does not. A ledger
    /// that grows is late all the same if what it gets is old.
    fn is_late(&self, held: u64, last: Option<u64>) -> bool {
        let now = self.clock.now();
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.see(held, last, now);
        let late = |since: Timestamp| now.duration_since(since).unsigned_abs() > self.pace.lag;
        late(progress.answered) || progress.due.front().is_some_and(|(seen, _)| late(*seen))
    }

    /// Compares one sequence.
    async fn compare(&self, sequence: u64) -> Result<(), LedgerError> {
        let Some(leaf) = self.ledger.leaf(sequence).await? else {
            return self.dispute(sequence, "own leaf is missing").await;
        };
        let stored = match self.log.get(sequence).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(
                    sequence,
                    error = runtime::errors::chain(&error),
                    "reading again failed"
                );
                return Ok(());
            }
        };
        let found = match stored {
            // Perhaps a replica that lags; the next pass asks again.
            None => Some("the stream has no such sequence".to_owned()),
            Some(stored) if stored.subject != leaf.subject => Some(format!("subject {}", stored.subject)),
            Some(stored) => {
                let digest = Digest::of(&stored.payload);
                (digest != leaf.payload).then(|| format!("payload {digest}"))
            }
        };
        let found = match found {
            None if !self.ledger.is_intact(&leaf).await? => Some("own copy is damaged".to_owned()),
            other => other,
        };
        match found {
            Some(found) => self.dispute(sequence, &found).await,
            None if self.soundness.now().disputed.contains_key(&sequence) => {
                self.ledger.settle(sequence).await?;
                self.soundness.update(|state| {
                    state.disputed.remove(&sequence);
                });
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Remembers a dispute, across restarts as well.
    pub(super) async fn dispute(&self, sequence: u64, found: &str) -> Result<(), LedgerError> {
        self.soundness.update(|state| {
            state.disputed.insert(sequence, found.to_owned());
        });
        self.ledger.dispute(sequence, found).await
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_ledger_that_grows_is_late_all_the_same() {
        let second = |n: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(n);
        let mut progress = Progress {
            due: [].into(),
            answered: second(0),
        };
        // Ten events a second come, five a second reach the ledger: each look sees it grow.
        for n in 1..=60_i64 {
            let stream = u64::try_from(n).unwrap() * 10;
            progress.see(stream / 2, Some(stream), second(n));
        }
        // What it lacks for the longest time is from half a minute ago.
        assert_eq!(progress.due.front(), Some(&(second(31), 310)));
        // No answer changes nothing of that; once everything is there, nothing is due.
        progress.see(305, None, second(61));
        assert_eq!(progress.due.front(), Some(&(second(31), 310)));
        assert_eq!(progress.answered, second(60));
        progress.see(600, Some(600), second(62));
        assert!(progress.due.is_empty());
    }
}
