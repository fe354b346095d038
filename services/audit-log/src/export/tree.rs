//! The whole tree from the hashes of its leaves.

use std::ops::Range;

use crate::ledger::merkle::{Frontier, NodeId, TreeHash, fold, inclusion_ranges, nodes_of};
use crate::ledger::tiles::{HEIGHT, Kind, Tile};

/// Every complete subtree, by level and position.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    levels: Vec<Vec<TreeHash>>,
    frontier: Frontier,
}

impl Tree {
    pub(super) fn of(leaves: impl IntoIterator<Item = TreeHash>) -> Self {
        let mut tree = Self::default();
        for leaf in leaves {
            let levels = &mut tree.levels;
            tree.frontier.push(leaf, |node, hash| {
                let level = usize::try_from(node.level).unwrap_or(usize::MAX);
                match levels.get_mut(level) {
                    Some(nodes) => nodes.push(hash),
                    // A level begins with its first subtree.
                    None => levels.push(vec![hash]),
                }
            });
        }
        tree
    }

    pub(super) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(super) fn root(&self) -> TreeHash {
        self.frontier.root()
    }

    pub(super) fn leaf(&self, index: u64) -> Option<TreeHash> {
        self.node(NodeId {
            level: 0,
            position: index,
        })
    }

    /// The root when there were `size` leaves; `None` if there never were that many.
    pub(super) fn root_at(&self, size: u64) -> Option<TreeHash> {
        match size {
            0 => Some(TreeHash::empty()),
            size if size <= self.size() => self.range(0..size),
            _ => None,
        }
    }

    pub(super) fn inclusion_proof(&self, index: u64) -> Vec<TreeHash> {
        let ranges = inclusion_ranges(index, self.size());
        ranges.into_iter().filter_map(|range| self.range(range)).collect()
    }

    /// The bytes of a tile of hashes; nothing for one of entries.
    pub(super) fn tile(&self, tile: Tile) -> Option<Vec<u8>> {
        let Kind::Hashes(level) = tile.kind else {
            return None;
        };
        let first = tile.number.checked_mul(crate::ledger::tiles::WIDTH)?;
        let mut bytes = Vec::new();
        for position in first..first.checked_add(tile.width)? {
            let level = level.checked_mul(HEIGHT)?;
            bytes.extend_from_slice(self.node(NodeId { level, position })?.as_bytes());
        }
        Some(bytes)
    }

    fn node(&self, node: NodeId) -> Option<TreeHash> {
        let (level, position) = (usize::try_from(node.level), usize::try_from(node.position));
        self.levels.get(level.ok()?)?.get(position.ok()?).copied()
    }

    fn range(&self, range: Range<u64>) -> Option<TreeHash> {
        let nodes = nodes_of(range);
        let hashes: Option<Vec<TreeHash>> = nodes.into_iter().map(|node| self.node(node)).collect();
        fold(&hashes?)
    }
}
