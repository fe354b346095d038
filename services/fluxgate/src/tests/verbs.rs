//! Golden transcripts of the verbs that say what needs whom, and of those that stop.

use clap::Parser as _;
use insta::assert_snapshot;

use super::fake::Hub;
use super::{run, transcript};
use crate::cli::Cli;

/// A request id, so that answers are the same each time.
const ID: &str = "--request-id 6d2f2f0e-8a0e-4a3b-9a53-2f4dfe5f7c11";

#[tokio::test]
async fn status() {
    assert_snapshot!(
        "status",
        transcript(
            Hub::full(),
            &["status", "status -o wide", "status -o json -q", "status -o json"]
        )
        .await
    );
    assert_snapshot!("status_of_nothing", transcript(Hub::default(), &["status"]).await);
    let mut done = Hub::full();
    done.clusters.truncate(1);
    done.releases
        .retain(|release| release.release.starts_with("flux/v2.9.3"));
    done.decisions.truncate(0);
    done.rollouts
        .retain(|rollout| rollout.name == "rollouts/flux-v2.9.1-1");
    done.stops.clear();
    assert_snapshot!("status_done", transcript(done, &["status"]).await);
}

#[tokio::test]
async fn a_status_without_an_answer_is_no_status() {
    let hub = Hub {
        error: Some(tonic::Status::unavailable("bus is away")),
        ..Hub::full()
    };
    let ran = run(&hub.start().await, "status").await;
    assert_eq!((ran.exit, ran.stdout.as_str()), (3, ""), "{}", ran.stderr);
}

#[tokio::test]
async fn stops() {
    let json = format!("freeze set waves/main --reason incident -o json {ID}");
    let verbose = format!("hold set clusters/edge-1 --reason test -v {ID}");
    let commands = [
        "get stops",
        "get stops -o wide --lifted",
        "get stops -o json",
        "freeze set fleet --reason quarter",
        "freeze set fleet --reason quarter --dry-run",
        "freeze set labels/region=eu --reason incident",
        "freeze clear fleet --reason over",
        "freeze clear fleet --reason over --dry-run",
        "freeze clear fleet --reason over --yes",
        json.as_str(),
        verbose.as_str(),
        "hold clear clusters/edge-1 --reason repaired",
        "hold set clusters/nowhere --reason test",
        "recall set releases/v2.9.4 --reason upstream",
        "rollout pause rollouts/flux-v2.9.3-1 --reason alerts",
        "rollout resume rollouts/flux-v2.9.3-1 --reason explained -q",
        "get stops fleet",
        "get clusters --lifted",
    ];
    assert_snapshot!(transcript(Hub::full(), &commands).await);
}

#[tokio::test]
async fn retries() {
    let json = format!("rollout retry rollouts/flux-v2.9.2-1 --reason repaired -o json {ID}");
    let commands = [
        "rollout retry rollouts/flux-v2.9.2-1 --reason repaired",
        "rollout retry rollouts/flux-v2.9.2-1 --reason repaired --dry-run",
        json.as_str(),
        "rollout retry rollouts/flux-v2.9.3-1 --reason again",
        "rollout retry rollouts/flux-v9.9.9-1 --reason again -o json",
    ];
    assert_snapshot!(transcript(Hub::full(), &commands).await);
}

