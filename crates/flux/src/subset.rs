//! The part of an install manifest that a cluster's components need.
//!
//! Rule: nothing is added, and nothing changes but what only an absent component's presence would have
//! written. The result equals, object by object and in order, what upstream generates for those components
//! (the real-data tests compare both). What upstream's generator makes depend on the components:
//!
//! - the objects of the components themselves (see [`tables::owner`]);
//! - `--feature-gates=ExternalArtifact=true` on kustomize- and helm-controller, with source-watcher alone;
//! - the value of `--events-addr` on all others, which is empty without notification-controller
//!   (`generate` in flux2 `pkg/manifestgen/install/manifests.go`).
//!
//! Not among them: the CRD `externalartifacts`, which is source-controller's; the subjects of the
//! ClusterRoleBindings; the NetworkPolicies; the ResourceQuota.

use std::collections::BTreeSet;

use domain::Component;
use serde_json::Value;

use crate::manifest::{self, COMPONENT_LABEL, Object};
use crate::tables::{self, Owner};
use crate::workload;

mod text;

pub use text::text;

/// Why no subset can be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The cluster has a component that this release does not bring.
    #[error("the manifest has no {component}, which the cluster runs")]
    Missing {
        /// The component.
        component: Component,
    },
    /// Whose the object is cannot be told, so neither keeping nor dropping it is right.
    #[error("{object} belongs to no known component and not to the install as a whole")]
    Unowned {
        /// The object.
        object: String,
    },
    /// A Deployment without the arguments that are to be changed.
    #[error("Deployment {component} has no arguments in a container named manager")]
    Arguments {
        /// The component.
        component: Component,
    },
    /// The text is no manifest as upstream's generator writes it.
    #[error("the manifest's text is not of the form that flux generates")]
    Form,
}

/// A gate that upstream adds to some components where another one is installed.
struct Gate {
    with: Component,
    on: [Component; 2],
    gate: &'static str,
}

const GATES: [Gate; 1] = [Gate {
    with: Component::SourceWatcher,
    on: [Component::KustomizeController, Component::HelmController],
    gate: "ExternalArtifact=true",
}];

const FEATURE_GATES: &str = "--feature-gates=";
const EVENTS_ADDR: &str = "--events-addr=";

/// Renders the manifest of the components in `keep` from one that holds at least these.
///
/// # Errors
/// If a component to keep is missing, or whose an object is cannot be told.
pub fn render(objects: &[Object], keep: &BTreeSet<Component>) -> Result<Vec<Object>, Error> {
    let present = manifest::components(objects);
    if let Some(component) = keep.difference(&present).next() {
        return Err(Error::Missing {
            component: *component,
        });
    }
    let dropped: BTreeSet<Component> = present.difference(keep).copied().collect();
    let mut kept = Vec::with_capacity(objects.len());
    for object in objects {
        match owner(object)? {
            Owner::Install => kept.push(object.clone()),
            Owner::Component(component) if keep.contains(&component) => {
                kept.push(take_back(object, component, &dropped)?);
            }
            Owner::Component(_) => {}
        }
    }
    Ok(kept)
}

/// The tables decide; an object that is new since then goes with the component that its label names.
fn owner(object: &Object) -> Result<Owner, Error> {
    let labelled = || object.label(COMPONENT_LABEL)?.parse().ok().map(Owner::Component);
    tables::owner(&object.kind, &object.name)
        .or_else(labelled)
        .ok_or_else(|| Error::Unowned {
            object: object.to_string(),
        })
}

/// The object without what the dropped components had added to it.
fn take_back(object: &Object, component: Component, dropped: &BTreeSet<Component>) -> Result<Object, Error> {
    let mut object = object.clone();
    let gates: Vec<&str> = GATES
        .iter()
        .filter(|gate| dropped.contains(&gate.with) && gate.on.contains(&component))
        .map(|gate| gate.gate)
        .collect();
    let mute = dropped.contains(&Component::NotificationController);
    if !object.is("apps/v1", "Deployment") || (gates.is_empty() && !mute) {
        return Ok(object);
    }
    let arguments = workload::manager_mut(&mut object)
        .and_then(|manager| manager.get_mut("args"))
        .and_then(Value::as_array_mut)
        .ok_or(Error::Arguments { component })?;
    let changed = |argument: &Value| match argument.as_str() {
        Some(text) => without(text, &gates, mute).map(Value::String),
        None => Some(argument.clone()),
    };
    *arguments = arguments.iter().filter_map(changed).collect();
    Ok(object)
}

