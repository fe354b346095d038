//! What rollout-controller serves: `FleetService` and `RolloutService`. Every answer is planned afresh from
//! the log; nothing is kept for them.

pub(crate) mod fleet;
pub(crate) mod resources;
pub(crate) mod rollout;

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use hub::grpc::{invalid, not_found, not_stored, precondition, reused, unavailable, unavailable_for};
use hub::watch::{Board, Message, Resource, Wish};
use tonic::Status;

use crate::Controller;
use crate::lease::{Away, LEASE};
use crate::said::{Objection, SayError};

/// Who acts while there are no identities: every port is loopback only.
const LOCAL: &str = "local operator (loopback)";

/// A reason is a sentence or two.
const LONGEST_REASON: usize = 300;

/// Only the active replica stores what persons say.
fn active(controller: &Controller) -> Result<(), Status> {
    if controller.lease.is_held() {
        return Ok(());
    }
    let away = controller.lease.away();
    let status = not_stored(&away, away == Away::NoAnswer);
    // A standby takes over at most a lease after the active replica was lost.
    Err(runtime::grpc::retry_after(&status, LEASE))
}

/// The UUID of a request, in one spelling.
fn request_id(text: &str) -> Result<String, Status> {
    let id = hub::grpc::request_id(text).map_err(|status| *status)?;
    Ok(id.to_string())
}

/// Why a person says something.
fn reason(text: &str) -> Result<String, Status> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 {
        Err(*invalid(
            "reason",
            "is empty: say why, for those who find it later",
        ))
    } else if length > LONGEST_REASON {
        let what = format!("has {length} characters; {LONGEST_REASON} are the most");
        Err(*invalid("reason", what))
    } else if text.chars().any(char::is_control) {
        Err(*invalid(
            "reason",
            "holds control characters; write it as one line",
        ))
    } else {
        Ok(text.to_owned())
    }
}

/// Why a word was not stored, as a client is told.
fn refused(error: &SayError) -> Status {
    *match error {
        SayError::Reused { .. } => reused(error),
        SayError::Objection(objection) => objected(objection),
        SayError::NotApplied { .. } => unavailable_for(error, Duration::from_secs(1)),
        SayError::Log(_) | SayError::View(_) | SayError::Behind | SayError::Moving(_) => {
            not_stored(error, false)
        }
        SayError::Journal(..) => unavailable(error),
    }
}

fn objected(objection: &Objection) -> Box<Status> {
    match objection {
        Objection::Unknown(key) => not_found(&format!("rollouts/{key}")),
        Objection::NotStopped(scope) => precondition(&scope.to_string(), objection),
        Objection::Over(key)
        | Objection::Running(key)
        | Objection::NotHalted(key, _)
        | Objection::NotLast(key, _)
        | Objection::Retried(key) => precondition(&format!("rollouts/{key}"), objection),
    }
}

/// A server's stream of messages.
type Watch<R> = Pin<Box<dyn Stream<Item = Result<R, Status>> + Send>>;

/// Opens a watch on a board.
async fn watch<T: Resource, R: 'static>(
    controller: &Controller,
    board: &Board<T>,
    wish: Wish<'_>,
    response: impl Fn(Message<T>) -> R + Send + 'static,
) -> Result<tonic::Response<Watch<R>>, Status> {
    let opened = board.open(wish, &controller.hub.shutdown).await;
    let messages = opened.map_err(|status| *status)?;
    Ok(tonic::Response::new(Box::pin(
        messages.map(move |message| message.map(&response)),
    )))
}
