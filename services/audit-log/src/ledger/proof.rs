//! One leaf with everything that proves it, and the hashes of all leaves.

use bytes::Bytes;

use super::merkle::TreeHash;
use super::query::{Entry, Filter};
use super::{Head, Leaf, Ledger, LedgerError, rows};

/// A leaf with its payload and its proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// What it is about.
    pub entry: Entry,
    /// The leaf.
    pub leaf: Leaf,
    /// The payload as it was stored.
    pub payload: Bytes,
    /// The tree that it is proven in.
    pub head: Head,
    /// The checkpoint of that tree.
    pub checkpoint: String,
    /// The inclusion proof.
    pub proof: Vec<TreeHash>,
    /// Indexes of later leaves under the same subject.
    pub later: Vec<u64>,
}

impl Ledger {
    /// The entry at an index.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn entry(&self, index: u64) -> Result<Option<Entry>, LedgerError> {
        let found = self.entries(&Filter::default(), index, 1).await?;
        Ok(found.into_iter().next().filter(|entry| entry.index == index))
    }

    /// The proof of an entry, in the newest checkpoint.
    ///
    /// # Errors
    /// If the database or a file fails, or the payload is missing.
    pub async fn prove(&self, entry: Entry) -> Result<Proven, LedgerError> {
        let later = self.under(&entry.subject).await?;
        let later = later.iter().map(|other| other.index);
        let later = later.filter(|other| *other > entry.index).collect();
        let payload = self.payload(entry.payload).await?;
        let payload = payload.ok_or(LedgerError::Malformed("a leaf without its payload"))?;
        let (head, checkpoint) = self.publish().await?;
        let proof = self.inclusion_proof(entry.index, head.size).await?;
        let leaf = Leaf {
            payload: entry.payload,
            sequence: entry.sequence,
            subject: entry.subject.clone(),
        };
        Ok(Proven {
            entry,
            leaf,
            payload,
            head,
            checkpoint,
            proof,
            later,
        })
    }

    /// Hashes of leaves from `first` on, at most `limit`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn leaf_hashes(&self, first: u64, limit: u32) -> Result<Vec<TreeHash>, LedgerError> {
        rows::leaf_hashes(&self.reader, first, limit).await
    }
}
