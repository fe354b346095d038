//! Failures at the edge: canonical code and one `google.rpc.ErrorInfo` (AIP-193).

use std::collections::HashMap;
use std::error::Error as _;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of every reason.
pub const ERROR_DOMAIN: &str = "fluxgate.dev";

/// A status with one ErrorInfo. `reason` is a stable UPPER_SNAKE code, `metadata` holds what the message
/// speaks of (keys lowerCamelCase), `message` is for developers.
#[must_use]
pub fn status(
    code: Code,
    reason: &str,
    message: impl Into<String>,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Status {
    let metadata: HashMap<_, _> = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, metadata);
    Status::with_error_details(code, message, details)
}

/// The status with a `google.rpc.RetryInfo`: the same call may be made again after this long.
#[must_use]
pub fn retry_after(status: &Status, delay: Duration) -> Status {
    let mut details = status.get_error_details();
    details.set_retry_info(Some(delay));
    Status::with_error_details(status.code(), status.message(), details)
}

/// Whether a call failed because its time was over: the server says so by code, tonic's client by `CANCELLED`
/// with [`tonic::TimeoutExpired`] among its sources.
#[must_use]
pub fn is_deadline_exceeded(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(cause) = source {
        if cause.is::<tonic::TimeoutExpired>() {
            return true;
        }
        source = cause.source();
    }
    status.code() == Code::DeadlineExceeded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_code_reason_and_metadata() {
        let status = status(
            Code::NotFound,
            "RELEASE_UNKNOWN",
            "no such release",
            [("release", "flux/v2".into())],
        );
        let info = status.get_details_error_info().unwrap();
        assert_eq!(
            (status.code(), info.reason.as_str()),
            (Code::NotFound, "RELEASE_UNKNOWN")
        );
        assert_eq!(
            (info.domain.as_str(), info.metadata["release"].as_str()),
            (ERROR_DOMAIN, "flux/v2")
        );
    }
    #[test]
    fn a_time_to_come_back_leaves_the_reason_where_it_is() {
        let first = status(Code::Unavailable, "HUB_UNAVAILABLE", "not now", []);
        let later = retry_after(&first, Duration::from_secs(3));
        let details = later.get_error_details();
        assert_eq!(
            details.retry_info().unwrap().retry_delay,
            Some(Duration::from_secs(3))
        );
        assert_eq!(details.error_info().unwrap().reason, "HUB_UNAVAILABLE");
        assert_eq!((later.code(), later.message()), (Code::Unavailable, "not now"));
    }
}
