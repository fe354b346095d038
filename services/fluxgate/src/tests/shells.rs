//! Completion, man pages, environment: what shells and scripts rely on.

use std::ffi::OsString;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::CommandFactory as _;

use super::fake::Hub;
use super::run;
use crate::cli::Cli;
use crate::commands::complete;

/// Whether a shell is here.
fn present(shell: &str) -> bool {
    Command::new(shell)
        .arg("-c")
        .arg("true")
        .status()
        .is_ok_and(|status| status.success())
}

#[tokio::test]
async fn shells_accept_their_scripts() {
    let folder = tempfile::tempdir().unwrap();
    assert!(present("bash"), "bash is on every machine that builds this");
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let ran = run("http://x", &format!("completion {shell}")).await;
        assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""));
        for word in ["rollout", "freeze", "status", "describe"] {
            assert!(ran.stdout.contains(word), "{shell} knows {word}");
        }
        if !present(shell) {
            continue;
        }
        let script = folder.path().join(shell);
        std::fs::write(&script, &ran.stdout).unwrap();
        let checked = Command::new(shell).arg(check).arg(&script).output().unwrap();
        assert!(checked.status.success(), "{shell}: {checked:?}");
    }
}

#[tokio::test]
async fn every_command_has_a_man_page() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(
        "http://x",
        &format!("man --out {}", folder.path().join("man").display()),
    )
    .await;
    assert_eq!((ran.exit, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    for page in [
        "fluxgate.1",
        "fluxgate-get.1",
        "fluxgate-rollout-pause.1",
        "fluxgate-freeze-set.1",
    ] {
        let text = std::fs::read_to_string(folder.path().join("man").join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = run("http://x", &format!("man --out {}", file.display())).await;
    assert_eq!(refused.exit, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("writing "), "{}", refused.stderr);
}

#[test]
fn every_global_option_has_its_variable() {
    let command = Cli::command();
    let options = command
        .get_arguments()
        .filter(|argument| argument.is_global_set());
    let mut count = 0;
    for option in options {
        let long = option.get_long().unwrap();
        let variable = format!("FLUXGATE_{}", long.replace('-', "_").to_uppercase());
        assert_eq!(
            option.get_env(),
            Some(std::ffi::OsStr::new(&variable)),
            "--{long}"
        );
        count += 1;
    }
    assert!(count >= 8, "{count}");
}

fn complete(words: &[&str]) -> Vec<String> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    complete::answer(&words).lines().map(ToOwned::to_owned).collect()
}

#[test]
fn words_are_completed_as_cobra_does() {
    assert_eq!(
        complete(&["rec"]),
        [
            "reconcile\tLook for new releases now, or verify one again",
            "recall\tBegin nothing with a version",
            ":4"
        ]
    );
    assert_eq!(complete(&["freeze", "set", "la"]), ["labels/", ":6"]);
    assert_eq!(complete(&["get", "clu"]), ["clusters", ":4"]);
    assert_eq!(complete(&["describe", "clu"]), ["clusters/", ":6"]);
    assert_eq!(complete(&["reconcile", ""]), ["releases", ":4"]);
    assert_eq!(complete(&["-o", "j"]), ["json\tJSON", ":4"]);
    assert_eq!(
        complete(&["get", "clusters", "--wa"])[0],
        "--watch\tGo on and show each change (rollouts, clusters)"
    );
    assert_eq!(complete(&["completion", "z"]), ["zsh\tZsh", ":4"]);
    assert!(complete(&["explain", "TAG"])[0].starts_with("TAG_MOVED\tA tag was seen"));
    assert_eq!(complete(&["no", "such"]), [":4"]);
    assert!(complete(&[""]).iter().all(|line| !line.starts_with("__")));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_asked_for() {
    let server = Hub::full().start().await;
    let at = |words: &[&str]| {
        let words: Vec<String> = ["--server", &server]
            .iter()
            .chain(words)
            .map(ToString::to_string)
            .collect();
        let asked = move || complete(&words.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(asked)
    };
    let names = at(&["describe", "clusters/prod-"]).await.unwrap();
    assert_eq!(names, ["clusters/prod-eu-7", "clusters/prod-us-1", ":4"]);
    let names = at(&["recall", "set", "releases/v2.9.5"]).await.unwrap();
    assert_eq!(names, ["releases/v2.9.5", ":4"]);
    let names = at(&["reconcile", "releases/v2.9.5"]).await.unwrap();
    assert_eq!(names, ["releases/v2.9.5", ":4"]);
    let names = at(&["enforce", "--cluster", "e"]).await.unwrap();
    assert_eq!(names, ["edge-1\tv2.9.2", ":4"]);
    let names = at(&["rollout", "watch", "rollouts/"]).await.unwrap();
    assert_eq!(names[0], "rollouts/flux-v2.9.3-1\tRUNNING");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_hub_does_not_hold_a_shell() {
    let hub = Hub {
        silent: true,
        ..Hub::full()
    };
    let server = hub.start().await;
    let began = Instant::now();
    let asked =
        tokio::task::spawn_blocking(move || complete(&["--server", &server, "describe", "clusters/"]));
    assert_eq!(asked.await.unwrap(), [":4"]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
