//! Reads `fieldsV1` of `metadata.managedFields` (Kubernetes structured-merge-diff): a tree whose keys are
//! `f:<field>`, `k:<json of the item's key fields>`, `v:<json of a set's item>`, `i:<index>`, and `.` for the
//! item itself.

use serde_json::{Map, Value};

use super::{RESTARTED, bare, join};

/// One owned field.
pub(super) struct Leaf {
    /// Path, as in [`super::Difference`].
    pub(super) path: String,
    /// JSON of the value that the object should have there.
    pub(super) expected: Option<String>,
    /// JSON of the value that the live object has there.
    pub(super) found: Option<String>,
}

/// A place in the object as it should be and as it is.
#[derive(Clone, Copy)]
struct Place<'a> {
    expected: Option<&'a Value>,
    live: Option<&'a Value>,
}

impl<'a> Place<'a> {
    fn at(self, below: impl Fn(&'a Value) -> Option<&'a Value>) -> Self {
        Self {
            expected: self.expected.and_then(&below),
            live: self.live.and_then(&below),
        }
    }
}

/// All owned fields outside of `status`. Of the object's own `metadata` those alone that should have another
/// value: an apply keeps what others add there.
pub(super) fn leaves(fields: &Value, expected: &Value, live: &Value) -> Vec<Leaf> {
    let place = Place {
        expected: Some(expected),
        live: Some(live),
    };
    let mut out = Vec::new();
    for (key, below) in fields.as_object().into_iter().flatten() {
        if !matches!(key.as_str(), "f:status" | "f:apiVersion" | "f:kind") {
            step("", key, below, place, &mut out);
        }
    }
    out.retain(|leaf| {
        let disputed = leaf.expected.is_some() && leaf.expected != leaf.found;
        !leaf.path.ends_with(&format!("[{RESTARTED}]")) && (!leaf.path.starts_with("metadata") || disputed)
    });
    out
}

/// One key of the tree, below `path` and at this place.
fn step(path: &str, key: &str, below: &Value, place: Place<'_>, out: &mut Vec<Leaf>) {
    let nowhere = Place {
        expected: None,
        live: None,
    };
    let (path, place) = match key.split_once(':') {
        Some(("f", field)) => (join(path, field), place.at(|value| value.get(field))),
        Some(("k", keys)) => match serde_json::from_str::<Map<String, Value>>(keys) {
            Ok(keys) => (
                format!("{path}[{}]", shown(&keys)),
                place.at(|value| item(value, &keys)),
            ),
            Err(_) => (format!("{path}[{keys}]"), nowhere),
        },
        Some(("v", value)) => {
            let wanted = serde_json::from_str::<Value>(value).unwrap_or(Value::Null);
            let in_set = |list: &'_ Value| {
                let items = list.as_array()?;
                items.iter().position(|item| *item == wanted)
            };
            let place = place.at(|list| list.as_array()?.get(in_set(list)?));
            (format!("{path}[{}]", bare(&wanted)), place)
        }
        Some(("i", index)) => {
            let place = place.at(|list| list.get(index.parse::<usize>().ok()?));
            (format!("{path}[{index}]"), place)
        }
        Some(_) | None => (join(path, key), nowhere),
    };
    descend(&path, below, place, out);
}

/// A node: a leaf if nothing but the item itself is owned.
fn descend(path: &str, node: &Value, place: Place<'_>, out: &mut Vec<Leaf>) {
    let children: Vec<(&String, &Value)> = node
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != ".")
        .collect();
    if children.is_empty() {
        out.push(Leaf {
            path: path.to_owned(),
            expected: place.expected.map(Value::to_string),
            found: place.live.map(Value::to_string),
        });
    }
    for (key, below) in children {
        step(path, key, below, place, out);
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
