//! Releases for which upstream still has time, with what is missing. In memory: after a restart it is found out again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::ReleaseKey;
use jiff::Timestamp;

/// What a release waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// What is not there or not signed yet, or why that could not be found out, for people.
    pub(crate) what: String,
    /// Until when it is not held against the release; `None` where it could not be found out.
    pub(crate) until: Option<Timestamp>,
}

/// The releases that wait.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<BTreeMap<ReleaseKey, Missing>>);

impl Waiting {
    pub(super) fn insert(&self, release: &ReleaseKey, missing: Missing) {
        self.lock().insert(release.clone(), missing);
    }

    pub(super) fn remove(&self, release: &ReleaseKey) {
        self.lock().remove(release);
    }

    /// What a release waits for.
    pub(crate) fn of(&self, release: &ReleaseKey) -> Option<Missing> {
        self.lock().get(release).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ReleaseKey, Missing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
