//! `policy lint|eval|replay|schema`.

use std::path::{Path, PathBuf};

use policy::LoadError;
use policy::stored::StoredError;
use policy_engine::replay::ReplayError;

use super::Context;
use crate::cli::{PolicyArgs, PolicyCommand};
use crate::exit::Exit;
use crate::failure::Failure;

mod eval;
mod lint;
mod replay;
mod schema;

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It can't be read.
    #[error("reading {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no policy.
    #[error("loading the policy")]
    Load(#[source] LoadError),
    /// It holds no stored inputs.
    #[error("reading stored inputs from {from}")]
    Inputs {
        /// The file or the decision.
        from: String,
        /// Why not.
        source: StoredError,
    },
    /// It can't be decided again.
    #[error("making the decision of {from} again")]
    Replay {
        /// The file or the decision.
        from: String,
        /// Why not.
        source: Box<ReplayError>,
    },
}

impl PolicyError {
    /// Whether doing the same again can help.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        false
    }

    /// What to do next.
    #[must_use]
    pub const fn next_step(&self) -> &'static str {
        match self {
            Self::File { .. } => "check the path and who may read it",
            Self::Load(_) => "correct it; `fluxgate policy lint` shows everything that is wrong",
            Self::Inputs { .. } => {
                "give the document that the decision names by its digest, as this version of fluxgate writes it"
            }
            Self::Replay { .. } => {
                "give the inputs that the decision names, and the decision as it stands on the log or in an export"
            }
        }
    }
}

pub(super) async fn run(args: &PolicyArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    match &args.command {
        PolicyCommand::Lint(args) => lint::run(args, context),
        PolicyCommand::Eval(args) => eval::run(args, context).await,
        PolicyCommand::Replay(args) => replay::run(args, context).await,
        PolicyCommand::Schema { kind } => {
            context.screen.data(schema::text(*kind).trim_end());
            Ok(Exit::Done)
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PolicyError> {
    std::fs::read(path).map_err(|source| PolicyError::File {
        path: path.to_owned(),
        source,
    })
}

/// A file's text. What is no UTF-8 is shown as such: the reader refuses it with its place.
fn read_text(path: &Path) -> Result<String, PolicyError> {
    Ok(String::from_utf8_lossy(&read(path)?).into_owned())
}
