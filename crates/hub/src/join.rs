//! Joining the bus.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use attest::keys::KeyError;
use attest::{PublicKey, SigningKey, Trust, TrustError};
use bus::blobs::Blobs;
use bus::buckets::Values;
use bus::streams::Bucket;
use bus::{EventLog, JetStreamLog, Journal, Judge, Schema, View};
use runtime::{Clock, Shutdown};

use crate::config::{HubConfig, TrustConfig};
use crate::ledger::{self, LedgerState};

/// A change is waited out for this long, so that a burst is one run.
const SETTLE: Duration = Duration::from_millis(20);

/// How long a start waits for a trust bundle on the bus.
const BUNDLE_PATIENCE: Duration = Duration::from_secs(10);

/// Why a service could not join.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// A file can't be read.
    #[error("reading {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A key file holds no key.
    #[error("reading the key in {path}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The system has no randomness to give.
    #[error("making a key that nobody trusts")]
    Randomness(#[source] KeyError),
    /// NATS can't be reached, or refuses.
    #[error("connecting to NATS")]
    Connect(#[source] bus::connection::ConnectError),
    /// The log can't be read.
    #[error("reading the event log")]
    Log(#[from] bus::LogError),
    /// There is no bundle.
    #[error("there is no trust bundle of version {0} or later on the bus; `fluxgate migrate` puts it there")]
    NoBundle(u64),
    /// The bundle is not trusted.
    #[error("opening the trust bundle")]
    Trust(#[source] TrustError),
    /// The read model can't be opened.
    #[error("opening the read model")]
    View(#[from] bus::ViewError),
    /// The read model's folder can't be made.
    #[error("making the folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A service's place on the bus. Clones share it.
#[derive(Clone)]
pub struct Hub {
    /// The connection.
    pub client: async_nats::Client,
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// What counts on the log.
    pub view: View,
    /// The one way to write.
    pub journal: Journal,
    /// Bytes by digest.
    pub blobs: Blobs,
    /// Cluster to what its agent reads.
    pub assignments: Values,
    /// Cluster to its newest sign of life.
    pub heartbeats: Values,
    /// How the ledger stands.
    pub status: Values,
    /// The service's key.
    pub key: Arc<SigningKey>,
    /// The time.
    pub clock: Clock,
    /// The stop.
    pub shutdown: Shutdown,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// How statements are read where the bus judges them.
pub const SCHEMA: Schema = Schema {
    well_formed: wire::schema::well_formed,
    agent_key: wire::schema::agent_key,
    report_epoch: wire::schema::report_epoch,
};

fn read(path: &PathBuf) -> Result<String, HubError> {
    std::fs::read_to_string(path).map_err(|source| HubError::File {
        path: path.clone(),
        source,
    })
}

/// Reads a private key.
///
/// # Errors
/// If there is none in the file.
pub fn read_key(path: &PathBuf) -> Result<SigningKey, HubError> {
    SigningKey::from_pem(&read(path)?).map_err(|source| HubError::Key {
        path: path.clone(),
        source,
    })
}

/// Reads the root's public key.
///
/// # Errors
/// If there is none in the file.
pub fn read_root(trust: &TrustConfig) -> Result<PublicKey, HubError> {
    let path = &trust.root_key;
    PublicKey::from_pem(&read(path)?).map_err(|source| HubError::Key {
        path: path.clone(),
        source,
    })
}

impl Hub {
    /// Joins the bus and catches up with the log.
    ///
    /// # Errors
    /// If a file, the bus, the bundle or the read model is not as it must be.
    pub async fn join(
        name: &'static str,
        config: &HubConfig,
        clock: Clock,
        shutdown: Shutdown,
    ) -> Result<Self, HubError> {
        let key = Arc::new(match &config.key {
            Some(path) => read_key(path)?,
            // Nothing that this key signs counts: no bundle has it.
            None => SigningKey::generate().map_err(HubError::Randomness)?.0,
        });
        let root = read_root(&config.trust)?;
        let client = bus::connect(&config.nats.settings(name))
            .await
            .map_err(HubError::Connect)?;
        let log: Arc<dyn EventLog> = Arc::new(JetStreamLog::new(&client));
        let trust = first_trust(log.as_ref(), &root, config.trust.lowest_bundle).await?;
        let path = match &config.state {
            None => None,
            Some(folder) => {
                let failed = |source| HubError::Folder {
                    path: folder.clone(),
                    source,
                };
                std::fs::create_dir_all(folder).map_err(failed)?;
                Some(folder.join(format!("{name}.sqlite")))
            }
        };
        let view = View::open(path.as_deref(), Judge::new(SCHEMA, trust)).await?;
        let following = view.clone();
        let (source, token) = (Arc::clone(&log), shutdown.token());
        tokio::spawn(async move { following.run(source, token).await });
        let last = log.last_sequence().await?;
        view.reached(last).await;
        let now = Arc::new(move || clock.now());
        Ok(Self {
            journal: Journal::new(Arc::clone(&log), view.clone(), Arc::clone(&key), now),
            blobs: Blobs::new(&client),
            assignments: Values::new(&client, Bucket::Assignments),
            heartbeats: Values::new(&client, Bucket::Heartbeats),
            status: Values::new(&client, Bucket::Status),
            client,
            log,
            view,
            key,
            clock,
            shutdown,
        })
    }

    /// Whether the ledger confirms, now.
    ///
    /// # Errors
    /// If the log does not answer. A bucket that does not answer is a ledger that is silent.
    pub async fn ledger(&self) -> Result<LedgerState, HubError> {
        let created = self.log.created().await?;
        let status = self.status.get(ledger::KEY).await;
        let now = self.clock.now();
        Ok(match status {
            Ok(entry) => {
                let envelope = entry.as_ref().map(|entry| entry.value.as_ref());
                LedgerState::judge(envelope, &self.view.trust(), created, now)
            }
            Err(error) => LedgerState::Unconfirmed(format!(
                "its status can't be read: {}",
                runtime::errors::chain(&error)
            )),
        })
    }

    /// Runs something now, on every change of the view, and at least every `period`, until the stop.
    pub async fn each_change<F, R>(&self, period: Duration, mut run: F)
    where
        F: FnMut() -> R,
        R: Future<Output = ()>,
    {
        let mut changes = self.view.changed();
        loop {
            changes.mark_unchanged();
            run().await;
            tokio::select! {
                () = self.shutdown.requested() => return,
                changed = changes.changed() => if changed.is_ok() { tokio::time::sleep(SETTLE).await },
                () = tokio::time::sleep(period) => {}
            }
        }
    }
}

/// The newest bundle on the bus that the root key signed: what the read model is judged by at first.
async fn first_trust(log: &dyn EventLog, root: &PublicKey, lowest: u64) -> Result<Trust, HubError> {
    let deadline = tokio::time::Instant::now() + BUNDLE_PATIENCE;
    loop {
        let mut newest: Option<Trust> = None;
        let mut version = lowest.max(1);
        while let Some(trust) = bundle(log, root, version).await? {
            newest = Some(trust);
            version = version.saturating_add(1);
        }
        match newest {
            Some(trust) => return Ok(trust),
            None if tokio::time::Instant::now() >= deadline => return Err(HubError::NoBundle(lowest)),
            None => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// The first valid bundle of a version.
async fn bundle(log: &dyn EventLog, root: &PublicKey, version: u64) -> Result<Option<Trust>, HubError> {
    let subject = bus::subject::trust_bundle(version).to_string();
    let mut after = 0;
    while let Some(stored) = log.first_after(&subject, after).await? {
        match Trust::open(root, version, &stored.payload) {
            Ok(trust) => return Ok(Some(trust)),
            Err(error) => {
                let error = runtime::errors::chain(&error);
                tracing::warn!(
                    subject,
                    sequence = stored.sequence,
                    error,
                    "a trust bundle does not count"
                );
            }
        }
        after = stored.sequence;
    }
    Ok(None)
}
