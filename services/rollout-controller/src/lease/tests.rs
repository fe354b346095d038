use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::*;

/// A key in memory.
#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    entry: Option<Entry>,
    revision: u64,
    broken: bool,
}

impl Memory {
    fn put(&self, value: Bytes) -> u64 {
        let mut state = self.0.lock().unwrap();
        state.revision += 1;
        let revision = state.revision;
        state.entry = Some(Entry {
            key: KEY.to_owned(),
            value,
            revision,
            time: Timestamp::UNIX_EPOCH,
        });
        revision
    }

    fn checked(&self) -> Result<(), BucketError> {
        if self.0.lock().unwrap().broken {
            return Err(BucketError::Server {
                operation: "reading",
                bucket: "status",
                key: KEY.to_owned(),
                source: "no answer".into(),
            });
        }
        Ok(())
    }

    fn set_broken(&self, broken: bool) {
        self.0.lock().unwrap().broken = broken;
    }
}

impl Place for Memory {
    async fn read(&self) -> Result<Option<Entry>, BucketError> {
        self.checked()?;
        Ok(self.0.lock().unwrap().entry.clone())
    }

    async fn write(&self, value: Bytes, revision: u64) -> Result<u64, BucketError> {
        self.checked()?;
        if self.0.lock().unwrap().revision != revision {
            return Err(BucketError::Conflict {
                bucket: "status",
                key: KEY.to_owned(),
            });
        }
        Ok(self.put(value))
    }

    async fn force(&self, value: Bytes) -> Result<u64, BucketError> {
        Ok(self.put(value))
    }
}

/// A replica that works for ever, on a place of its own connection.
struct Replica {
    lease: Arc<Lease>,
    shutdown: Shutdown,
    /// Whether the work is going on.
    works: watch::Receiver<bool>,
}

struct Working(watch::Sender<bool>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

impl Replica {
    fn start(place: &Memory) -> Self {
        let lease = Arc::new(Lease::new(Clock::system()));
        let shutdown = Shutdown::default();
        let (sender, works) = watch::channel(false);
        let (leading, stop, place) = (Arc::clone(&lease), shutdown.clone(), place.clone());
        tokio::spawn(async move {
            let work = || {
                let (working, stop) = (Working(sender.clone()), stop.clone());
                async move {
                    working.0.send_replace(true);
                    stop.requested().await;
                }
            };
            leading.lead(&place, &stop, work).await;
        });
        Self {
            lease,
            shutdown,
            works,
        }
    }

    fn acts(&self) -> bool {
        assert_eq!(self.lease.is_held(), *self.works.borrow());
        self.lease.is_held()
    }
}

async fn seconds(n: u64) {
    // In steps, as the timers of both replicas interleave.
    for _ in 0..n * 10 {
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_of_two_replicas_acts_and_the_other_takes_over_when_it_stops() {
    let place = Memory::default();
    let first = Replica::start(&place);
    seconds(1).await;
    let second = Replica::start(&place);
    seconds(60).await;
    assert!(first.acts() && !second.acts());
    first.shutdown.request();
    seconds(2).await;
    assert!(!first.acts() && second.acts(), "it was given back");
    seconds(60).await;
    assert!(second.acts());
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_died_is_followed_when_its_lease_has_ended() {
    let place = Memory::default();
    let dead = Lease::new(Clock::system());
    assert!(matches!(
        dead.attempt(&place, &mut Seen::default()).await,
        Ok(Attempt::Held(_))
    ));
    let next = Replica::start(&place);
    assert_eq!(next.lease.away(), Away::Starting);
    seconds(9).await;
    assert!(!next.acts());
    assert_eq!(next.lease.away(), Away::Another(dead.me.clone()));
    seconds(3).await;
    assert!(next.acts());
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_cannot_renew_stops_before_another_one_begins() {
    let place = Memory::default();
    let first = Replica::start(&place);
    seconds(1).await;
    let second = Replica::start(&place);
    seconds(20).await;
    place.set_broken(true);
    seconds(11).await;
    assert!(!first.acts() && !second.acts());
    assert_eq!(
        (first.lease.away(), second.lease.away()),
        (Away::NoAnswer, Away::NoAnswer)
    );
    place.set_broken(false);
    seconds(12).await;
    assert!(first.acts() != second.acts());
}

#[tokio::test(start_paused = true)]
async fn a_holder_whose_lease_was_taken_stops_at_its_next_renewal() {
    let place = Memory::default();
    let first = Replica::start(&place);
    seconds(1).await;
    let other = Lease::new(Clock::system());
    place.put(other.value(Clock::system().now() + SignedDuration::from_secs(10)));
    seconds(4).await;
    assert!(!first.acts());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_deleted_or_damaged_is_taken_all_the_same() {
    let place = Memory::default();
    place.put("no lease".into());
    let first = Replica::start(&place);
    seconds(9).await;
    assert!(!first.acts());
    seconds(3).await;
    assert!(first.acts());
    // Deleted: nothing is read there, but it has a revision.
    place.0.lock().unwrap().revision += 1;
    place.0.lock().unwrap().entry = None;
    let second = Replica::start(&place);
    seconds(20).await;
    assert!(first.acts() != second.acts());
}

#[tokio::test(start_paused = true)]
async fn clocks_that_disagree_take_nothing_from_a_holder_that_is_alive() {
    let (me, other, begin) = ("a", "b", Instant::now());
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1_000);
    let entry = |revision, seconds: i64| {
        let held = Held {
            holder: other.to_owned(),
            expires: now + SignedDuration::from_secs(seconds),
        };
        Entry {
            key: KEY.to_owned(),
            value: serde_json::to_vec(&held).unwrap().into(),
            revision,
            time: now,
        }
    };
    let mut seen = Seen::default();
    // Its clock is half a minute behind ours, but it renews.
    for n in 0..20 {
        let later = begin + RENEW * n;
        let entry = entry(u64::from(n) + 1, -30);
        assert_eq!(seen.free(me, Some(&entry), (now, later)), None);
    }
    let at = |seconds| (now, begin + RENEW * 19 + Duration::from_secs(seconds));
    assert_eq!(seen.free(me, Some(&entry(20, -30)), at(9)), None);
    assert_eq!(seen.free(me, Some(&entry(20, -30)), at(10)), Some(20));
    // A clock that is hours ahead holds it no longer than any other.
    assert_eq!(seen.free(me, Some(&entry(20, 36_000)), at(10)), Some(20));
    // One that ended long ago is taken at once, ours always.
    assert_eq!(
        Seen::default().free(me, Some(&entry(3, -61)), (now, begin)),
        Some(3)
    );
    assert_eq!(
        Seen::default().free(other, Some(&entry(3, 5)), (now, begin)),
        Some(3)
    );
    assert_eq!(Seen::default().free(me, None, (now, begin)), Some(0));
}
