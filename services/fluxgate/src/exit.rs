//! Exit codes, the same for every command.

use std::process::ExitCode;

use tonic::Code;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The answer is no. Never an outage.
    No,
    /// A mistake in the command, or in what it was given.
    Usage,
    /// No answer: nobody could be asked, or whoever was asked could not say.
    NoAnswer,
    /// Not authenticated, or not permitted.
    NotPermitted,
    /// Still pending; reserved for commands that wait.
    Pending,
    /// Interrupted by a signal.
    Interrupted,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::NoAnswer => 3,
            Self::NotPermitted => 4,
            Self::Pending => 8,
            Self::Interrupted => 130,
        }
    }

    /// How a command ends whose call was answered with this code.
    #[must_use]
    pub const fn of(code: Code) -> Self {
        match code {
            Code::Ok => Self::Done,
            Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::AlreadyExists => {
                Self::Usage
            }
            Code::Unauthenticated | Code::PermissionDenied => Self::NotPermitted,
            Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Self::NoAnswer,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
