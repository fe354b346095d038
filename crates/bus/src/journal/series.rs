//! Series: the next number, given the newest.

use attest::Claim;
use bytes::Bytes;
use tokio::time::Instant;

use super::{Journal, JournalError, Turn, Written};
use crate::subject::Series;
use crate::view::Fact;

impl Journal {
    /// Writes the next event of a series, if `evaluate` has one to write given the newest; evaluates again
    /// whenever somebody else was faster. Returns what is the newest in the end: `Ours` if we wrote it, `None`
    /// if there is none and nothing was to be written.
    ///
    /// For answers that `evaluate` makes out of the newest event alone: the header says that everything up to
    /// it was read. An answer that rests on more is written by [`Self::series_as_of`].
    ///
    /// # Errors
    /// As [`Self::once`].
    pub async fn series<C, F>(
        &self,
        series: &Series,
        traceparent: &str,
        evaluate: F,
    ) -> Result<Option<Written>, JournalError>
    where
        C: Claim + Sync,
        F: Fn(Turn<'_>) -> Option<C> + Send + Sync,
    {
        self.next(series, traceparent, None, evaluate).await
    }

    /// As [`Self::series`], for an answer that was made from a reading of the log: `as_of` is the view's
    /// cursor as it was *before* the first of what the answer rests on was read, and goes into the header.
    ///
    /// Where the newest event was made from a newer reading, nothing is published and it is returned
    /// (`Theirs`), whatever `evaluate` would say: who is slow never overrules who knew more.
    ///
    /// # Errors
    /// As [`Self::once`].
    pub async fn series_as_of<C, F>(
        &self,
        series: &Series,
        traceparent: &str,
        as_of: u64,
        evaluate: F,
    ) -> Result<Option<Written>, JournalError>
    where
        C: Claim + Sync,
        F: Fn(Turn<'_>) -> Option<C> + Send + Sync,
    {
        self.next(series, traceparent, Some(as_of), evaluate).await
    }

    async fn next<C, F>(
        &self,
        series: &Series,
        traceparent: &str,
        as_of: Option<u64>,
        evaluate: F,
    ) -> Result<Option<Written>, JournalError>
    where
        C: Claim + Sync,
        F: Fn(Turn<'_>) -> Option<C> + Send + Sync,
    {
        let deadline = self.deadline();
        loop {
            self.catch_up(&series.at(1), deadline).await?;
            let cursor = self.view.cursor();
            let newest = self.view.latest(series).await?;
            let read = as_of.unwrap_or(cursor);
            if as_of.is_some() && newest.as_ref().is_some_and(|newest| reading_of(newest) > read) {
                return Ok(newest.map(Written::Theirs));
            }
            let n = after(newest.as_ref());
            let Some(claim) = evaluate(Turn {
                newest: newest.as_ref(),
                n,
                as_of: read,
            }) else {
                return Ok(newest.map(Written::Theirs));
            };
            let subject = series.at(n);
            let payload = self.sign(&subject, &claim, (traceparent, read))?;
            match self.settle(&subject, payload, Some(traceparent), deadline).await {
                Ok(Written::Ours(fact)) => return Ok(Some(Written::Ours(fact))),
                // Somebody was faster, or what we built on moved: evaluate again.
                Ok(Written::Theirs(_)) | Err(JournalError::Lapsed { .. }) => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= deadline {
                return Err(JournalError::Unknown {
                    subject,
                    source: None,
                });
            }
        }
    }

    /// Writes an agent's envelope as the next of a series. The same envelope as the newest is not written
    /// twice.
    ///
    /// # Errors
    /// As [`Self::once`]; an envelope whose time is not later than the newest is void.
    pub async fn publish_next(
        &self,
        series: &Series,
        envelope: Bytes,
        traceparent: Option<&str>,
    ) -> Result<Written, JournalError> {
        let deadline = self.deadline();
        loop {
            self.catch_up(&series.at(1), deadline).await?;
            let newest = self.view.latest(series).await?;
            let n = after(newest.as_ref());
            if let Some(fact) = newest.filter(|fact| fact.envelope == envelope) {
                return Ok(Written::Ours(fact));
            }
            let subject = series.at(n);
            match self
                .settle(&subject, envelope.clone(), traceparent, deadline)
                .await?
            {
                Written::Theirs(_) if Instant::now() < deadline => {}
                written => return Ok(written),
            }
        }
    }
}

fn after(newest: Option<&Fact>) -> u64 {
    newest.map_or(1, |fact| fact.subject.n().saturating_add(1))
}

/// Up to where the maker of an event had read.
fn reading_of(fact: &Fact) -> u64 {
    // A fact was judged, and without a header it would not count.
    fact.statement.header().map_or(0, |header| header.as_of)
}
