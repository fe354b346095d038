//! audit-log: the tamper-evident ledger of everything that was ever said on the event log.
//!
//! `service` follows the stream and makes a leaf of each event (`describe` says what it is about), `ledger`
//! holds leaves, tree, payloads and blobs and writes what outsiders check, `grpc` answers questions, `export`
//! makes and checks folders that need none of us. While
//! anything speaks against the ledger its signed status says so, and nobody starts an upgrade.
//!
//! Deliberately not here: whether a statement is valid. The ledger keeps what was said, not what counts.

pub mod config;
pub mod describe;
pub mod export;
pub mod grpc;
pub mod ledger;
pub mod nats;
pub mod rebuild;
pub mod restore;
pub mod service;

use std::sync::Arc;

use hub::{Host, Hub};
use runtime::config::{Invalid, Validate as _};
use runtime::secret::SecretError;

pub use config::Settings;
use ledger::note::NoteError;
pub use ledger::{Ledger, LedgerError, NoteKey, NoteVerifier};
pub use service::{Deps, Pace, Service};

/// Name of the service, of its binary.
pub const NAME: &str = "audit-log";

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is not of its kind.
    #[error("reading the settings")]
    Settings(#[source] Invalid),
    /// The file of the log's key can't be read.
    #[error("reading service.note_key")]
    Secret(#[source] SecretError),
    /// The log's key is none.
    #[error("reading the key in service.note_key")]
    NoteKey(#[source] NoteError),
    /// The ledger does not open.
    #[error("opening the ledger")]
    Ledger(#[source] LedgerError),
}

/// Starts the service on a host.
///
/// # Errors
/// If a setting or a key is none, or the ledger does not open.
pub async fn start(hub: Hub, settings: Settings, host: &mut Host) -> Result<(), StartError> {
    settings.validate().map_err(StartError::Settings)?;
    let secret = settings.note_key.read().map_err(StartError::Secret)?;
    // What is no text is no PEM either.
    let text = String::from_utf8_lossy(secret.expose()).into_owned();
    let note_key = NoteKey::from_pem(&settings.origin, &text).map_err(StartError::NoteKey)?;
    let deps = Deps {
        log: hub.log,
        blobs: Arc::new(hub.blobs),
        board: Arc::new(hub.status),
        signer: hub.key,
        note_key,
        root_key: Some(hub.view.trust().root().clone()),
        clock: hub.clock,
        state: settings.ledger,
        monitoring_url: settings.monitoring_url,
        pace: Pace::default(),
    };
    let service = Service::open(deps).await.map_err(StartError::Ledger)?;
    host.grpc.add(grpc::server(service.clone()));
    let shutdown = host.shutdown.clone();
    host.spawn(NAME, async move { service.run(shutdown).await });
    Ok(())
}
