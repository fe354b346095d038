//! Writing an export: beside its place, under its name once it is whole.
//!
//! What comes from a server is checked while it is written: bytes against their digests, leaves against the
//! tree, the tree against the checkpoint. An export that would not verify is not made.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use attest::PublicKey;
use domain::Digest;

use super::derive::{self, Basis};
use super::layout::{self, Line, Manifest};
use super::study::{Study, study};
use super::tree::Tree;
use crate::ledger::merkle::TreeHash;
use crate::ledger::note::NoteError;
use crate::ledger::{Head, LedgerError, NoteVerifier};

/// Why an export was not made.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Something is at its place already.
    #[error("{0} is there already")]
    Exists(PathBuf),
    /// A file can't be written or read back.
    #[error("writing {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The checkpoint is not by the key that was said to be the ledger's.
    #[error("the ledger sent a checkpoint that is not by its own key")]
    Checkpoint(#[from] NoteError),
    /// A leaf out of order.
    #[error("the ledger sent leaf {found} with sequence {sequence} where a later one was due")]
    Order {
        /// Its index.
        found: u64,
        /// Its sequence.
        sequence: u64,
    },
    /// A blob has other bytes than its name says.
    #[error("the ledger sent blob {0} with other bytes")]
    Blob(Digest),
    /// Leaves are missing, or too many.
    #[error("the ledger sent {found} leaves or hashes of leaves, its checkpoint covers {expected}")]
    Count {
        /// In the checkpoint.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// A leaf is not in the tree.
    #[error("leaf {0} is not in the tree that the ledger sent")]
    Leaf(u64),
    /// The leaves make another tree.
    #[error("the {size} leaves that the ledger sent do not make the root of its checkpoint")]
    Root {
        /// Number of leaves.
        size: u64,
    },
    /// A subject that no stream could hold.
    #[error("making the tiles")]
    Tiles(#[source] LedgerError),
}

/// What an export begins with.
#[derive(Debug, Clone)]
pub struct Begin {
    /// The checkpoint.
    pub checkpoint: String,
    /// Who the ledger says that it is.
    pub verifier: NoteVerifier,
    /// The root key that the hub pins.
    pub root: Option<PublicKey>,
    /// What leaves are chosen by; empty for all of them.
    pub chosen_by: String,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Leaves that are there.
    pub leaves: u64,
    /// Leaves that the checkpoint covers.
    pub size: u64,
    /// Blobs that are there.
    pub blobs: u64,
    /// Blobs that are named and that the ledger does not hold yet.
    pub missing: Vec<Digest>,
    /// Whether there is a trust bundle that the root key signed.
    pub has_bundle: bool,
}

/// An export in the making. Dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub struct Writer {
    place: PathBuf,
    folder: PathBuf,
    head: Head,
    begin: Begin,
    hashes: Vec<TreeHash>,
    lines: Vec<Line>,
    blobs: u64,
    missing: Vec<Digest>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After it was renamed there is none; what can't be removed was told of when it could not be written.
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> WriteError {
    let path = path.to_owned();
    move |source| WriteError::File { path, source }
}

impl Writer {
    /// Begins an export at `place`, where nothing may be.
    ///
    /// # Errors
    /// If something is there, nothing can be written, or the checkpoint is not by the ledger's key.
    pub fn create(place: &Path, begin: Begin) -> Result<Self, WriteError> {
        if fs::symlink_metadata(place).is_ok() {
            return Err(WriteError::Exists(place.to_owned()));
        }
        let head = Head::open(&begin.checkpoint, &begin.verifier)?;
        // Without a slash at its end, behind which a file would lie inside.
        let place: PathBuf = place.components().collect();
        let mut name = place.as_os_str().to_owned();
        name.push(format!(".part-{}", std::process::id()));
        let folder = PathBuf::from(name);
        fs::create_dir_all(&folder).map_err(file(&folder))?;
        Ok(Self {
            place,
            folder,
            head,
            begin,
            hashes: Vec::new(),
            lines: Vec::new(),
            blobs: 0,
            missing: Vec::new(),
        })
    }

    fn is_complete(&self) -> bool {
        self.begin.chosen_by.is_empty()
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
        let path = self.folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(file(parent))?;
        }
        fs::write(&path, bytes).map_err(file(&path))
    }

    /// Takes in hashes of leaves, the first of them at `first`.
    ///
    /// # Errors
    /// If hashes before them are missing, or there are more than the checkpoint covers.
    pub fn hashes(&mut self, first: u64, hashes: &[u8]) -> Result<(), WriteError> {
        let (chunks, rest) = hashes.as_chunks::<32>();
        let held = self.hashes.len() as u64;
        let found = held.saturating_add(chunks.len() as u64);
        if first != held || !rest.is_empty() || found > self.head.size {
            let expected = self.head.size;
            return Err(WriteError::Count { expected, found });
        }
        self.hashes
            .extend(chunks.iter().copied().map(TreeHash::from_bytes));
        Ok(())
    }

    /// Takes in a leaf.
    ///
    /// # Errors
    /// If it is out of order, or can't be written.
    pub fn leaf(
        &mut self,
        (index, sequence): (u64, u64),
        subject: &str,
        payload: &[u8],
    ) -> Result<(), WriteError> {
        let late = self.lines.last().is_some_and(|last| last.index >= index);
        if late || index >= self.head.size || index.checked_add(1) != Some(sequence) {
            return Err(WriteError::Order {
                found: index,
                sequence,
            });
        }
        self.put(&layout::envelope(index), payload)?;
        self.lines.push(Line {
            index,
            payload: Digest::of(payload),
            sequence,
            subject: subject.to_owned(),
        });
        Ok(())
    }

    /// Takes in a blob; none where the ledger does not hold it yet.
    ///
    /// # Errors
    /// If it has other bytes, or can't be written.
    pub fn blob(&mut self, digest: Digest, bytes: Option<&[u8]>) -> Result<(), WriteError> {
        let Some(bytes) = bytes else {
            self.missing.push(digest);
            return Ok(());
        };
        if Digest::of(bytes) != digest {
            return Err(WriteError::Blob(digest));
        }
        self.blobs += 1;
        self.put(&layout::blob(digest), bytes)
    }

    /// Writes what follows from the leaves, and gives the export its name.
    ///
    /// # Errors
    /// If leaves, tree and checkpoint do not fit, or something can't be written.
    pub fn finish(self) -> Result<Written, WriteError> {
        let tree = self.tree()?;
        let manifest = Manifest {
            chosen_by: self.begin.chosen_by.clone(),
            complete: self.is_complete(),
            format: super::FORMAT.to_owned(),
            leaves: self.lines.len() as u64,
        };
        let studied = self.study()?;
        let basis = Basis {
            manifest: &manifest,
            verifier: &self.begin.verifier,
            checkpoint: &self.begin.checkpoint,
            tree: &tree,
            lines: &self.lines,
            root: self.begin.root.as_ref(),
            trust: studied.trust.as_ref(),
            example: studied.example.clone(),
        };
        for (path, bytes) in derive::files(&basis).map_err(WriteError::Tiles)? {
            self.put(&path, &bytes)?;
        }
        let lines: Vec<u8> = self.lines.iter().flat_map(layout::line).collect();
        self.put(Path::new(layout::ENTRIES), &lines)?;
        self.put(Path::new(layout::CHECKPOINT), self.begin.checkpoint.as_bytes())?;
        self.put(Path::new(layout::MANIFEST), &layout::line(&manifest))?;
        fs::rename(&self.folder, &self.place).map_err(file(&self.place))?;
        Ok(Written {
            leaves: manifest.leaves,
            size: self.head.size,
            blobs: self.blobs,
            missing: self.missing.clone(),
            has_bundle: studied.trust.is_some(),
        })
    }

    /// The tree, in which every leaf is and whose root is the checkpoint's.
    fn tree(&self) -> Result<Tree, WriteError> {
        let own = self.lines.iter().map(|line| line.leaf().hash());
        let tree = if self.is_complete() {
            Tree::of(own)
        } else {
            Tree::of(self.hashes.iter().copied())
        };
        let size = self.head.size;
        if tree.size() != size {
            return Err(WriteError::Count {
                expected: size,
                found: tree.size(),
            });
        }
        let strange = |line: &&Line| tree.leaf(line.index) != Some(line.leaf().hash());
        if let Some(line) = self.lines.iter().find(strange) {
            return Err(WriteError::Leaf(line.index));
        }
        if tree.root() == self.head.root {
            Ok(tree)
        } else {
            Err(WriteError::Root { size })
        }
    }

    fn study(&self) -> Result<Study, WriteError> {
        study(self.begin.root.as_ref(), &self.lines, |line| {
            let path = self.folder.join(layout::envelope(line.index));
            fs::read(&path).map(Some).map_err(file(&path))
        })
    }
}
