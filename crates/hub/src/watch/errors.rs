//! Why a watch ends.

use domain::Reason;
use tonic::{Code, Status};

/// Nothing was drawn for a new watch.
#[derive(Debug, thiserror::Error)]
#[error("what is to be watched could not be read in time")]
pub(super) struct NotDrawn;

/// The stop.
#[derive(Debug, thiserror::Error)]
#[error("this replica is stopping: watch again with the last token")]
pub(super) struct Stopping;

/// A token that can't be gone on from.
pub(super) fn expired(kind: &str) -> Box<Status> {
    Box::new(runtime::grpc::status(
        Code::OutOfRange,
        Reason::WatchExpired.code(),
        format!(
            "resume_token is of another watch, of another event log, or newer than what this replica knows: watch \
             {kind} without a token"
        ),
        [("field", "resume_token".to_owned())],
    ))
}

/// A watcher that does not read.
pub(super) fn slow(kind: &str) -> Box<Status> {
    Box::new(runtime::grpc::status(
        Code::ResourceExhausted,
        Reason::WatcherSlow.code(),
        format!(
            "{} messages waited for {} s and none was read: watch {kind} again with the last token",
            super::BUFFER,
            super::PATIENCE.as_secs()
        ),
        [("resource", kind.to_owned())],
    ))
}
