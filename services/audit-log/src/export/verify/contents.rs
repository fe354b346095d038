//! What is in an export that was found good.

use bytes::Bytes;
use domain::Digest;

use super::ReadError;
use super::folder::Folder;
use crate::export::layout::{self, Line};
use crate::export::tree::Tree;
use crate::ledger::merkle::TreeHash;

/// What is in an export that was found good.
#[derive(Debug)]
pub struct Contents {
    folder: Folder,
    lines: Vec<Line>,
    tree: Tree,
    blobs: Vec<Digest>,
}

impl Contents {
    pub(super) const fn new(folder: Folder, lines: Vec<Line>, tree: Tree, blobs: Vec<Digest>) -> Self {
        Self {
            folder,
            lines,
            tree,
            blobs,
        }
    }

    /// Leaves that the checkpoint covers.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The leaves that are there, in order.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The leaf of a sequence, if it is there.
    #[must_use]
    pub fn line(&self, sequence: u64) -> Option<&Line> {
        let place = self.lines.binary_search_by_key(&sequence, |line| line.sequence);
        place.ok().and_then(|place| self.lines.get(place))
    }

    /// Hash of a leaf, whether it is there or not.
    #[must_use]
    pub fn leaf_hash(&self, index: u64) -> Option<TreeHash> {
        self.tree.leaf(index)
    }

    /// The payload of a leaf.
    ///
    /// # Errors
    /// If it can't be read any more.
    pub fn payload(&self, line: &Line) -> Result<Bytes, ReadError> {
        let bytes = self.folder.read(&layout::envelope(line.index))?;
        Ok(bytes.unwrap_or_default().into())
    }

    /// The bytes of every blob that is there.
    pub fn blobs(&self) -> impl Iterator<Item = Result<Vec<u8>, ReadError>> {
        let read = |digest: &Digest| self.folder.read(&layout::blob(*digest)).transpose();
        self.blobs.iter().filter_map(read)
    }
}
