//! One thing at a time: a replica that wants something of the log waits until it is its turn.
//!
//! Replicas run as tasks of their own, as in a process. Whatever one of them does between two operations on the
//! log happens while all others stand still, so the course of everything follows from the order of turns alone, and
//! that follows from the seed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bus::Subject;
use bus::buckets::Values;
use bus::log::{Appended, EventLog, Expect, LogError, Stored, Tail};
use bytes::Bytes;
use domain::Digest;
use hub::{LedgerState, ledger};
use jiff::Timestamp;
use runtime::Clock;
use testkit::log::{Dice, Faulty};
use tokio::sync::{mpsc, oneshot};

use crate::fixture::Fixture;

/// What a replica tells.
#[derive(Debug)]
pub(crate) enum Told {
    /// It waits for its turn.
    Waits(Ask),
    /// Its step is over.
    Done(usize),
    /// It was to die, and what it did before has happened.
    Died(usize),
}

/// A replica that waits.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The replica.
    pub(crate) replica: usize,
    /// What it wants.
    pub(crate) what: String,
    go: oneshot::Sender<Verdict>,
}

impl Ask {
    /// Lets it go on.
    pub(crate) fn answer(self, verdict: Verdict) {
        // A replica that is gone needs no answer.
        let _gone = self.go.send(verdict);
    }
}

/// What becomes of a replica that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It does what it wanted to.
    Go,
    /// It dies before that.
    DieBefore,
    /// It dies before it hears what came of it.
    DieAfter,
}

/// Who published what, and what was known when that was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Author {
    /// The replica.
    pub(crate) replica: usize,
    /// Whether the ledger was sure when the replica asked for the last time.
    pub(crate) ledger_sure: bool,
    /// Up to where its view had come then: what it decided rests on that, or on less.
    pub(crate) read: u64,
}

/// What all replicas' ways to the log share.
#[derive(Debug)]
pub(crate) struct Book {
    /// Authors by subject and digest of what they published: an agent's envelope binds no subject.
    authors: Mutex<BTreeMap<(String, Digest), Author>>,
    /// The bucket with the true status of the ledger.
    pub(crate) status: Values,
    /// The time.
    pub(crate) clock: Clock,
}

impl Book {
    /// An empty one.
    #[must_use]
    pub(crate) const fn new(status: Values, clock: Clock) -> Self {
        Self {
            authors: Mutex::new(BTreeMap::new()),
            status,
            clock,
        }
    }

    /// Who published these bytes under this subject.
    pub(crate) fn author(&self, subject: &str, payload: &[u8]) -> Option<Author> {
        let authors = self.authors.lock().unwrap_or_else(PoisonError::into_inner);
        authors.get(&(subject.to_owned(), Digest::of(payload))).copied()
    }

    /// Whether the ledger is sure now.
    pub(crate) async fn ledger_is_sure(&self, created: Timestamp) -> bool {
        let entry = self.status.get(ledger::KEY).await.ok().flatten();
        let envelope = entry.as_ref().map(|entry| entry.value.as_ref());
        let trust = Fixture::get().trust();
        LedgerState::judge(envelope, &trust, created, self.clock.now()) == LedgerState::Confirmed
    }

    fn note(&self, (subject, payload): (&Subject, &[u8]), author: Author) {
        let mut authors = self.authors.lock().unwrap_or_else(PoisonError::into_inner);
        authors.insert((subject.to_string(), Digest::of(payload)), author);
    }
}

/// A replica's way to the log.
pub(crate) struct Turns {
    /// The log, as far as a bug of this replica leaves it alone.
    pub(crate) log: Arc<dyn EventLog>,
    /// What the replica's view is shown by.
    pub(crate) shown: Arc<Faulty>,
    /// The replica.
    pub(crate) replica: usize,
    /// Where it says that it waits.
    pub(crate) told: mpsc::UnboundedSender<Told>,
    /// What all share.
    pub(crate) book: Arc<Book>,
    /// What it found when it last asked about the ledger.
    pub(crate) ledger_sure: AtomicBool,
    /// Up to where its view had come then.
    pub(crate) read: AtomicU64,
    /// Chance: how often asking about the ledger takes a turn, in which its view may move on.
    pub(crate) dice: Dice,
}

