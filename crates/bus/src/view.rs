//! The projection that every service reads: for each subject the first valid event, in SQLite.
//!
//! - Events and the cursor are written in one transaction, so the view is always that of one sequence.
//! - Every view folds every event: what is valid depends on other subjects (members, summaries, bundles), so
//!   two views with different filters could disagree.
//! - Another stream (its creation time), another bundle or another set of rules means that everything is
//!   judged again. That happens in one transaction too: readers see the view of before or of after.
//! - What is in the file can be deleted at any time. Nothing is born here.

use std::path::Path;
use std::sync::Arc;

use attest::{Claim, ClaimError, Statement, Trust};
use bytes::Bytes;
use domain::Digest;
use domain::assignment::StatementRef;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::judge::{Invalid, Judge, Known};
use crate::log::{LogError, Stored};
use crate::subject::{Area, Series, Subject};

mod fold;
mod follow;
mod newest;
mod store;

pub use newest::Newest;
use store::Store;

/// A valid event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Where it stands.
    pub subject: Subject,
    /// Its place on the stream.
    pub sequence: u64,
    /// When the server stored it.
    pub time: Timestamp,
    /// The trace context of its publisher.
    pub traceparent: Option<String>,
    /// The bytes as stored: an envelope, or the bare statement of a hint.
    pub envelope: Bytes,
    /// The statement inside.
    pub statement: Statement,
}

impl Fact {
    /// The claim.
    ///
    /// # Errors
    /// If the statement makes another kind of claim.
    pub fn claim<C: Claim>(&self) -> Result<C, ClaimError> {
        self.statement.claim()
    }

    /// SHA-256 of the bytes: how statements name each other.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.envelope)
    }

    /// How statements name it: its subject with [`Self::digest`].
    #[must_use]
    pub fn reference(&self) -> StatementRef {
        StatementRef {
            subject: self.subject.to_string(),
            digest: self.digest(),
        }
    }
}

/// Why the view can't be read or moved on.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// SQLite failed.
    #[error("{operation} the view")]
    Database {
        /// What was done.
        operation: &'static str,
        /// What SQLite said.
        #[source]
        source: sqlx::Error,
    },
    /// No folder for a view without a path.
    #[error("making a temporary folder for the view")]
    Folder(#[source] std::io::Error),
    /// The log gave no answer.
    #[error("following the log")]
    Log(#[from] LogError),
    /// The log fell silent while everything was judged again.
    #[error("judging the log again: nothing came after sequence {after}, though {wanted} was seen")]
    Silent {
        /// The last event that came.
        after: u64,
        /// The event waited for.
        wanted: u64,
    },
    /// A row that this code cannot have written.
    #[error("row {sequence} of the view is damaged: delete the file, it is rebuilt")]
    Damaged {
        /// Its sequence.
        sequence: u64,
    },
}

impl ViewError {
    /// Whether doing the same again can help.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Log(error) => error.retryable(),
            Self::Database { source, .. } => !matches!(source, sqlx::Error::PoolClosed),
            Self::Silent { .. } => true,
            Self::Folder(_) | Self::Damaged { .. } => false,
        }
    }
}

/// The view. Clones share it.
#[derive(Debug, Clone)]
pub struct View {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    judge: Judge,
    trust: watch::Sender<Arc<Trust>>,
    cursor: watch::Sender<u64>,
}

impl View {
    /// Opens or makes the view in this file; without a path in a temporary one. The trust is the judge's, or
    /// that of the newest bundle folded before, whichever has the higher version.
    ///
    /// # Errors
    /// If the file can't be opened or written.
    pub async fn open(path: Option<&Path>, judge: Judge) -> Result<Self, ViewError> {
        let store = Store::open(path).await?;
        let trust = Arc::new(store.newest_trust(judge.trust()).await?);
        let cursor = store.cursor().await?;
        let inner = Inner {
            store,
            judge,
            trust: watch::Sender::new(trust),
            cursor: watch::Sender::new(cursor),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The trust that events are judged under.
    #[must_use]
    pub fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.inner.trust.borrow())
    }

