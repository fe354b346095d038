//! A process that hosts services: one for each in a large install, all of them in `fluxgate dev`.

use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;

use runtime::config::{Invalid, Validate};
use runtime::errors::chain;
use runtime::ops::Readiness;
use runtime::process::Logged;
use runtime::telemetry::TelemetryConfig;
use runtime::{Clock, Shutdown};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::config::HubConfig;
use crate::grpc::Grpc;
use crate::join::Hub;

/// What services are started on.
#[derive(Debug)]
pub struct Host {
    /// The time.
    pub clock: Clock,
    /// The stop.
    pub shutdown: Shutdown,
    /// Whether the process may be used.
    pub ready: Readiness,
    /// What it counts.
    pub metrics: runtime::ops::Metrics,
    /// The gRPC services.
    pub grpc: Grpc,
    tasks: JoinSet<&'static str>,
}

impl Host {
    /// An empty host.
    #[must_use]
    pub fn new(clock: Clock, shutdown: Shutdown) -> Self {
        Self {
            clock,
            shutdown,
            ready: Readiness::default(),
            metrics: runtime::ops::Metrics::default(),
            grpc: Grpc::default(),
            tasks: JoinSet::new(),
        }
    }

    /// Runs a part of a service. One that ends before the stop takes the process down: half a service is
    /// worse than one that is restarted.
    pub fn spawn(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move {
            part.await;
            name
        });
    }

    /// Serves `/livez`, `/readyz` and `/metrics` on this listener until the stop.
    pub fn serve_ops(&mut self, name: &'static str, listener: tokio::net::TcpListener) {
        let ops = runtime::ops::Ops {
            ready: self.ready.clone(),
            metrics: self.metrics.clone(),
        };
        let shutdown = self.shutdown.clone();
        self.spawn(name, async move {
            if let Err(error) = runtime::ops::serve(listener, ops, shutdown.clone()).await {
                tracing::error!(error = %chain(&error), "the operations port can't be served");
            }
        });
    }

    /// Serves gRPC on this listener until the stop, or until a part ends.
    ///
    /// # Errors
    /// If gRPC can't be served, or a part ended by itself.
    pub async fn serve(mut self, listener: tokio::net::TcpListener) -> Result<(), HostError> {
        let serving = runtime::grpc::serve(
            listener,
            std::mem::take(&mut self.grpc).services(),
            self.ready.clone(),
            self.shutdown.clone(),
        );
        tokio::pin!(serving);
        let ended = tokio::select! {
            served = &mut serving => {
                self.drain().await;
                return served.map_err(HostError::Grpc);
            }
            Some(ended) = self.tasks.join_next() => ended,
        };
        if self.shutdown.is_requested() {
            let served = serving.await.map_err(HostError::Grpc);
            self.drain().await;
            return served;
        }
        self.shutdown.request();
        let _drained = serving.await;
        match ended {
            Ok(name) => Err(HostError::Ended(name)),
            Err(source) => Err(HostError::Panicked(source)),
        }
    }
}

impl Host {
    /// Lets the parts end what they are at: they have heard the stop.
    async fn drain(&mut self) {
        let shutdown = self.shutdown.clone();
        let parts = async { while self.tasks.join_next().await.is_some() {} };
        if shutdown.drained(parts).await.is_none() {
            tracing::warn!("parts were still at work when the drain's time was over");
        }
    }
}

/// Why a process ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// gRPC could not be served.
    #[error("serving gRPC")]
    Grpc(#[source] runtime::grpc::GrpcError),
    /// A part ended.
    #[error("a part of {0} ended by itself")]
    Ended(&'static str),
    /// A part panicked.
    #[error("a part of a service panicked")]
    Panicked(#[source] tokio::task::JoinError),
}

/// Configuration of a service that is alone in its process.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig<T> {
    /// Bus, trust, key, state.
    pub hub: HubConfig,
    /// Where gRPC is served.
    #[serde(default)]
    pub grpc: Listen,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    #[serde(default)]
    pub ops: Listen,
    /// Logs and spans.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    /// The service's own settings.
    pub service: T,
}

/// Where something is served.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Loopback address and port; port 0 lets the system choose.
    #[schemars(with = "String", extend("examples" = ["127.0.0.1:7878"]))]
    pub listen: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }
}

impl<T> Validate for ServiceConfig<T> {
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

impl<T> Logged for ServiceConfig<T> {
    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }
}

/// The `main` of a service that is alone in its process: `NAME [--config FILE] [--print-config]`.
pub fn main<T, E>(name: &'static str, start: impl AsyncFnOnce(Hub, T, &mut Host) -> Result<(), E>) -> ExitCode
where
    T: DeserializeOwned + Serialize,
    E: std::error::Error,
{
    runtime::process::main(name, |config: ServiceConfig<T>, shutdown| {
        run(name, config, start, shutdown)
    })
}

async fn run<T, E: std::error::Error>(
    name: &'static str,
    config: ServiceConfig<T>,
    start: impl AsyncFnOnce(Hub, T, &mut Host) -> Result<(), E>,
    shutdown: Shutdown,
) -> Result<(), String> {
    let mut host = Host::new(Clock::system(), shutdown);
    let listener = runtime::listen::bind(config.grpc.listen)
        .await
        .map_err(|error| chain(&error))?;
    let ops = runtime::listen::bind(config.ops.listen)
        .await
        .map_err(|error| chain(&error))?;
    tracing::info!(grpc = ?listener.local_addr().ok(), ops = ?ops.local_addr().ok(), "listening");
    host.serve_ops(name, ops);
    let starting = host.ready.condition(name);
    let hub = Hub::join(name, &config.hub, &mut host)
        .await
        .map_err(|error| chain(&error))?;
    start(hub, config.service, &mut host)
        .await
        .map_err(|error| chain(&error))?;
    starting.set(true);
    host.serve(listener).await.map_err(|error| chain(&error))
}
