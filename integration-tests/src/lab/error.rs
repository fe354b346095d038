//! What can go wrong in the lab. Each text names the part or object; where a part has a log, its path and last
//! lines are in the text, since that is what one wants to read next.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::tools::Tool;

/// A failure of the lab.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The binary's main does not begin with the tether, so parts could be left running.
    #[error("this program cannot start parts: call lab::tether::run_if_asked() first thing in its main")]
    NotTethered,
    /// The operator's own folder lacks a binary.
    #[error("no {tool} in {}, which FLUXGATE_TOOLS names: put it there, or unset FLUXGATE_TOOLS to build it", folder.display())]
    ToolNotInFolder {
        /// The missing tool.
        tool: Tool,
        /// The folder that `$FLUXGATE_TOOLS` names.
        folder: PathBuf,
    },
    /// Neither built before, nor Go to build it.
    #[error(
        "{tool} was never built here and there is no Go to build it: install Go 1.26 or newer (https://go.dev/dl), or set FLUXGATE_TOOLS to a folder with {}",
        Tool::names()
    )]
    GoMissing {
        /// The missing tool.
        tool: Tool,
    },
    /// `go build` failed.
    #[error("building {tool} failed ({status}); log kept at {}, last lines:\n{tail}", log.display())]
    Build {
        /// The tool that was built.
        tool: Tool,
        /// How `go` ended.
        status: ExitStatus,
        /// Its output.
        log: PathBuf,
        /// The last lines of the output.
        tail: String,
    },
    /// A part was started whose tool the lab was not asked to have.
    #[error("the lab was started without {tool}: add it to the wanted tools")]
    ToolNotWanted {
        /// The tool.
        tool: Tool,
    },
    /// A file of the lab could not be made, read, locked or removed.
    #[error("{operation} {}", path.display())]
    File {
        /// What was tried, as in "creating".
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A process could not be started or waited for, or no free port was to be had.
    #[error("{operation} {part}")]
    Process {
        /// What was tried, as in "starting".
        operation: &'static str,
        /// The part.
        part: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A part ended before it was ready.
    #[error("{part} ended ({status}) before it was ready; log kept at {}, last lines:\n{tail}", log.display())]
    PartEnded {
        /// The part.
        part: String,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// A part ran but did not become ready in time.
    #[error("{part} was not ready after {} s; log kept at {}, last lines:\n{tail}", after.as_secs(), log.display())]
    NotReady {
        /// The part.
        part: String,
        /// The deadline that passed.
        after: Duration,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// A call to a cluster's API failed.
    #[error("{operation} {object} on cluster {cluster}")]
    Kube {
        /// What was tried, as in "applying".
        operation: &'static str,
        /// On what object, as `Kind/name`.
        object: String,
        /// On which cluster.
        cluster: String,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// A cluster did not reach a state in time.
    #[error("{object} on cluster {cluster} was not {state} after {} s", after.as_secs())]
    Deadline {
        /// What was waited for, as `Kind/name`.
        object: String,
        /// On which cluster.
        cluster: String,
        /// The state that did not come, as in "Established".
        state: &'static str,
        /// The deadline that passed.
        after: Duration,
    },
    /// Documents or credentials of a cluster could not be read or made.
    #[error("{operation} for cluster {cluster}")]
    Document {
        /// What was tried, as in "reading the documents".
        operation: &'static str,
        /// For which cluster.
        cluster: String,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A task of the lab panicked or was cancelled.
    #[error("{operation} was interrupted")]
    Interrupted {
        /// What was going on.
        operation: &'static str,
        /// Why it ended.
        source: tokio::task::JoinError,
    },
}

impl Error {
    /// Whether the same call may succeed when made again without changing anything.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::NotReady { .. } | Self::Deadline { .. } | Self::Interrupted { .. } => true,
            Self::PartEnded { .. } => self.address_in_use(),
            Self::Kube { source, .. } => {
                !matches!(source.as_ref(), kube::Error::Api(status) if status.code < 500)
            }
            Self::NotTethered
            | Self::ToolNotInFolder { .. }
            | Self::GoMissing { .. }
            | Self::Build { .. }
            | Self::ToolNotWanted { .. }
            | Self::File { .. }
            | Self::Process { .. }
            | Self::Document { .. } => false,
        }
    }

    /// Whether a part ended because someone else took its port between our asking for one and its listening.
    pub(crate) fn address_in_use(&self) -> bool {
        matches!(self, Self::PartEnded { tail, .. } if tail.contains("address already in use"))
    }
}
