//! One replica acts: who holds the lease in the bucket `status`.
//!
//! - The lease is written with compare-and-set, for [`LEASE`], and again every [`RENEW`]. Its holder stops
//!   acting when it could not be renewed in time, by its own monotonic clock, counted from before the write.
//! - A standby takes it over when it has not changed for [`LEASE`] by the standby's own clock, so that clocks
//!   that disagree never make two holders. Only one that ended long ago ([`SKEW`]) is taken at once.
//! - Whoever stops gives it back.
//!
//! What was sent before the lease was lost may still land. That is harmless: every event is written with an
//! expectation, whoever writes it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bus::buckets::{BucketError, Entry, Values};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use runtime::errors::chain;
use runtime::{Clock, Shutdown};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

#[cfg(test)]
mod tests;

/// Its key in the bucket `status`.
const KEY: &str = "controller";
/// How long it is held without being renewed.
pub(crate) const LEASE: Duration = Duration::from_secs(10);
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(3);
/// How often a standby looks, and a holder whose renewal failed tries again.
const AGAIN: Duration = Duration::from_secs(1);
/// By how much the clocks of two replicas may differ.
const SKEW: SignedDuration = SignedDuration::from_mins(1);

/// Where the lease lies.
pub(crate) trait Place: Sync {
    /// What lies there.
    fn read(&self) -> impl Future<Output = Result<Option<Entry>, BucketError>> + Send;
    /// Writes it if this revision lies there; 0: nothing.
    fn write(&self, value: Bytes, revision: u64) -> impl Future<Output = Result<u64, BucketError>> + Send;
    /// Writes it, whatever lies there.
    fn force(&self, value: Bytes) -> impl Future<Output = Result<u64, BucketError>> + Send;
}

impl Place for Values {
    async fn read(&self) -> Result<Option<Entry>, BucketError> {
        self.get(KEY).await
    }

    async fn write(&self, value: Bytes, revision: u64) -> Result<u64, BucketError> {
        self.update(KEY, value, revision).await
    }

    async fn force(&self, value: Bytes) -> Result<u64, BucketError> {
        self.put(KEY, value).await
    }
}

/// The value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    /// The replica.
    holder: String,
    /// Until when, by its clock; long ago where it was given back.
    expires: Timestamp,
}

/// This replica's part in it.
#[derive(Debug)]
pub(crate) struct Lease {
    me: String,
    clock: Clock,
    held: AtomicBool,
    away: Mutex<Away>,
}

/// Why this replica does not act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Away {
    /// It has not asked yet.
    #[error("this rollout-controller has just started and does not hold the lease yet")]
    Starting,
    /// The bus does not answer.
    #[error(
        "this rollout-controller does not act, because it can't read or renew its lease: the bus does not answer"
    )]
    NoAnswer,
    /// Another one holds it, or did until a moment ago.
    #[error(
        "replica {0} of rollout-controller holds the lease, not this one: ask that one; if it is gone, this one \
         takes over within {lease} s",
        lease = LEASE.as_secs()
    )]
    Another(String),
}

/// What came of an attempt.
#[derive(Debug, PartialEq, Eq)]
enum Attempt {
    /// This replica holds it until then.
    Held(Instant),
    /// Another one does, or was faster.
    Another,
}

