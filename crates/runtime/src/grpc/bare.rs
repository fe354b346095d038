//! Errors that no handler of ours made: a method that does not exist, a message that can't be read or is too large,
//! a call that took too long. They get their one ErrorInfo here.
//!
//! What tonic refuses outside of every layer (too many calls on one connection) can't be reached.

use http::Response;
use tonic::body::Body;
use tonic::{Code, Status};

use super::status::status;

/// The header in which a status has its details (gRPC over HTTP/2, "Responses").
const DETAILS: &str = "grpc-status-details-bin";

/// There is nothing under this name.
const NOT_FOUND: &str = "RESOURCE_NOT_FOUND";
/// The request is not of the form that is wanted.
const INVALID: &str = "FIELD_INVALID";
/// What came of the call is unknown.
const UNAVAILABLE: &str = "HUB_UNAVAILABLE";

/// Every reason that is given here. This crate knows no table of reasons; the crate that does proves that they are
/// in it.
pub const BARE_REASONS: [&str; 3] = [NOT_FOUND, INVALID, UNAVAILABLE];

/// The response; with an ErrorInfo where it is an error without details.
pub(super) fn with_reason(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    if headers.contains_key(DETAILS) {
        return response;
    }
    match Status::from_header_map(headers) {
        Some(bare) if bare.code() != Code::Ok => {
            let mut named = status(bare.code(), reason(bare.code()), bare.message(), []);
            *named.metadata_mut() = bare.metadata().clone();
            named.into_http()
        }
        Some(_) | None => response,
    }
}

const fn reason(code: Code) -> &'static str {
    match code {
        Code::NotFound | Code::Unimplemented => NOT_FOUND,
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition | Code::AlreadyExists => INVALID,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => UNAVAILABLE,
    }
}
