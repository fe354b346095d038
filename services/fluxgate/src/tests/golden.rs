//! Golden transcripts: both streams and the exit code.

use clap::{CommandFactory as _, Parser as _};
use insta::assert_snapshot;
use tonic::{Code, Status};

use super::fake::Hub;
use super::transcript;
use crate::cli::Cli;

#[tokio::test]
async fn tables() {
    let commands = [
        "get releases",
        "get decisions",
        "get policies",
        "get rollouts",
        "get clusters",
        "get entries",
    ];
    assert_snapshot!(transcript(Hub::full(), &commands).await);
}

#[tokio::test]
async fn wide_tables() {
    let commands = [
        "get releases -o wide",
        "get decisions -o wide",
        "get policies -o wide",
        "get rollouts -o wide",
        "get clusters -o wide",
        "get entries -o wide",
    ];
    assert_snapshot!(transcript(Hub::full(), &commands).await);
}

#[tokio::test]
async fn json_lists() {
    let commands = [
        "get releases -o json",
        "get policies -o json",
        "get clusters -o json",
        "get entries -o json",
    ];
    assert_snapshot!(transcript(Hub::full(), &commands).await);
}

#[tokio::test]
async fn one_resource() {
    let commands = [
        "get release/v2.9.4",
        "get releases v2.9.4 -o json",
        "get decisions 00000000000000d1 --no-header",
        "get decisions/00000000000000d1 -o json",
        "get policies/edge",
        "get rollouts flux-v2.9.3-1",
        "get clusters clusters/edge-1",
    ];
    assert_snapshot!(transcript(Hub::full(), &commands).await);
}

#[tokio::test]
async fn filters() {
    let commands = [
        "get decisions --release v2.9.3",
        "get entries --cluster edge-1",
        "get entries --decision 00000000000000d1",
        "get entries --release v2.9.4",
    ];
    assert_snapshot!(transcript(Hub::full(), &commands).await);
}

#[tokio::test]
async fn describe_releases() {
    let commands = [
        "describe releases/v2.9.5",
        "describe releases/v2.9.4",
        "describe releases/v2.9.3",
        "describe releases/v2.9.5 -o json",
    ];
    assert_snapshot!(transcript(Hub::full(), &commands).await);
}

#[tokio::test]
async fn describe_decisions_and_rollouts() {
    let commands = [
        "describe decisions/00000000000000d1",
        "describe decisions/00000000000000d2",
        "describe decisions/00000000000000d3",
        "describe rollouts/flux-v2.9.3-1",
        "describe rollouts/flux-v2.9.2-1",
    ];
    assert_snapshot!(transcript(Hub::full(), &commands).await);
}

#[tokio::test]
async fn describe_what_is_recalled() {
    let mut hub = Hub::full();
    let recall = |version: &str| super::data::stop(version, true, "upstream took it back", "");
    hub.stops = vec![recall("version/v2.9.3")];
    let halted = hub
        .rollouts
        .iter_mut()
        .find(|rollout| rollout.name == "rollouts/flux-v2.9.2-1");
    halted.unwrap().stops = vec![recall("version/v2.9.2")];
    let commands = ["describe releases/v2.9.3", "describe rollouts/flux-v2.9.2-1"];
    assert_snapshot!(transcript(hub, &commands).await);
}

#[tokio::test]
async fn describe_clusters() {
    let commands = [
        "describe clusters/canary-1",
        "describe clusters/edge-1",
        "describe clusters/prod-us-1",
        "describe clusters/prod-eu-7",
    ];
    assert_snapshot!(transcript(Hub::full(), &commands).await);
}

#[tokio::test]
async fn mutations() {
    let commands = [
        "reconcile releases",
        "reconcile releases --dry-run",
        "enforce --wave main",
        "enforce --wave main --dry-run",
        "enforce --wave main -o json",
        "enforce --cluster clusters/edge-1 --observe",
    ];
    assert_snapshot!(transcript(Hub::full(), &commands).await);
}

