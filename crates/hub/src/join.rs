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
use crate::process::Host;

/// A change is waited out for as long as the run before took, at most this long: a burst is few runs, and what is
/// quickly done is soon done.
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
    /// Following the log ended before everything was read: the stop, or a defect that the log of the process
    /// names.
    #[error("following the event log ended before everything on it was read")]
    NotFollowing,
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
    /// Joins the bus and catches up with the log. The host owns what follows the log: a view that stands
    /// still ends the process.
    ///
    /// # Errors
    /// If a file, the bus, the bundle or the read model is not as it must be.
    pub async fn join(name: &'static str, config: &HubConfig, host: &mut Host) -> Result<Self, HubError> {
        let (clock, shutdown) = (host.clock, host.shutdown.clone());
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
        follow(name, &view, &log, host).await?;
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
            let begun = tokio::time::Instant::now();
            run().await;
            let settle = begun.elapsed().min(SETTLE);
            tokio::select! {
                () = self.shutdown.requested() => return,
                changed = changes.changed() => if changed.is_ok() { tokio::time::sleep(settle).await },
                () = tokio::time::sleep(period) => {}
            }
        }
    }
}

/// Follows the log as a part of the host, and returns when everything that is there now was read.
async fn follow(
    name: &'static str,
    view: &View,
    log: &Arc<dyn EventLog>,
    host: &mut Host,
) -> Result<(), HubError> {
    let (following, source, token) = (view.clone(), Arc::clone(log), host.shutdown.token());
    // Dropped with the task, also where it panics.
    let (alive, mut ended) = tokio::sync::oneshot::channel::<()>();
    host.spawn(name, async move {
        let _alive = alive;
        if let Err(error) = following.run(source, token).await {
            tracing::error!(error = %runtime::errors::chain(&error), "the event log is not followed any more");
        }
    });
    let last = log.last_sequence().await?;
    tokio::select! {
        () = view.reached(last) => Ok(()),
        _ended = &mut ended => Err(HubError::NotFollowing),
    }
}

/// What the read model is judged by at first; waits a little for it.
async fn first_trust(log: &dyn EventLog, root: &PublicKey, lowest: u64) -> Result<Trust, HubError> {
    let deadline = tokio::time::Instant::now() + BUNDLE_PATIENCE;
    loop {
        match newest_trust(log, root, lowest).await? {
            Some(trust) => return Ok(trust),
            None if tokio::time::Instant::now() >= deadline => return Err(HubError::NoBundle(lowest)),
            None => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// The bundle of the highest version on the bus that the root key signed. Versions may be missing: a new
/// stream begins with the bundle that is in force.
async fn newest_trust(log: &dyn EventLog, root: &PublicKey, lowest: u64) -> Result<Option<Trust>, HubError> {
    let filter = bus::subject::trust_bundles();
    let (mut newest, mut after): (Option<Trust>, u64) = (None, 0);
    while let Some(stored) = log.first_after(&filter, after).await? {
        after = stored.sequence;
        match opened(root, lowest, &stored) {
            Ok(found) => {
                let higher = |newest: &Trust| newest.bundle().version < found.bundle().version;
                if newest.as_ref().is_none_or(higher) {
                    newest = Some(found);
                }
            }
            Err(error) => {
                let error = runtime::errors::chain(&error);
                tracing::warn!(
                    subject = stored.subject,
                    sequence = after,
                    error,
                    "a trust bundle does not count"
                );
            }
        }
    }
    Ok(newest)
}

/// The bundle in an event, if it is the one of its subject.
fn opened(root: &PublicKey, lowest: u64, stored: &bus::Stored) -> Result<Trust, TrustError> {
    let trust = Trust::open(root, lowest, &stored.payload)?;
    let claimed = bus::subject::trust_bundle(trust.bundle().version).to_string();
    if claimed == stored.subject {
        Ok(trust)
    } else {
        Err(TrustError::Subject {
            claimed,
            found: stored.subject.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
