//! `fluxgate dev`: a hub on one machine. A nats-server, keys and all services in one process, with their
//! state in one folder.
//!
//! The services still talk only by NATS and gRPC, each with its own key and its own read model; they share
//! the port of gRPC alone. The keys are made here and lie beside each other, so the trust bundle is marked
//! as a demo, and an agent refuses it unless its file accepts that.

mod hub;
mod nats;
mod state;

use std::net::SocketAddr;
use std::path::PathBuf;

use ::hub::HubError;
use ::hub::process::HostError;
use clap::Args;
use runtime::config::{ConfigError, Invalid, Validate};
use runtime::telemetry::{TelemetryConfig, TelemetryError};
use runtime::{Clock, Shutdown};
use serde::Deserialize;

use crate::exit::Exit;
use crate::keys::KeysError;
use crate::output::Screen;

pub use nats::tether;
pub use state::ORIGIN_FILE;

/// Arguments of `fluxgate dev`.
#[derive(Debug, Clone, Args)]
pub struct DevArgs {
    /// Folder for keys, streams, read models and the ledger; made where it is missing
    #[arg(long, value_name = "DIR", default_value = ".fluxgate")]
    pub state: PathBuf,
    /// Address of gRPC; loopback only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7878")]
    pub listen: SocketAddr,
    /// File with what is not the default: fleet, strategy, policies, trust root, source, mirrors
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Use this NATS server instead of starting one; it needs `sync_interval: always`
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    /// Monitoring address of that server, like http://127.0.0.1:8222: audit-log watches its durability there
    #[arg(long, value_name = "URL", requires = "nats")]
    pub nats_monitor: Option<String>,
    /// The nats-server to start; looked for in $FLUXGATE_TOOLS and on the PATH otherwise
    #[arg(long, value_name = "FILE", conflicts_with = "nats")]
    pub nats_server: Option<PathBuf>,
}

/// The file of `fluxgate dev`.
#[derive(Debug, Clone, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DevConfig {
    /// The fleet's file; by default `fleet.yaml` in the state folder, made empty at first.
    pub fleet: Option<PathBuf>,
    /// The strategy's file; by default `strategy.yaml` in the state folder, made with the default.
    pub strategy: Option<PathBuf>,
    /// Policies; by default `policy.yaml` in the state folder, made with the default.
    pub policies: Vec<PathBuf>,
    /// The Sigstore trust root; by default `trusted_root.json` in the state folder, which has to be put
    /// there.
    pub trust_root: Option<PathBuf>,
    /// Versions that are announced.
    pub range: String,
    /// How often the source is looked at.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String", extend("pattern" = "[0-9]", "examples" = ["10m", "1h"]))]
    pub interval: std::time::Duration,
    /// Where artifacts are fetched.
    pub registry: registry::Config,
    /// Logs and spans.
    pub telemetry: TelemetryConfig,
}

