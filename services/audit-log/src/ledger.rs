//! The ledger: a Merkle log of everything that the stream ever said, with no network in it.
//!
//! Formats: C2SP tlog-tiles (tile height 8) with tlog-checkpoint and signed-note, hashes of RFC 6962.
//! `<state>/ledger.sqlite` holds leaves, node hashes, payloads and blobs; `<state>/tlog/` holds what
//! outsiders read: `checkpoint`, `tile/<level>/<number>`, `tile/entries/<number>`.
//!
//! Invariants:
//! - Leaf `i` is sequence `i + 1` of one stream: the number of leaves is the cursor. A sequence that is not
//!   the next one, or that is held with other bytes, is an error, never a leaf.
//! - Leaves, nodes, payloads, names of blobs and cursor change in one transaction.
//! - A checkpoint is written after the tiles that it covers, and is never of fewer leaves than the one
//!   before: a database that is older than the checkpoint on disk does not open.
//!
//! Deliberately not here: what a payload means (`describe`), where it comes from (`service`).

pub mod beside;
pub mod check;
mod error;
pub mod index;
pub mod leaf;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod query;
mod rows;
pub mod tiles;

use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::Mutex;

use domain::Digest;

pub use error::LedgerError;
pub use leaf::Leaf;
use merkle::{Frontier, NodeId, TreeHash, consistency_ranges, inclusion_ranges, nodes_of};
pub use note::{Head, NoteKey, NoteVerifier};

/// One event of the stream, to be appended.
#[derive(Debug, Clone)]
pub struct Event {
    /// Stream sequence.
    pub sequence: u64,
    /// Subject.
    pub subject: String,
    /// The bytes as they were stored.
    pub payload: Bytes,
    /// When the stream stored it, as the stream says.
    pub store_time: Timestamp,
    /// What it says of itself.
    pub about: About,
}

/// What a statement says of itself: an index for finding it. Empty where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// Kind of claim, like `decision`.
    pub kind: String,
    /// Trace id, 32 hex digits.
    pub trace_id: String,
    /// Span id, 16 hex digits.
    pub span_id: String,
    /// When its maker says that it was made.
    pub made: Option<Timestamp>,
    /// Release key.
    pub release: String,
    /// Rollout.
    pub rollout: String,
    /// Cluster.
    pub cluster: String,
    /// API name of the decision that it is or rests on.
    pub decision: String,
    /// One line for people.
    pub summary: String,
    /// Blobs that it names.
    pub blobs: Vec<Digest>,
}

/// The ledger of one stream.
#[derive(Debug)]
pub struct Ledger {
    writer: SqlitePool,
    reader: SqlitePool,
    folder: PathBuf,
    key: NoteKey,
    /// Held while appending, so that tree and database move together.
    frontier: Mutex<Frontier>,
    /// Held while files are written; the size that the checkpoint on disk covers.
    published: Mutex<Option<u64>>,
}

impl Ledger {
    /// Opens the ledger below `state`, or begins an empty one.
    ///
    /// # Errors
    /// If the database can't be opened, is damaged at its right edge, or is not a continuation of the
    /// checkpoint on disk.
    pub async fn open(state: &Path, key: NoteKey) -> Result<Self, LedgerError> {
        let folder = state.join("tlog");
        std::fs::create_dir_all(&folder).map_err(|source| LedgerError::File {
            path: folder.clone(),
            source,
        })?;
        let path = state.join("ledger.sqlite");
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let opening = |source| LedgerError::Open {
            path: path.clone(),
            source,
        };
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(opening)?;
        sqlx::migrate!()
            .run(&writer)
            .await
            .map_err(LedgerError::Migrate)?;
        let reader = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await
            .map_err(opening)?;
        let size = rows::size(&reader).await?;
        let peaks = rows::hashes(&reader, &nodes_of(0..size)).await?;
        let frontier = Mutex::new(Frontier::new(size, peaks));
        let ledger = Self {
            writer,
            reader,
            folder,
            key,
            frontier,
            published: Mutex::new(None),
        };
        *ledger.published.lock().await = ledger.last_checkpoint(size).await?;
        Ok(ledger)
    }

    /// The size that the checkpoint on disk covers, which must be a head that this tree had.
    async fn last_checkpoint(&self, size: u64) -> Result<Option<u64>, LedgerError> {
        let Some(text) = tiles::read_checkpoint(&self.folder)? else {
            return Ok(None);
        };
        let head = Head::open(&text, self.key.verifier())?;
        if head.size > size {
            return Err(LedgerError::OlderThanCheckpoint {
                checkpoint: head.size,
                held: size,
            });
        }
        if self.root_at(head.size).await? != head.root {
            return Err(LedgerError::NotTheCheckpoint { size: head.size });
        }
        Ok(Some(head.size))
    }

    /// Closes the database, so that its folder can be moved.
    pub async fn close(self) {
        self.writer.close().await;
        self.reader.close().await;
    }

    /// The key that outsiders check checkpoints with.
    #[must_use]
    pub const fn verifier(&self) -> &NoteVerifier {
        self.key.verifier()
    }

    /// Folder of checkpoint and tiles.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The head now. Its size is the last sequence held: the cursor.
    pub async fn head(&self) -> Head {
        let frontier = self.frontier.lock().await;
        Head {
            size: frontier.size(),
            root: frontier.root(),
        }
    }

