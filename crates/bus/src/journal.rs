//! The one way to write to the log.
//!
//! - Everything is published with an expectation and read back; what counts is what the view says afterwards.
//! - A publish error means "unknown": the same is tried again with the same expectation until the answer is
//!   definite or patience ends.
//! - Where all stored events of the subject are invalid, ours goes over the last of them, with an alarm.
//! - Nothing is published that would not count: it is judged first.
//! - Nothing that was made from an older reading goes after what was made from a newer one
//!   ([`Journal::series_as_of`]).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use attest::{Claim, ClaimError, Header, Role, SigningKey, Statement, claim};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::judge::Invalid;
use crate::log::{Appended, EventLog, Expect, LogError};
use crate::subject::Subject;
use crate::view::{Fact, View, ViewError};

/// How long a write tries by default before it says that it does not know.
pub const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Where the time of a statement comes from.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What stands under the subject now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// What we published.
    Ours(Fact),
    /// Somebody else's (or our own, from an earlier life): go on with it.
    Theirs(Fact),
}

impl Written {
    /// The event that counts, whoever's it is.
    #[must_use]
    pub fn fact(&self) -> &Fact {
        match self {
            Self::Ours(fact) | Self::Theirs(fact) => fact,
        }
    }

    /// The event that counts, whoever's it is.
    #[must_use]
    pub fn into_fact(self) -> Fact {
        match self {
            Self::Ours(fact) | Self::Theirs(fact) => fact,
        }
    }
}

/// What an evaluation for a series may build on.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// The newest valid event of the series.
    pub newest: Option<&'a Fact>,
    /// The number that the answer would get.
    pub n: u64,
    /// The sequence up to which the answer's maker has read; goes into the header.
    pub as_of: u64,
}

/// Why nothing definite was written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Patience ended before the log gave a definite answer. The event may be stored, or land later.
    #[error("writing {subject}: no definite answer in time")]
    Unknown {
        /// The subject.
        subject: Subject,
        /// The last thing that went wrong.
        #[source]
        source: Option<LogError>,
    },
    /// The log refused for good.
    #[error("writing {subject}")]
    Refused {
        /// The subject.
        subject: Subject,
        /// Why.
        #[source]
        source: LogError,
    },
    /// It would not count, so it was not published.
    #[error("{subject} would not count")]
    Void {
        /// The subject.
        subject: Subject,
        /// Why not.
        #[source]
        source: Box<Invalid>,
    },
    /// It was published and does not count: what it builds on changed in between, or the key was retired.
    #[error("{subject} was stored at {sequence}, but does not count; the view says why")]
    Lapsed {
        /// The subject.
        subject: Subject,
        /// Where it stands.
        sequence: u64,
    },
    /// The claim could not be signed.
    #[error("signing a statement for {subject}")]
    Sign {
        /// The subject.
        subject: Subject,
        /// Why.
        #[source]
        source: ClaimError,
    },
    /// The view can't be read.
    #[error("reading the view")]
    View(#[from] ViewError),
}

impl JournalError {
    /// Whether doing the same again can help.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::Lapsed { .. } => true,
            Self::Refused { source, .. } => source.retryable(),
            Self::View(error) => error.retryable(),
            Self::Void { .. } | Self::Sign { .. } => false,
        }
    }
}

