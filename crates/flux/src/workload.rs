//! What runs containers in a manifest: the Deployment of a component, with the one container `manager`.

use domain::Component;
use serde_json::{Map, Value};

use crate::manifest::{Error, Object};

/// Name of the only container of a controller's pod.
pub(crate) const MANAGER: &str = "manager";

/// A Deployment of a component, checked.
pub(crate) struct Deployment<'a> {
    /// Whose.
    pub(crate) component: Component,
    /// Image of the container `manager`.
    pub(crate) image: &'a str,
}

/// The object as a component's Deployment; `None` where it runs nothing.
///
/// # Errors
/// If it runs anything but the container `manager` of a known component.
pub(crate) fn deployment(object: &Object) -> Result<Option<Deployment<'_>>, Error> {
    if !object.is("apps/v1", "Deployment") {
        return if !object.is_crd() && runs_containers(&object.value) {
            Err(Error::Workload {
                object: object.to_string(),
            })
        } else {
            Ok(None)
        };
    }
    let Ok(component) = object.name.parse::<Component>() else {
        return Err(Error::UnknownDeployment {
            deployment: object.name.clone(),
        });
    };
    let wrong = |field| Error::Containers {
        deployment: object.name.clone(),
        field,
    };
    let pod = object
        .value
        .pointer("/spec/template/spec")
        .and_then(Value::as_object)
        .ok_or_else(|| wrong("spec.template.spec"))?;
    if let Some(field) = foreign_part(pod) {
        return Err(wrong(field));
    }
    match pod.get("containers").and_then(Value::as_array).map(Vec::as_slice) {
        Some([container]) if name_of(container) == Some(MANAGER) => {
            let image = container
                .get("image")
                .and_then(Value::as_str)
                .ok_or_else(|| wrong("image"))?;
            Ok(Some(Deployment { component, image }))
        }
        Some(_) | None => Err(wrong("containers")),
    }
}

/// The container `manager` of a Deployment, to change it.
pub(crate) fn manager_mut(object: &mut Object) -> Option<&mut Map<String, Value>> {
    object
        .value
        .pointer_mut("/spec/template/spec/containers")?
        .as_array_mut()?
        .iter_mut()
        .find(|container| name_of(container) == Some(MANAGER))?
        .as_object_mut()
}

/// A part of a pod that would run or mount another image (Kubernetes PodSpec).
fn foreign_part(pod: &Map<String, Value>) -> Option<&'static str> {
    let filled = |field: &str| match pod.get(field) {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => true,
    };
    if filled("initContainers") {
        return Some("initContainers");
    }
    if filled("ephemeralContainers") {
        return Some("ephemeralContainers");
    }
    let mut volumes = pod.get("volumes").and_then(Value::as_array).into_iter().flatten();
    volumes
        .any(|volume| volume.get("image").is_some())
        .then_some("volumes with an image")
}

/// Whether a pod spec lies anywhere inside.
fn runs_containers(value: &Value) -> bool {
    match value {
        Value::Object(map) => {
            ["containers", "initContainers"]
                .iter()
                .any(|field| map.get(*field).is_some_and(Value::is_array))
                || map.values().any(runs_containers)
        }
        Value::Array(items) => items.iter().any(runs_containers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn name_of(item: &Value) -> Option<&str> {
    item.get("name").and_then(Value::as_str)
}
