//! Why a command has no answer, and what a person can do about it.

mod call;

use std::path::PathBuf;

use domain::Reason;
use jiff::SignedDuration;
use runtime::errors::chain;
use serde_json::{Value, json};
use tonic::Status;

use crate::commands::{AuditError, MigrateError, PolicyError};
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
    /// Nobody said yes.
    #[error("{doing}")]
    NoYes {
        /// What was to be done.
        doing: String,
        /// Whether somebody was asked.
        asked: bool,
    },
    /// No such code.
    #[error("explaining {code}")]
    Code {
        /// What was given.
        code: String,
        /// What was probably meant, as a sentence's end.
        meant: String,
    },
    /// A file could not be written.
    #[error("writing {}", path.display())]
    Write {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
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
    /// A file of a `policy` command can't be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The ledger, an export of it or its stream.
    #[error(transparent)]
    Audit(Box<AuditError>),
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
            Self::Argument { .. }
            | Self::Address { .. }
            | Self::Missing { .. }
            | Self::NoYes { .. }
            | Self::Code { .. }
            | Self::Policy(_)
            | Self::Write { .. } => Exit::Usage,
            Self::Unreachable { .. } | Self::Deadline { .. } | Self::Json(_) | Self::Executor(_) => {
                Exit::NoAnswer
            }
            Self::Call { source, .. } if runtime::grpc::is_deadline_exceeded(source) => Exit::NoAnswer,
            Self::Call { source, .. } if call::waits_for_time(source) => Exit::Pending,
            Self::Call { source, .. } => Exit::of(source.code()),
            Self::Interrupted => Exit::Interrupted,
            Self::Dev(error) => error.exit(),
            Self::Keys(error) => error.exit(),
            Self::Migrate(error) => error.exit(),
            Self::Audit(error) => error.exit(),
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
        if let Some(trace) = self.trace_id() {
            lines.push(format!("  trace id: {trace}"));
        }
        lines.join("\n")
    }

    /// The trace of the call, where a server answered.
    fn trace_id(&self) -> Option<String> {
        self.call().and_then(call::trace_id)
    }

    /// What the server answered.
    fn call(&self) -> Option<&Status> {
        match self {
            Self::Call { source, .. } => Some(source),
            _ => None,
        }
    }

    /// The error as `-o json` shows it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let message = match self.why() {
            Some(why) => format!("{self}: {why}"),
            None => self.to_string(),
        };
        json!({ "error": {
            "code": self.code(),
            "reason": self.reason(),
            "domain": self.call().and_then(call::domain),
            "message": message,
            "next": self.next_step(),
            "traceId": self.trace_id(),
            "details": self.call().map(call::details).unwrap_or_default(),
        }})
    }

    /// The canonical code of gRPC, also for what never reached a server.
    fn code(&self) -> &'static str {
        match self {
            Self::Argument { .. } | Self::Address { .. } | Self::Policy(_) => "INVALID_ARGUMENT",
            Self::Missing { .. } | Self::Code { .. } => "NOT_FOUND",
            Self::NoYes { .. } | Self::Write { .. } => "FAILED_PRECONDITION",
            Self::Unreachable { .. } => "UNAVAILABLE",
            Self::Deadline { .. } => "DEADLINE_EXCEEDED",
            Self::Interrupted => "CANCELLED",
            Self::Dev(error) if error.exit() == Exit::Usage => "FAILED_PRECONDITION",
            Self::Dev(_) => "UNAVAILABLE",
            Self::Json(_) | Self::Executor(_) => "INTERNAL",
            Self::Call { source, .. } if runtime::grpc::is_deadline_exceeded(source) => "DEADLINE_EXCEEDED",
            Self::Call { source, .. } => call::code_name(source.code()),
            Self::Keys(error) if error.exit() == Exit::Usage => "FAILED_PRECONDITION",
            Self::Keys(_) => "INTERNAL",
            Self::Migrate(error) if error.exit() == Exit::Usage => "FAILED_PRECONDITION",
            Self::Migrate(_) => "UNAVAILABLE",
            Self::Audit(error) if error.exit() == Exit::Usage => "FAILED_PRECONDITION",
            Self::Audit(_) => "UNAVAILABLE",
        }
    }

    /// The reason code of what failed, where it has one.
    pub(crate) fn reason(&self) -> Option<String> {
        match self {
            Self::Call { source, .. } => call::reason(source),
            Self::Missing { .. } => Some(Reason::ResourceNotFound.code().to_owned()),
            Self::NoYes { .. }
            | Self::Code { .. }
            | Self::Write { .. }
            | Self::Argument { .. }
            | Self::Address { .. }
            | Self::Unreachable { .. }
            | Self::Deadline { .. }
            | Self::Interrupted
            | Self::Keys(_)
            | Self::Migrate(_)
            | Self::Audit(_)
            | Self::Policy(_)
            | Self::Dev(_)
            | Self::Json(_)
            | Self::Executor(_) => None,
        }
    }

    /// Whether the server gave no answer because the bus gave it none.
    pub(crate) fn is_of_bus(&self) -> bool {
        self.call().is_some_and(call::is_of_bus)
    }

    /// Whether the server says that the call stored nothing.
    pub(crate) fn stored_nothing(&self) -> bool {
        self.call().is_some_and(call::stored_nothing)
    }

    /// The cause, for people.
    pub(crate) fn why(&self) -> Option<String> {
        match self {
            Self::Call { source, .. } if source.message().is_empty() => {
                Some(call::code_name(source.code()).to_owned())
            }
            Self::Call { source, .. } => Some(source.message().to_owned()),
            Self::Missing { name } => Some(format!("there is no {name}")),
            Self::Argument { .. } | Self::Address { .. } | Self::Deadline { .. } | Self::Interrupted => None,
            Self::NoYes { asked: true, .. } => Some("the answer was no".to_owned()),
            Self::NoYes { asked: false, .. } => {
                Some("this wants a yes, and nobody can be asked: stdin or stderr is no terminal".to_owned())
            }
            Self::Code { code, meant } => Some(format!("no reason code is {code:?}{meant}")),
            Self::Unreachable { .. }
            | Self::Write { .. }
            | Self::Keys(_)
            | Self::Migrate(_)
            | Self::Audit(_)
            | Self::Policy(_)
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
            Self::Missing { name } => return Some(call::list_hint(name)),
            Self::NoYes { asked: true, .. } => "nothing was done; answer y if you mean it",
            Self::NoYes { asked: false, .. } => "add --yes if you mean it",
            Self::Code { .. } => "`fluxgate explain` lists all codes",
            Self::Write { .. } => "choose a folder that you may write to",
            Self::Keys(error) => error.next_step(),
            Self::Migrate(error) => error.next_step(),
            Self::Audit(error) => error.next_step(),
            Self::Policy(error) => error.next_step(),
            Self::Call { source, .. } => return call::next(source),
            Self::Interrupted | Self::Dev(_) | Self::Json(_) | Self::Executor(_) => return None,
        };
        Some(text.to_owned())
    }
}

/// A mistake in what was typed, as `-o json` shows it.
#[must_use]
pub fn usage(message: &str) -> Value {
    let reason = Reason::FieldInvalid;
    json!({ "error": {
        "code": "INVALID_ARGUMENT",
        "reason": reason.code(),
        "domain": runtime::grpc::ERROR_DOMAIN,
        "message": message,
        "next": "`fluxgate --help` shows what there is",
        "traceId": null,
        "details": [],
    }})
}
