//! The bus in memory, with the semantics of the real one and switches for its failures: for tests of everything
//! that reads or writes it. The log passes the same contract as the one on JetStream, case by case
//! (`integration-tests`, `bus_contract`).
//!
//! It stands here, and `testkit` gives it on, because the unit tests of this crate need it: a `bus` that `testkit`
//! was built with would be another crate to them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::log::{Appended, EventLog, Expect, LogError, Stored, Tail};
use crate::subject::Subject;

mod blobs;
mod values;

pub use blobs::MemoryBlobs;
pub use values::MemoryValues;

/// As the server's `max_payload`.
const MAX_PAYLOAD: usize = 1024 * 1024;

/// How the next appends fail. Whichever it is, the publisher sees the same error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Not stored.
    Lost,
    /// Stored all the same.
    AnswerLost,
    /// On its way: it lands at [`MemoryLog::land`], if what it expects is still so by then.
    Late,
}

/// A publish that is still on its way.
#[derive(Debug)]
struct Publish {
    subject: String,
    payload: Bytes,
    traceparent: Option<String>,
    expect: Expect,
}

#[derive(Debug)]
struct Inner {
    created: Timestamp,
    events: Vec<Stored>,
    failures: Vec<Failure>,
    late: Vec<Publish>,
    /// So many reads are answered by a replica that has nothing of what they ask for.
    lagging: usize,
    stopped: bool,
    now: Timestamp,
}

/// What readers wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    events: u64,
    /// Streams that were deleted, and stops of the server: either ends a tail's consumer.
    ends: u64,
}

/// The log. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryLog {
    inner: Arc<Mutex<Inner>>,
    changed: watch::Sender<Change>,
}

impl MemoryLog {
    /// An empty log that was created at this time. Events get this time too, until [`Self::set_time`].
    #[must_use]
    pub fn new(created: Timestamp) -> Self {
        let inner = Inner {
            created,
            events: Vec::new(),
            failures: Vec::new(),
            late: Vec::new(),
            lagging: 0,
            stopped: false,
            now: created,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            changed: watch::Sender::new(Change { events: 0, ends: 0 }),
        }
    }

    /// The time that events get from now on.
    pub fn set_time(&self, now: Timestamp) {
        self.lock().now = now;
    }

    /// How the next appends fail, in order.
    pub fn fail_next(&self, failures: impl IntoIterator<Item = Failure>) {
        self.lock().failures.extend(failures);
    }

    /// The next so many reads are answered by a replica that has nothing of what they ask for. The leader, who
    /// takes publishes and knows the last sequence, does not lag.
    pub fn lag(&self, reads: usize) {
        self.lock().lagging = reads;
    }

    /// Lets everything land that is on its way, each with its own expectation; says how many were stored.
    pub fn land(&self) -> usize {
        let mut inner = self.lock();
        let mut landed = 0;
        for publish in std::mem::take(&mut inner.late) {
            if stands_at(&inner, &publish.subject) == publish.expect.sequence() {
                store(
                    &mut inner,
                    publish.subject,
                    publish.payload,
                    publish.traceparent.as_deref(),
                );
                landed += 1;
            }
        }
        self.tell(inner);
        landed
    }

    /// Stops the server, as kill -9 does: what is published meanwhile stays with the client, which hands it over
    /// when the server is there again.
    pub fn stop(&self) {
        let mut inner = self.lock();
        inner.stopped = true;
        drop(inner);
        self.changed.send_modify(|change| change.ends += 1);
    }

    /// Starts the server again; what clients kept lands.
    pub fn start(&self) {
        self.lock().stopped = false;
        self.land();
    }

    /// Stores bytes under any subject without any expectation, as whoever may publish can.
    pub fn inject(&self, subject: impl Into<String>, payload: impl Into<Bytes>) -> u64 {
        let mut inner = self.lock();
        let sequence = store(&mut inner, subject.into(), payload.into(), None);
        self.tell(inner);
        sequence
    }

    /// Deletes the stream and makes another one, which is empty.
    pub fn recreate(&self, created: Timestamp) {
        let mut inner = self.lock();
        inner.created = created;
        inner.events.clear();
        drop(inner);
        self.changed.send_modify(|change| {
            change.events = 0;
            change.ends += 1;
        });
    }

    /// Every event.
    #[must_use]
    pub fn events(&self) -> Vec<Stored> {
        self.lock().events.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, inner: MutexGuard<'_, Inner>) {
        let events = inner.events.len() as u64;
        drop(inner);
        self.changed.send_modify(|change| change.events = events);
    }

