//! A process that hosts services: one for each in a large install, all of them in `fluxgate dev`.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use runtime::config::{Invalid, Validate};
use runtime::errors::chain;
use runtime::ops::Readiness;
use runtime::telemetry::TelemetryConfig;
use runtime::{Clock, Shutdown};
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

    /// Serves gRPC on this listener until the stop, or until a part ends.
    ///
    /// # Errors
    /// If gRPC can't be served, or a part ended by itself.
    pub async fn serve(mut self, listener: tokio::net::TcpListener) -> Result<(), HostError> {
        let serving =
            runtime::grpc::serve(listener, self.grpc.services(), self.ready.clone(), self.shutdown.clone());
        tokio::pin!(serving);
        let ended = tokio::select! {
            served = &mut serving => return served.map_err(HostError::Grpc),
            Some(ended) = self.tasks.join_next() => ended,
        };
        if self.shutdown.is_requested() {
            return serving.await.map_err(HostError::Grpc);
        }
        self.shutdown.request();
        let _drained = serving.await;
        match ended {
            Ok(name) => Err(HostError::Ended(name)),
            Err(source) => Err(HostError::Panicked(source)),
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
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig<T> {
    /// Bus, trust, key, state.
    pub hub: HubConfig,
    /// Where gRPC is served.
    #[serde(default)]
    pub grpc: GrpcConfig,
    /// Logs and spans.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    /// The service's own settings.
    pub service: T,
}

/// Where gRPC is served.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcConfig {
    /// Loopback address and port; port 0 lets the system choose.
    pub listen: SocketAddr,
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)) }
    }
}

impl<T> Validate for ServiceConfig<T> {
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

/// The `main` of a service that is alone in its process: `NAME [--config FILE] [--print-config]`.
pub fn main<T, E>(
    name: &'static str,
    start: impl FnOnce(Hub, T, &mut Host) -> Result<(), E>,
) -> ExitCode
where
    T: DeserializeOwned + Serialize,
    E: std::error::Error,
{
    let (file, print) = match arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(help) => {
            say(&format!("{help}\n\nUsage: {name} [--config FILE] [--print-config]"));
            return ExitCode::from(2);
        }
    };
    let config: ServiceConfig<T> = match runtime::config::load(file.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            say(&format!("{name}: {}", chain(&error)));
            return ExitCode::from(2);
        }
    };
    if print {
        say(&runtime::config::print_config(&config).unwrap_or_else(|error| chain(&error)));
        return ExitCode::SUCCESS;
    }
    match run(name, config, start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&format!("{name}: {why}"));
            ExitCode::from(3)
        }
    }
}

fn arguments(given: impl Iterator<Item = String>) -> Result<(Option<PathBuf>, bool), String> {
    let (mut file, mut print) = (None, false);
    let mut given = given;
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--config" => file = Some(given.next().ok_or("--config wants a file")?.into()),
            "--print-config" => print = true,
            "--help" | "-h" => return Err("A service of fluxgate.".to_owned()),
            other => return Err(format!("{other} is no argument of a service")),
        }
    }
    Ok((file, print))
}

#[expect(clippy::print_stderr, reason = "what a process says before its log exists, or when it ends")]
fn say(text: &str) {
    eprintln!("{text}");
}

fn run<T, E: std::error::Error>(
    name: &'static str,
    config: ServiceConfig<T>,
    start: impl FnOnce(Hub, T, &mut Host) -> Result<(), E>,
) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| chain(error);
    let executor = tokio::runtime::Runtime::new().map_err(|error| text(&error))?;
    executor.block_on(async {
        let telemetry = runtime::telemetry::init(name, &config.telemetry).map_err(|error| text(&error))?;
        let shutdown = Shutdown::default();
        shutdown.on_signals().map_err(|error| text(&error))?;
        let mut host = Host::new(Clock::system(), shutdown);
        let listener = runtime::listen::bind(config.grpc.listen).await.map_err(|error| text(&error))?;
        let hub = Hub::join(name, &config.hub, host.clock, host.shutdown.clone())
            .await
            .map_err(|error| text(&error))?;
        start(hub, config.service, &mut host).map_err(|error| text(&error))?;
        tracing::info!(listen = ?listener.local_addr().ok(), "ready");
        let served = host.serve(listener).await.map_err(|error| text(&error));
        telemetry.shutdown().await;
        served
    })
}
