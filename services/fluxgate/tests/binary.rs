//! The binary as shells and scripts run it: environment, exit codes, what goes to which stream.

use std::process::{Command, Output};

/// Runs the binary with an environment of its own.
fn fluxgate(arguments: &str, environment: &[(&str, &str)]) -> std::io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_fluxgate"))
        .args(arguments.split_whitespace())
        .env_clear()
        .envs(environment.iter().copied())
        .output()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_is_typed_wins_over_the_environment() {
    let environment = [("FLUXGATE_OUTPUT", "json"), ("FLUXGATE_NO_HEADER", "yes")];
    let ran = fluxgate("explain TAG_MOVED", &environment).unwrap();
    assert!(text(&ran.stdout).starts_with('{'), "{ran:?}");
    let ran = fluxgate("explain -o table", &environment).unwrap();
    assert!(
        text(&ran.stdout).starts_with("SIGNATURE_VERIFIED "),
        "no header: {ran:?}"
    );
    let ran = fluxgate(
        "get clusters --server http://127.0.0.1:1",
        &[("FLUXGATE_SERVER", "ftp://x")],
    )
    .unwrap();
    assert_eq!(ran.status.code(), Some(3), "{ran:?}");
    let ran = fluxgate("get clusters", &[("FLUXGATE_SERVER", "ftp://x")]).unwrap();
    assert_eq!(ran.status.code(), Some(2), "{ran:?}");
}

#[test]
fn a_wrong_value_in_the_environment_is_refused() {
    for (name, value) in [
        ("FLUXGATE_OUTPUT", "yaml"),
        ("FLUXGATE_QUIET", "maybe"),
        ("FLUXGATE_TIMEOUT", "30"),
    ] {
        let ran = fluxgate("explain", &[(name, value)]).unwrap();
        assert_eq!(
            (ran.status.code(), text(&ran.stdout).as_str()),
            (Some(2), ""),
            "{name}: {ran:?}"
        );
    }
}

#[test]
fn a_mistake_is_json_where_json_was_asked_for() {
    for arguments in [
        "get pods -o json",
        "-ojson sing",
        "freeze set fleet --output=json",
    ] {
        let ran = fluxgate(arguments, &[]).unwrap();
        assert_eq!(
            (ran.status.code(), text(&ran.stdout).as_str()),
            (Some(2), ""),
            "{ran:?}"
        );
        let error: serde_json::Value = serde_json::from_slice(&ran.stderr).unwrap();
        assert_eq!(error["error"]["code"], "INVALID_ARGUMENT", "{error}");
        assert!(
            !error["error"]["message"].as_str().unwrap().contains('\u{1b}'),
            "{error}"
        );
    }
    let ran = fluxgate("get pods", &[]).unwrap();
    assert!(text(&ran.stderr).starts_with("error: "), "{ran:?}");
}

#[test]
fn words_are_completed_for_other_programs() {
    let ran = fluxgate("__complete freeze set fl", &[]).unwrap();
    assert_eq!(
        (ran.status.code(), text(&ran.stdout).as_str()),
        (Some(0), "fleet\n:4\n"),
        "{ran:?}"
    );
    let ran = fluxgate(
        "__complete describe clusters/",
        &[("FLUXGATE_SERVER", "http://127.0.0.1:1")],
    )
    .unwrap();
    assert_eq!(
        (ran.status.code(), text(&ran.stdout).as_str()),
        (Some(0), ":4\n"),
        "{ran:?}"
    );
}
