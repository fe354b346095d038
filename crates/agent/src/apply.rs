//! Writing a plan: cluster definitions first, then the rest with source-controller ahead
//! (`../../../shared/reference/rollout.md` section 3.3). Every step is a function of what is there and what
//! must be, so a restart runs it from the top.

use std::time::Duration;

use serde_json::Value;

use domain::Component;
use flux::manifest::{self, Object};

use crate::cluster::{Catalogue, Cluster, ClusterError};
use crate::lease::Lease;
use crate::preflight::Plan;

/// How long a CRD may take to be served.
const ESTABLISH_DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);

/// Writes a plan. The Lease is renewed before each object: an agent that lost it stops writing.
///
/// # Errors
/// The first object that was not accepted; what was written before stays, and the next try goes on.
pub async fn apply(cluster: &Cluster, plan: &Plan, lease: &Lease) -> Result<(), ClusterError> {
    let (definitions, mut rest): (Vec<&Object>, Vec<&Object>) = plan
        .objects
        .iter()
        .partition(|object| manifest::is_cluster_definition(object));
    let catalogue = cluster.catalogue().await?;
    write(&catalogue, &definitions, plan.manager, lease).await?;
    let crds = definitions.iter().filter(|object| object.is_crd());
    futures::future::try_join_all(crds.map(|crd| established(&catalogue, crd))).await?;
    // Stable: what the manifest puts first stays first among equals.
    rest.sort_by_key(|object| {
        object.kind == "Deployment" && object.name != Component::SourceController.name()
    });
    write(&cluster.catalogue().await?, &rest, plan.manager, lease).await
}

async fn write(
    catalogue: &Catalogue,
    objects: &[&Object],
    manager: &str,
    lease: &Lease,
) -> Result<(), ClusterError> {
    for object in objects {
        lease.renew().await?;
        catalogue.apply(object, manager, false).await?;
        tracing::debug!(object = %crate::cluster::label(object), "applied");
    }
    Ok(())
}

async fn established(catalogue: &Catalogue, crd: &Object) -> Result<(), ClusterError> {
    let deadline = tokio::time::Instant::now() + ESTABLISH_DEADLINE;
    loop {
        let live = catalogue.get(crd).await?;
        if live.as_ref().is_some_and(is_established) {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            return Err(ClusterError::Kind(format!("{} within a minute", crd.name)));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn is_established(crd: &Value) -> bool {
    let conditions = crd.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        condition.get("type").and_then(Value::as_str) == Some("Established")
            && condition.get("status").and_then(Value::as_str) == Some("True")
    })
}
