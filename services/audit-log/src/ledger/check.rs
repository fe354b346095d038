//! The whole ledger against itself: does each payload hash to its leaf, do the leaves make the nodes, the
//! roots and the tiles, and is the checkpoint's root among the roots?
//!
//! Nothing that was computed earlier is believed: the tree is made again from the leaves.

use std::path::PathBuf;

use domain::Digest;

use super::merkle::{Frontier, NodeId, TreeHash};
use super::note::{Head, NoteError};
use super::{Leaf, Ledger, LedgerError, rows, tiles};

/// Leaves read at once.
const PAGE: i64 = 500;

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A leaf is missing, doubled or out of order.
    #[error("leaf {index} is not there: found index {found_index} with sequence {found_sequence}")]
    Order {
        /// The index that was due.
        index: u64,
        /// The index that came.
        found_index: u64,
        /// Its sequence.
        found_sequence: u64,
    },
    /// A payload is missing or hashes to something else.
    #[error("payload of sequence {sequence} is missing or has another digest than its leaf")]
    Payload {
        /// The sequence.
        sequence: u64,
    },
    /// A node of the tree is missing or not what the leaves make.
    #[error("node at level {} position {} is missing or not what the leaves make", .0.level, .0.position)]
    Node(NodeId),
    /// The leaves make another root than a signed one.
    #[error("first {size} leaves do not make the root of the checkpoint")]
    Root {
        /// Size in the checkpoint.
        size: u64,
    },
    /// There are fewer leaves than a checkpoint covers.
    #[error("checkpoint covers {checkpoint} leaves, there are {held}")]
    Shorter {
        /// Size in the checkpoint.
        checkpoint: u64,
        /// Leaves.
        held: u64,
    },
    /// The checkpoint on disk can't be read or is not ours.
    #[error("checkpoint on disk: {0}")]
    Checkpoint(NoteError),
    /// A tile is missing or has other bytes.
    #[error("tile {} is missing or not what the leaves make", .0.display())]
    Tile(PathBuf),
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The tree that the leaves make.
    pub head: Head,
    /// The checkpoint on disk, if there is a good one.
    pub checkpoint: Option<Head>,
    /// What is wrong; empty where all is well.
    pub faults: Vec<Fault>,
}

type Row = (i64, i64, String, Vec<u8>, Option<Vec<u8>>);

impl Ledger {
    /// Checks the whole ledger. Takes time in proportion to it; appending goes on meanwhile.
    ///
    /// # Errors
    /// If the database or a file can't be read.
    pub async fn check(&self) -> Result<Report, LedgerError> {
        let mut faults = Vec::new();
        let checkpoint =
            match tiles::read_checkpoint(self.folder())?.map(|text| Head::open(&text, self.verifier())) {
                None => None,
                Some(Ok(head)) => Some(head),
                Some(Err(error)) => {
                    faults.push(Fault::Checkpoint(error));
                    None
                }
            };
        let mut tree = Frontier::default();
        let mut next = 0;
        loop {
            let page = self.page(next).await?;
            let Some(last) = page.last() else { break };
            next = last.0 + 1;
            for row in page {
                self.check_row(row, &mut tree, &mut faults).await?;
                if let Some(signed) = checkpoint.filter(|signed| signed.size == tree.size())
                    && signed.root != tree.root()
                {
                    faults.push(Fault::Root { size: signed.size });
                }
            }
        }
        let head = Head {
            size: tree.size(),
            root: tree.root(),
        };
        if let Some(signed) = checkpoint {
            if signed.size > head.size {
                faults.push(Fault::Shorter {
                    checkpoint: signed.size,
                    held: head.size,
                });
            }
            self.check_tiles(signed.size, &mut faults).await?;
        }
        Ok(Report {
            head,
            checkpoint,
            faults,
        })
    }

    async fn page(&self, from: i64) -> Result<Vec<Row>, LedgerError> {
        sqlx::query_as(
            "SELECT l.leaf_index, l.sequence, l.subject, l.payload, p.bytes FROM leaves l \
             LEFT JOIN payloads p ON p.digest = l.payload WHERE l.leaf_index >= ? ORDER BY l.leaf_index LIMIT ?",
        )
        .bind(from)
        .bind(PAGE)
        .fetch_all(&self.reader)
        .await
        .map_err(LedgerError::database("reading leaves and payloads"))
    }

    async fn check_row(
        &self,
        row: Row,
        tree: &mut Frontier,
        faults: &mut Vec<Fault>,
    ) -> Result<(), LedgerError> {
        let (index, sequence, subject, payload, bytes) = row;
        let (found_index, found_sequence) = (rows::unsigned(index)?, rows::unsigned(sequence)?);
        let index = tree.size();
        if found_index != index || found_sequence != index + 1 {
            faults.push(Fault::Order {
                index,
                found_index,
                found_sequence,
            });
        }
        let leaf = Leaf {
            payload: rows::digest(payload)?,
            sequence: found_sequence,
            subject,
        };
        if bytes.is_none_or(|bytes| Digest::of(&bytes) != leaf.payload) {
            faults.push(Fault::Payload {
                sequence: found_sequence,
            });
        }
        let mut nodes: Vec<(NodeId, TreeHash)> = Vec::new();
        tree.push(leaf.hash(), |node, hash| nodes.push((node, hash)));
        for (node, hash) in nodes {
            match rows::hashes(&self.reader, &[node]).await {
                Ok(stored) if stored == [hash] => {}
                Ok(_) | Err(LedgerError::Node(_)) => faults.push(Fault::Node(node)),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn check_tiles(&self, size: u64, faults: &mut Vec<Fault>) -> Result<(), LedgerError> {
        for tile in tiles::between(0, size) {
            let path = tile.path();
            let file = tokio::fs::read(self.folder().join(&path)).await;
            let same = match self.tile_bytes(tile).await {
                Ok(bytes) => file.is_ok_and(|file| file == bytes),
                Err(LedgerError::Node(_) | LedgerError::Malformed(_)) => false,
                Err(error) => return Err(error),
            };
            if !same {
                faults.push(Fault::Tile(path));
            }
        }
        Ok(())
    }
}