impl Default for DevConfig {
    fn default() -> Self {
        Self {
            fleet: None,
            strategy: None,
            policies: Vec::new(),
            trust_root: None,
            range: ">=2.0.0, <3".to_owned(),
            interval: std::time::Duration::from_secs(10 * 60),
            registry: registry::Config::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl Validate for DevConfig {
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

/// Why a hub does not run.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The file does not fit.
    #[error("reading the file of `fluxgate dev`")]
    Config(#[source] ConfigError),
    /// A file or folder can't be used.
    #[error("using {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process uses the folder.
    #[error("another `fluxgate dev` uses {0}; end it, or choose another --state")]
    InUse(PathBuf),
    /// There is no trust root.
    #[error(
        "there is no Sigstore trust root at {0}; put a trusted_root.json there, for example that of \
         `cosign trusted-root create`, or name one as trust_root in --config"
    )]
    NoTrustRoot(PathBuf),
    /// Keys could not be made.
    #[error("making keys")]
    Keys(#[source] KeysError),
    /// The ledger's key can't be used.
    #[error("using the ledger's key")]
    NoteKey(#[source] audit_log::ledger::note::NoteError),
    /// There is no nats-server.
    #[error(
        "no nats-server was found; name one with --nats-server, put its folder into $FLUXGATE_TOOLS, or use a \
         running one with --nats"
    )]
    NoNats,
    /// nats-server did not start.
    #[error("nats-server did not start; its log is {log}")]
    Nats {
        /// The log.
        log: PathBuf,
    },
    /// NATS can't be reached.
    #[error("connecting to NATS")]
    Connect(#[source] bus::connection::ConnectError),
    /// The streams can't be made.
    #[error("preparing the streams")]
    Streams(#[source] bus::streams::StreamsError),
    /// The bundle can't be published.
    #[error("publishing the trust bundle")]
    Bundle(#[source] crate::bundle::BundleError),
    /// The port can't be used.
    #[error("opening the port of gRPC")]
    Listen(#[source] runtime::listen::ListenError),
    /// Logs can't be written.
    #[error("starting the log")]
    Telemetry(#[source] TelemetryError),
    /// Signals can't be heard.
    #[error("listening to signals")]
    Signals(#[source] std::io::Error),
    /// A service could not join.
    #[error("starting {0}")]
    Join(&'static str, #[source] HubError),
    /// A service did not start.
    #[error("starting {0}")]
    Start(&'static str, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The process ended by itself.
    #[error("running the hub")]
    Host(#[source] HostError),
}

impl DevError {
    /// How the command ends: a mistake in what was given, or something that did not answer.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::InUse(_) | Self::NoTrustRoot(_) | Self::NoNats | Self::Start(..) => {
                Exit::Usage
            }
            Self::File { .. }
            | Self::Keys(_)
            | Self::NoteKey(_)
            | Self::Nats { .. }
            | Self::Connect(_)
            | Self::Streams(_)
            | Self::Bundle(_)
            | Self::Listen(_)
            | Self::Telemetry(_)
            | Self::Signals(_)
            | Self::Join(..)
            | Self::Host(_) => Exit::NoAnswer,
        }
    }
}

/// Runs a hub until it is told to stop.
///
/// # Errors
/// If something that it needs is missing or broken.
pub async fn run(args: &DevArgs, screen: &Screen) -> Result<(), DevError> {
    let config: DevConfig = runtime::config::load(args.config.as_deref()).map_err(DevError::Config)?;
    let telemetry = runtime::telemetry::init("fluxgate", &config.telemetry).map_err(DevError::Telemetry)?;
    let shutdown = Shutdown::default();
    shutdown.on_signals().map_err(DevError::Signals)?;
    let ran = serve(args, &config, (screen, &shutdown)).await;
    telemetry.shutdown().await;
    ran
}

async fn serve(
    args: &DevArgs,
    config: &DevConfig,
    (screen, shutdown): (&Screen, &Shutdown),
) -> Result<(), DevError> {
    let clock = Clock::system();
    let state = state::State::open(&args.state, config, clock.now())?;
    let listener = runtime::listen::bind(args.listen)
        .await
        .map_err(DevError::Listen)?;
    let server = match &args.nats {
        Some(url) => nats::Server::running(url.clone(), args.nats_monitor.clone()),
        None => nats::Server::start(args.nats_server.clone(), &state.folder.join("nats")).await?,
    };
    hub::prepare(&server, &state).await?;
    let host = hub::start(&server, &state, config, (clock, shutdown.clone())).await?;
    let address = listener.local_addr().unwrap_or(args.listen);
    screen.note(&format!(
        "fluxgate dev: all services at http://{address}, NATS at {}, state in {}\n\
         DEMO: the keys of all roles lie in {}; agents accept them only with accept_demo = true\n\
         Clusters go into {}; agents pin {}\n\
         Next, in another terminal: fluxgate check --server http://{address}",
        server.url(),
        state.folder.display(),
        state.keys.display(),
        state.fleet.display(),
        state.keys.join("root.pub").display(),
    ));
    let served = host.serve(listener).await.map_err(DevError::Host);
    server.stop().await;
    served
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_shipped_example_loads() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/examples/dev.toml");
        let config: DevConfig = runtime::config::load_with(Some(path.as_ref()), HashMap::new()).unwrap();
        assert_eq!(config.range, ">=2.9.0, <3");
        assert!(config.policies.is_empty());
    }
}
