//! What can go wrong in the ledger.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use super::merkle::NodeId;
use super::note::NoteError;

/// Why the ledger could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database file can't be used.
    #[error("opening the ledger's database {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The database is of another version.
    #[error("migrating the ledger's database")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// A statement failed.
    #[error("{operation} in the ledger's database")]
    Database {
        /// What was done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: sqlx::Error,
    },
    /// A file can't be read or written.
    #[error("reading or writing {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A value in the database is not what was written there.
    #[error("ledger's database holds {0} that nobody wrote")]
    Malformed(&'static str),
    /// A node of the tree is missing or malformed.
    #[error("ledger's database lacks the hash at level {} position {}", .0.level, .0.position)]
    Node(NodeId),
    /// A sequence that is not the next one.
    #[error("stream goes on with sequence {found}, not {expected}")]
    Gap {
        /// The next sequence.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// A sequence that is held with another subject or payload.
    #[error("sequence {sequence} is held with another subject or payload")]
    Changed {
        /// The sequence.
        sequence: u64,
    },
    /// Another stream than the one that the ledger follows.
    #[error("stream was created at {found}, the ledger follows one created at {held}")]
    Recreated {
        /// Creation time of the ledger's stream.
        held: Timestamp,
        /// Creation time of the other one.
        found: Timestamp,
    },
    /// The checkpoint on disk can't be read or is not ours.
    #[error("checkpoint on disk is not of this ledger")]
    Checkpoint(#[from] NoteError),
    /// The database is an older copy.
    #[error("checkpoint on disk covers {checkpoint} leaves, the database holds {held}")]
    OlderThanCheckpoint {
        /// Size in the checkpoint.
        checkpoint: u64,
        /// Size of the database.
        held: u64,
    },
    /// The database is another history.
    #[error("first {size} leaves are not those of the checkpoint on disk")]
    NotTheCheckpoint {
        /// Size in the checkpoint.
        size: u64,
    },
}

impl LedgerError {
    pub(super) fn database(operation: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { operation, source }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Database { .. } | Self::File { .. } => true,
            Self::Migrate(_)
            | Self::Malformed(_)
            | Self::Node(_)
            | Self::Gap { .. }
            | Self::Changed { .. }
            | Self::Recreated { .. }
            | Self::Checkpoint(_)
            | Self::OlderThanCheckpoint { .. }
            | Self::NotTheCheckpoint { .. } => false,
        }
    }
}
