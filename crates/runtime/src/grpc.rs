//! The gRPC server of every service, with its limits, health, reflection and a capped drain.
//!
//! A stream that outlives the stop holds tonic's shutdown up for as long as it likes (hyper#4170), so the
//! drain is capped: handlers of streams watch the [`Shutdown`] and end with `UNAVAILABLE`.

mod bare;
mod deadline;
mod status;
mod tracing_context;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::listen::{ListenError, loopback};
use crate::ops::Readiness;
use crate::shutdown::Shutdown;

pub use bare::BARE_REASONS;
pub use status::{ERROR_DOMAIN, is_deadline_exceeded, retry_after, status};
pub use tracing_context::with_trace;

/// Longest message in both directions. tonic limits receiving to this by itself; services set
/// `max_encoding_message_size` to it, which is unlimited otherwise.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// Longest time that a call may take until its response starts; a client may ask for less.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls that run at a time on one connection; more are refused with RESOURCE_EXHAUSTED.
const CONCURRENCY: usize = 64;
/// Streams of one connection, running or waiting.
const STREAMS: u32 = 128;
/// Longest list of headers in bytes.
const HEADER_BYTES: u32 = 16 << 10;
/// A silent connection is asked this often, and has this long to answer.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Connections are renewed, so that clients find other replicas.
const CONNECTION_AGE: Duration = Duration::from_secs(30 * 60);

/// What is served on one port.
#[derive(Debug, Clone)]
pub struct Services<'a> {
    /// The services.
    pub routes: Routes,
    /// Their full names, like `fluxgate.policy.v1.PolicyService`, for `grpc.health.v1`.
    pub names: Vec<String>,
    /// Encoded `FileDescriptorSet`s for reflection.
    pub descriptor_sets: &'a [&'a [u8]],
}

/// Why gRPC is not served.
#[derive(Debug, thiserror::Error)]
pub enum GrpcError {
    /// The port cannot be used.
    #[error("opening the gRPC port")]
    Listen(#[from] ListenError),
    /// A descriptor set is none.
    #[error("reading the descriptor sets for gRPC reflection")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The server failed.
    #[error("serving gRPC on {address}")]
    Serve {
        /// Its address.
        address: SocketAddr,
        /// Why.
        source: tonic::transport::Error,
    },
}

impl GrpcError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Listen(error) => error.retryable(),
            Self::Reflection(_) => false,
            Self::Serve { .. } => true,
        }
    }
}

/// Serves until the stop, then drains for at most [`Shutdown::drain`]. Health follows `ready`.
///
/// # Errors
/// If the listener is not loopback, a descriptor set cannot be read, or the server fails.
pub async fn serve(
    listener: TcpListener,
    services: Services<'_>,
    ready: Readiness,
    shutdown: Shutdown,
) -> Result<(), GrpcError> {
    let address = loopback(&listener)?;
    let (health, health_service) = tonic_health::server::health_reporter();
    let reflection = services
        .descriptor_sets
        .iter()
        .fold(tonic_reflection::server::Builder::configure(), |builder, set| {
            builder.register_encoded_file_descriptor_set(set)
        })
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(GrpcError::Reflection)?;
    let routes = services
        .routes
        .add_service(health_service)
        .add_service(reflection);
    let following = follow(health, services.names, ready, shutdown.clone());
    let _following = AbortOnDropHandle::new(tokio::spawn(following));

    let stop = shutdown.clone();
    let serving = server()
        .add_routes(routes)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), async move {
            stop.requested().await
        });
    match shutdown.drained(Box::pin(serving)).await {
        Some(Ok(())) => Ok(()),
        Some(Err(source)) => Err(GrpcError::Serve { address, source }),
        None => {
            tracing::warn!(%address, "calls were still open when the drain's time was over");
            Ok(())
        }
    }
}

fn server() -> Server<tower::layer::util::Stack<deadline::DeadlineLayer, tower::layer::util::Identity>> {
    Server::builder()
        .concurrency_limit_per_connection(CONCURRENCY)
        .load_shed(true)
        .max_concurrent_streams(STREAMS)
        .http2_max_header_list_size(HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .max_connection_age(CONNECTION_AGE)
        .max_connection_age_grace(KEEPALIVE)
        .trace_fn(tracing_context::span_of)
        .layer(deadline::DeadlineLayer::new(CALL_TIMEOUT))
}

/// Keeps health in step with readiness; after the stop nothing is serving.
async fn follow(health: HealthReporter, mut names: Vec<String>, ready: Readiness, shutdown: Shutdown) {
    // The empty name is the whole server (grpc.health.v1).
    names.push(String::new());
    let mut changes = ready.changes();
    loop {
        let serving = ready.is_ready() && !shutdown.is_requested();
        let status = if serving {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for name in &names {
            health.set_service_status(name, status).await;
        }
        if shutdown.is_requested() || !changed(&mut changes, &shutdown).await {
            return;
        }
    }
}

/// Waits for a change of readiness or the stop; false when neither can come any more.
async fn changed(changes: &mut watch::Receiver<BTreeMap<String, bool>>, shutdown: &Shutdown) -> bool {
    tokio::select! {
        changed = changes.changed() => changed.is_ok(),
        () = shutdown.requested() => true,
    }
}

#[cfg(test)]
mod tests;
