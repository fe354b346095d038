//! Blobs in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::Digest;

/// What stands behind [`crate::blobs::Blobs::in_memory`]. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryBlobs {
    inner: Arc<Mutex<BTreeMap<Digest, Vec<u8>>>>,
}

impl MemoryBlobs {
    pub(crate) fn get(&self, digest: Digest) -> Option<Vec<u8>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.get(&digest).cloned()
    }

    pub(crate) fn put(&self, digest: Digest, bytes: &[u8]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.insert(digest, bytes.to_vec());
    }
}