#[tokio::test]
async fn check() {
    let mut healthy = Hub::full();
    healthy.clusters.truncate(1);
    assert_snapshot!(
        "check_well",
        transcript(healthy, &["check", "check -q", "check -o json", "check --ascii"]).await
    );
    assert_snapshot!(
        "check_bad_clusters",
        transcript(Hub::full(), &["check", "check -q --ascii"]).await
    );
    let mut down = Hub {
        down: true,
        ..Hub::full()
    };
    down.clusters.clear();
    down.ledger.sound = false;
    down.ledger.problem = "the stream was made anew".to_owned();
    assert_snapshot!("check_bad_hub", transcript(down, &["check"]).await);
    let refuses = Hub {
        error: Some(Status::unavailable("bus is away")),
        ..Hub::full()
    };
    assert_snapshot!("check_no_answer", transcript(refuses, &["check"]).await);
    let silent = bus::LogError::Read {
        what: "the stream".to_owned(),
        source: "request error: timed out".into(),
    };
    let no_bus = Hub {
        no_clusters: Some(*hub::grpc::unavailable(&silent)),
        ..Hub::full()
    };
    assert_snapshot!(
        "check_no_bus",
        transcript(no_bus, &["check", "get clusters"]).await
    );
    let mut no_registry = Hub::full();
    no_registry.clusters.truncate(1);
    no_registry.source.reason = "REGISTRY_UNREACHABLE".to_owned();
    no_registry.source.problem = "looking at ghcr.io/fluxcd/flux-manifests: connection refused".to_owned();
    no_registry.source.success_time = None;
    assert_snapshot!("check_no_registry", transcript(no_registry, &["check"]).await);
    let mut signs = Hub::full();
    signs.clusters.truncate(1);
    let cluster = &mut signs.clusters[0];
    cluster.heartbeat.as_mut().unwrap().send_time =
        Some(wire::time::timestamp("2026-11-24T11:57:00Z".parse().unwrap()));
    let health = cluster.health.get_or_insert_default();
    health.set_health(wire::common::v1::Health::Inconclusive);
    signs.ledger.report_time = Some(wire::time::timestamp("2026-11-24T11:59:10Z".parse().unwrap()));
    assert_snapshot!("check_signs", transcript(signs, &["check"]).await);
}

#[tokio::test]
async fn empty_lists_are_no_errors() {
    assert_snapshot!(
        transcript(
            Hub::default(),
            &["get releases", "get clusters -o json", "get rollouts -q"]
        )
        .await
    );
}

#[tokio::test]
async fn errors() {
    let commands = [
        "get releases v9.9.9",
        "describe clusters/nowhere",
        "get policies nowhere",
        "enforce --wave nowhere",
        "get decisions/0 -o json",
        "get clusters --trace 00",
        "get entries 1",
        "get releases/v2.9.4 v2.9.3",
    ];
    assert_snapshot!(transcript(Hub::full(), &commands).await);
}

#[tokio::test]
async fn what_a_server_did_not_store_is_not_unknown() {
    let away = std::io::Error::other("replica 7 holds the lease");
    for (name, of_bus) in [("standby", false), ("standby_no_bus", true)] {
        let status = hub::grpc::not_stored(&away, of_bus);
        let standby = Hub {
            error: Some(runtime::grpc::retry_after(
                &status,
                std::time::Duration::from_secs(10),
            )),
            ..Hub::full()
        };
        let freeze = "freeze set fleet --reason incident";
        assert_snapshot!(name, transcript(standby, &[freeze]).await);
    }
}

#[tokio::test]
async fn errors_of_the_server() {
    let reason = |code: Code, reason: &str| runtime::grpc::status(code, reason, "the bus did not answer", []);
    let away = Hub {
        error: Some(reason(Code::Unavailable, "HUB_UNAVAILABLE")),
        ..Hub::full()
    };
    assert_snapshot!(
        "error_unavailable",
        transcript(away, &["get clusters", "get clusters -o json"]).await
    );
    let forbidden = Hub {
        error: Some(Status::permission_denied("not for you")),
        ..Hub::full()
    };
    assert_snapshot!(
        "error_forbidden",
        transcript(forbidden, &["enforce --wave main"]).await
    );
}

#[test]
fn help() {
    Cli::command().debug_assert();
    let text = |arguments: &[&str]| {
        let all = ["fluxgate"].iter().chain(arguments);
        Cli::try_parse_from(all).unwrap_err().render().to_string()
    };
    assert_snapshot!("help_root", text(&["--help"]));
    assert_snapshot!("help_get", text(&["get", "--help"]));
    assert_snapshot!("help_reconcile", text(&["reconcile", "--help"]));
    assert_snapshot!("help_unknown_type", text(&["get", "pods"]));
    assert_snapshot!("help_no_scope", text(&["enforce"]));
}

#[tokio::test]
async fn an_assignment_that_was_not_genuine_is_an_alarm() {
    let mut hub = Hub::full();
    hub.clusters.truncate(1);
    let heartbeat = hub.clusters[0].heartbeat.as_mut().unwrap();
    heartbeat.alarm_reason = "EPOCH_OLD".to_owned();
    heartbeat.alarm_detail = "epoch 2, but 3 was seen".to_owned();
    assert_snapshot!(
        "alarm",
        transcript(hub, &["check -q", "describe clusters/canary-1"]).await
    );
}
