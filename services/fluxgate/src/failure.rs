//! Why a command has no answer, and what a person can do about it.

use std::collections::BTreeMap;

use domain::Reason;
use jiff::SignedDuration;
use runtime::errors::chain;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::commands::MigrateError;
use crate::dev::DevError;
use crate::exit::Exit;
use crate::keys::KeysError;
use crate::words;

/// Why a command failed. Its text is what was tried; the cause stands in its source.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Arguments that do not go together.
    #[error("{argument} can't be used here")]
    Argument {
        /// The argument.
        argument: &'static str,
        /// What to do in its place.
        instead: &'static str,
    },
    /// The address is none.
    #[error("server {url:?} is not like http://127.0.0.1:7878")]
    Address {
        /// What was given.
        url: String,
    },
    /// Nobody answers.
    #[error("no server answers at {url}")]
    Unreachable {
        /// The address.
        url: String,
        /// What the transport said.
        source: tonic::transport::Error,
    },
    /// The server answered with an error.
    #[error("{doing}")]
    Call {
        /// What was asked for.
        doing: String,
        /// The answer.
        #[source]
        source: Box<Status>,
    },
    /// A name that a list does not have.
    #[error("getting {name}")]
    Missing {
        /// The name.
        name: String,
    },
    /// The time was over.
    #[error("{url} did not answer within {} (--timeout)", words::span(*.timeout))]
    Deadline {
        /// The address.
        url: String,
        /// The time that was given.
        timeout: SignedDuration,
    },
    /// A signal.
    #[error("interrupted")]
    Interrupted,
    /// Keys could not be made or read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The hub of `fluxgate dev` does not run.
    #[error("running the hub")]
    Dev(#[source] Box<DevError>),
    /// The bus could not be prepared.
    #[error(transparent)]
    Migrate(MigrateError),
    /// An answer that can't be written as JSON.
    #[error("writing the answer as JSON")]
    Json(#[source] serde_json::Error),
    /// The process can't run.
    #[error("starting threads")]
    Executor(#[source] std::io::Error),
}

impl Failure {
    /// How the command ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Argument { .. } | Self::Address { .. } | Self::Missing { .. } => Exit::Usage,
            Self::Unreachable { .. } | Self::Deadline { .. } | Self::Json(_) | Self::Executor(_) => {
                Exit::NoAnswer
            }
            Self::Call { source, .. } if runtime::grpc::is_deadline_exceeded(source) => Exit::NoAnswer,
            Self::Call { source, .. } => Exit::of(source.code()),
            Self::Interrupted => Exit::Interrupted,
            Self::Dev(error) => error.exit(),
            Self::Keys(error) => error.exit(),
            Self::Migrate(error) => error.exit(),
        }
    }

    /// Whether the same command may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.exit() == Exit::NoAnswer
    }

    /// What failed, why, and what to do: lines for people, without the sign.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = vec![self.to_string()];
        let reason = self.reason();
        if let Some(why) = self.why() {
            let code = reason
                .as_deref()
                .map(|code| format!("{code}: "))
                .unwrap_or_default();
            lines.push(format!(
                "  why:  {}",
                crate::table::clean(&format!("{code}{why}"))
            ));
        }
        if let Some(next) = self.next_step() {
            lines.push(format!("  next: {next}"));
        }
        lines.join("\n")
    }

    /// The error as `-o json` shows it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (domain, metadata) = self.details();
        let message = match self.why() {
            Some(why) => format!("{self}: {why}"),
            None => self.to_string(),
        };
        json!({ "error": {
            "code": self.code(),
            "reason": self.reason(),
            "domain": domain,
            "message": message,
            "metadata": metadata,
        }})
    }

    /// The canonical code of gRPC, also for what never reached a server.
    fn code(&self) -> &'static str {
        match self {
            Self::Argument { .. } | Self::Address { .. } => "INVALID_ARGUMENT",
            Self::Missing { .. } => "NOT_FOUND",
            Self::Unreachable { .. } => "UNAVAILABLE",
            Self::Deadline { .. } => "DEADLINE_EXCEEDED",
            Self::Interrupted => "CANCELLED",
            Self::Dev(error) if error.exit() == Exit::Usage => "FAILED_PRECONDITION",
            Self::Dev(_) => "UNAVAILABLE",
            Self::Json(_) | Self::Executor(_) => "INTERNAL",
            Self::Call { source, .. } if runtime::grpc::is_deadline_exceeded(source) => "DEADLINE_EXCEEDED",
            Self::Call { source, .. } => code_name(source.code()),
            Self::Keys(error) if error.exit() == Exit::Usage => "FAILED_PRECONDITION",
            Self::Keys(_) => "INTERNAL",
            Self::Migrate(error) if error.exit() == Exit::Usage => "FAILED_PRECONDITION",
            Self::Migrate(_) => "UNAVAILABLE",
        }
    }

    fn reason(&self) -> Option<String> {
        match self {
            Self::Call { source, .. } => source.get_details_error_info().map(|info| info.reason),
            Self::Missing { .. } => Some(Reason::ResourceNotFound.code().to_owned()),
            Self::Argument { .. }
            | Self::Address { .. }
            | Self::Unreachable { .. }
            | Self::Deadline { .. }
            | Self::Interrupted
            | Self::Keys(_)
            | Self::Migrate(_)
            | Self::Dev(_)
            | Self::Json(_)
            | Self::Executor(_) => None,
        }
    }

    fn details(&self) -> (Option<String>, BTreeMap<String, String>) {
        let info = match self {
            Self::Call { source, .. } => source.get_details_error_info(),
            _ => None,
        };
        match info {
            Some(info) => (Some(info.domain), info.metadata.into_iter().collect()),
            None => (None, BTreeMap::new()),
        }
    }

    /// The cause, for people.
    pub(crate) fn why(&self) -> Option<String> {
        match self {
            Self::Call { source, .. } if source.message().is_empty() => {
                Some(code_name(source.code()).to_owned())
            }
            Self::Call { source, .. } => Some(source.message().to_owned()),
            Self::Missing { name } => Some(format!("there is no {name}")),
            Self::Argument { .. } | Self::Address { .. } | Self::Deadline { .. } | Self::Interrupted => None,
            Self::Unreachable { .. }
            | Self::Keys(_)
            | Self::Migrate(_)
            | Self::Dev(_)
            | Self::Json(_)
            | Self::Executor(_) => std::error::Error::source(self).map(chain),
        }
    }

    /// What to run or change next.
    fn next_step(&self) -> Option<String> {
        let text = match self {
            Self::Argument { instead, .. } => instead,
            Self::Address { .. } => "set --server or FLUXGATE_SERVER to an address with http:// and a port",
            Self::Unreachable { .. } => "start one with `fluxgate dev`, or set --server / FLUXGATE_SERVER",
            Self::Deadline { .. } => "look at `fluxgate check`, or give it more time with --timeout",
            Self::Missing { name } => return Some(list_hint(name)),
            Self::Keys(error) => error.next_step(),
            Self::Migrate(error) => error.next_step(),
            Self::Call { source, .. } => return call_next(source),
            Self::Interrupted | Self::Dev(_) | Self::Json(_) | Self::Executor(_) => return None,
        };
        Some(text.to_owned())
    }
}