/// Writes statements of one service.
#[derive(Clone)]
pub struct Journal {
    log: Arc<dyn EventLog>,
    view: View,
    key: Arc<SigningKey>,
    now: Now,
    patience: Duration,
    first_pause: Duration,
    alarms: Arc<AtomicU64>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// A journal that signs with this key. The view must be running, on the same log.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, view: View, key: Arc<SigningKey>, now: Now) -> Self {
        Self {
            log,
            view,
            key,
            now,
            patience: PATIENCE,
            first_pause: FIRST_PAUSE,
            alarms: Arc::default(),
        }
    }

    /// With another patience than [`PATIENCE`].
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// With another pause before the second try than usual; each further pause is twice as long.
    #[must_use]
    pub fn with_first_pause(self, first_pause: Duration) -> Self {
        Self { first_pause, ..self }
    }

    /// The view that it writes by.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// Whether this event has to be said again: the key that signed it does not act any more (retired,
    /// revoked, expired), and ours does.
    #[must_use]
    pub fn is_orphaned(&self, fact: &Fact, role: Role) -> bool {
        let (trust, now) = (self.view.trust(), (self.now)());
        let acting = trust.acting(&fact.envelope, role, &fact.subject.to_string(), now);
        acting.is_err() && self.acts(role)
    }

    /// Whether what our key signs is acted upon now, in this role.
    #[must_use]
    pub fn acts(&self, role: Role) -> bool {
        #[derive(Serialize, Deserialize)]
        struct Probe {}
        impl Claim for Probe {
            const KIND: &'static str = "probe";
        }
        let now = (self.now)();
        // Never published: what it says is whether a signature by our key would be acted upon.
        let probe = claim::sign(&Header::published("probe", now, ""), &Probe {}, &self.key);
        probe.is_ok_and(|probe| {
            let acting = self.view.trust().acting(&probe.to_bytes(), role, "probe", now);
            acting.is_ok()
        })
    }

    /// How often an invalid event stood in the way: somebody publishes under our names.
    #[must_use]
    pub fn alarms(&self) -> u64 {
        self.alarms.load(Ordering::Relaxed)
    }

    /// Signs a claim and writes it under a subject that is written once: an attempt, a step of a rollout.
    ///
    /// # Errors
    /// If there is no definite answer in time, or the statement would not count.
    pub async fn once<C: Claim + Sync>(
        &self,
        subject: &Subject,
        claim: &C,
        traceparent: &str,
    ) -> Result<Written, JournalError> {
        let payload = self.sign(subject, claim, (traceparent, self.view.cursor()))?;
        self.settle(subject, payload, Some(traceparent), self.deadline())
            .await
    }

    /// Writes an envelope that somebody else signed (an agent, the root key) under this subject.
    ///
    /// # Errors
    /// As [`Self::once`].
    pub async fn publish_envelope(
        &self,
        subject: &Subject,
        envelope: Bytes,
        traceparent: Option<&str>,
    ) -> Result<Written, JournalError> {
        let deadline = self.deadline();
        self.catch_up(subject, deadline).await?;
        self.settle(subject, envelope, traceparent, deadline).await
    }

    /// Writes a hint: a bare statement, signed by nobody.
    ///
    /// # Errors
    /// As [`Self::once`].
    pub async fn publish_hint<C: Claim + Sync>(
        &self,
        subject: &Subject,
        claim: &C,
        traceparent: &str,
    ) -> Result<Written, JournalError> {
        let header = Header::published(subject.to_string(), (self.now)(), traceparent);
        let statement = claim::statement(&header, claim).map_err(|source| JournalError::Sign {
            subject: subject.clone(),
            source,
        })?;
        self.publish_statement(subject, &statement, Some(traceparent))
            .await
    }

    /// As [`Self::publish_hint`], for a statement that is ready.
    ///
    /// # Errors
    /// As [`Self::once`].
    pub async fn publish_statement(
        &self,
        subject: &Subject,
        statement: &Statement,
        traceparent: Option<&str>,
    ) -> Result<Written, JournalError> {
        self.settle(subject, statement.to_bytes().into(), traceparent, self.deadline())
            .await
    }

    /// Signs a claim for a subject.
    fn sign<C: Claim>(
        &self,
        subject: &Subject,
        claim: &C,
        (traceparent, as_of): (&str, u64),
    ) -> Result<Bytes, JournalError> {
        let header = Header::published(subject.to_string(), (self.now)(), traceparent).as_of(as_of);
        match claim::sign(&header, claim, &self.key) {
            Ok(envelope) => Ok(envelope.to_bytes().into()),
            Err(source) => Err(JournalError::Sign {
                subject: subject.clone(),
                source,
            }),
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    fn alarm(&self, subject: &Subject, sequence: u64) {
        self.alarms.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            subject = %subject,
            sequence,
            "an invalid event stands under a subject of ours; publishing over it"
        );
    }
}

mod series;
mod settle;

#[cfg(test)]
mod tests;
