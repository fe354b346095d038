//! The stage: everything that a story needs, on the lab's real parts: a registry with releases, a hub, and
//! clusters with Flux and an agent each. The demo and the tests of the whole play on it.
//!
//! Hub and agents run as processes of their own, from the binaries beside this one, with the files that an
//! operator would write. What a test changes on purpose it changes in those files, or on the bus.

mod files;
pub mod forge;
mod hub;
mod site;

use std::path::{Path, PathBuf};

use domain::{Component, Version};
use testkit::factory::{Factory, Published, ReleaseSpec};
use testkit::sigstore::DemoSigstore;

use crate::lab::nats::Nats;
use crate::lab::registry::Registry;
use crate::lab::{self, Lab};

pub use files::{AgentFile, HubFiles};
pub use hub::{Hub, Service, until};
pub use site::Site;

/// The version that the clusters run at first.
pub const RUNNING: Version = Version::new(2, 9, 3);

/// The version that comes.
pub const COMING: Version = Version::new(2, 9, 4);

/// Why a stage can't be built, or something on it does not answer.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A part of the lab.
    #[error("the lab")]
    Lab(#[from] lab::Error),
    /// The release factory.
    #[error("making a release")]
    Factory(#[from] testkit::factory::FactoryError),
    /// The demo Sigstore.
    #[error("making a demo Sigstore")]
    Sigstore(#[from] testkit::sigstore::SigstoreError),
    /// A file.
    #[error("writing {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A key.
    #[error("making a key")]
    Keys(#[source] fluxgate::keys::KeysError),
    /// The key of the ledger's notes.
    #[error("making the key of the ledger's notes")]
    NoteKey(#[source] audit_log::ledger::note::NoteError),
    /// The streams or the bundle.
    #[error("`fluxgate migrate` did not make the streams: {0}")]
    Migrate(String),
    /// A binary of ours is not built.
    #[error("{0} is not built; run this through `./justw`, which builds it")]
    Binary(PathBuf),
    /// The manifests to install.
    #[error("reducing the manifests to the default components")]
    Manifests(#[from] flux::manifest::Error),
    /// The manifests to install.
    #[error("reducing the manifests to the default components")]
    Subset(#[from] flux::subset::Error),
    /// The API server of a cluster.
    #[error("asking the API server of {cluster}")]
    Cluster {
        /// The cluster.
        cluster: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The hub.
    #[error("asking the hub")]
    Hub(#[from] tonic::Status),
    /// The hub's address.
    #[error("connecting to the hub")]
    Transport(#[from] tonic::transport::Error),
    /// Something did not come to pass in time.
    #[error("waited {seconds} s for {what}; last seen: {seen}")]
    Late {
        /// For how long.
        seconds: u64,
        /// For what.
        what: String,
        /// What was there instead.
        seen: String,
    },
}

/// A cluster to be.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Its name.
    pub name: &'static str,
    /// The wave that its label selects.
    pub wave: &'static str,
}

/// The demo's two clusters.
pub const TWO: [Plan; 2] = [
    Plan {
        name: "canary",
        wave: "canary",
    },
    Plan {
        name: "prod",
        wave: "prod",
    },
];

/// Everything that a story needs.
#[derive(Debug)]
pub struct Stage {
    /// The lab.
    pub lab: Lab,
    /// The bus.
    pub nats: Nats,
    /// The registry.
    pub registry: Registry,
    /// Makes releases.
    pub factory: Factory,
    /// What the hub reads.
    pub files: HubFiles,
    /// The clusters, in the order of their plans.
    pub sites: Vec<Site>,
}

/// The demo's three clusters: one canary, two in production.
pub const THREE: [Plan; 3] = [
    TWO[0],
    Plan {
        name: "prod-eu",
        wave: "prod",
    },
    Plan {
        name: "prod-us",
        wave: "prod",
    },
];

impl Stage {
    /// Builds a stage: parts, the running release, clusters with Flux on it. Neither hub nor agents are
    /// started.
    ///
    /// # Errors
    /// If something can't be built.
    pub async fn build(lab: &Lab, plans: &[Plan]) -> Result<Self, StageError> {
        let now = jiff::Timestamp::now();
        let (nats, registry) = tokio::try_join!(Nats::start(lab), Registry::start(lab))?;
        let sigstore = DemoSigstore::new(now)?;
        let root = sigstore.trusted_root_json()?;
        let host = registry.host();
        let factory = Factory::new(&host, sigstore)?;
        factory.release(&ReleaseSpec::good(RUNNING)).await?;
        let folder = lab.folder().join(format!("stage-{}", nats.part().id()));
        let files = HubFiles::write(&folder, plans, (&host, &root))?;
        let manifests = default_manifests()?;
        let sites = plans
            .iter()
            .map(|plan| Site::build(lab, plan, (&folder, &host), &manifests));
        let mut sites = futures::future::try_join_all(sites).await?;
        for site in &mut sites {
            site.file.nats = nats.url();
            site.file.root_key = files.keys.join("root.pub");
        }
        files.write_fleet(&sites)?;
        Ok(Self {
            lab: lab.clone(),
            nats,
            registry,
            factory,
            files,
            sites,
        })
    }

    /// Publishes a release as upstream would.
    ///
    /// # Errors
    /// If the registry does not take it.
    pub async fn publish(&self, release: &ReleaseSpec) -> Result<Published, StageError> {
        Ok(self.factory.release(release).await?)
    }

    /// Starts the hub.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn start_hub(&self) -> Result<Hub, StageError> {
        Hub::start(&self.lab, &self.nats, &self.files).await
    }

    /// Starts each of these services of the hub in a process of its own.
    ///
    /// # Errors
    /// If one does not become ready.
    pub async fn start_hub_apart(&self, services: &[Service]) -> Result<Hub, StageError> {
        Hub::start_apart(&self.lab, &self.nats, &self.files, services).await
    }

    /// Starts the agent of each cluster.
    ///
    /// # Errors
    /// If one does not start.
    pub async fn start_agents(&mut self) -> Result<(), StageError> {
        for site in &mut self.sites {
            site.start_agent(&self.lab).await?;
        }
        Ok(())
    }
}

/// The manifests of the running version with the four default components, as documents that `flux install`
/// would apply.
fn default_manifests() -> Result<String, StageError> {
    let all = flux::manifest::parse(&testkit::manifests::document(&RUNNING))?;
    let objects = flux::subset::render(&all, &Component::DEFAULT.into_iter().collect())?;
    // JSON is YAML.
    Ok(objects
        .iter()
        .map(|object| format!("---\n{}\n", object.value))
        .collect())
}

/// A binary of this workspace: beside the one that runs, or above it where that is a test.
pub(crate) fn binary(name: &str) -> Result<PathBuf, StageError> {
    let own = std::env::current_exe().map_err(|source| StageError::File {
        path: name.into(),
        source,
    })?;
    let beside = |folder: &Path| folder.join(name);
    let folders = own.ancestors().skip(1).take(2);
    folders
        .map(beside)
        .find(|path| path.is_file())
        .ok_or_else(|| StageError::Binary(name.into()))
}
