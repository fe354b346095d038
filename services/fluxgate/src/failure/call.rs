//! What an answer of a server says about why, and what to do next.

use domain::Reason;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Type of the one detail that each error has (AIP-193).
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// The reason code, if the server gave one.
pub(super) fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// Whether the server names the bus as what gave it no answer.
pub(super) fn is_of_bus(status: &Status) -> bool {
    says(status, hub::grpc::DEPENDENCY, hub::grpc::BUS)
}

/// Whether the server says that the call stored nothing.
pub(super) fn stored_nothing(status: &Status) -> bool {
    says(status, hub::grpc::STORED, hub::grpc::NOTHING)
}

fn says(status: &Status, key: &str, value: &str) -> bool {
    let info = status.get_details_error_info();
    info.is_some_and(|info| info.metadata.get(key).is_some_and(|said| said == value))
}

/// Whether what is asked for does not fit now, and will by time alone: the server says when.
pub(super) fn waits_for_time(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && status.get_details_retry_info().is_some()
}

/// The domain of the reason.
pub(super) fn domain(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.domain)
}

/// The details as ProtoJSON writes them.
pub(super) fn details(status: &Status) -> Vec<Value> {
    let info = status.get_details_error_info().map(|info| {
        let metadata: std::collections::BTreeMap<_, _> = info.metadata.into_iter().collect();
        json!({ "@type": ERROR_INFO, "reason": info.reason, "domain": info.domain, "metadata": metadata })
    });
    info.into_iter().collect()
}

/// The trace under which the server worked on the call.
pub(super) fn trace_id(status: &Status) -> Option<String> {
    let named = status.metadata().get(crate::client::TRACE_ID)?;
    named.to_str().ok().map(ToOwned::to_owned)
}

/// What to run or change next.
pub(super) fn next(status: &Status) -> Option<String> {
    if is_of_bus(status) {
        let text = "see whether nats-server runs at the address in the hub's configuration, then try again";
        return Some(text.to_owned());
    }
    if let Some(wait) = rest(status) {
        return Some(format!("ask again in {wait} s"));
    }
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

/// After how many seconds what does not fit now may be asked again, where the server says so.
fn rest(status: &Status) -> Option<u64> {
    let wait = status.get_details_retry_info()?.retry_delay?;
    (status.code() == Code::FailedPrecondition || stored_nothing(status))
        .then(|| wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)))
}

/// How to see what there is in place of what there is not.
pub(super) fn list_hint(name: &str) -> String {
    let collection = name.split_once('/').map_or(name, |(collection, _)| collection);
    match collection {
        "releases" | "decisions" | "policies" | "rollouts" | "clusters" | "stops" => {
            format!("`fluxgate get {collection}` lists what there is")
        }
        "entries" => "`fluxgate audit list` lists what there is".to_owned(),
        "rollout" => "`fluxgate get rollouts` lists what there is".to_owned(),
        "version" => "`fluxgate get releases` lists what there is".to_owned(),
        "cluster" => "`fluxgate get clusters` lists what there is".to_owned(),
        "wave" | "label" => {
            "`fluxgate get clusters` shows the wave of each cluster, `describe` its labels".to_owned()
        }
        _ => Reason::ResourceNotFound.next_step().to_owned(),
    }
}

/// The code in the spelling of google.rpc.Code.
pub(super) const fn code_name(code: Code) -> &'static str {
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