fn call_next(status: &Status) -> Option<String> {
    let info = status.get_details_error_info();
    let resource = info.as_ref().and_then(|info| info.metadata.get("resource"));
    match (status.code(), resource) {
        (Code::NotFound, Some(resource)) => return Some(list_hint(resource)),
        (Code::Unimplemented, _) => {
            return Some(
                "the server does not serve this: compare `fluxgate version` with the server's".to_owned(),
            );
        }
        _ => {}
    }
    let known = info
        .and_then(|info| info.reason.parse::<Reason>().ok())
        .map(Reason::next_step);
    let general = match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => "ask whoever runs the hub for permission",
        Code::InvalidArgument | Code::FailedPrecondition | Code::AlreadyExists => {
            "correct what the message names"
        }
        _ => "look at `fluxgate check`, then try again",
    };
    Some(known.unwrap_or(general).to_owned())
}

/// How to see what there is in place of what there is not.
fn list_hint(name: &str) -> String {
    let collection = name.split_once('/').map_or(name, |(collection, _)| collection);
    match collection {
        "releases" | "decisions" | "policies" | "rollouts" | "clusters" => {
            format!("`fluxgate get {collection}` lists what there is")
        }
        "cluster" => "`fluxgate get clusters` lists what there is".to_owned(),
        "wave" => "`fluxgate get clusters` shows the wave of each cluster".to_owned(),
        _ => Reason::ResourceNotFound.next_step().to_owned(),
    }
}

/// The code in the spelling of google.rpc.Code.
const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
