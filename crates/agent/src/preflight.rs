//! Whether this cluster can take the step: owner, baseline, component set, hop, customisation, and a dry
//! run of everything. Nothing is written here, so it is the same under Observe and under Enforce.

use std::collections::BTreeMap;

use serde_json::Value;

use domain::{ClusterFacts, Component, Digest, ImageRef, Reason};
use flux::manifest::{self, Object};

use crate::check::Order;
use crate::cluster::{Cluster, ClusterError};
use crate::health::Target;

mod install;

use install::Install;

/// Manifests are never larger than this, unpacked.
const MAX_DOCUMENT: u64 = 4 * 1024 * 1024;

/// The bytes that an order names, from the blobs.
#[derive(Debug, Clone)]
pub struct Layers {
    /// The target's manifests layer.
    pub target: Vec<u8>,
    /// That of the version that runs.
    pub baseline: Vec<u8>,
}

/// What will be written, and what must run afterwards.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The field manager that installed Flux: the only one that may change it.
    pub manager: &'static str,
    /// The objects, in the manifest's order.
    pub objects: Vec<Object>,
    /// What must run afterwards.
    pub target: Target,
    /// The install as the running version's manifests say it; what differs from it was customised.
    pub expected: Vec<Object>,
}

/// Why a preflight did not pass.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// The step can't be taken. A fact, reported.
    #[error("{reason}: {detail}")]
    Refused {
        /// Why.
        reason: Reason,
        /// What was expected and found.
        detail: String,
    },
    /// Could not be found out.
    #[error(transparent)]
    Cluster(ClusterError),
    /// The bytes could not be fetched now.
    #[error("fetching manifests")]
    Blob(#[source] bus::agent::AgentError),
    /// Pods are on their way: what runs is not known yet.
    #[error("no pod of {0} reports its image now")]
    NoPod(Component),
    /// Nobody has the bytes now; whoever does puts them back.
    #[error("nobody has {0} now")]
    NoBytes(Digest),
}

impl PreflightError {
    /// Whether asking again may help; a refusal is a fact.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Refused { .. } => false,
            Self::Cluster(error) => error.retryable(),
            Self::Blob(error) => error.retryable(),
            Self::NoPod(_) | Self::NoBytes(_) => true,
        }
    }
}

fn refuse<T>(reason: Reason, detail: impl Into<String>) -> Result<T, PreflightError> {
    Err(PreflightError::Refused {
        reason,
        detail: detail.into(),
    })
}

/// An answer of the API server to an object: a refusal is a fact about the step, silence is not.
pub(crate) fn judged(error: ClusterError) -> PreflightError {
    if error.retryable() {
        return PreflightError::Cluster(error);
    }
    let detail = match &error {
        ClusterError::Conflict { object, causes, .. } => {
            let fields: Vec<_> = causes
                .iter()
                .map(|(field, owner)| format!("{field} is owned by {owner}"))
                .collect();
            format!("{object}: {}", fields.join(", "))
        }
        ClusterError::Apply { object, source } => format!("{object}: {source}"),
        other => other.to_string(),
    };
    PreflightError::Refused {
        reason: error.reason(),
        detail,
    }
}

/// The whole preflight of a task that has not begun.
///
/// # Errors
/// [`PreflightError::Refused`] with the first thing that stands against the step.
pub async fn preflight(
    cluster: &Cluster,
    order: &Order,
    layers: &Layers,
    facts: &ClusterFacts,
    tolerate: &[String],
) -> Result<Plan, PreflightError> {
    baseline_is_live(order, facts)?;
    let plan = plan(order, layers, facts)?;
    let catalogue = cluster.catalogue().await.map_err(PreflightError::Cluster)?;
    let install = Install {
        catalogue: &catalogue,
        manager: plan.manager,
        tolerate,
    };
    let tolerated = install.is_uncustomised(&plan.expected).await?;
    install.keeps(&tolerated, &plan.objects).await?;
    Ok(plan)
}

/// What runs is what the decision was made for.
fn baseline_is_live(order: &Order, facts: &ClusterFacts) -> Result<(), PreflightError> {
    if order.baseline.describes(facts) {
        return Ok(());
    }
    for (component, found) in &facts.components {
        let Some(image) = order.baseline.images.get(component) else {
            return refuse(
                Reason::BaselineMoved,
                format!("{component} runs and is not in the baseline"),
            );
        };
        if let Some(id) = found.image_ids.iter().find(|id| !image.covers(**id)) {
            let detail = format!(
                "{component}: the node reports {id}, the baseline has {}",
                image.index
            );
            return refuse(Reason::BaselineImageUnknown, detail);
        }
        if found.image_ids.is_empty() {
            return Err(PreflightError::NoPod(*component));
        }
    }
    refuse(
        Reason::BaselineMoved,
        "components or CRD versions are others than in the baseline",
    )
}