/// One argument without these feature gates, and without the address of events where nobody listens;
/// `None` where nothing is left of it.
fn without(argument: &str, gates: &[&str], mute: bool) -> Option<String> {
    if mute && argument.starts_with(EVENTS_ADDR) {
        return Some(EVENTS_ADDR.to_owned());
    }
    match argument.strip_prefix(FEATURE_GATES) {
        Some(list) if !gates.is_empty() => {
            let left: Vec<&str> = list.split(',').filter(|gate| !gates.contains(gate)).collect();
            (!left.is_empty()).then(|| format!("{FEATURE_GATES}{}", left.join(",")))
        }
        Some(_) | None => Some(argument.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(name: &str, args: &[&str]) -> Object {
        Object::read(json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": {"template": {"spec": {"containers": [{"name": "manager", "args": args}]}}},
        }))
        .unwrap()
    }

    fn other(kind: &str, name: &str, component: Option<&str>) -> Object {
        let labels = component.map_or(json!({}), |component| json!({COMPONENT_LABEL: component}));
        Object::read(json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "labels": labels}}))
            .unwrap()
    }

    fn args(objects: &[Object], name: &str) -> Value {
        let object = objects.iter().find(|object| object.name == name).unwrap();
        object
            .value
            .pointer("/spec/template/spec/containers/0/args")
            .unwrap()
            .clone()
    }

    fn install() -> Vec<Object> {
        vec![
            other("Namespace", "flux-system", None),
            deployment(
                "kustomize-controller",
                &["--events-addr=http://n/", "--feature-gates=ExternalArtifact=true"],
            ),
            deployment(
                "helm-controller",
                &[
                    "--feature-gates=Other=true,ExternalArtifact=true",
                    "--log-level=info",
                ],
            ),
            other("Service", "webhook-receiver", None),
            deployment("notification-controller", &["--log-level=info"]),
            other("ServiceAccount", "source-watcher", None),
            deployment("source-watcher", &["--events-addr=http://n/"]),
        ]
    }

    fn names(objects: &[Object]) -> Vec<String> {
        objects.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_components_leave_the_manifest_as_it_is() {
        let objects = install();
        let all = manifest::components(&objects);
        assert_eq!(render(&objects, &all).unwrap(), objects);
    }

    #[test]
    fn leaving_out_source_watcher_takes_its_gate_back() {
        let mut keep = manifest::components(&install());
        keep.remove(&Component::SourceWatcher);
        let rendered = render(&install(), &keep).unwrap();
        assert_eq!(rendered.len(), 5);
        assert_eq!(
            args(&rendered, "kustomize-controller"),
            json!(["--events-addr=http://n/"])
        );
        assert_eq!(
            args(&rendered, "helm-controller"),
            json!(["--feature-gates=Other=true", "--log-level=info"])
        );
    }

    #[test]
    fn leaving_out_notification_controller_empties_the_address_of_events() {
        let keep = [Component::KustomizeController, Component::SourceWatcher].into();
        let rendered = render(&install(), &keep).unwrap();
        assert_eq!(
            names(&rendered),
            [
                "Namespace flux-system",
                "Deployment flux-system/kustomize-controller",
                "ServiceAccount source-watcher",
                "Deployment flux-system/source-watcher"
            ]
        );
        let expected = json!(["--events-addr=", "--feature-gates=ExternalArtifact=true"]);
        assert_eq!(args(&rendered, "kustomize-controller"), expected);
    }

    #[test]
    fn a_component_that_the_release_lacks_is_an_error() {
        let keep = [Component::SourceController].into();
        let error = render(&install(), &keep).unwrap_err();
        assert_eq!(
            error,
            Error::Missing {
                component: Component::SourceController
            }
        );
    }

    #[test]
    fn a_new_object_goes_with_its_label_and_is_refused_without_one() {
        let keep = [Component::KustomizeController].into();
        let mut objects = install();
        objects.push(other("PodDisruptionBudget", "pdb", Some("source-watcher")));
        assert!(!names(&render(&objects, &keep).unwrap()).contains(&"PodDisruptionBudget pdb".to_owned()));
        objects.push(other("PodDisruptionBudget", "pdb2", None));
        let error = render(&objects, &keep).unwrap_err();
        assert_eq!(
            error,
            Error::Unowned {
                object: "PodDisruptionBudget pdb2".to_owned()
            }
        );
    }
}
