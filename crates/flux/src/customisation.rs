//! What somebody changed on an install, beside whoever installed it.
//!
//! Rule: a customisation is never dropped, so it has to be found before anything is written. Two ways, which
//! do not replace each other: [`foreign_fields`] reads from `metadata.managedFields` who owns which field;
//! [`differences`] compares an object with what it should be.
//!
//! Neither counts what the cluster itself keeps: `status`, bookkeeping in `metadata` (identifiers,
//! timestamps, revisions), and the annotation by which `kubectl rollout restart` restarts a Deployment,
//! which is an event and no setting.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

mod compare;
mod fields;

/// A field that is not as expected. Paths look like `spec.template.spec.containers[name=manager].args[3]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where: list items by name where they have one, keys with a dot or slash in brackets.
    pub path: String,
    /// What it should be; `None` where it should be absent.
    pub expected: Option<Value>,
    /// What it is; `None` where it is absent.
    pub found: Option<Value>,
    /// Who owns it, where that is known: the field manager.
    pub manager: Option<String>,
}

/// Lists whose text is longer are told by what was removed from them and added to them.
const LONG_LIST: usize = 160;

/// `path: expected X, found Y (owned by Z)`. Of long lists only what was removed and added; where the value is the
/// expected one and somebody else owns it, that.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        match (&self.manager, self.expected == self.found) {
            (Some(manager), true) => write!(f, "has the expected value, but {manager} owns it"),
            (Some(manager), false) => write!(f, "{} (owned by {manager})", self.values()),
            (None, _) => f.write_str(&self.values()),
        }
    }
}

impl Difference {
    fn values(&self) -> String {
        let shown = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), Value::to_string);
        let both = format!("expected {}, found {}", shown(&self.expected), shown(&self.found));
        let (Some(Value::Array(expected)), Some(Value::Array(found))) = (&self.expected, &self.found) else {
            return both;
        };
        let removed: Vec<_> = expected.iter().filter(|item| !found.contains(item)).collect();
        let added: Vec<_> = found.iter().filter(|item| !expected.contains(item)).collect();
        if both.len() <= LONG_LIST || (removed.is_empty() && added.is_empty()) {
            return both;
        }
        format!("removed {}, added {}", items(&removed), items(&added))
    }
}

fn items(items: &[&Value]) -> String {
    if items.is_empty() {
        return "nothing".to_owned();
    }
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}

/// The fields of a live object that another field manager than `own_manager` owns and that may change what
/// runs, beside what `expected` has there: everything but `status`, and of `metadata` of the object itself what
/// contradicts `expected` (an annotation on a ServiceAccount or a label on the Namespace is kept by every
/// server-side apply). Sorted by path; one entry for each field and owner. The kubelet's entries and status
/// subresources are left out; the `scale` subresource counts.
#[must_use]
pub fn foreign_fields(expected: &Value, live: &Value, own_manager: &str) -> Vec<Difference> {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let mut found = BTreeSet::new();
    for entry in entries.into_iter().flatten() {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        let manager = text("manager");
        if manager == own_manager || manager == "kubelet" || text("subresource") == "status" {
            continue;
        }
        if let Some(owned) = entry.get("fieldsV1") {
            let leaves = fields::leaves(owned, expected, live);
            found.extend(
                leaves
                    .into_iter()
                    .map(|leaf| (leaf.path, manager, leaf.expected, leaf.found)),
            );
        }
    }
    let value = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    found
        .into_iter()
        .map(|(path, manager, expected, found)| Difference {
            path,
            expected: value(expected),
            found: value(found),
            manager: Some(manager.to_owned()),
        })
        .collect()
}

/// Where two full objects differ, both ways, without what the cluster itself keeps. Sorted by path.
///
/// `expected` must be as complete as `live`: a manifest has to pass the API server's defaulting first (a dry
/// run), or every default is a difference.
#[must_use]
pub fn differences(expected: &Value, live: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare::values("", Some(&stable(expected)), Some(&stable(live)), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Metadata that changes without anybody changing the object (Kubernetes ObjectMeta).
const VOLATILE: [&str; 6] = [
    "managedFields",
    "resourceVersion",
    "uid",
    "generation",
    "creationTimestamp",
    "selfLink",
];
/// Annotation of kube-controller-manager on Deployments.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// Annotation of `kubectl rollout restart` on pod templates.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

/// The object without what the cluster itself keeps.
fn stable(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| !VOLATILE.contains(&field.as_str()));
    }
    remove_annotation(&mut object, "/metadata", REVISION);
    remove_annotation(&mut object, "/spec/template/metadata", RESTARTED);
    object
}

/// Removes an annotation, and the map of annotations if nothing else is in it.
fn remove_annotation(object: &mut Value, metadata: &str, name: &str) {
    let Some(metadata) = object.pointer_mut(metadata).and_then(Value::as_object_mut) else {
        return;
    };
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else {
        return;
    };
    if annotations.remove(name).is_some() && annotations.is_empty() {
        metadata.remove("annotations");
    }
}

/// Appends a key to a path: `spec` and `replicas` to `spec.replicas`; keys with other characters in
/// brackets, like `metadata.labels[app.kubernetes.io/name]`.
fn join(path: &str, key: &str) -> String {
    if key.contains(['.', '/', '[', ']']) {
        format!("{path}[{key}]")
    } else if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// A value as it stands in a list key: texts without quotes.
fn bare(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

#[cfg(test)]
mod tests;
