//! Bytes by digest: bounded, and fetched once at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::Digest;

/// All that is kept, in bytes: the manifests, indexes and signatures of a few releases.
const MAX_BYTES: usize = 32 << 20;

/// Tags of which is remembered what they named; beyond that all are forgotten, which costs a fetch each.
const MAX_TAGS: usize = 4096;

/// The least recently used bytes go first.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Digest, Entry>,
    bytes: usize,
    clock: u64,
    tags: HashMap<String, Digest>,
    turns: HashMap<Digest, Arc<tokio::sync::Mutex<()>>>,
}

#[derive(Debug)]
struct Entry {
    bytes: Bytes,
    used: u64,
}

impl Cache {
    /// The bytes of a digest, if kept.
    pub(crate) fn get(&self, digest: Digest) -> Option<Bytes> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clock += 1;
        let now = state.clock;
        let entry = state.entries.get_mut(&digest)?;
        entry.used = now;
        Some(entry.bytes.clone())
    }

    /// Keeps bytes whose digest has been checked.
    pub(crate) fn insert(&self, digest: Digest, bytes: Bytes) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // One object that is a large part of the whole would drive everything else out.
        if bytes.len() > MAX_BYTES / 4 {
            return;
        }
        state.clock += 1;
        let used = state.clock;
        state.bytes += bytes.len();
        if let Some(before) = state.entries.insert(digest, Entry { bytes, used }) {
            state.bytes -= before.bytes.len();
        }
        while state.bytes > MAX_BYTES {
            let oldest = state
                .entries
                .iter()
                .min_by_key(|(_, entry)| entry.used)
                .map(|(digest, _)| *digest);
            let Some(entry) = oldest.and_then(|digest| state.entries.remove(&digest)) else {
                return;
            };
            state.bytes -= entry.bytes.len();
        }
    }

    /// Remembers what a tag named; `name` is the address that it was fetched from.
    pub(crate) fn tag(&self, name: String, digest: Digest) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.tags.len() >= MAX_TAGS {
            state.tags.clear();
        }
        state.tags.insert(name, digest);
    }

    /// What a tag named the last time, if that is still kept.
    pub(crate) fn tagged(&self, name: &str) -> Option<(Digest, Bytes)> {
        let digest = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            *state.tags.get(name)?
        };
        Some((digest, self.get(digest)?))
    }

    /// The turn to fetch an object: held by one at a time, given up when dropped.
    pub(crate) async fn turn(&self, object: Digest) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            // Turns that nobody holds or waits for are held by this map alone.
            state.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(state.turns.entry(object).or_default())
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_bounded_in_bytes_and_drops_the_least_recently_used() {
        let cache = Cache::default();
        let block = Bytes::from(vec![0; MAX_BYTES / 4]);
        let digest = |n: u8| Digest::from_bytes([n; 32]);
        for n in 0..4 {
            cache.insert(digest(n), block.clone());
        }
        assert!(cache.get(digest(0)).is_some());
        cache.insert(digest(4), block.clone());
        assert!(cache.get(digest(0)).is_some(), "used a moment ago");
        assert!(cache.get(digest(1)).is_none(), "unused for the longest time");
        assert!(cache.state.lock().unwrap().bytes <= MAX_BYTES);
        cache.insert(digest(5), Bytes::from(vec![0; MAX_BYTES / 4 + 1]));
        assert!(cache.get(digest(5)).is_none());
    }

    #[test]
    fn tags_are_bounded_and_name_only_what_is_kept() {
        let cache = Cache::default();
        let digest = Digest::of(b"a");
        cache.tag("t".to_owned(), digest);
        assert_eq!(cache.tagged("t"), None);
        cache.insert(digest, Bytes::from_static(b"a"));
        assert_eq!(cache.tagged("t"), Some((digest, Bytes::from_static(b"a"))));
        for n in 0..MAX_TAGS {
            cache.tag(n.to_string(), digest);
        }
        assert!(cache.state.lock().unwrap().tags.len() <= MAX_TAGS);
        assert_eq!(cache.tagged("t"), None);
    }
}
