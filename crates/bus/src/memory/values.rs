//! A bucket in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;

use crate::buckets::Entry;

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<String, Entry>,
    revision: u64,
    now: Timestamp,
    refused: Option<String>,
}

/// What stands behind [`crate::buckets::Values::in_memory`]. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryValues {
    inner: Arc<Mutex<Inner>>,
}

impl MemoryValues {
    /// The time that values get from now on.
    pub fn set_time(&self, now: Timestamp) {
        self.lock().now = now;
    }

    /// From now on no write of this key succeeds; `None` ends that.
    pub fn refuse_writes_of(&self, key: Option<&str>) {
        self.lock().refused = key.map(str::to_owned);
    }

    pub(crate) fn refuses(&self, key: &str) -> bool {
        self.lock().refused.as_deref() == Some(key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<Entry> {
        self.lock().entries.get(key).cloned()
    }

    pub(crate) fn list(&self) -> Vec<Entry> {
        self.lock().entries.values().cloned().collect()
    }

    pub(crate) fn delete(&self, key: &str) {
        let mut inner = self.lock();
        inner.revision += 1;
        inner.entries.remove(key);
    }

    /// The revision written; `None` where another one than the expected stands there.
    pub(crate) fn write(&self, key: &str, value: Bytes, expected: Option<u64>) -> Option<u64> {
        let mut inner = self.lock();
        let standing = inner.entries.get(key).map_or(0, |entry| entry.revision);
        if expected.is_some_and(|expected| expected != standing) {
            return None;
        }
        inner.revision += 1;
        let entry = Entry {
            key: key.to_owned(),
            value,
            revision: inner.revision,
            time: inner.now,
        };
        let revision = entry.revision;
        inner.entries.insert(key.to_owned(), entry);
        Some(revision)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
