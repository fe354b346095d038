//! An event log in memory, with the semantics of the real one and switches for its failures: for tests of
//! everything that reads or writes the log. It passes the same contract as JetStream.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::log::{Appended, EventLog, Expect, LogError, Stored, Tail};
use crate::subject::Subject;

/// As the server's `max_payload`.
const MAX_PAYLOAD: usize = 1024 * 1024;

/// How the next appends fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Not stored; the publisher sees an error.
    Lost,
    /// Stored; the publisher sees an error all the same.
    AnswerLost,
}

#[derive(Debug)]
struct Inner {
    created: Timestamp,
    events: Vec<Stored>,
    failures: Vec<Failure>,
    now: Timestamp,
}

/// The log. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryLog {
    inner: Arc<Mutex<Inner>>,
    /// Number of events, and of streams made so far.
    changed: watch::Sender<(u64, u64)>,
}

impl MemoryLog {
    /// An empty log that was created at this time. Events get this time too, until [`Self::set_time`].
    #[must_use]
    pub fn new(created: Timestamp) -> Self {
        let inner = Inner {
            created,
            events: Vec::new(),
            failures: Vec::new(),
            now: created,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            changed: watch::Sender::new((0, 0)),
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

    /// Stores bytes under any subject without any expectation, as whoever may publish can.
    pub fn inject(&self, subject: impl Into<String>, payload: impl Into<Bytes>) -> u64 {
        let mut inner = self.lock();
        let sequence = store(&mut inner, subject.into(), payload.into(), None);
        drop(inner);
        self.changed.send_modify(|(events, _)| *events = sequence);
        sequence
    }

    /// Deletes the stream and makes another one, which is empty.
    pub fn recreate(&self, created: Timestamp) {
        let mut inner = self.lock();
        inner.created = created;
        inner.events.clear();
        drop(inner);
        self.changed.send_modify(|(events, streams)| {
            *events = 0;
            *streams += 1;
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
        let sequence = {
            let mut inner = self.lock();
            let failure = (!inner.failures.is_empty()).then(|| inner.failures.remove(0));
            if failure == Some(Failure::Lost) {
                return Err(lost(&name));
            }
            let last = inner.events.iter().rev().find(|event| event.subject == name);
            if last.map_or(0, |event| event.sequence) != expect.sequence() {
                return Ok(Appended::Conflict);
            }
            let sequence = store(&mut inner, name.clone(), payload, traceparent);
            (sequence, failure)
        };
        self.changed.send_modify(|(events, _)| *events = sequence.0);
        match sequence {
            (sequence, None) => Ok(Appended::Stored(sequence)),
            (_, Some(_)) => Err(lost(&name)),
        }
    }

    async fn first_after(&self, subject: &str, after: u64) -> Result<Option<Stored>, LogError> {
        let inner = self.lock();
        let mut later = inner.events.iter().filter(|event| event.sequence > after);
        Ok(later.find(|event| matches(subject, &event.subject)).cloned())
    }

    async fn get(&self, sequence: u64) -> Result<Option<Stored>, LogError> {
        Ok(self
            .lock()
            .events
            .iter()
            .find(|event| event.sequence == sequence)
            .cloned())
    }

    async fn last_sequence(&self) -> Result<u64, LogError> {
        Ok(self.lock().events.len() as u64)
    }

    async fn created(&self) -> Result<Timestamp, LogError> {
        Ok(self.lock().created)
    }

    async fn tail(&self, from: u64, filters: Vec<String>) -> Result<Tail, LogError> {
        let (log, changes) = (self.clone(), self.changed.subscribe());
        let tail = futures::stream::unfold((log, changes, from.max(1)), move |(log, mut changes, next)| {
            let filters = filters.clone();
            async move {
                loop {
                    changes.borrow_and_update();
                    let found = {
                        let inner = log.lock();
                        let mut later = inner.events.iter().filter(|event| event.sequence >= next);
                        later.find(|event| wanted(&event.subject, &filters)).cloned()
                    };
                    if let Some(event) = found {
                        let next = event.sequence + 1;
                        return Some((Ok(event), (log, changes, next)));
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
