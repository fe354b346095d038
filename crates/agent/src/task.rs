//! What the agent is about to do, stored in its cluster before the first write: a ConfigMap with the
//! dossier and the bytes, so that a killed agent goes on without asking anyone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::{Deserialize, Serialize};

use domain::{Digest, Health};

use crate::cluster::{Cluster, ClusterError, NAMESPACE, patiently};
use crate::preflight::Layers;

/// Name of the ConfigMap.
pub const NAME: &str = "fluxgate-agent";

/// Field manager of everything that is the agent's own.
const MANAGER: &str = "fluxgate-agent";

/// A task that was begun.
#[derive(Debug, Clone)]
pub struct Task {
    /// What stands in the ConfigMap as text.
    pub record: Record,
    /// The dossier as it was checked.
    pub dossier: Vec<u8>,
    /// The bytes of the manifests.
    pub layers: Layers,
}

/// The record of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// Epoch of the newest assignment that is being carried out.
    pub epoch: u64,
    /// Digest of its envelope.
    pub assignment: Digest,
    /// Version of the bundle that it was checked under.
    pub bundle: u64,
    /// When all checks had passed: a begun task is checked again as of then.
    pub begun: Timestamp,
    /// How far it is.
    pub phase: Phase,
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Writing may have begun.
    Begun,
    /// Everything is written; health is not settled.
    Applied,
    /// Settled well.
    Healthy,
    /// Settled badly.
    Unhealthy,
}

impl Phase {
    /// The phase of a settled health.
    #[must_use]
    pub const fn settled(health: Health) -> Self {
        match health {
            Health::Healthy => Self::Healthy,
            Health::Inconclusive | Health::Unhealthy => Self::Unhealthy,
        }
    }
}

fn api(cluster: &Cluster) -> Api<ConfigMap> {
    Api::namespaced(cluster.client(), NAMESPACE)
}

fn failed(source: kube::Error) -> ClusterError {
    ClusterError::Apply {
        object: format!("ConfigMap/{NAME}"),
        source: source.into(),
    }
}

fn malformed() -> ClusterError {
    ClusterError::Form {
        object: format!("ConfigMap/{NAME}"),
    }
}

/// The stored task, if there is one.
///
/// # Errors
/// If the API server does not answer, or what is stored can't be read.
pub async fn load(cluster: &Cluster) -> Result<Option<Task>, ClusterError> {
    let unread = |source: kube::Error| ClusterError::Read {
        what: "the ConfigMap with the agent's task",
        source: source.into(),
    };
    let api = api(cluster);
    let Some(map) = patiently(async || api.get_opt(NAME).await)
        .await
        .map_err(unread)?
    else {
        return Ok(None);
    };
    let text = map
        .data
        .and_then(|mut data| data.remove("task.json"))
        .ok_or_else(malformed)?;
    let record: Record = serde_json::from_str(&text).map_err(|_malformed| malformed())?;
    let mut bytes = map.binary_data.unwrap_or_default();
    let mut take = |name: &str| bytes.remove(name).map(|bytes| bytes.0).ok_or_else(malformed);
    let layers = Layers {
        target: take("target.tar.gz")?,
        baseline: take("baseline.tar.gz")?,
    };
    Ok(Some(Task {
        record,
        dossier: take("dossier.json")?,
        layers,
    }))
}

/// Stores a task.
///
/// # Errors
/// If the API server does not take it: then nothing may be written.
pub async fn store(cluster: &Cluster, task: &Task) -> Result<(), ClusterError> {
    let text = serde_json::to_string(&task.record).map_err(|_never| malformed())?;
    let bytes = [
        ("dossier.json", &task.dossier),
        ("target.tar.gz", &task.layers.target),
        ("baseline.tar.gz", &task.layers.baseline),
    ];
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("task.json".to_owned(), text)])),
        binary_data: Some(
            bytes
                .into_iter()
                .map(|(name, bytes)| (name.to_owned(), ByteString(bytes.clone())))
                .collect(),
        ),
        ..ConfigMap::default()
    };
    let (api, params, patch) = (api(cluster), PatchParams::apply(MANAGER), Patch::Apply(&map));
    patiently(async || api.patch(NAME, &params, &patch).await)
        .await
        .map_err(failed)?;
    Ok(())
}
