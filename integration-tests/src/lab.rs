//! The lab: real parts for the demo, the tests and the benches, on any Linux machine.
//!
//! A [`Lab`] owns one temp folder and the binaries of the parts; nats-server, the OCI registry, etcd and Kubernetes
//! clusters are started from it, each on loopback ports picked by the OS. The rule of this module: **a part is
//! real or the lab fails**; only the kubelet is ours ([`kubelet::FakeKubelet`]), because there is no machine to run
//! containers on. The second rule: nothing outlives the process that started it, however that ends ([`tether`]).
//!
//! Deliberately not here: what is installed into the parts (releases, fleets, services). That is its callers'.

pub mod cluster;
mod error;
pub mod etcd;
mod folder;
pub mod kubelet;
pub mod nats;
pub(crate) mod probe;
pub mod process;
pub mod progress;
pub mod proxy;
pub mod registry;
pub mod sink;
pub mod smoke;
pub mod tether;
pub mod tools;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OnceCell;

pub use error::Error;
use etcd::Etcd;
use folder::Folder;
use progress::{Progress, StderrLines};
use tools::{Tool, Tools};

/// The lab's folder and binaries; cheap to clone. The folder is removed when the last clone and the last part are
/// gone, unless something failed or [`Lab::keep_logs`] was called.
#[derive(Debug, Clone)]
pub struct Lab {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tools: Tools,
    progress: Arc<dyn Progress>,
    /// One etcd serves all clusters, each under a prefix of its own: it is started by the first cluster.
    etcd: OnceCell<Arc<Etcd>>,
    folder: Arc<Folder>,
}

impl Lab {
    /// Makes a lab that tells its progress on stderr: makes sure of all tools (see [`Tools::ensure`]) and of the
    /// temp folder.
    ///
    /// # Errors
    /// Where a tool can be neither found nor built, or the folder cannot be made.
    pub async fn start() -> Result<Self, Error> {
        Self::start_with(Arc::new(StderrLines), &Tool::ALL).await
    }

    /// As [`Lab::start`], with another listener for progress, and only the tools in `wanted`: starting a part whose
    /// tool was not asked for is [`Error::ToolNotWanted`].
    ///
    /// # Errors
    /// As for [`Lab::start`].
    pub async fn start_with(progress: Arc<dyn Progress>, wanted: &[Tool]) -> Result<Self, Error> {
        let folder = Arc::new(Folder::create()?);
        let wanted = wanted.to_vec();
        let listener = progress.clone();
        // Building takes minutes and blocks: not on a runtime thread.
        let built = tokio::task::spawn_blocking(move || Tools::ensure(&wanted, listener.as_ref())).await;
        let tools = built.map_err(|source| Error::Interrupted {
            operation: "building the tools",
            source,
        })??;
        Ok(Self {
            inner: Arc::new(Inner {
                tools,
                progress,
                etcd: OnceCell::new(),
                folder,
            }),
        })
    }

    /// The lab's temp folder, under `$FLUXGATE_LAB_DIR` or the system's.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.inner.folder.path()
    }

    /// Keeps the folder with its logs after the end, as a failure of a part or a panic does anyway.
    pub fn keep_logs(&self) {
        self.inner.folder.keep();
    }

    /// Where the parts' binaries are.
    #[must_use]
    pub fn tools(&self) -> &Tools {
        &self.inner.tools
    }

    /// Tells the lab's listener one line.
    pub fn tell(&self, line: &str) {
        self.inner.progress.line(line);
    }

    /// The etcd that all clusters of this lab share.
    pub(crate) async fn etcd(&self) -> Result<Arc<Etcd>, Error> {
        let etcd = self
            .inner
            .etcd
            .get_or_try_init(async || Etcd::start(self).await.map(Arc::new))
            .await?;
        Ok(etcd.clone())
    }

    pub(crate) fn shared_folder(&self) -> Arc<Folder> {
        self.inner.folder.clone()
    }

    /// A new folder in the lab's, named `name` or, where that is taken, `name-2` and so on.
    pub(crate) fn new_folder(&self, name: &str) -> Result<PathBuf, Error> {
        self.inner.folder.new_child(name)
    }
}
