//! Why what runs somewhere has no baseline: what this process found when it tried last. In memory: after a restart it
//! is found out again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{Digest, Reason};
use jiff::Timestamp;

/// What was in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// Which kind of thing.
    pub(crate) reason: Reason,
    /// Component, expected and found, for people.
    pub(crate) detail: String,
}

/// The newest obstacle to each thing that runs somewhere, with when it was met.
#[derive(Debug, Default)]
pub(crate) struct Obstacles(Mutex<BTreeMap<Digest, (Obstacle, Timestamp)>>);

impl Obstacles {
    pub(super) fn met(&self, item: Digest, obstacle: Obstacle, now: Timestamp) {
        self.lock().insert(item, (obstacle, now));
    }

    pub(super) fn gone(&self, item: &Digest) {
        self.lock().remove(item);
    }

    /// Forgets what is not among these.
    pub(super) fn keep(&self, items: &BTreeSet<Digest>) {
        self.lock().retain(|item, _| items.contains(item));
    }

    pub(super) fn of(&self, item: &Digest) -> Option<(Obstacle, Timestamp)> {
        self.lock().get(item).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, (Obstacle, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