    /// The log, if the server is there.
    fn running(&self, what: &str) -> Result<MutexGuard<'_, Inner>, LogError> {
        let inner = self.lock();
        if inner.stopped {
            return Err(LogError::Read {
                what: what.to_owned(),
                source: "the server is not there".into(),
            });
        }
        Ok(inner)
    }

    /// What a read of one event is answered from; `None` by a replica that lags.
    fn replica(&self, what: &str) -> Result<Option<MutexGuard<'_, Inner>>, LogError> {
        let mut inner = self.running(what)?;
        if inner.lagging > 0 {
            inner.lagging -= 1;
            return Ok(None);
        }
        Ok(Some(inner))
    }

    /// The next event of a tail, if it is there.
    fn next(&self, from: u64, filters: &[String]) -> Option<Stored> {
        let inner = self.lock();
        if inner.stopped {
            return None;
        }
        let mut later = inner.events.iter().filter(|event| event.sequence >= from);
        later.find(|event| wanted(&event.subject, filters)).cloned()
    }
}

fn store(inner: &mut Inner, subject: String, payload: Bytes, traceparent: Option<&str>) -> u64 {
    let sequence = inner.events.len() as u64 + 1;
    let time = inner.now;
    let traceparent = traceparent.map(str::to_owned);
    inner.events.push(Stored {
        sequence,
        subject,
        payload,
        time,
        traceparent,
    });
    sequence
}

/// The sequence of the last event of a subject; 0 where there is none.
fn stands_at(inner: &Inner, subject: &str) -> u64 {
    let last = inner.events.iter().rev().find(|event| event.subject == subject);
    last.map_or(0, |event| event.sequence)
}

fn lost(subject: &str) -> LogError {
    LogError::Unknown {
        subject: subject.to_owned(),
        source: "the answer was lost".into(),
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn append(
        &self,
        subject: &Subject,
        payload: Bytes,
        traceparent: Option<&str>,
        expect: Expect,
    ) -> Result<Appended, LogError> {
        let name = subject.to_string();
        if payload.len() > MAX_PAYLOAD {
            return Err(LogError::Oversized {
                subject: name,
                size: payload.len(),
            });
        }
        let mut inner = self.lock();
        let failure = match inner.stopped {
            true => Some(Failure::Late),
            false => (!inner.failures.is_empty()).then(|| inner.failures.remove(0)),
        };
        match failure {
            Some(Failure::Lost) => return Err(lost(&name)),
            Some(Failure::Late) => {
                inner.late.push(Publish {
                    subject: name.clone(),
                    payload,
                    traceparent: traceparent.map(str::to_owned),
                    expect,
                });
                return Err(lost(&name));
            }
            Some(Failure::AnswerLost) | None => {}
        }
        if stands_at(&inner, &name) != expect.sequence() {
            return Ok(Appended::Conflict);
        }
        let sequence = store(&mut inner, name.clone(), payload, traceparent);
        self.tell(inner);
        match failure {
            None => Ok(Appended::Stored(sequence)),
            Some(_) => Err(lost(&name)),
        }
    }

    async fn first_after(&self, subject: &str, after: u64) -> Result<Option<Stored>, LogError> {
        let Some(inner) = self.replica(subject)? else {
            return Ok(None);
        };
        let mut later = inner.events.iter().filter(|event| event.sequence > after);
        Ok(later.find(|event| matches(subject, &event.subject)).cloned())
    }

    async fn get(&self, sequence: u64) -> Result<Option<Stored>, LogError> {
        let Some(inner) = self.replica(&sequence.to_string())? else {
            return Ok(None);
        };
        let found = inner.events.iter().find(|event| event.sequence == sequence);
        Ok(found.cloned())
    }

    async fn last_sequence(&self) -> Result<u64, LogError> {
        Ok(self.running("the last sequence")?.events.len() as u64)
    }

    async fn created(&self) -> Result<Timestamp, LogError> {
        Ok(self.running("when the stream was made")?.created)
    }

    async fn tail(&self, from: u64, filters: Vec<String>) -> Result<Tail, LogError> {
        let changes = self.changed.subscribe();
        let ends = changes.borrow().ends;
        let state = (self.clone(), changes, ends, from.max(1));
        let tail = futures::stream::unfold(state, move |(log, mut changes, mut ends, next)| {
            let filters = filters.clone();
            async move {
                loop {
                    let change = *changes.borrow_and_update();
                    if std::mem::replace(&mut ends, change.ends) != change.ends {
                        let ended = LogError::Read {
                            what: "the tail".to_owned(),
                            source: "the server ended the consumer".into(),
                        };
                        return Some((Err(ended), (log, changes, ends, next)));
                    }
                    if let Some(event) = log.next(next, &filters) {
                        let next = event.sequence + 1;
                        return Some((Ok(event), (log, changes, ends, next)));
                    }
                    changes.changed().await.ok()?;
                }
            }
        });
        Ok(tail.boxed())
    }
}

fn wanted(subject: &str, filters: &[String]) -> bool {
    filters.is_empty() || filters.iter().any(|filter| matches(filter, subject))
}

/// Whether a subject is one of a filter's, by the rules of NATS: `*` is one token, `>` is all that follow.
fn matches(filter: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in filter.split('.') {
        match (wanted, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (exact, Some(token)) if exact == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}
