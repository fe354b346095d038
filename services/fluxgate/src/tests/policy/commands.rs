//! What the commands print, and how they end.

use std::fs;

use insta::assert_snapshot;
use policy::StoredInputs;

use super::{POLICY, folder, in_folder, inputs, signed};
use crate::tests::run;

#[tokio::test]
async fn lint_shows_every_finding_at_its_place() {
    let commands = [
        "policy lint DIR/wrong/policy--several.yaml",
        "policy lint DIR/wrong/policy--several.yaml DIR/good/fleet.yaml -o json",
        "policy lint DIR/good/policy.yaml DIR/good/strategy.yaml DIR/good/fleet.yaml",
        "policy lint DIR/good/policy.yaml -o json",
        "policy lint DIR/wrong/policy--wrong-kind.yaml DIR/wrong/fleet--bad-label.yaml -q",
        "policy lint DIR/no-such-file.yaml",
    ];
    assert_snapshot!(in_folder(&folder(), &commands).await);
}

#[tokio::test]
async fn lint_shows_which_cluster_is_in_which_wave() {
    let commands = [
        "policy lint --fleet DIR/good/fleet.yaml --strategy DIR/good/strategy.yaml",
        "policy lint --fleet DIR/good/fleet.yaml --strategy DIR/good/strategy.yaml -o json",
        "policy lint --fleet DIR/unfit/fleet.yaml --strategy DIR/unfit/strategy.yaml",
        "policy lint --fleet DIR/wrong/fleet--bad-name.yaml --strategy DIR/good/strategy.yaml",
    ];
    assert_snapshot!(in_folder(&folder(), &commands).await);
}

#[tokio::test]
async fn replay_says_same_or_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let (document, other) = (
        inputs().to_bytes(),
        StoredInputs {
            tag_moved: true,
            ..inputs()
        },
    );
    let envelope = signed(&policy::replay(&document).unwrap());
    fs::write(folder.path().join("inputs.json"), &document).unwrap();
    fs::write(folder.path().join("other.json"), other.to_bytes()).unwrap();
    fs::write(folder.path().join("decision.json"), envelope).unwrap();
    let commands = [
        "policy replay decisions/00000000000000d1",
        "policy replay 00000000000000d1 -o json",
        "policy replay decisions/ffffffffffffffff",
        "policy replay --inputs DIR/inputs.json --decision DIR/decision.json",
        "policy replay --inputs DIR/other.json --decision DIR/decision.json",
        "policy replay --inputs DIR/other.json --decision DIR/decision.json -o json",
        "policy replay --inputs DIR/decision.json --decision DIR/decision.json",
        "policy replay --inputs DIR/inputs.json --decision DIR/inputs.json",
    ];
    assert_snapshot!(in_folder(folder.path(), &commands).await);
}

#[tokio::test]
async fn eval_says_what_another_policy_would_say() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("default.yaml"), POLICY).unwrap();
    fs::write(folder.path().join("wrong.yaml"), POLICY.replace("72h", "soon")).unwrap();
    fs::write(folder.path().join("inputs.json"), inputs().to_bytes()).unwrap();
    let commands = [
        "policy eval -f DIR/default.yaml decisions/00000000000000d1",
        "policy eval -f DIR/default.yaml --inputs DIR/inputs.json --at 2027-01-01T00:00:00Z -o json",
        "policy eval -f DIR/wrong.yaml --inputs DIR/inputs.json",
        "policy eval -f DIR/default.yaml --inputs DIR/default.yaml",
    ];
    assert_snapshot!(in_folder(folder.path(), &commands).await);
}

#[tokio::test]
async fn every_kind_of_file_has_a_schema() {
    use clap::ValueEnum as _;
    for kind in crate::cli::SchemaKind::value_variants() {
        let name = kind.to_possible_value().unwrap().get_name().to_owned();
        let ran = run("http://127.0.0.1:1", &format!("policy schema {name}")).await;
        let schema: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(ran.exit, 0);
        assert!(schema["properties"].is_object(), "{name}: {}", ran.stdout);
    }
}