/// A begun task may go on while each image and each CRD is one of the task's.
///
/// # Errors
/// [`Reason::BaselineMoved`] where something else runs.
pub fn still_ours(order: &Order, facts: &ClusterFacts, target: &Target) -> Result<(), PreflightError> {
    for (component, found) in &facts.components {
        let known = |id: &Digest| {
            [order.baseline.images.get(component), target.images.get(component)]
                .into_iter()
                .flatten()
                .any(|image| image.covers(*id))
        };
        if let Some(id) = found.image_ids.iter().find(|id| !known(id)) {
            return refuse(
                Reason::BaselineMoved,
                format!("{component} runs {id}, which is none of the task's"),
            );
        }
    }
    for (name, found) in &facts.crds {
        let ours = [order.baseline.crds.get(name), target.crds.get(name)].contains(&Some(&found.crd));
        if !ours {
            return refuse(
                Reason::BaselineMoved,
                format!("CRD {name} has versions that are none of the task's"),
            );
        }
    }
    Ok(())
}

/// What would be written: a pure function of the order, the bytes and the facts.
///
/// # Errors
/// [`PreflightError::Refused`] with what does not fit.
pub fn plan(order: &Order, layers: &Layers, facts: &ClusterFacts) -> Result<Plan, PreflightError> {
    let Some(manager) = facts.installer.field_manager() else {
        return refuse(Reason::OwnerRefused, facts.installer.to_string());
    };
    let keep = facts.components.keys().copied().collect();
    if let Some(unknown) = facts
        .components
        .keys()
        .find(|c| !order.contents.images.contains_key(c))
    {
        return refuse(
            Reason::ComponentUnknown,
            format!("{unknown} runs, {} has none", order.contents.release.version),
        );
    }
    let document = document(&layers.target, order.assignment.layer)?;
    if Digest::of(document.as_bytes()) != order.contents.document {
        return refuse(
            Reason::ManifestsMismatch,
            "the document in the layer is not the verified one",
        );
    }
    let objects = rendered(&document, &keep)?;
    let verified: BTreeMap<Component, ImageRef> = order
        .contents
        .images
        .iter()
        .map(|(c, image)| (*c, image.image.pinned(image.index)))
        .collect();
    let objects = flux::pin::images(&objects, &verified, &order.assignment.image_registry)
        .or_else(|error| refuse(Reason::ImageUnmapped, error.to_string()))?;
    let crds = manifest::crd_set(&objects)
        .or_else(|error| refuse(Reason::ManifestsUnreadable, error.to_string()))?;
    if let Err(blocked) = flux::hop::check(&facts.crds, &crds) {
        return refuse(Reason::HopIllegal, blocked.to_string());
    }
    let Some(layer) = order.baseline.layer else {
        return refuse(
            Reason::BaselineVersionUnknown,
            "the manifests of the running version are unknown",
        );
    };
    let expected = rendered(&self::document(&layers.baseline, layer)?, &keep)?;
    let images = order
        .contents
        .images
        .iter()
        .filter(|(c, _)| facts.components.contains_key(c));
    Ok(Plan {
        manager,
        target: Target {
            images: images.map(|(c, image)| (*c, image.clone())).collect(),
            crds,
        },
        expected: expected
            .into_iter()
            .map(|object| with_live_image(object, facts))
            .collect(),
        objects,
    })
}

fn document(layer: &[u8], digest: Digest) -> Result<String, PreflightError> {
    if Digest::of(layer) != digest {
        return refuse(
            Reason::ManifestsMismatch,
            format!("the layer's bytes are not {digest}"),
        );
    }
    registry::document(layer, MAX_DOCUMENT)
        .or_else(|error| refuse(Reason::ManifestsUnreadable, error.to_string()))
}

fn rendered(
    document: &str,
    keep: &std::collections::BTreeSet<Component>,
) -> Result<Vec<Object>, PreflightError> {
    let all =
        manifest::parse(document).or_else(|error| refuse(Reason::ManifestsUnreadable, error.to_string()))?;
    flux::subset::render(&all, keep).or_else(|error| refuse(Reason::ManifestsUnreadable, error.to_string()))
}

/// The running version's manifest names images by tag and upstream registry; what runs was compared by
/// digest already, so the image's spelling is taken from the cluster.
fn with_live_image(mut object: Object, facts: &ClusterFacts) -> Object {
    let component = object
        .name
        .parse::<Component>()
        .ok()
        .filter(|_| object.kind == "Deployment");
    let found = component.and_then(|component| facts.components.get(&component));
    let containers = object
        .value
        .pointer_mut("/spec/template/spec/containers")
        .and_then(Value::as_array_mut);
    if let (Some(found), Some(containers)) = (found, containers) {
        for container in containers.iter_mut().filter_map(Value::as_object_mut) {
            container.insert("image".to_owned(), Value::String(found.image.to_string()));
        }
    }
    object
}

#[cfg(test)]
mod tests;
