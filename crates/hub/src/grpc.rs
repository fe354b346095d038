//! What the gRPC interfaces of the services share: how they are put together, and how errors look.

use std::time::Duration;

use bus::blobs::BlobError;
use bus::buckets::BucketError;
use bus::log::LogError;
use domain::Reason;
use runtime::errors::chain;
use tonic::service::{Routes, RoutesBuilder};
use tonic::{Code, Status};
use uuid::Uuid;

/// Key of an error's metadata: what gave the service no answer.
pub const DEPENDENCY: &str = "dependency";
/// The bus, as a value of [`DEPENDENCY`].
pub const BUS: &str = "nats";

/// Key of an error's metadata: what became of the wish.
pub const STORED: &str = "stored";
/// The call stored nothing, as a value of [`STORED`].
pub const NOTHING: &str = "nothing";

/// The gRPC services of a process, collected from each of its parts.
#[derive(Debug, Default)]
pub struct Grpc {
    routes: RoutesBuilder,
    names: Vec<String>,
}

impl Grpc {
    /// Adds a service.
    pub fn add<S>(&mut self, service: S)
    where
        S: tonic::codegen::Service<
                tonic::codegen::http::Request<tonic::body::Body>,
                Error = std::convert::Infallible,
            > + tonic::server::NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME.to_owned());
        self.routes.add_service(service);
    }

    /// What is served: health and reflection are added by `runtime`.
    #[must_use]
    pub fn services(self) -> runtime::grpc::Services<'static> {
        const DESCRIPTORS: &[&[u8]] = &[wire::DESCRIPTOR_SET];
        let routes: Routes = self.routes.routes();
        runtime::grpc::Services {
            routes,
            names: self.names,
            descriptor_sets: DESCRIPTORS,
        }
    }
}

/// `INVALID_ARGUMENT` about a field.
#[must_use]
pub fn invalid(field: &'static str, what: impl std::fmt::Display) -> Box<Status> {
    Box::new(runtime::grpc::status(
        Code::InvalidArgument,
        Reason::FieldInvalid.code(),
        format!("{field} {what}"),
        [("field", field.to_owned())],
    ))
}

/// The id of a request that changes something.
///
/// # Errors
/// `INVALID_ARGUMENT` where it is no UUID.
pub fn request_id(text: &str) -> Result<Uuid, Box<Status>> {
    text.parse()
        .map_err(|_no_uuid| invalid("request_id", "is not a UUID: make a new one for each wish"))
}

/// `NOT_FOUND` about a resource.
#[must_use]
pub fn not_found(name: &str) -> Box<Status> {
    Box::new(runtime::grpc::status(
        Code::NotFound,
        Reason::ResourceNotFound.code(),
        format!("there is no {name}"),
        [("resource", name.to_owned())],
    ))
}

/// `FAILED_PRECONDITION` about a resource: the request does not fit how it is now.
#[must_use]
pub fn precondition(resource: &str, what: impl std::fmt::Display) -> Box<Status> {
    Box::new(runtime::grpc::status(
        Code::FailedPrecondition,
        Reason::PreconditionFailed.code(),
        what.to_string(),
        [("resource", resource.to_owned())],
    ))
}

/// `ALREADY_EXISTS`: the id of a request was used for another wish.
#[must_use]
pub fn reused(what: impl std::fmt::Display) -> Box<Status> {
    Box::new(runtime::grpc::status(
        Code::AlreadyExists,
        Reason::FieldInvalid.code(),
        what.to_string(),
        [("field", "request_id".to_owned())],
    ))
}

/// `UNAVAILABLE` with the time after which the same call may be made again.
#[must_use]
pub fn unavailable_for(error: &(dyn std::error::Error + 'static), delay: Duration) -> Box<Status> {
    Box::new(runtime::grpc::retry_after(&unavailable(error), delay))
}

/// `UNAVAILABLE`: the bus or the service's own storage did not answer. Where it was the bus, the metadata says so.
#[must_use]
pub fn unavailable(error: &(dyn std::error::Error + 'static)) -> Box<Status> {
    unanswered(error, is_of_bus(error).then(|| (DEPENDENCY, BUS.to_owned())))
}

/// `UNAVAILABLE` before anything was stored, because of the bus or of something else.
#[must_use]
pub fn not_stored(error: &(dyn std::error::Error + 'static), of_bus: bool) -> Box<Status> {
    let stored = (STORED, NOTHING.to_owned());
    let bus = (of_bus || is_of_bus(error)).then(|| (DEPENDENCY, BUS.to_owned()));
    unanswered(error, std::iter::once(stored).chain(bus))
}

fn unanswered(
    error: &(dyn std::error::Error + 'static),
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Box<Status> {
    tracing::warn!(error = %chain(error), "a call was answered with UNAVAILABLE");
    let reason = Reason::HubUnavailable;
    Box::new(runtime::grpc::status(
        Code::Unavailable,
        reason.code(),
        chain(error),
        metadata,
    ))
}

/// Whether the bus gave no answer, or an error in place of one.
fn is_of_bus(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        matches!(
            error.downcast_ref(),
            Some(LogError::Read { .. } | LogError::Unknown { .. })
        ) || matches!(error.downcast_ref(), Some(BucketError::Server { .. }))
            || matches!(error.downcast_ref(), Some(BlobError::Server { .. }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_bus_names_the_bus_however_deep_it_lies() {
        let read = LogError::Read {
            what: "the stream".to_owned(),
            source: "request error: timed out".into(),
        };
        assert!(is_of_bus(&bus::ViewError::Log(read)));
        let full = std::io::Error::other("disk is full");
        assert!(!is_of_bus(&bus::ViewError::Folder(full)));
    }

    #[test]
    fn what_the_server_itself_answers_with_is_in_the_table_of_reasons() {
        for reason in runtime::grpc::BARE_REASONS {
            assert!(reason.parse::<Reason>().is_ok(), "{reason}");
        }
    }
}
