//! What commands promise: exit codes, deadlines, and that nothing looks better than it is.

use std::time::Duration;

use tonic::{Code, Status};

use super::fake::Hub;
use super::{data, run};

#[tokio::test]
async fn every_code_has_its_exit() {
    let codes = [
        (Code::InvalidArgument, 2),
        (Code::NotFound, 2),
        (Code::FailedPrecondition, 2),
        (Code::AlreadyExists, 2),
        (Code::Unauthenticated, 4),
        (Code::PermissionDenied, 4),
        (Code::Cancelled, 3),
        (Code::Unknown, 3),
        (Code::DeadlineExceeded, 3),
        (Code::ResourceExhausted, 3),
        (Code::Aborted, 3),
        (Code::OutOfRange, 3),
        (Code::Unimplemented, 3),
        (Code::Internal, 3),
        (Code::Unavailable, 3),
        (Code::DataLoss, 3),
    ];
    for (code, exit) in codes {
        let server = Hub {
            error: Some(Status::new(code, "no")),
            ..Hub::full()
        }
        .start()
        .await;
        let ran = run(&server, "get clusters").await;
        assert_eq!(
            (ran.exit, ran.stdout.as_str()),
            (exit, ""),
            "{code:?}: {}",
            ran.stderr
        );
    }
}

#[tokio::test]
async fn a_server_that_nobody_started_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for command in ["get releases", "check"] {
        let ran = run(&server, command).await;
        assert_eq!((ran.exit, ran.stdout.as_str()), (3, ""));
        assert!(
            ran.stderr.contains("no server answers at http://SERVER"),
            "{}",
            ran.stderr
        );
        assert!(
            ran.stderr
                .contains("start one with `fluxgate dev`, or set --server / FLUXGATE_SERVER")
        );
    }
    let ran = run(&server, "get releases -o json").await;
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["code"], "UNAVAILABLE");
    assert_eq!(run("ftp://x", "get releases").await.exit, 2);
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_longer_than_was_said() {
    let server = Hub {
        silent: true,
        ..Hub::full()
    }
    .start()
    .await;
    let began = std::time::Instant::now();
    let ran = run(&server, "get releases --timeout 300ms").await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(ran.exit, 3, "{}", ran.stderr);
}

#[tokio::test]
async fn a_check_that_was_not_made_never_looks_clean() {
    let mut hub = Hub::full();
    // No check at all, and a check without an answer.
    hub.verifications[2].summary.as_mut().unwrap().checks.clear();
    hub.verifications[1].summary.as_mut().unwrap().checks.remove(1);
    let ran = run(&hub.start().await, "get releases --no-header").await;
    let words: Vec<&str> = ran
        .stdout
        .lines()
        .map(|line| line.split_whitespace().nth(2).unwrap())
        .collect();
    assert_eq!(words, ["-", "NOT_CHECKED", "NOT_CHECKED"]);
}

#[tokio::test]
async fn two_digests_of_one_version_are_told_apart() {
    let mut hub = Hub::full();
    let mut other = data::decisions()[1].clone();
    other.name = "decisions/other".to_owned();
    other.decision.as_mut().unwrap().release = "flux/v2.9.3@sha256:abcdefabcdefabcdef".to_owned();
    hub.decisions.push(other);
    let ran = run(&hub.start().await, "get decisions").await;
    assert!(
        ran.stdout.contains("flux/v2.9.3@sha256:abcdefabcdef  "),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn migrate_says_what_is_wrong_before_it_changes_anything() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.json");
    std::fs::write(&file, "{}").unwrap();
    let bad = run(
        "http://x",
        &format!("migrate --nats nats://127.0.0.1:1 --bundle {}", file.display()),
    )
    .await;
    assert_eq!(bad.exit, 2, "{}", bad.stderr);
    assert!(
        bad.stderr.contains("putting the trust bundle on the bus"),
        "{}",
        bad.stderr
    );
    let away = run("http://x", "migrate --nats nats://127.0.0.1:1").await;
    assert_eq!((away.exit, away.stdout.as_str()), (3, ""), "{}", away.stderr);
    assert!(away.stderr.contains("connecting to NATS"), "{}", away.stderr);
}

#[test]
fn an_interruption_has_a_code_of_its_own() {
    assert_eq!(crate::failure::Failure::Interrupted.exit().code(), 130);
    assert_eq!(crate::exit::Exit::Pending.code(), 8);
}

#[tokio::test]
async fn keys_are_made_once_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let ran = run("http://x", &format!("keys init --out {} --demo", path("keys"))).await;
    assert_eq!((ran.exit, ran.stdout.lines().count()), (0, 7), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("root.key: keep offline") && ran.stderr.contains("DEMO"),
        "{}",
        ran.stderr
    );
    let fingerprint = ran
        .stdout
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .to_owned();
    let shown = run("http://x", &format!("keys show {}", path("keys/root.pub"))).await;
    assert_eq!(
        (shown.stdout.trim(), shown.stderr.as_str()),
        (fingerprint.as_str(), "")
    );
    let again = run("http://x", &format!("keys init --out {}", path("keys"))).await;
    assert_eq!(again.exit, 2);
    assert!(
        again
            .stderr
            .contains("already there: root.key, root.pub, verifier.key"),
        "{}",
        again.stderr
    );
    let agent = run("http://x", &format!("keys agent --out {}", path("agent.key"))).await;
    assert!(agent.stdout.starts_with("agentKey: SHA256:"), "{}", agent.stdout);
}

#[tokio::test]
async fn version_is_for_programs_as_well() {
    let ran = run("http://x", "version -o json").await;
    let version: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn an_old_word_of_the_ledger_does_not_count() {
    let mut hub = Hub::full();
    hub.clusters.clear();
    hub.ledger.report_time = Some(wire::time::timestamp("2026-11-24T11:50:00Z".parse().unwrap()));
    let ran = run(&hub.start().await, "check").await;
    assert!(
        ran.stdout
            .contains("it was last compared with the event log 10m ago"),
        "{}",
        ran.stdout
    );
    assert_eq!(ran.exit, 1);
}

#[tokio::test]
async fn a_ledger_from_the_future_is_a_failure() {
    let mut hub = Hub::full();
    hub.clusters.clear();
    hub.ledger.report_time = Some(wire::time::timestamp("2026-11-24T12:06:00Z".parse().unwrap()));
    let ran = run(&hub.start().await, "check").await;
    assert!(
        ran.stdout.contains("ledger: its clock is 6m ahead"),
        "{}",
        ran.stdout
    );
    assert_eq!(ran.exit, 1);
}

#[tokio::test]
async fn a_clock_far_ahead_is_a_failure() {
    let mut hub = Hub::full();
    hub.clusters.truncate(1);
    let ahead = Some(wire::time::timestamp("2026-11-24T12:10:00Z".parse().unwrap()));
    hub.clusters[0].heartbeat.as_mut().unwrap().send_time = ahead;
    let ran = run(&hub.start().await, "check").await;
    assert!(
        ran.stdout.contains("its clock is 10m ahead") && ran.stdout.contains("CLOCK_SKEW"),
        "{}",
        ran.stdout
    );
    assert_eq!(ran.exit, 1);
}
