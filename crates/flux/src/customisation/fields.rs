//! Reads `fieldsV1` of `metadata.managedFields` (Kubernetes structured-merge-diff): a tree whose keys are
//! `f:<field>`, `k:<json of the item's key fields>`, `v:<json of a set's item>`, `i:<index>`, and `.` for the
//! item itself.

use serde_json::{Map, Value};

use super::{RESTARTED, bare, join};

/// One owned field.
pub(super) struct Leaf {
    /// Path, as in [`super::Difference`].
    pub(super) path: String,
    /// JSON of the value that the live object has there.
    pub(super) found: Option<String>,
}

/// All owned fields outside of `metadata` and `status`.
pub(super) fn leaves(fields: &Value, live: &Value) -> Vec<Leaf> {
    let mut out = Vec::new();
    for (key, below) in fields.as_object().into_iter().flatten() {
        if !matches!(
            key.as_str(),
            "f:metadata" | "f:status" | "f:apiVersion" | "f:kind"
        ) {
            step("", key, below, Some(live), &mut out);
        }
    }
    out.retain(|leaf| !leaf.path.ends_with(&format!("[{RESTARTED}]")));
    out
}

/// One key of the tree, below `path` and inside `live`.
fn step(path: &str, key: &str, below: &Value, live: Option<&Value>, out: &mut Vec<Leaf>) {
    let (path, live) = match key.split_once(':') {
        Some(("f", field)) => (join(path, field), live.and_then(|live| live.get(field))),
        Some(("k", keys)) => match serde_json::from_str::<Map<String, Value>>(keys) {
            Ok(keys) => (
                format!("{path}[{}]", shown(&keys)),
                live.and_then(|live| item(live, &keys)),
            ),
            Err(_) => (format!("{path}[{keys}]"), None),
        },
        Some(("v", value)) => {
            let value = serde_json::from_str::<Value>(value).unwrap_or(Value::Null);
            let index = live.and_then(Value::as_array).and_then(|items| {
                items
                    .iter()
                    .position(|item| *item == value)
                    .and_then(|at| items.get(at))
            });
            (format!("{path}[{}]", bare(&value)), index)
        }
        Some(("i", index)) => {
            let item = live.and_then(|live| live.get(index.parse::<usize>().ok()?));
            (format!("{path}[{index}]"), item)
        }
        Some(_) | None => (join(path, key), None),
    };
    descend(&path, below, live, out);
}

/// A node: a leaf if nothing but the item itself is owned.
fn descend(path: &str, node: &Value, live: Option<&Value>, out: &mut Vec<Leaf>) {
    let children: Vec<(&String, &Value)> = node
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != ".")
        .collect();
    if children.is_empty() {
        out.push(Leaf {
            path: path.to_owned(),
            found: live.map(Value::to_string),
        });
    }
    for (key, below) in children {
        step(path, key, below, live, out);
    }
}

/// The item of a list that has these key fields. A field that the live object leaves at its default
/// (protocol TCP) does not tell items apart here.
fn item<'a>(list: &'a Value, keys: &Map<String, Value>) -> Option<&'a Value> {
    let has = |item: &&Value| {
        keys.iter()
            .all(|(key, value)| item.get(key).is_none_or(|found| found == value))
    };
    list.as_array()?.iter().find(has)
}

/// `name=manager`, or all key fields with a comma; `name` alone where it is among them.
fn shown(keys: &Map<String, Value>) -> String {
    match keys.get("name") {
        Some(name) => format!("name={}", bare(name)),
        None => keys
            .iter()
            .map(|(key, value)| format!("{key}={}", bare(value)))
            .collect::<Vec<_>>()
            .join(","),
    }
}