#[tokio::test]
async fn a_mutation_that_may_have_been_stored_says_how_to_send_it_again() {
    let hub = Hub {
        error: Some(tonic::Status::unavailable("bus is away")),
        ..Hub::full()
    };
    let server = hub.start().await;
    for command in [
        "freeze set fleet --reason test",
        "rollout retry rollouts/flux-v2.9.2-1 --reason test",
        "enforce --wave main",
        "reconcile releases",
        "reconcile releases/v2.9.4",
    ] {
        let ran = run(&server, &format!("{command} {ID}")).await;
        assert_eq!(ran.exit, 3);
        assert!(ran.stderr.contains(ID), "{command}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn a_silent_hub_leaves_a_mutation_unknown() {
    let hub = Hub {
        silent: true,
        ..Hub::full()
    };
    let server = hub.start().await;
    let ran = run(
        &server,
        &format!("freeze set fleet --reason test --timeout 300ms {ID}"),
    )
    .await;
    assert_eq!(ran.exit, 3);
    assert!(ran.stderr.contains(ID), "{}", ran.stderr);
}

#[tokio::test]
async fn a_release_is_verified_again() {
    let json = format!("reconcile releases/v2.9.4 -o json {ID}");
    let commands = [
        "reconcile releases/v2.9.3",
        "reconcile releases/v2.9.3 -o wide",
        "reconcile release/flux/v2.9.4",
        "reconcile releases/v2.9.4 -o wide",
        json.as_str(),
        "reconcile releases/v2.9.4 --dry-run",
        "reconcile releases/v2.9.4 --dry-run --no-header -q",
        "reconcile releases/v2.9.4 --dry-run -o wide",
        "reconcile releases/v2.9.5",
        "reconcile releases/v2.9.5 -o json",
        "reconcile releases/v2.9.5 --dry-run",
    ];
    assert_snapshot!(transcript(Hub::full(), &commands).await);
}

#[tokio::test]
async fn a_release_that_can_not_be_verified_again_says_why() {
    let first = format!("reconcile releases/v2.9.3 -q {ID}");
    let other = format!("reconcile releases/v2.9.4 {ID}");
    let commands = [
        "reconcile releases/v9.9.9",
        "reconcile releases/v9.9.9 --dry-run -o json",
        "reconcile releases/newest",
        first.as_str(),
        first.as_str(),
        other.as_str(),
    ];
    assert_snapshot!("reverify_errors", transcript(Hub::full(), &commands).await);
    let why = "fetching an artifact of flux/v2.9.4: no route; nothing was stored, ask again when it answers";
    let reason = domain::Reason::RegistryUnreachable.code();
    let away = Hub {
        error: Some(runtime::grpc::status(tonic::Code::Unavailable, reason, why, [])),
        ..Hub::full()
    };
    assert_snapshot!(
        "reverify_registry_away",
        transcript(away, &["reconcile releases/v2.9.4"]).await
    );
    let why = "verifying flux/v2.9.4 again: attempt 1 was stored less than 60 s ago";
    let early = hub::grpc::precondition("releases/flux/v2.9.4", why);
    let young = Hub {
        error: Some(runtime::grpc::retry_after(
            &early,
            std::time::Duration::from_millis(41_200),
        )),
        ..Hub::full()
    };
    let ran = run(&young.start().await, "reconcile releases/v2.9.4").await;
    assert_eq!((ran.exit, ran.stdout.as_str()), (8, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains(why), "{}", ran.stderr);
    assert!(ran.stderr.contains("ask again in 42 s"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_request_that_was_answered_is_answered_the_same() {
    let server = Hub::full().start().await;
    let command = format!("reconcile releases/v2.9.4 {ID}");
    let (once, again) = (run(&server, &command).await, run(&server, &command).await);
    assert_eq!((once.exit, &once.stdout), (1, &again.stdout));
    assert_eq!(once.stderr, again.stderr);
    let new = run(&server, "reconcile releases/v2.9.4").await;
    assert_ne!(new.stdout, once.stdout, "another request is another attempt");
}

#[tokio::test]
async fn an_early_attempt_behind_a_stored_one_promises_no_further_one() {
    let hub = Hub::full();
    let stored = wire::verification::v1::ReverifyReleaseResponse {
        release: hub.verifications[0].release.clone(),
        attempt: 1,
        sequence: 50,
        ..Default::default()
    };
    hub.answered.lock().unwrap().insert("other".to_owned(), stored);
    let ran = run(&hub.start().await, "reconcile releases/v2.9.5").await;
    assert_eq!(ran.exit, 8, "{}", ran.stderr);
    let promised = "what was stored before still counts; ask again later";
    assert!(ran.stderr.contains(promised), "{}", ran.stderr);
}

#[tokio::test]
async fn an_attempt_whose_summary_is_not_told_is_no_answer() {
    let hub = Hub::full();
    let lost = wire::verification::v1::ReverifyReleaseResponse {
        release: hub.verifications[1].release.clone(),
        attempt: 2,
        sequence: 50,
        ..Default::default()
    };
    let id = ID.trim_start_matches("--request-id ").to_owned();
    hub.answered.lock().unwrap().insert(id, lost);
    let ran = run(&hub.start().await, &format!("reconcile releases/v2.9.4 {ID}")).await;
    assert_eq!(ran.exit, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("the hub can't read it"), "{}", ran.stderr);
}

#[tokio::test]
async fn explain() {
    let commands = [
        "explain TAG_MOVED",
        "explain tag-moved -o json",
        "explain TAG_MOVD",
        "explain BANANAS",
    ];
    assert_snapshot!(transcript(Hub::default(), &commands).await);
    let ran = run("http://x", "explain").await;
    assert_eq!(ran.stdout.lines().count(), domain::Reason::all().count() + 1);
}

#[test]
fn what_is_mistyped_is_answered_with_what_was_meant() {
    let text = |command: &str| {
        let all = ["fluxgate"].into_iter().chain(command.split_whitespace());
        Cli::try_parse_from(all).unwrap_err().render().to_string()
    };
    for (command, meant) in [
        ("statu", "status"),
        ("get cluster-s", "did you mean clusters?"),
        ("freeze set clusters/prod --reason x", "fluxgate hold set"),
        ("hold set fleet --reason x", "fluxgate freeze set"),
        ("recall set v2.9.4 --reason x", "releases/vX.Y.Z"),
        ("rollout pause rollouts/flux-v2.9.4-1", "--reason <TEXT>"),
        ("wait rollouts/x --for=stat=COMPLETED", "did you mean state?"),
        ("get clusters --watc", "--watch"),
        ("reconcile clusters/prod", "releases/VERSION, to verify it again"),
        ("hold set clusters/x --reason x --request-id 1", "random UUID"),
    ] {
        let text = text(command);
        assert!(text.contains(meant), "{command}: {text}");
    }
}

#[test]
fn every_mutation_has_a_dry_run_and_a_request_id() {
    for command in [
        "reconcile releases",
        "reconcile releases/v2.9.4",
        "enforce --wave w",
        "freeze set fleet --reason x",
        "freeze clear fleet --reason x",
        "hold set clusters/c --reason x",
        "hold clear clusters/c --reason x",
        "recall set releases/v2.9.4 --reason x",
        "recall clear releases/v2.9.4 --reason x",
        "rollout pause rollouts/flux-v2.9.4-1 --reason x",
        "rollout resume rollouts/flux-v2.9.4-1 --reason x",
        "rollout retry rollouts/flux-v2.9.4-1 --reason x",
    ] {
        let line = format!("fluxgate {command} --dry-run {ID}");
        let parsed = Cli::try_parse_from(line.split_whitespace());
        assert!(parsed.is_ok(), "{command}: {parsed:?}");
    }
}
