//! The service over the ledger: follows the stream, reads it again, copies blobs, watches durability and
//! reports.
//!
//! Invariants:
//! - Nothing is confirmed beyond a gap, and nothing of another stream.
//! - What was found wrong is only forgotten when it was looked at again and found right; disputes outlive a
//!   restart.
//! - Everything may die between any two lines: the cursor is the ledger itself.

mod copy;
mod durability;
mod follow;
pub mod report;
mod reread;
pub mod soundness;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::task::JoinSet;

use attest::{PublicKey, SigningKey};
use bus::EventLog;
use domain::Digest;
use runtime::{Clock, Shutdown};
use wire::audit::v1::LedgerStatus;

use crate::ledger::{Ledger, LedgerError, NoteKey};
use soundness::{Soundness, State};

/// What the client of the bus says when it fails.
pub type PortError = Box<dyn std::error::Error + Send + Sync>;

/// Where blobs are: `bus` behind [`crate::nats`], or a test.
#[async_trait]
pub trait BlobSource: Send + Sync {
    /// The bytes under this digest, unchecked; `None` where there are none.
    async fn get(&self, digest: Digest) -> Result<Option<Bytes>, PortError>;
}

/// Where the status of the ledger is read by others: bucket `status`, key `ledger`.
#[async_trait]
pub trait StatusBoard: Send + Sync {
    /// Replaces the status.
    async fn put_status(&self, envelope: Bytes) -> Result<(), PortError>;
}

/// What the service works with.
pub struct Deps {
    /// The stream.
    pub log: Arc<dyn EventLog>,
    /// The blobs.
    pub blobs: Arc<dyn BlobSource>,
    /// The bucket.
    pub board: Arc<dyn StatusBoard>,
    /// Key of the role `ledger`.
    pub signer: Arc<SigningKey>,
    /// Key that signs checkpoints.
    pub note_key: NoteKey,
    /// The root key that is pinned: goes into exports, for those who have it from nowhere else.
    pub root_key: Option<PublicKey>,
    /// The clock.
    pub clock: Clock,
    /// Folder of the ledger.
    pub state: PathBuf,
    /// Monitoring address of nats-server, like `http://127.0.0.1:8222`; durability is not watched without.
    pub monitoring_url: Option<String>,
    /// How often things are done.
    pub pace: Pace,
}

/// How often things are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// A status at least this often.
    pub status: Duration,
    /// After a change, how long others are waited for.
    pub debounce: Duration,
    /// A pass of reading again.
    pub reread: Duration,
    /// A pass over missing blobs.
    pub blobs: Duration,
    /// A question about durability.
    pub durability: Duration,
    /// After a failure.
    pub retry: Duration,
    /// How long any event may take from the stream into the ledger, however many others arrive, and the
    /// stream to answer.
    pub lag: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            status: Duration::from_secs(60),
            debounce: Duration::from_millis(200),
            reread: Duration::from_secs(10),
            blobs: Duration::from_secs(10),
            durability: Duration::from_secs(60),
            retry: Duration::from_secs(5),
            lag: Duration::from_secs(60),
        }
    }
}

/// What all tasks of the service share.
struct Shared {
    ledger: Arc<Ledger>,
    log: Arc<dyn EventLog>,
    blobs: Arc<dyn BlobSource>,
    board: Arc<dyn StatusBoard>,
    signer: Arc<SigningKey>,
    root_key: Option<PublicKey>,
    clock: Clock,
    monitoring_url: Option<String>,
    pace: Pace,
    soundness: Soundness,
    progress: Mutex<Progress>,
}

/// What the stream was seen to hold, and the ledger does not yet.
struct Progress {
    /// Last sequences that are not in the ledger, and when each was seen; rising.
    due: VecDeque<(Timestamp, u64)>,
    /// When the stream last answered.
    answered: Timestamp,
}

impl Shared {
    /// Waits; false if the stop came first.
    async fn pause(&self, time: Duration, shutdown: &Shutdown) -> bool {
        tokio::select! {
            () = shutdown.requested() => false,
            () = tokio::time::sleep(time) => true,
        }
    }
}

/// The service. Clones are the same.
#[derive(Clone)]
pub struct Service {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("ledger", &self.shared.ledger)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps")
            .field("state", &self.state)
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// Opens the ledger. Nothing runs yet.
    ///
    /// # Errors
    /// If the ledger does not open.
    pub async fn open(deps: Deps) -> Result<Self, LedgerError> {
        let ledger = Arc::new(Ledger::open(&deps.state, deps.note_key).await?);
        let again = ledger.index_again(crate::describe::describe).await?;
        if again > 0 {
            tracing::info!(
                leaves = again,
                "the index says more now, leaves are described again"
            );
        }
        let held = ledger.head().await.size;
        let disputed = ledger.disputes().await?.into_iter().collect();
        let soundness = Soundness::new(held, disputed, deps.monitoring_url.is_some());
        Ok(Self {
            shared: Arc::new(Shared {
                ledger,
                log: deps.log,
                blobs: deps.blobs,
                board: deps.board,
                signer: deps.signer,
                root_key: deps.root_key,
                clock: deps.clock,
                monitoring_url: deps.monitoring_url,
                pace: deps.pace,
                soundness,
                progress: Mutex::new(Progress {
                    due: VecDeque::new(),
                    answered: deps.clock.now(),
                }),
            }),
        })
    }

    /// The ledger, for queries, checks and exports.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.shared.ledger
    }

    /// The root key that is pinned.
    #[must_use]
    pub fn root_key(&self) -> Option<&PublicKey> {
        self.shared.root_key.as_ref()
    }

    /// What speaks for and against the ledger now.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.soundness.now()
    }

    /// The status now.
    ///
    /// # Errors
    /// If the ledger or its files fail.
    pub async fn status(&self) -> Result<LedgerStatus, LedgerError> {
        self.shared.status().await
    }

    /// Does its work until the stop, or until a part of it dies: half a service is worse than one that is
    /// started again.
    pub async fn run(&self, shutdown: Shutdown) {
        let stop = shutdown.child();
        let mut parts = JoinSet::new();
        let (shared, part) = (self.shared.clone(), stop.clone());
        parts.spawn(async move { shared.follow(&part).await });
        let (shared, part) = (self.shared.clone(), stop.clone());
        parts.spawn(async move { shared.reread(&part).await });
        let (shared, part) = (self.shared.clone(), stop.clone());
        parts.spawn(async move { shared.copy(&part).await });
        let (shared, part) = (self.shared.clone(), stop.clone());
        parts.spawn(async move { shared.watch_durability(&part).await });
        let (shared, part) = (self.shared.clone(), stop.clone());
        parts.spawn(async move { shared.report(&part).await });
        while let Some(ended) = parts.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of audit-log died");
                stop.request();
            }
        }
    }
}

#[cfg(test)]
mod tests;