    /// The sequence up to which everything is folded.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        *self.inner.cursor.borrow()
    }

    /// Waits until everything up to this sequence is folded. Never returns where nobody runs
    /// [`Self::run`] or the log is out of reach: callers put a time-out around it.
    pub async fn reached(&self, sequence: u64) {
        let mut cursor = self.changed();
        // The sender lives in `self`, so waiting cannot fail.
        let _reached = cursor.wait_for(|cursor| *cursor >= sequence).await;
    }

    /// The cursor, to wait for changes of.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.inner.cursor.subscribe()
    }

    /// Whether these bytes would count under this subject if they were stored next, and what they say.
    ///
    /// # Errors
    /// If the view can't be read. The inner result says why they would not count.
    pub async fn examine(
        &self,
        subject: &Subject,
        payload: &Bytes,
    ) -> Result<Result<Statement, Invalid>, ViewError> {
        let (subject, rule) = match Judge::name(&subject.to_string()) {
            Ok(named) => named,
            Err(invalid) => return Ok(Err(invalid)),
        };
        let needs = Judge::needs(&subject, &rule);
        let mut known = Known::default();
        if let Some(needed) = needs.predecessor {
            known.predecessor = self.get(&needed).await?;
        }
        if let Some(series) = needs.member {
            known.member = self.latest(&series).await?;
        }
        let event = Stored {
            sequence: self.cursor().saturating_add(1),
            subject: subject.to_string(),
            payload: payload.clone(),
            time: Timestamp::UNIX_EPOCH,
            traceparent: None,
        };
        Ok(self
            .inner
            .judge
            .decide(&self.trust(), (&subject, &rule), &event, &known))
    }

    /// The valid event of a subject.
    ///
    /// # Errors
    /// If the view can't be read; so with every reading below.
    pub async fn get(&self, subject: &Subject) -> Result<Option<Fact>, ViewError> {
        self.inner.store.get(subject).await
    }

    /// The valid event with this stream sequence.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn at(&self, sequence: u64) -> Result<Option<Fact>, ViewError> {
        self.inner.store.at(sequence).await
    }

    /// The newest valid event of a series.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn latest(&self, series: &Series) -> Result<Option<Fact>, ViewError> {
        self.inner.store.latest(series).await
    }

    /// Every valid event of a series, oldest first.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn series(&self, series: &Series) -> Result<Vec<Fact>, ViewError> {
        self.inner.store.series(series).await
    }

    /// The newest valid event of each workflow that has this step.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn list(&self, area: Area, step: &str) -> Result<Vec<Fact>, ViewError> {
        self.inner.store.list(area, step).await
    }

    /// Every valid event with this step, in stream order.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn all_of(&self, area: Area, step: &str) -> Result<Vec<Fact>, ViewError> {
        self.inner.store.all_of(area, step).await
    }

    /// Every valid event of a workflow whose step begins with this, in stream order; of all its steps where
    /// the prefix is empty.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn steps(&self, area: Area, workflow: &str, prefix: &str) -> Result<Vec<Fact>, ViewError> {
        self.inner.store.steps(area, workflow, prefix).await
    }

    /// Valid events after this sequence, in stream order, at most `limit`: for watchers, whose resume tokens
    /// are sequences.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn after(&self, sequence: u64, limit: u32) -> Result<Vec<Fact>, ViewError> {
        self.inner.store.after(sequence, limit).await
    }

    /// Which making of the view this is. Where everything is judged from the beginning, for another stream or under
    /// another bundle, it is another one, and what was read before may not be there any more. What is read between
    /// two equal answers is of that making.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn making(&self) -> Result<u64, ViewError> {
        self.inner.store.making().await
    }

    /// The sequence up to which everything is folded, as the file has it: of the same making as what is read from it.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn folded_to(&self) -> Result<u64, ViewError> {
        self.inner.store.cursor().await
    }

    /// Why the newest invalid event of a subject does not count.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn why_invalid(&self, subject: &Subject) -> Result<Option<String>, ViewError> {
        self.inner.store.why_invalid(subject).await
    }

    /// How many invalid events are remembered (at most the last thousand).
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn invalid_count(&self) -> Result<u64, ViewError> {
        self.inner.store.invalid_count().await
    }
}

#[cfg(test)]
mod tests;
