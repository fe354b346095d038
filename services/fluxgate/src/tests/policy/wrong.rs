//! Files with one thing wrong in each: what is said about it, and whether the schema sees it too.
//!
//! The golden file is read by people: each text must say where, what was found, what was expected, and what
//! was probably meant.

use std::fs;
use std::path::Path;

use hub::process::ServiceConfig;
use insta::assert_snapshot;
use policy::LoadError;
use policy::load::Document;
use runtime::config::{Validate, load_with};
use runtime::errors::chain;
use serde::de::DeserializeOwned;

use super::folder;
use super::schemas::{validator, value};

/// What the reader of this kind of file says; nothing where it is content.
fn said(kind: &str, name: &str, path: &Path, text: &str) -> Option<String> {
    let document = Document::new(name, text);
    let all = |findings: Vec<LoadError>| {
        let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
        texts.join("\n")
    };
    match kind {
        "policy" => policy::Policy::read(&document).err().map(all),
        "fleet" => planner::Fleet::read(&document).err().map(all),
        "strategy" => planner::Strategy::read(&document).err().map(all),
        "cluster-agent" | "agent" => toml::<agent::config::Config>(path),
        "dev" => toml::<crate::dev::DevConfig>(path),
        "release-watcher" => service::<release_watcher::Settings>(path),
        "signature-verifier" => service::<signature_verifier::Settings>(path),
        "policy-engine" => service::<policy_engine::Settings>(path),
        "rollout-controller" => service::<rollout_controller::Settings>(path),
        "audit-log" => service::<audit_log::Settings>(path),
        other => panic!("{name}: no such kind of file: {other}"),
    }
}

fn service<T: DeserializeOwned>(path: &Path) -> Option<String> {
    toml::<ServiceConfig<T>>(path)
}

fn toml<T: DeserializeOwned + Validate>(path: &Path) -> Option<String> {
    load_with::<T>(Some(path), [].into())
        .err()
        .map(|error| chain(&error))
}

/// Files whose bytes an editor or git would change.
fn made() -> Vec<(&'static str, String)> {
    let policy = |rules: &str| {
        format!(
            "apiVersion: policy.fluxgate.dev/v1alpha1\nkind: UpgradePolicy\nmetadata: {{name: p}}\nspec:\n  rules:\n    - {{name: signed, signature: {{profile: flux, artifacts: All}}}}\n{rules}"
        )
    };
    vec![
        (
            "policy--bom.yaml",
            format!("\u{feff}{}", policy("    - {nam: x}\n")),
        ),
        (
            "policy--bom-first-line.yaml",
            "\u{feff}apiVersions: x\n".to_owned(),
        ),
        (
            "policy--crlf.yaml",
            policy("    - {nam: x}\n").replace('\n', "\r\n"),
        ),
        ("policy--nul.yaml", policy("    - {name: a\0b}\n")),
        (
            "policy--deep.yaml",
            format!("a: {}{}\n", "[".repeat(500), "]".repeat(500)),
        ),
        ("policy--no-utf-8.yaml", policy("    - {n\u{fffd}me: x}\n")),
        ("agent--bom.toml", "\u{feff}cluster = 1\n".to_owned()),
        (
            "agent--crlf.toml",
            "cluster = \"a\"\r\nkeys = \"b\"\r\n".to_owned(),
        ),
        ("agent--empty.toml", String::new()),
    ]
}

#[test]
fn every_wrong_file_is_refused_and_says_why() {
    let folder = folder().join("wrong");
    let made_in = tempfile::tempdir().unwrap();
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for (name, text) in made() {
        let path = made_in.path().join(name);
        fs::write(&path, text).unwrap();
        files.push(path);
    }
    files.sort_by_key(|path| path.file_name().unwrap().to_owned());
    assert!(files.len() > 60, "files are missing");
    let mut golden = String::new();
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let kind = name.split("--").next().unwrap();
        let text = fs::read_to_string(path).unwrap();
        let said = said(kind, name, path, &text).unwrap_or_else(|| panic!("{name} is taken"));
        let said = said.replace(&path.display().to_string(), name);
        let schema = if kind == "agent" { "cluster-agent" } else { kind };
        let seen = match value(name, &text) {
            None => "nothing: it can't be read at all",
            Some(value) if validator(schema).is_valid(&value) => "nothing: it can't see this",
            Some(_) => "the same",
        };
        // What is about keys and fixed words alone, a schema must see.
        let visible = [
            "unknown key",
            "unknown field",
            "unknown value",
            "unknown variant",
            "is missing",
            "missing field",
            "not implemented",
        ];
        let visible = visible.iter().any(|part| said.contains(part));
        assert!(
            !visible || seen != "nothing: it can't see this",
            "{name}: the schema does not see: {said}"
        );
        golden.push_str(&format!("== {name}\n{said}\nits schema says: {seen}\n\n"));
    }
    assert_snapshot!(golden);
}
