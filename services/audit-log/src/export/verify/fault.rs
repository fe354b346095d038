//! What can be wrong with an export.

use std::path::PathBuf;

use domain::Digest;

use crate::ledger::note::NoteError;

/// Something that is not as it has to be, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct Fault {
    /// The file, below the folder of the export.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: What,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// The file is not there.
    #[error("is missing")]
    Missing,
    /// A blob is not there.
    #[error("is missing; the statement of leaf {by} names it")]
    MissingBlob {
        /// Index of a leaf that names it.
        by: u64,
    },
    /// The file has no business there.
    #[error("does not belong to the export")]
    Foreign,
    /// The file has other bytes.
    #[error("is not what leaves, keys and checkpoint make")]
    Differs,
    /// The checkpoint is none of this ledger's.
    #[error("{0}")]
    Note(NoteError),
    /// Not of the form that an export has.
    #[error("{}is not as an export writes it", place(*line))]
    Form {
        /// The line, from 1; 0 for the whole file.
        line: u64,
    },
    /// A leaf at another place than its own.
    #[error("line {line} is leaf {found}, which has no place there")]
    Order {
        /// The line, from 1.
        line: u64,
        /// Index of the leaf.
        found: u64,
    },
    /// Bytes that hash to something else.
    #[error("has the digest {found}, not {expected}")]
    Digest {
        /// What it has to be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A leaf that is not the one in the tree.
    #[error("leaf {index} is not the leaf that stands there in the tree")]
    Leaf {
        /// Its index.
        index: u64,
    },
    /// Leaves are missing, or too many.
    #[error("there are {found} leaves, not {expected}")]
    Count {
        /// How many there have to be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The leaves make another tree.
    #[error("the {size} leaves do not make the root of the checkpoint")]
    Root {
        /// Number of leaves.
        size: u64,
    },
    /// The root key is missing or another one.
    #[error("is missing, or not the root key that was given")]
    RootKey,
    /// No trust bundle counts.
    #[error("no trust bundle in the export is signed by the root key")]
    Bundle,
    /// An older checkpoint has another history.
    #[error("the first {size} leaves are not those of this checkpoint: the ledger was rewritten")]
    History {
        /// Size in that checkpoint.
        size: u64,
    },
    /// An older checkpoint covers more.
    #[error("covers {checkpoint} leaves, the export's ledger has {held}: leaves were lost")]
    Shorter {
        /// Size in that checkpoint.
        checkpoint: u64,
        /// Size of the export's tree.
        held: u64,
    },
}

fn place(line: u64) -> String {
    match line {
        0 => String::new(),
        line => format!("line {line} "),
    }
}
