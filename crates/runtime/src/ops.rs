//! The operations port: `/livez`, `/readyz`, `/metrics` in plain HTTP, loopback only.
//!
//! Live means that the runtime answers. Ready means that every [`Condition`] is met and no stop has been
//! requested; NATS being away makes a service not ready, never not live.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::listen::{ListenError, loopback};
use crate::shutdown::Shutdown;

/// OpenMetrics 1.0, which Prometheus reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What has to hold before this process may be used. Clones are the same.
#[derive(Debug, Clone)]
pub struct Readiness {
    conditions: watch::Sender<BTreeMap<String, bool>>,
}

/// One thing that has to hold. It starts as not met, and is not met any more once dropped, so that a task
/// which dies does not leave its word behind.
#[derive(Debug)]
pub struct Condition {
    name: String,
    conditions: watch::Sender<BTreeMap<String, bool>>,
}

/// The metrics of this process, below the prefix `fluxgate_`. Clones are the same.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

/// What the operations port shows.
#[derive(Debug, Clone, Default)]
pub struct Ops {
    /// Whether this process may be used.
    pub ready: Readiness,
    /// What it counts.
    pub metrics: Metrics,
}

/// Why the operations port is not served.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// The port cannot be used.
    #[error("opening the operations port")]
    Listen(#[from] ListenError),
    /// The server failed.
    #[error("serving the operations port {address}")]
    Serve {
        /// Its address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl Readiness {
    /// Adds a condition; in a process with several services its name starts with the service's, like
    /// `policy-engine/nats`. The same name again is the same condition.
    #[must_use]
    pub fn condition(&self, name: &str) -> Condition {
        let condition = Condition {
            name: name.to_owned(),
            conditions: self.conditions.clone(),
        };
        condition.set(false);
        condition
    }

    /// Whether every condition is met.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.conditions.borrow().values().all(|met| *met)
    }

    /// The names of the conditions that are not met.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.conditions
            .borrow()
            .iter()
            .filter(|(_, met)| !**met)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Waits until every condition is met.
    pub async fn ready(&self) {
        let mut changes = self.conditions.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = changes
            .wait_for(|conditions| conditions.values().all(|met| *met))
            .await;
    }

    /// Every change from now on; the current state counts as seen.
    pub(crate) fn changes(&self) -> watch::Receiver<BTreeMap<String, bool>> {
        self.conditions.subscribe()
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            conditions: watch::Sender::new(BTreeMap::new()),
        }
    }
}

impl Condition {
    /// Says whether it is met.
    pub fn set(&self, met: bool) {
        self.conditions
            .send_if_modified(|all| all.insert(self.name.clone(), met) != Some(met));
    }
}

impl Drop for Condition {
    fn drop(&mut self) {
        self.set(false);
    }
}

impl Metrics {
    /// Registers metrics named `<area>_<thing>_<unit>`; the prefix is added, and `_total` where it belongs.
    /// No digest and no id as a label.
    pub fn register(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// All metrics as OpenMetrics text.
    ///
    /// # Errors
    /// If a metric cannot be written.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            registry: Arc::new(Mutex::new(Registry::with_prefix("fluxgate"))),
        }
    }
}

impl OpsError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Listen(error) => error.retryable(),
            Self::Serve { .. } => true,
        }
    }
}

/// Serves the operations port until the stop; connections that are still open when the drain's time is over
/// are left to the end of the process.
///
/// # Errors
/// If the listener is not loopback, or the server fails.
pub async fn serve(listener: TcpListener, ops: Ops, shutdown: Shutdown) -> Result<(), OpsError> {
    let address = loopback(&listener)?;
    let stop = shutdown.clone();
    let Ops { ready, metrics } = ops;
    let routes = Router::new()
        .route("/livez", get(|| async { "live\n" }))
        .route("/readyz", get(move || std::future::ready(readyz(&ready, &stop))))
        .route("/metrics", get(move || std::future::ready(scrape(&metrics))));
    let stop = shutdown.clone();
    let serving = axum::serve(listener, routes).with_graceful_shutdown(async move { stop.requested().await });
    match shutdown.drained(serving.into_future()).await {
        Some(Err(source)) => Err(OpsError::Serve { address, source }),
        Some(Ok(())) | None => Ok(()),
    }
}

fn readyz(ready: &Readiness, shutdown: &Shutdown) -> (StatusCode, String) {
    let missing = ready.missing();
    if shutdown.is_requested() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned())
    } else if missing.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {}\n", missing.join(", ")),
        )
    }
}

fn scrape(metrics: &Metrics) -> axum::response::Response {
    match metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::metrics::counter::Counter;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::listen::bind;

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn answers_live_ready_and_metrics_until_the_stop() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ops, shutdown) = (Ops::default(), Shutdown::new(Duration::from_secs(5)));
        let nats = ops.ready.condition("nats");
        let counter = Counter::<u64>::default();
        ops.metrics
            .register(|registry| registry.register("watcher_polls", "polls", counter.clone()));
        counter.inc();
        let server = tokio::spawn(serve(listener, ops.clone(), shutdown.clone()));

        assert!(ask(address, "/livez").await.starts_with("HTTP/1.1 200"));
        let not_ready = ask(address, "/readyz").await;
        assert!(not_ready.starts_with("HTTP/1.1 503") && not_ready.contains("not ready: nats"));
        nats.set(true);
        ops.ready.ready().await;
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(
            ask(address, "/metrics")
                .await
                .contains("fluxgate_watcher_polls_total 1")
        );
        drop(nats);
        assert!(!ops.ready.is_ready());
        shutdown.request();
        server.await.unwrap().unwrap();
    }
}
