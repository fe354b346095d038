//! Why a command of `audit` failed.

use std::path::PathBuf;

use attest::keys::KeyError;
use audit_log::LedgerError;
use audit_log::export::{ReadError, WriteError};
use audit_log::ledger::note::NoteError;
use audit_log::rebuild::RebuildError;
use audit_log::restore::RestoreError;
use bus::connection::ConnectError;
use bus::refill::RefillError;

use crate::exit::Exit;

/// Why a command of `audit` failed.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A file can't be read or written.
    #[error("reading or writing {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file holds no key of a ledger, or no checkpoint by it.
    #[error("reading {}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: NoteError,
    },
    /// The file holds no root key.
    #[error("reading the root key in {}", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// What the hub answered is not what it has to be.
    #[error("reading what the ledger answered: {0}")]
    Answer(&'static str),
    /// The export was not made.
    #[error("making the export")]
    Write(#[source] WriteError),
    /// The export can't be read.
    #[error("checking the export")]
    Read(#[source] ReadError),
    /// NATS can't be reached.
    #[error("connecting to NATS")]
    Connect(#[source] ConnectError),
    /// The new ledger would have a name that the old one had.
    #[error("the new ledger can't be called {0}: the old one is")]
    SameOrigin(String),
    /// The ledger can't be made.
    #[error("making the ledger")]
    Ledger(#[source] LedgerError),
    /// The ledger was not begun anew.
    #[error("beginning the ledger anew")]
    Rebuild(#[source] RebuildError),
    /// The stream was not filled.
    #[error("restoring the stream")]
    Restore(#[source] RestoreError),
    /// Something is at the ledger's place.
    #[error("there is something at {}", .0.display())]
    Occupied(PathBuf),
}

impl AuditError {
    /// How the command ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let again = match self {
            Self::File { .. }
            | Self::Key { .. }
            | Self::Root { .. }
            | Self::Read(_)
            | Self::SameOrigin(_)
            | Self::Occupied(_) => false,
            Self::Answer(_) => true,
            Self::Write(error) => !matches!(error, WriteError::Exists(_) | WriteError::File { .. }),
            Self::Connect(error) => error.retryable(),
            Self::Ledger(error) => error.retryable(),
            Self::Rebuild(error) => error.retryable(),
            Self::Restore(error) => error.retryable(),
        };
        if again { Exit::NoAnswer } else { Exit::Usage }
    }

    /// Whether doing the same again can help.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.exit() == Exit::NoAnswer
    }

    /// What to do next.
    #[must_use]
    pub const fn next_step(&self) -> &'static str {
        match self {
            Self::File { .. } => "check the path and who may read and write there",
            Self::Key { .. } => {
                "give the ledger's key as NAME+ID+KEY (keys/ledger.vkey of an export), or a checkpoint by it"
            }
            Self::Root { .. } => "give root.pub as `fluxgate keys init` made it, or its fingerprint",
            Self::Answer(_) => "compare `fluxgate version` with the server's; look at the log of audit-log",
            Self::Write(WriteError::Exists(_)) => "choose another folder; nothing is written over",
            Self::Write(WriteError::File { .. }) => "check the path, the space, and who may write there",
            Self::Write(_) => {
                "look at `fluxgate check`: the ledger contradicts itself; keep its folder as evidence"
            }
            Self::Read(_) => "check the path: it has to be a folder that `fluxgate audit export` made",
            Self::Connect(_) => "check --nats and --creds",
            Self::SameOrigin(_) => "choose another --origin: nobody may take the new ledger for the old one",
            Self::Ledger(_) => "check --note-key, --origin and the folder",
            Self::Rebuild(RebuildError::Ledger(LedgerError::Gap { .. })) => {
                "the stream lacks sequences: make a new one and fill it with `fluxgate audit restore`"
            }
            Self::Rebuild(_) => "check NATS with `fluxgate migrate --dry-run`, then try again",
            Self::Restore(RestoreError::Refill(RefillError::Other { .. } | RefillError::Further { .. })) => {
                "restore into a new stream that nobody writes to: stop the services and their agents first"
            }
            Self::Restore(_) => "run `fluxgate migrate` first; it may be started again where it ended",
            Self::Occupied(_) => "move it away and keep it: it is evidence; nothing is written over",
        }
    }
}
