//! Bytes by digest: bounded, and fetched once at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::Digest;

/// All that is kept, in bytes: the manifests, indexes and signatures of a few releases.
const MAX_BYTES: usize = 32 << 20;

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

    /// The turn to fetch a digest: held by one at a time, given up when dropped.
    pub(crate) async fn turn(&self, digest: Digest) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            // Turns that nobody holds or waits for are held by this map alone.
            state.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(state.turns.entry(digest).or_default())
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
}
