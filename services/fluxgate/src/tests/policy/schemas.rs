//! The JSON Schemas of every file that a person writes: made from the very types that the files are read into,
//! shipped in `deploy/schemas`. `FLUXGATE_WRITE_DOCS=1` writes them.

use std::fs;

use hub::process::ServiceConfig;
use jsonschema::Validator;
use schemars::{JsonSchema, Schema, schema_for};
use serde_json::Value;

use super::root;

/// Where the shipped schemas are found by name.
const BASE: &str = "https://fluxgate.dev/schemas";

/// A schema by the name of its file.
fn all() -> Vec<(&'static str, Schema)> {
    vec![
        ("policy", policy::document::schema()),
        ("strategy", planner::strategy::schema()),
        ("fleet", planner::fleet::schema()),
        ("cluster-agent", schema_for!(agent::config::Config)),
        ("dev", schema_for!(crate::dev::DevConfig)),
        ("release-watcher", of_service::<release_watcher::Settings>()),
        ("signature-verifier", of_service::<signature_verifier::Settings>()),
        ("policy-engine", of_service::<policy_engine::Settings>()),
        ("rollout-controller", of_service::<rollout_controller::Settings>()),
        ("audit-log", of_service::<audit_log::Settings>()),
    ]
}

fn of_service<T: JsonSchema>() -> Schema {
    schema_for!(ServiceConfig<T>)
}

/// The schema as it is shipped.
fn finished(name: &str, mut schema: Schema) -> Value {
    schema.insert(
        "$id".to_owned(),
        Value::from(format!("{BASE}/{name}.schema.json")),
    );
    schema.insert("title".to_owned(), Value::from(format!("fluxgate: {name}")));
    let mut schema = serde_json::to_value(schema).unwrap();
    without_null(&mut schema);
    schema
}

/// The same with the keywords in the order in which people write them.
fn ordered(schema: Value) -> Schema {
    schema.try_into().unwrap()
}

/// None of the files says `null`: what is optional is left out.
fn without_null(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("default") == Some(&Value::Null) {
                map.remove("default");
            }
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|one| one != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    map.insert("type".to_owned(), one);
                }
            }
            map.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// The validator for a kind of file.
pub(super) fn validator(name: &str) -> Validator {
    let schema = all().into_iter().find(|(known, _)| *known == name);
    let schema = schema.unwrap_or_else(|| panic!("no schema {name}")).1;
    jsonschema::options().build(&finished(name, schema)).unwrap()
}

/// A file as a value; `None` where it is no YAML or TOML at all.
pub(super) fn value(name: &str, text: &str) -> Option<Value> {
    if name.ends_with(".toml") {
        return serde_json::to_value(toml::from_str::<toml::Value>(text).ok()?).ok();
    }
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).ok()
}

#[test]
fn shipped_schemas_are_those_of_the_types() {
    let write = std::env::var_os("FLUXGATE_WRITE_DOCS").is_some_and(|value| value == "1");
    let folder = root().join("deploy/schemas");
    for (name, schema) in all() {
        let path = folder.join(format!("{name}.schema.json"));
        let wanted = format!(
            "{}\n",
            serde_json::to_string_pretty(&ordered(finished(name, schema))).unwrap()
        );
        if write {
            fs::write(&path, &wanted).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            found,
            wanted,
            "{}: write it with FLUXGATE_WRITE_DOCS=1",
            path.display()
        );
    }
    let files = fs::read_dir(folder).unwrap().count();
    assert_eq!(
        files,
        all().len(),
        "a file in deploy/schemas is the schema of nothing"
    );
}

#[test]
fn shipped_files_fit_their_schemas_and_name_them() {
    for (file, schema) in [
        ("deploy/policy-default.yaml", "policy"),
        ("deploy/strategy-default.yaml", "strategy"),
        ("deploy/examples/strategy-one-cluster.yaml", "strategy"),
        ("deploy/examples/fleet.yaml", "fleet"),
        ("deploy/examples/agent.toml", "cluster-agent"),
        ("deploy/examples/dev.toml", "dev"),
        ("deploy/examples/release-watcher.toml", "release-watcher"),
        ("deploy/examples/signature-verifier.toml", "signature-verifier"),
        ("deploy/examples/policy-engine.toml", "policy-engine"),
        ("deploy/examples/rollout-controller.toml", "rollout-controller"),
        ("deploy/examples/audit-log.toml", "audit-log"),
    ] {
        let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let value = value(file, &text).unwrap_or_else(|| panic!("{file} can't be read"));
        let validator = validator(schema);
        let wrong: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(wrong.is_empty(), "{file}: {wrong:?}");
        let first = text.lines().next().unwrap_or_default();
        let depth = if file.starts_with("deploy/examples") {
            "../schemas"
        } else {
            "schemas"
        };
        let named = if file.ends_with(".toml") {
            format!("#:schema {depth}/{schema}.schema.json")
        } else {
            format!("# yaml-language-server: $schema={depth}/{schema}.schema.json")
        };
        assert_eq!(first, named, "{file}");
    }
}

#[test]
fn a_schema_closes_every_mapping() {
    for (name, schema) in all() {
        let schema = finished(name, schema);
        let mut open = Vec::new();
        find_open(&schema, name, &mut open);
        assert!(open.is_empty(), "keys that nobody knows pass at {open:?}");
    }
}

fn find_open(value: &Value, path: &str, into: &mut Vec<String>) {
    if let Value::Object(map) = value {
        if map.contains_key("properties") && map.get("additionalProperties") != Some(&Value::Bool(false)) {
            into.push(path.to_owned());
        }
        for (key, value) in map {
            find_open(value, &format!("{path}/{key}"), into);
        }
    }
    if let Value::Array(items) = value {
        for item in items {
            find_open(item, path, into);
        }
    }
}
