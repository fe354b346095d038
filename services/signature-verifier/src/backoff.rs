//! When something that did not work is looked at again: after 30 seconds, then after twice as long, up to ten
//! minutes. In memory: a restart looks at everything at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

const FIRST: SignedDuration = SignedDuration::from_secs(30);
const LONGEST: SignedDuration = SignedDuration::from_mins(10);

/// What waits, by item.
#[derive(Debug)]
pub(crate) struct Backoff<K>(Mutex<BTreeMap<K, Wait>>);

#[derive(Debug, Clone, Copy)]
struct Wait {
    since: Timestamp,
    pause: SignedDuration,
}

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Clone> Backoff<K> {
    /// Whether the item is to be looked at now.
    pub(crate) fn is_due(&self, item: &K, now: Timestamp) -> bool {
        // A clock that went back does not make anything wait for longer.
        let waits =
            |wait: &Wait| (SignedDuration::ZERO..wait.pause).contains(&now.duration_since(wait.since));
        !self.lock().get(item).is_some_and(waits)
    }

    /// Whether the item waits, or has waited and is due.
    pub(crate) fn holds(&self, item: &K) -> bool {
        self.lock().contains_key(item)
    }

    /// The item did not work now: it waits.
    pub(crate) fn failed(&self, item: K, now: Timestamp) {
        let mut waiting = self.lock();
        let pause = waiting
            .get(&item)
            .map_or(FIRST, |wait| (wait.pause * 2).min(LONGEST));
        waiting.insert(item, Wait { since: now, pause });
    }

    /// The item worked, or is gone.
    pub(crate) fn done(&self, item: &K) {
        self.lock().remove(item);
    }

    /// Forgets what is not among these.
    pub(crate) fn keep(&self, items: &BTreeSet<K>) {
        self.lock().retain(|item, _| items.contains(item));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, Wait>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_minutes_for_each_item_alone() {
        let backoff = Backoff::default();
        let mut now = Timestamp::UNIX_EPOCH;
        for seconds in [30, 60, 120, 240, 480, 600, 600] {
            assert!(backoff.is_due(&"a", now));
            backoff.failed("a", now);
            assert!(backoff.is_due(&"b", now));
            now += SignedDuration::from_secs(seconds - 1);
            assert!(!backoff.is_due(&"a", now), "{seconds}");
            now += SignedDuration::from_secs(1);
        }
        backoff.failed("a", now);
        backoff.done(&"a");
        assert!(backoff.is_due(&"a", now));
        backoff.failed("a", now);
        backoff.keep(&["b"].into());
        assert!(backoff.is_due(&"a", now));
        backoff.failed("a", now);
        assert!(backoff.is_due(&"a", now - SignedDuration::from_hours(1)));
    }
}
