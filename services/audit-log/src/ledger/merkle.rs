//! The Merkle tree of RFC 6962 section 2.1 (unchanged in RFC 9162), without IO.
//!
//! `MTH({}) = SHA-256()`, `MTH({d}) = SHA-256(0x00 || d)`,
//! `MTH(D[n]) = SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))` with `k` the largest power of two below `n`.
//!
//! What is stored of a tree are its complete subtrees ([`NodeId`]). Every hash that a proof or a root
//! needs is the hash of a [`Range`] of leaves, which is a fold over at most 64 of them ([`nodes_of`],
//! [`fold`]); who holds the nodes is not the business of this module.

use std::fmt;
use std::ops::Range;

use sha2::{Digest as _, Sha256};

/// A hash of the tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash([u8; 32]);

impl TreeHash {
    /// A hash from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The root of the tree without leaves.
    #[must_use]
    pub fn empty() -> Self {
        Self(Sha256::digest(b"").into())
    }

    /// The hash of a leaf.
    #[must_use]
    pub fn of_leaf(entry: &[u8]) -> Self {
        Self(
            Sha256::new()
                .chain_update([0])
                .chain_update(entry)
                .finalize()
                .into(),
        )
    }

    /// The hash of a node above two.
    #[must_use]
    pub fn of_children(left: &Self, right: &Self) -> Self {
        Self(
            Sha256::new()
                .chain_update([1])
                .chain_update(left.0)
                .chain_update(right.0)
                .finalize()
                .into(),
        )
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A complete subtree: the leaves from `position * 2^level` on, `2^level` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// Height; 0 is a leaf.
    pub level: u32,
    /// Place among the nodes of its level, from 0.
    pub position: u64,
}

/// The right edge of a tree: all that is needed for appending to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<TreeHash>,
}

impl Frontier {
    /// The frontier of a tree of `size` leaves whose [`nodes_of`] `0..size` have these hashes.
    #[must_use]
    pub const fn new(size: u64, peaks: Vec<TreeHash>) -> Self {
        Self { size, peaks }
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> TreeHash {
        fold(&self.peaks).unwrap_or_else(TreeHash::empty)
    }

    /// Appends a leaf and tells each subtree that it completes, lowest first.
    pub fn push(&mut self, leaf: TreeHash, mut completed: impl FnMut(NodeId, TreeHash)) {
        let mut hash = leaf;
        let mut node = NodeId {
            level: 0,
            position: self.size,
        };
        completed(node, hash);
        while node.position & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            hash = TreeHash::of_children(&left, &hash);
            node = NodeId {
                level: node.level + 1,
                position: node.position >> 1,
            };
            completed(node, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }
}

/// The complete subtrees that make up a range, from left to right; never more than 64 for the ranges of
/// this module, which all begin where a subtree of their size may begin.
#[must_use]
pub fn nodes_of(range: Range<u64>) -> Vec<NodeId> {
    let mut nodes = Vec::new();
    let mut start = range.start;
    while let Some(width) = range.end.checked_sub(start).and_then(u64::checked_ilog2) {
        let level = width.min(start.trailing_zeros());
        nodes.push(NodeId {
            level,
            position: start >> level,
        });
        start += 1 << level;
    }
    nodes
}

/// The hash of a range from the hashes of its [`nodes_of`]; `None` for the empty range.
#[must_use]
pub fn fold(hashes: &[TreeHash]) -> Option<TreeHash> {
    hashes
        .iter()
        .rev()
        .copied()
        .reduce(|right, left| TreeHash::of_children(&left, &right))
}

/// Where a subtree of more than one leaf is divided: after the largest power of two below its size.
fn middle(range: &Range<u64>) -> u64 {
    let below = (range.end - range.start).saturating_sub(1);
    range.start + below.checked_ilog2().map_or(0, |log| 1 << log)
}

/// The ranges whose hashes are the inclusion proof of leaf `index` in the tree of `size` leaves
/// (`PATH`, RFC 6962 2.1.1), in the proof's order. Empty where `index` is not in the tree.
#[must_use]
pub fn inclusion_ranges(index: u64, size: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    let mut range = 0..size;
    while range.contains(&index) && range.end - range.start > 1 {
        let middle = middle(&range);
        let (left, right) = (range.start..middle, middle..range.end);
        let (inside, beside) = if index < middle {
            (left, right)
        } else {
            (right, left)
        };
        ranges.push(beside);
        range = inside;
    }
    ranges.reverse();
    ranges
}

/// The ranges whose hashes are the consistency proof between the trees of `old` and of `new` leaves
/// (`PROOF`, RFC 6962 2.1.2), in the proof's order. Empty where `old` is 0, `new` or more.
#[must_use]
pub fn consistency_ranges(old: u64, new: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    if old == 0 || old >= new {
        return ranges;
    }
    let mut range = 0..new;
    while old != range.end {
        let middle = middle(&range);
        if old <= middle {
            ranges.push(middle..range.end);
            range.end = middle;
        } else {
            ranges.push(range.start..middle);
            range.start = middle;
        }
    }
    if range.start > 0 {
        ranges.push(range);
    }
    ranges.reverse();
    ranges
}

/// Whether `proof` shows that `leaf` is number `index` of the tree of `size` leaves with this `root`
/// (RFC 9162 2.1.3.2).
#[must_use]
pub fn verify_inclusion(
    leaf: TreeHash,
    index: u64,
    (size, root): (u64, TreeHash),
    proof: &[TreeHash],
) -> bool {
    // 1. Compare leaf_index against tree_size.
    if index >= size {
        return false;
    }
    // 2., 3. fn = leaf_index, sn = tree_size - 1, r = hash.
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    // 4. For each value p in the inclusion path:
    for beside in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = TreeHash::of_children(beside, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = TreeHash::of_children(&hash, beside);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    // 5. sn is 0 and r is the root.
    last == 0 && hash == root
}

/// Whether `proof` shows that the tree of the `new` head continues the one of the `old` head (RFC 9162
/// 2.1.4.2). Every tree continues the empty one.
#[must_use]
pub fn verify_consistency(old: (u64, TreeHash), new: (u64, TreeHash), proof: &[TreeHash]) -> bool {
    if old.0 == 0 {
        return old.1 == TreeHash::empty() && proof.is_empty();
    }
    if old.0 >= new.0 {
        return old == new && proof.is_empty();
    }
    // 1., 2. An empty path fails; where first is a power of two, first_hash goes in front.
    let mut path = proof.iter().copied();
    let seed = if old.0.is_power_of_two() && !proof.is_empty() {
        Some(old.1)
    } else {
        path.next()
    };
    let Some(seed) = seed else { return false };
    // 3., 4. fn = first - 1, sn = second - 1, shifted until LSB(fn) is not set.
    let shift = (old.0 - 1).trailing_ones();
    let (mut node, mut last) = ((old.0 - 1) >> shift, (new.0 - 1) >> shift);
    // 5., 6. fr = sr = first value; for each following value c:
    let (mut old_hash, mut new_hash) = (seed, seed);
    for beside in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = TreeHash::of_children(&beside, &old_hash);
            new_hash = TreeHash::of_children(&beside, &new_hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new_hash = TreeHash::of_children(&new_hash, &beside);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    // 7. fr is first_hash, sr is second_hash, sn is 0.
    old_hash == old.1 && new_hash == new.1 && last == 0
}

#[cfg(test)]
mod tests;
