//! What is kept beside the tree: payloads, the blobs that they name, and sequences in dispute.

use bytes::Bytes;
use jiff::Timestamp;

use domain::Digest;

use super::merkle::NodeId;
use super::{Leaf, Ledger, LedgerError, rows};

/// A blob that a statement names and the ledger does not have yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingBlob {
    /// Its digest.
    pub digest: Digest,
    /// Sequence of the first statement that names it.
    pub sequence: u64,
    /// When the stream stored that statement.
    pub named_time: Timestamp,
}

/// Why a digest and bytes can't be stored together.
#[derive(Debug, thiserror::Error)]
pub enum PutBlobError {
    /// The bytes are others.
    #[error("bytes of blob {expected} hash to {found}")]
    Digest {
        /// The blob's name.
        expected: Digest,
        /// Digest of the bytes.
        found: Digest,
    },
    /// The ledger failed.
    #[error("storing a blob")]
    Ledger(#[from] LedgerError),
}

impl Ledger {
    /// The leaf of a sequence.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn leaf(&self, sequence: u64) -> Result<Option<Leaf>, LedgerError> {
        rows::leaf(&self.reader, sequence).await
    }

    /// The payload with this digest.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn payload(&self, digest: Digest) -> Result<Option<Bytes>, LedgerError> {
        self.bytes("SELECT bytes FROM payloads WHERE digest = ?", digest)
            .await
    }

    /// The blob with this digest, if it was copied.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn blob(&self, digest: Digest) -> Result<Option<Bytes>, LedgerError> {
        self.bytes(
            "SELECT bytes FROM blobs WHERE digest = ? AND bytes IS NOT NULL",
            digest,
        )
        .await
    }

    async fn bytes(&self, sql: &'static str, digest: Digest) -> Result<Option<Bytes>, LedgerError> {
        let bytes: Option<Vec<u8>> = sqlx::query_scalar(sql)
            .bind(digest.as_bytes().as_slice())
            .fetch_optional(&self.reader)
            .await
            .map_err(LedgerError::database("reading bytes by digest"))?;
        Ok(bytes.map(Bytes::from))
    }

    /// Whether our own copy of a leaf is as it was written: its payload hashes to the leaf's digest and the
    /// leaf to its node in the tree.
    ///
    /// # Errors
    /// If the database fails or the node is missing.
    pub async fn is_intact(&self, leaf: &Leaf) -> Result<bool, LedgerError> {
        let node = NodeId {
            level: 0,
            position: leaf.sequence.saturating_sub(1),
        };
        let stored = rows::hashes(&self.reader, &[node]).await?;
        let payload = self.payload(leaf.payload).await?;
        Ok(stored == [leaf.hash()] && payload.is_some_and(|bytes| Digest::of(&bytes) == leaf.payload))
    }

    /// Blobs that are named after this sequence and not copied yet, the oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn missing_blobs(&self, after: u64, limit: u32) -> Result<Vec<MissingBlob>, LedgerError> {
        let rows: Vec<(Vec<u8>, i64, String)> = sqlx::query_as(
            "SELECT digest, sequence, named_time FROM blobs WHERE bytes IS NULL AND sequence > ? \
             ORDER BY sequence LIMIT ?",
        )
        .bind(rows::signed(after)?)
        .bind(limit)
        .fetch_all(&self.reader)
        .await
        .map_err(LedgerError::database("listing missing blobs"))?;
        rows.into_iter()
            .map(|(digest, sequence, named)| {
                Ok(MissingBlob {
                    digest: rows::digest(digest)?,
                    sequence: rows::unsigned(sequence)?,
                    named_time: rows::time(&named)?,
                })
            })
            .collect()
    }

    /// Keeps the bytes of a blob that a statement named.
    ///
    /// # Errors
    /// If the bytes are others than the digest says, or the database fails.
    pub async fn put_blob(&self, digest: Digest, bytes: &[u8]) -> Result<(), PutBlobError> {
        let found = Digest::of(bytes);
        if found != digest {
            return Err(PutBlobError::Digest {
                expected: digest,
                found,
            });
        }
        sqlx::query("UPDATE blobs SET bytes = ? WHERE digest = ?")
            .bind(bytes)
            .bind(digest.as_bytes().as_slice())
            .execute(&self.writer)
            .await
            .map_err(LedgerError::database("storing a blob"))?;
        Ok(())
    }

    /// Sequences of which the stream said something else than the ledger when it was last asked, with what
    /// was found.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn disputes(&self) -> Result<Vec<(u64, String)>, LedgerError> {
        let rows: Vec<(i64, String)> =
            sqlx::query_as("SELECT sequence, found FROM disputes ORDER BY sequence")
                .fetch_all(&self.reader)
                .await
                .map_err(LedgerError::database("listing disputes"))?;
        rows.into_iter()
            .map(|(sequence, found)| Ok((rows::unsigned(sequence)?, found)))
            .collect()
    }

    /// Notes that the stream disagrees about a sequence.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn dispute(&self, sequence: u64, found: &str) -> Result<(), LedgerError> {
        sqlx::query("INSERT OR REPLACE INTO disputes (sequence, found) VALUES (?, ?)")
            .bind(rows::signed(sequence)?)
            .bind(found)
            .execute(&self.writer)
            .await
            .map_err(LedgerError::database("storing a dispute"))?;
        Ok(())
    }

    /// Notes that the stream agrees about a sequence again.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn settle(&self, sequence: u64) -> Result<(), LedgerError> {
        sqlx::query("DELETE FROM disputes WHERE sequence = ?")
            .bind(rows::signed(sequence)?)
            .execute(&self.writer)
            .await
            .map_err(LedgerError::database("removing a dispute"))?;
        Ok(())
    }
}