/// So many times in a thousand.
const PAUSES: u64 = 100;

impl Turns {
    async fn turn<T: Send>(&self, what: String, act: impl Future<Output = T> + Send) -> T {
        let (go, went) = oneshot::channel();
        let ask = Ask {
            replica: self.replica,
            what,
            go,
        };
        let told = self.told.send(Told::Waits(ask));
        match went.await {
            Ok(Verdict::Go) if told.is_ok() => return act.await,
            Ok(Verdict::DieAfter) => {
                act.await;
            }
            Ok(Verdict::Go | Verdict::DieBefore) | Err(_) => {}
        }
        let _gone = self.told.send(Told::Died(self.replica));
        std::future::pending().await
    }
}

#[async_trait]
impl EventLog for Turns {
    async fn append(
        &self,
        subject: &Subject,
        payload: Bytes,
        traceparent: Option<&str>,
        expect: Expect,
    ) -> Result<Appended, LogError> {
        let author = Author {
            replica: self.replica,
            ledger_sure: self.ledger_sure.load(Ordering::Relaxed),
            read: self.read.load(Ordering::Relaxed),
        };
        self.book.note((subject, &payload), author);
        let what = format!("append {subject} {expect:?}");
        let act = self.log.append(subject, payload, traceparent, expect);
        let appended = self.turn(what, act).await;
        if let Ok(Appended::Stored(sequence)) = appended {
            self.shown.show(sequence);
        }
        appended
    }

    async fn first_after(&self, subject: &str, after: u64) -> Result<Option<Stored>, LogError> {
        let act = self.log.first_after(subject, after);
        self.turn(format!("read {subject} after {after}"), act).await
    }

    async fn get(&self, sequence: u64) -> Result<Option<Stored>, LogError> {
        self.turn(format!("read {sequence}"), self.log.get(sequence))
            .await
    }

    async fn last_sequence(&self) -> Result<u64, LogError> {
        let last = self
            .turn("ask for the last sequence".to_owned(), self.log.last_sequence())
            .await?;
        // Whoever asks waits until its view has come so far.
        self.shown.show(last);
        Ok(last)
    }

    async fn created(&self) -> Result<Timestamp, LogError> {
        // Before others move: what was decided so far rests on this.
        self.read.store(self.shown.shown(), Ordering::Relaxed);
        if self.dice.happens(PAUSES) {
            self.turn("ask about the ledger".to_owned(), std::future::ready(()))
                .await;
        }
        let created = self.log.created().await?;
        let sure = self.book.ledger_is_sure(created).await;
        self.ledger_sure.store(sure, Ordering::Relaxed);
        Ok(created)
    }

    async fn tail(&self, from: u64, filters: Vec<String>) -> Result<Tail, LogError> {
        self.log.tail(from, filters).await
    }
}

/// The log as a replica's view follows it: without turns, up to where it is shown.
pub(crate) struct Shown {
    /// The log, as far as a bug of this replica leaves it alone.
    pub(crate) log: Arc<dyn EventLog>,
    /// Up to where.
    pub(crate) shown: Arc<Faulty>,
}

#[async_trait]
impl EventLog for Shown {
    async fn append(
        &self,
        subject: &Subject,
        payload: Bytes,
        traceparent: Option<&str>,
        expect: Expect,
    ) -> Result<Appended, LogError> {
        self.log.append(subject, payload, traceparent, expect).await
    }

    async fn first_after(&self, subject: &str, after: u64) -> Result<Option<Stored>, LogError> {
        self.log.first_after(subject, after).await
    }

    async fn get(&self, sequence: u64) -> Result<Option<Stored>, LogError> {
        self.log.get(sequence).await
    }

    async fn last_sequence(&self) -> Result<u64, LogError> {
        Ok(self.shown.shown())
    }

    async fn created(&self) -> Result<Timestamp, LogError> {
        self.log.created().await
    }

    async fn tail(&self, from: u64, filters: Vec<String>) -> Result<Tail, LogError> {
        self.log.tail(from, filters).await
    }
}
