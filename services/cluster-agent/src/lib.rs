//! cluster-agent: one for each cluster. What it does is in `crates/agent`; here is what starts it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent::cluster::{Cluster, ClusterError};
use agent::run::Parts;
use agent::{Agent, Config, memory};
use runtime::config::Invalid;
use runtime::errors::chain;
use runtime::{Clock, Shutdown};

/// Name of the binary.
pub const NAME: &str = "cluster-agent";

const RECONNECT: Duration = Duration::from_secs(1);

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
    /// The API server can't be used.
    #[error("using the API server")]
    Cluster(#[source] ClusterError),
}

/// Runs an agent until the stop. `print_key` is given the fingerprint that the fleet's file needs.
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
    let Some(client) = connect(&config, &shutdown).await else {
        return Ok(());
    };
    let parts = Parts {
        demands: config.demands(root).map_err(StartError::Config)?,
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

/// The connection to NATS; an agent may be started before the hub. `None` if the stop came first.
async fn connect(config: &Config, shutdown: &Shutdown) -> Option<agent::run::Client> {
    loop {
        match bus::connect(&config.nats()).await {
            Ok(client) => return Some(client),
            Err(error) => tracing::warn!(error = %chain(&error), "NATS can't be reached; trying again"),
        }
        tokio::select! {
            () = shutdown.requested() => return None,
            () = tokio::time::sleep(RECONNECT) => {}
        }
    }
}
