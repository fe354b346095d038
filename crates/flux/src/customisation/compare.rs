//! Compares two JSON values, list items by their key where they have one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Difference, bare, join};

/// Fields that key the items of a list, the first one that all items of both lists have uniquely:
/// containers, volumes, environment and CRD versions have names; volume mounts have paths; ports of
/// Services and NetworkPolicies have numbers.
const KEYS: [&str; 4] = ["name", "mountPath", "containerPort", "port"];

/// Appends every difference below `path`.
pub(super) fn values(path: &str, expected: Option<&Value>, found: Option<&Value>, out: &mut Vec<Difference>) {
    match (expected, found) {
        (Some(Value::Object(expected)), Some(Value::Object(found))) => maps(path, expected, found, out),
        (Some(Value::Array(expected)), Some(Value::Array(found))) => lists(path, expected, found, out),
        (Some(expected), Some(found)) if same(expected, found) => {}
        (None, None) => {}
        (Some(_) | None, _) => out.push(Difference {
            path: path.to_owned(),
            expected: expected.cloned(),
            found: found.cloned(),
            manager: None,
        }),
    }
}

fn maps(path: &str, expected: &Map<String, Value>, found: &Map<String, Value>, out: &mut Vec<Difference>) {
    let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    for key in keys {
        values(&join(path, key), expected.get(key), found.get(key), out);
    }
}

fn lists(path: &str, expected: &[Value], found: &[Value], out: &mut Vec<Difference>) {
    let keyed = KEYS
        .iter()
        .find_map(|key| Some((key, by_key(expected, key)?, by_key(found, key)?)));
    if let Some((key, expected, found)) = keyed {
        let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        for name in names {
            let path = format!("{path}[{key}={name}]");
            values(&path, expected.get(name).copied(), found.get(name).copied(), out);
        }
        return;
    }
    for index in 0..expected.len().max(found.len()) {
        values(
            &format!("{path}[{index}]"),
            expected.get(index),
            found.get(index),
            out,
        );
    }
}

/// The items by the value of this key; `None` if an item lacks it or two share one.
fn by_key<'a>(items: &'a [Value], key: &str) -> Option<BTreeMap<String, &'a Value>> {
    let map: BTreeMap<String, &Value> = items
        .iter()
        .map(|item| Some((bare(item.get(key)?), item)))
        .collect::<Option<_>>()?;
    (map.len() == items.len()).then_some(map)
}

/// Equal, also where one writes a whole number with a decimal point.
fn same(a: &Value, b: &Value) -> bool {
    let mixed = a.is_f64() != b.is_f64();
    a == b || (mixed && matches!((a.as_f64(), b.as_f64()), (Some(a), Some(b)) if a == b))
}
