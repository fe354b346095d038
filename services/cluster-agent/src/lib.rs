//! cluster-agent: one for each cluster. What it does is in `crates/agent`; here is what starts it.

use std::path::PathBuf;
use std::sync::Arc;

use agent::cluster::{Cluster, ClusterError};
use agent::run::Parts;
use agent::{Agent, Config, memory};
use runtime::config::Invalid;
use runtime::{Clock, Shutdown};

/// Name of the binary.
pub const NAME: &str = "cluster-agent";

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file can't be read.
    #[error("reading {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The root's key is none.
    #[error("reading the root key in {path}")]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: agent::config::KeyError,
    },
    /// The agent's key can't be used.
    #[error("using the agent's key")]
    Key(#[source] agent::config::AgentKeyError),
    /// A value of the file can't stand.
    #[error("reading the agent's file")]
    Config(#[source] Invalid),
    /// The agent can't remember.
    #[error("opening the agent's memory")]
    Memory(#[source] memory::MemoryError),
    /// The credentials for NATS can't be read.
    #[error("preparing the connection to NATS")]
    Nats(#[source] bus::connection::ConnectError),
    /// The API server can't be used.
    #[error("using the API server")]
    Cluster(#[source] ClusterError),
}

/// Runs an agent until the stop. It logs the fingerprint of its key, which the fleet's file needs.
///
/// # Errors
/// If what it needs is missing or broken. NATS is waited for.
pub async fn run(config: Config, clock: Clock, shutdown: Shutdown) -> Result<(), StartError> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|source| StartError::File {
            path: path.clone(),
            source,
        })
    };
    let path = &config.trust.root_key;
    let root = agent::config::root_key(&read(path)?).map_err(|source| StartError::Root {
        path: path.clone(),
        source,
    })?;
    let key = Arc::new(agent::config::key(&config.key).map_err(StartError::Key)?);
    tracing::info!(
        cluster = config.cluster,
        agent_key = key.public().fingerprint(),
        "agent key"
    );
    let kubeconfig = config.kubeconfig.as_ref().map(read).transpose()?;
    let cluster = Cluster::connect(kubeconfig.as_deref())
        .await
        .map_err(StartError::Cluster)?;
    // A begun task goes on without the hub: the agent does not wait for NATS.
    let client = bus::connect_when_possible(&config.nats())
        .await
        .map_err(StartError::Nats)?;
    let demands = config.demands(root).map_err(StartError::Config)?;
    if !demands.roles.contains(&agent::config::Role::Scanner) {
        tracing::warn!("no scanner is demanded: what is inside the images counts for nothing here");
    }
    let parts = Parts {
        demands,
        tolerate: config.tolerate.clone(),
        timing: config.timing,
        memory: memory::File::open(&config.state).map_err(StartError::Memory)?,
        cluster,
        client,
        key,
        clock,
        shutdown,
    };
    // Boxed: an agent is large, and there is one.
    Box::pin(Agent::new(parts).map_err(StartError::Memory)?.run()).await;
    Ok(())
}
