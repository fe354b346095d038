//! audit-log: the tamper-evident ledger of everything that was ever said on the event log.
//!
//! `service` follows the stream and makes a leaf of each event (`describe` says what it is about), `ledger`
//! holds leaves, tree, payloads and blobs and writes what outsiders check, `grpc` answers questions. While
//! anything speaks against the ledger its signed status says so, and nobody starts an upgrade.
//!
//! A process of its own is started by [`run`]. A process with more services opens [`Service`] with its own
//! [`Deps`], serves [`grpc::server`] and runs [`Service::run`].
//!
//! Deliberately not here: whether a statement is valid. The ledger keeps what was said, not what counts.

pub mod config;
pub mod describe;
pub mod grpc;
pub mod ledger;
pub mod nats;
pub mod service;

use std::sync::Arc;

use tonic::service::Routes;

use attest::SigningKey;
use attest::keys::KeyError;
use bus::JetStreamLog;
use bus::blobs::Blobs;
use bus::buckets::Values;
use bus::connection::ConnectError;
use bus::streams::Bucket;
use runtime::grpc::{GrpcError, Services};
use runtime::listen::{ListenError, bind};
use runtime::ops::{Ops, OpsError};
use runtime::secret::SecretError;
use runtime::{Clock, SecretFile, Shutdown};

pub use config::Config;
use ledger::note::NoteError;
pub use ledger::{Ledger, LedgerError, NoteKey, NoteVerifier};
pub use service::{Deps, Pace, Service};

/// Name of the service, of its binary.
pub const NAME: &str = "audit-log";

/// Why the service does not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A key file can't be read.
    #[error("reading a key file")]
    Secret(#[from] SecretError),
    /// The role's key is none.
    #[error("reading ledger.key")]
    Key(#[source] KeyError),
    /// The log's key is none.
    #[error("reading ledger.note_key")]
    NoteKey(#[source] NoteError),
    /// A port can't be used.
    #[error("opening a port")]
    Listen(#[from] ListenError),
    /// NATS can't be reached.
    #[error("connecting to NATS")]
    Connect(#[from] ConnectError),
    /// The ledger does not open.
    #[error("opening the ledger")]
    Ledger(#[from] LedgerError),
    /// gRPC could not be served.
    #[error("serving gRPC")]
    Grpc(#[from] GrpcError),
    /// The operations port could not be served.
    #[error("serving the operations port")]
    Ops(#[from] OpsError),
}

impl RunError {
    /// Whether starting again may succeed without anyone changing anything.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Secret(error) => error.retryable(),
            Self::Listen(error) => error.retryable(),
            Self::Connect(error) => error.retryable(),
            Self::Ledger(error) => error.retryable(),
            Self::Grpc(error) => error.retryable(),
            Self::Ops(error) => error.retryable(),
            Self::Key(_) | Self::NoteKey(_) => false,
        }
    }
}

/// Runs the service alone in its process until the stop.
///
/// # Errors
/// If it can't start, or a port can't be served any more.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), RunError> {
    let ports = (bind(config.grpc.listen).await?, bind(config.ops.listen).await?);
    let service = Service::open(deps(&config).await?).await?;
    let ops = Ops::default();
    let open = ops.ready.condition("audit-log/ledger");
    open.set(true);
    let services = Services {
        routes: routes(&service),
        names: vec![grpc::NAME.to_owned()],
        descriptor_sets: &[wire::DESCRIPTOR_SET],
    };
    tracing::info!(grpc = ?ports.0.local_addr().ok(), ops = ?ports.1.local_addr().ok(), "ledger is open");
    let ready = ops.ready.clone();
    let (served, operated, ()) = tokio::join!(
        stopping(
            &shutdown,
            runtime::grpc::serve(ports.0, services, ready, shutdown.clone())
        ),
        stopping(&shutdown, runtime::ops::serve(ports.1, ops, shutdown.clone())),
        stopping(&shutdown, service.run(shutdown.clone())),
    );
    served?;
    Ok(operated?)
}

/// The gRPC service of an opened service, alone.
#[must_use]
pub fn routes(service: &Service) -> Routes {
    Routes::new(grpc::server(service.clone()))
}

/// A part whose end is the end of all.
async fn stopping<T>(shutdown: &Shutdown, part: impl Future<Output = T>) -> T {
    let output = Box::pin(part).await;
    shutdown.request();
    output
}

/// Reads the keys and connects.
async fn deps(config: &Config) -> Result<Deps, RunError> {
    let ledger = &config.ledger;
    let signer = SigningKey::from_pem(&text(&ledger.key)?).map_err(RunError::Key)?;
    let note_key = NoteKey::from_pem(&ledger.origin, &text(&ledger.note_key)?).map_err(RunError::NoteKey)?;
    let client = bus::connect(&config.nats.settings()).await?;
    Ok(Deps {
        log: Arc::new(JetStreamLog::new(&client)),
        blobs: Arc::new(Blobs::new(&client)),
        board: Arc::new(Values::new(&client, Bucket::Status)),
        signer: Arc::new(signer),
        note_key,
        clock: Clock::system(),
        state: ledger.state.clone(),
        monitoring_url: ledger.monitoring_url.clone(),
        pace: Pace::default(),
    })
}

/// A key file as text; what is no text is no PEM either.
fn text(file: &SecretFile) -> Result<String, SecretError> {
    Ok(String::from_utf8_lossy(file.read()?.expose()).into_owned())
}
