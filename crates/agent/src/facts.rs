//! What an agent sees of its cluster.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use domain::fleet::{ComponentFacts, CrdFacts};
use domain::{ClusterFacts, ClusterName, Component, Digest};
use flux::ownership::{self, Input, Marks};

use crate::cluster::{Cluster, ClusterError};
use crate::health::digest_of;

/// Looks at the cluster.
///
/// # Errors
/// If something can't be read: facts are whole or not given.
pub async fn gather(
    cluster: &Cluster,
    name: &ClusterName,
    now: Timestamp,
) -> Result<ClusterFacts, ClusterError> {
    let (kubernetes, deployments, pods, crds) = tokio::try_join!(
        cluster.version(),
        cluster.deployments(),
        cluster.pods(),
        cluster.crds()
    )?;
    let catalogue = cluster.catalogue().await?;
    let flux_instance = catalogue
        .has_any("fluxcd.controlplane.io", "FluxInstance")
        .await?;
    let mut seen = ownership::Seen {
        flux_instance,
        ..Default::default()
    };
    let mut components = BTreeMap::new();
    for deployment in &deployments {
        let label = deployment.metadata.name.clone().unwrap_or_default();
        let Ok(component) = label.parse::<Component>() else {
            continue;
        };
        let form = || ClusterError::Form {
            object: format!("Deployment/{label}"),
        };
        let value = serde_json::to_value(deployment).map_err(|_malformed| form())?;
        seen.deployments.insert(label.clone(), Marks::read(&value));
        let image = manager_image(&value)
            .ok_or_else(form)?
            .parse()
            .map_err(|_malformed| form())?;
        components.insert(
            component,
            ComponentFacts {
                image,
                image_ids: image_ids(&pods, component),
            },
        );
    }
    let mut facts: BTreeMap<String, CrdFacts> = BTreeMap::new();
    for crd in crds {
        if crd.name == ownership::MARKER_CRD {
            seen.crd = Some(Marks::read(&crd.value));
        }
        let known = flux::manifest::crd_facts(&crd).map_err(|_malformed| ClusterError::Form {
            object: crd.name.clone(),
        })?;
        facts.insert(crd.name, known);
    }
    for (namespace, kustomization) in ownership::kustomizations(&seen) {
        let found = catalogue
            .find(
                "kustomize.toolkit.fluxcd.io",
                "Kustomization",
                (&namespace, &kustomization),
            )
            .await?;
        if let Some(input) = found.as_ref().and_then(Input::read) {
            seen.inputs.insert((namespace, kustomization), input);
        }
    }
    Ok(ClusterFacts {
        cluster: name.clone(),
        observed: now,
        kubernetes,
        installer: ownership::installer(&seen),
        components,
        crds: facts,
    })
}

fn manager_image(deployment: &Value) -> Option<&str> {
    let containers = deployment.pointer("/spec/template/spec/containers")?.as_array()?;
    containers
        .iter()
        .find(|c| c.get("name").and_then(Value::as_str) == Some("manager"))?
        .get("image")?
        .as_str()
}

/// Digests in the `imageID`s of the component's pods that are not on their way out. None at all where one of
/// them can't be read: half of the truth is not told.
fn image_ids(pods: &[Pod], component: Component) -> BTreeSet<Digest> {
    let own = |pod: &&Pod| {
        let app = pod.metadata.labels.as_ref().and_then(|labels| labels.get("app"));
        app.map(String::as_str) == Some(component.name()) && pod.metadata.deletion_timestamp.is_none()
    };
    pods.iter()
        .filter(own)
        .flat_map(|pod| {
            pod.status
                .iter()
                .flat_map(|s| s.container_statuses.iter().flatten())
        })
        .map(|status| digest_of(&status.image_id))
        .collect::<Option<_>>()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, image_id: &str) -> Pod {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": name, "labels": {"app": "source-controller"}},
            "status": {"containerStatuses": [{
                "name": "manager", "image": "x", "imageID": image_id, "ready": true, "restartCount": 0
            }]}
        }))
        .unwrap()
    }

    #[test]
    fn one_unreadable_image_id_makes_all_of_them_unknown() {
        let digest = Digest::of(b"i");
        let good = pod("a", &format!("ghcr.io/fluxcd/source-controller@{digest}"));
        let ids = |pods: &[Pod]| image_ids(pods, Component::SourceController);
        assert_eq!(ids(std::slice::from_ref(&good)), BTreeSet::from([digest]));
        assert!(ids(&[good.clone(), pod("b", "")]).is_empty());
        assert!(ids(&[good, pod("b", "ghcr.io/x@sha256:short")]).is_empty());
    }
}