impl Lease {
    /// For a replica of its own.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            me: Uuid::new_v4().to_string(),
            clock,
            held: AtomicBool::new(false),
            away: Mutex::new(Away::Starting),
        }
    }

    /// Why this replica does not act, where it does not.
    pub(crate) fn away(&self) -> Away {
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.clone()
    }

    fn note(&self, away: Away) {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = away;
    }

    /// Whether this replica acts.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Does the work whenever this replica holds the lease, until the stop. The work is dropped when the
    /// lease is lost; it has to end by itself after the stop.
    pub(crate) async fn lead<F: Future<Output = ()>>(
        &self,
        place: &impl Place,
        shutdown: &Shutdown,
        work: impl Fn() -> F,
    ) {
        loop {
            let until = tokio::select! {
                () = shutdown.requested() => return,
                until = self.acquire(place) => until,
            };
            tracing::info!(replica = %self.me, "this rollout-controller is the active one");
            self.held.store(true, Ordering::Relaxed);
            let ended = tokio::select! {
                // First, so that work whose lease has ended is not polled once more.
                biased;
                () = self.keep(place, until) => false,
                () = work() => true,
            };
            self.held.store(false, Ordering::Relaxed);
            if ended {
                self.release(place).await;
            }
            if shutdown.is_requested() {
                return;
            }
            tracing::warn!(replica = %self.me, "this rollout-controller has lost its lease and stops acting");
        }
    }

    /// Tries until this replica holds the lease; says until when.
    async fn acquire(&self, place: &impl Place) -> Instant {
        let (mut seen, mut said) = (Seen::default(), false);
        loop {
            match timeout_at(Instant::now() + LEASE, self.attempt(place, &mut seen)).await {
                Ok(Ok(Attempt::Held(until))) => return until,
                Ok(Ok(Attempt::Another)) if said => {}
                Ok(Ok(Attempt::Another)) => {
                    said = true;
                    tracing::info!(replica = %self.me, "another rollout-controller is active; standing by");
                }
                Ok(Err(error)) => {
                    self.note(Away::NoAnswer);
                    tracing::warn!(error = %chain(&error), "the lease could not be taken; trying again");
                }
                Err(_late) => {
                    self.note(Away::NoAnswer);
                    tracing::warn!("the lease could not be taken in time; trying again");
                }
            }
            sleep(AGAIN).await;
        }
    }

    /// Renews until that fails.
    async fn keep(&self, place: &impl Place, mut until: Instant) {
        let mut seen = Seen::default();
        let mut pause = RENEW;
        loop {
            let renewed = timeout_at(until, async {
                sleep(pause).await;
                self.attempt(place, &mut seen).await
            });
            match renewed.await {
                Ok(Ok(Attempt::Held(renewed))) => {
                    until = renewed;
                    pause = RENEW;
                }
                Ok(Err(error)) => {
                    tracing::warn!(error = %chain(&error), "the lease could not be renewed; trying again");
                    pause = AGAIN;
                }
                Ok(Ok(Attempt::Another)) => return,
                Err(_late) => return self.note(Away::NoAnswer),
            }
        }
    }

    /// Takes or renews the lease if it is free or ours.
    async fn attempt(&self, place: &impl Place, seen: &mut Seen) -> Result<Attempt, BucketError> {
        let before = Instant::now();
        let held = Attempt::Held(before + LEASE);
        let entry = place.read().await?;
        let Some(revision) = seen.free(&self.me, entry.as_ref(), (self.clock.now(), before)) else {
            let holder = entry.as_ref().and_then(read).map(|held| held.holder);
            self.note(Away::Another(holder.unwrap_or_else(|| "unknown".to_owned())));
            return Ok(Attempt::Another);
        };
        let expires = self.clock.now() + SignedDuration::try_from(LEASE).unwrap_or(SignedDuration::ZERO);
        match place.write(self.value(expires), revision).await {
            Ok(_revision) => Ok(held),
            Err(BucketError::Conflict { .. }) => {
                if revision == 0 && seen.is_deleted(before) {
                    // A deleted key has a revision that reading does not tell. Whoever writes last is found
                    // there at the next attempt, and holds it then.
                    place.force(self.value(Timestamp::UNIX_EPOCH)).await?;
                }
                Ok(Attempt::Another)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives the lease back, so that nobody has to wait for its end.
    async fn release(&self, place: &impl Place) {
        let given_back = async {
            let entry = place.read().await?;
            let own = entry.filter(|entry| read(entry).is_some_and(|held| held.holder == self.me));
            if let Some(entry) = own {
                let value = self.value(Timestamp::UNIX_EPOCH);
                place.write(value, entry.revision).await?;
            }
            Ok::<(), BucketError>(())
        };
        match timeout_at(Instant::now() + RENEW, given_back).await {
            Ok(Ok(())) => tracing::info!(replica = %self.me, "the lease was given back"),
            Ok(Err(error)) => {
                tracing::warn!(error = %chain(&error), "the lease could not be given back; it ends")
            }
            Err(_late) => tracing::warn!("the lease could not be given back in time; it ends"),
        }
    }

    fn value(&self, expires: Timestamp) -> Bytes {
        let held = Held {
            holder: self.me.clone(),
            expires,
        };
        // A UUID and a time always serialise.
        serde_json::to_vec(&held).unwrap_or_default().into()
    }
}

fn read(entry: &Entry) -> Option<Held> {
    serde_json::from_slice(&entry.value).ok()
}

/// The revision that lies there, and since when it is known.
#[derive(Debug, Default)]
struct Seen(Option<(u64, Instant)>);

impl Seen {
    /// The revision to write over, if the lease is free or ours.
    fn free(&mut self, me: &str, entry: Option<&Entry>, (now, instant): (Timestamp, Instant)) -> Option<u64> {
        let revision = entry.map_or(0, |entry| entry.revision);
        let since = match self.0 {
            Some((seen, since)) if seen == revision => since,
            Some(_) | None => instant,
        };
        self.0 = Some((revision, since));
        let Some(entry) = entry else {
            return Some(0);
        };
        let held = read(entry);
        let ours = held.as_ref().is_some_and(|held| held.holder == me);
        let long_over = held.is_some_and(|held| held.expires < now - SKEW);
        let silent = instant.duration_since(since) >= LEASE;
        (ours || long_over || silent).then_some(revision)
    }

    /// Whether there has been nothing for so long that it is no race with another replica.
    fn is_deleted(&self, instant: Instant) -> bool {
        matches!(self.0, Some((0, since)) if instant.duration_since(since) >= LEASE)
    }
}
