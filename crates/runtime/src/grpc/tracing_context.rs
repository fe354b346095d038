//! Trace context across gRPC, as W3C `traceparent` in the metadata.

use tonic::Status;
use tonic::metadata::MetadataValue;
use tracing::Span;

use crate::telemetry;

const TRACEPARENT: &str = "traceparent";

/// Client interceptor that hands the current span on: `Client::with_interceptor(channel, with_trace)`.
///
/// # Errors
/// Never; the type is tonic's.
pub fn with_trace(mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
    let value = telemetry::current_traceparent().and_then(|text| MetadataValue::try_from(text).ok());
    if let Some(value) = value {
        request.metadata_mut().insert(TRACEPARENT, value);
    }
    Ok(request)
}

/// The span of a call, below the caller's where it says so. Health and reflection have none: they are asked
/// every few seconds.
pub(super) fn span_of(request: &http::Request<()>) -> Span {
    let path = request.uri().path();
    if path.starts_with("/grpc.") {
        return Span::none();
    }
    let method = path.trim_start_matches('/');
    let span = tracing::info_span!(
        parent: None, "rpc", otel.name = method, otel.kind = "server", rpc.system.name = "grpc", rpc.method = method
    );
    let parent = request
        .headers()
        .get(TRACEPARENT)
        .and_then(|value| value.to_str().ok());
    if let Some(parent) = parent
        && let Err(error) = telemetry::remote_parent(&span, parent)
    {
        tracing::debug!(error = %error, "trace context of a caller is not used");
    }
    span
}