    /// Creation time of the stream that the ledger follows; `None` before the first leaf.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn stream_created(&self) -> Result<Option<Timestamp>, LedgerError> {
        rows::stream_created(&self.reader).await
    }

    /// Appends events of the stream created at `created`, all or none, and says how many were new. Those
    /// that are held already, with the same bytes, change nothing.
    ///
    /// # Errors
    /// If the stream is another one, a sequence is not the next, or one is held with other bytes.
    pub async fn append(&self, created: Timestamp, events: &[Event]) -> Result<u64, LedgerError> {
        let mut frontier = self.frontier.lock().await;
        let mut tree = frontier.clone();
        let mut transaction = self
            .writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(LedgerError::database("beginning"))?;
        match rows::stream_created(&mut *transaction).await? {
            None => rows::set_stream_created(&mut transaction, created).await?,
            Some(held) if held == created => {}
            Some(held) => return Err(LedgerError::Recreated { held, found: created }),
        }
        for event in events {
            let leaf = Leaf {
                payload: Digest::of(&event.payload),
                sequence: event.sequence,
                subject: event.subject.clone(),
            };
            if event.sequence <= tree.size() {
                if rows::leaf(&mut *transaction, event.sequence).await?.as_ref() != Some(&leaf) {
                    return Err(LedgerError::Changed {
                        sequence: event.sequence,
                    });
                }
                continue;
            }
            if event.sequence != tree.size() + 1 {
                return Err(LedgerError::Gap {
                    expected: tree.size() + 1,
                    found: event.sequence,
                });
            }
            let mut nodes: Vec<(NodeId, TreeHash)> = Vec::new();
            let index = tree.size();
            tree.push(leaf.hash(), |node, hash| nodes.push((node, hash)));
            rows::insert(&mut transaction, index, &leaf, event).await?;
            rows::insert_hashes(&mut transaction, &nodes).await?;
        }
        transaction
            .commit()
            .await
            .map_err(LedgerError::database("committing"))?;
        let added = tree.size() - frontier.size();
        *frontier = tree;
        Ok(added)
    }

    /// Writes the tiles of all leaves and the checkpoint, and returns head and checkpoint.
    ///
    /// # Errors
    /// If the database or a file fails; what was there before stays readable.
    pub async fn publish(&self) -> Result<(Head, String), LedgerError> {
        let mut published = self.published.lock().await;
        let head = self.head().await;
        let note = head.sign(&self.key);
        if *published != Some(head.size) {
            let mut files = Vec::new();
            for tile in tiles::between(published.unwrap_or(0), head.size) {
                files.push((tile, self.tile_bytes(tile).await?));
            }
            tiles::write(self.folder.clone(), files, note.clone()).await?;
            *published = Some(head.size);
        }
        Ok((head, note))
    }

    /// The bytes of a tile: hashes, or entries framed by 16-bit lengths.
    async fn tile_bytes(&self, tile: tiles::Tile) -> Result<Vec<u8>, LedgerError> {
        match tile.kind {
            tiles::Kind::Hashes(level) => {
                let first = tile.number * tiles::WIDTH;
                let level = level * tiles::HEIGHT;
                let nodes: Vec<NodeId> = (first..first + tile.width)
                    .map(|position| NodeId { level, position })
                    .collect();
                let hashes = rows::hashes(&self.reader, &nodes).await?;
                Ok(hashes.iter().flat_map(|hash| *hash.as_bytes()).collect())
            }
            tiles::Kind::Entries => {
                let first = tile.number * tiles::WIDTH + 1;
                let leaves = rows::leaves(&self.reader, first..first + tile.width).await?;
                tiles::frame(&leaves)
            }
        }
    }

    /// The root of the tree when it had `size` leaves.
    ///
    /// # Errors
    /// If there never were that many, or the database fails.
    pub async fn root_at(&self, size: u64) -> Result<TreeHash, LedgerError> {
        if size == 0 {
            Ok(TreeHash::empty())
        } else {
            self.hash_of(0..size).await
        }
    }

    /// The inclusion proof of leaf `index` in the tree of `size` leaves.
    ///
    /// # Errors
    /// If there never were that many leaves, or the database fails.
    pub async fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<TreeHash>, LedgerError> {
        self.hashes_of(inclusion_ranges(index, size)).await
    }

    /// The consistency proof between the trees of `old` and `new` leaves.
    ///
    /// # Errors
    /// If there never were that many leaves, or the database fails.
    pub async fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<TreeHash>, LedgerError> {
        self.hashes_of(consistency_ranges(old, new)).await
    }

    async fn hashes_of(&self, ranges: Vec<Range<u64>>) -> Result<Vec<TreeHash>, LedgerError> {
        let mut proof = Vec::with_capacity(ranges.len());
        for range in ranges {
            proof.push(self.hash_of(range).await?);
        }
        Ok(proof)
    }

    async fn hash_of(&self, range: Range<u64>) -> Result<TreeHash, LedgerError> {
        let hashes = rows::hashes(&self.reader, &nodes_of(range)).await?;
        merkle::fold(&hashes).ok_or(LedgerError::Malformed("an empty range of leaves"))
    }
}

#[cfg(test)]
mod tests;
