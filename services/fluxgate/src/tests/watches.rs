//! Watches and waits: snapshots, changes, broken connections, and how they end.

use insta::assert_snapshot;
use tonic::{Code, Status};
use wire::common::v1::{Health, WatchEvent};
use wire::fleet::v1::{Cluster, WatchClustersResponse};
use wire::rollout::v1::{Rollout, RolloutEnd, RolloutFinished, RolloutState, WatchRolloutsResponse};

use super::fake::{Hub, Script, Step};
use super::{data, run, transcript};

fn of_cluster(event: WatchEvent, cluster: Option<Cluster>, token: &str) -> Step<WatchClustersResponse> {
    Step::Say(WatchClustersResponse {
        event: event.into(),
        cluster,
        resume_token: token.to_owned(),
    })
}

fn of_rollout(event: WatchEvent, rollout: Option<Rollout>, token: &str) -> Step<WatchRolloutsResponse> {
    Step::Say(WatchRolloutsResponse {
        event: event.into(),
        rollout,
        resume_token: token.to_owned(),
    })
}

fn cluster(version: &str, health: Health) -> Cluster {
    let mut cluster = data::clusters().remove(0);
    cluster.version = version.to_owned();
    cluster.health.as_mut().unwrap().health = health.into();
    cluster.facts = None;
    cluster
}

/// Everything as it is; the connection breaks; a change behind the last token.
fn broken() -> Script<WatchClustersResponse> {
    Script::new([
        (
            "",
            vec![
                of_cluster(
                    WatchEvent::Snapshot,
                    Some(cluster("v2.9.2", Health::Healthy)),
                    "t1",
                ),
                of_cluster(WatchEvent::Synced, None, "t2"),
                of_cluster(WatchEvent::Bookmark, None, "t3"),
                Step::Break,
            ],
        ),
        ("t3", vec![Step::Refuse(Status::unavailable("not yet"))]),
        (
            "t3",
            vec![
                of_cluster(
                    WatchEvent::Changed,
                    Some(cluster("v2.9.3", Health::Inconclusive)),
                    "t4",
                ),
                Step::Break,
            ],
        ),
        // So that it ends.
        (
            "t4",
            vec![Step::Refuse(Status::permission_denied("not any more"))],
        ),
    ])
}

#[tokio::test]
async fn a_watch_goes_on_over_a_broken_connection() {
    let hub = Hub {
        cluster_watch: broken(),
        ..Hub::full()
    };
    let watch = hub.cluster_watch.clone();
    assert_snapshot!("watch_clusters", transcript(hub, &["get clusters --watch"]).await);
    assert_eq!(watch.left(), 0);
    let hub = Hub {
        cluster_watch: broken(),
        ..Hub::full()
    };
    let ran = run(&hub.start().await, "get clusters -w -o json").await;
    let versions: Vec<String> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Cluster>(line).unwrap().version)
        .collect();
    assert_eq!(versions, ["v2.9.2", "v2.9.3"], "one object on each line");
    assert!(ran.stderr.contains("the connection broke"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_heartbeat_that_changes_nothing_prints_no_row() {
    let beat = |at: &str, token| {
        let mut cluster = cluster("v2.9.2", Health::Healthy);
        let sent: jiff::Timestamp = at.parse().unwrap();
        cluster.heartbeat.as_mut().unwrap().send_time = Some(wire::time::timestamp(sent));
        of_cluster(WatchEvent::Changed, Some(cluster), token)
    };
    let first = of_cluster(
        WatchEvent::Snapshot,
        Some(cluster("v2.9.2", Health::Healthy)),
        "t1",
    );
    let steps = vec![
        first,
        of_cluster(WatchEvent::Synced, None, "t2"),
        beat("2026-11-24T11:58:00Z", "t3"),
        beat("2026-11-24T11:59:00Z", "t4"),
        of_cluster(
            WatchEvent::Changed,
            Some(cluster("v2.9.3", Health::Healthy)),
            "t5",
        ),
        beat("2026-11-24T11:59:30Z", "t6"),
        Step::Break,
    ];
    let refused = vec![Step::Refuse(Status::permission_denied("not any more"))];
    for wide in ["", " -o wide"] {
        let hub = Hub {
            cluster_watch: Script::new([("", steps.clone()), ("t6", refused.clone())]),
            ..Hub::full()
        };
        let ran = run(
            &hub.start().await,
            &format!("get clusters --watch --no-header{wide}"),
        )
        .await;
        let versions: Vec<&str> = ran
            .stdout
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1))
            .collect();
        assert_eq!(versions, ["v2.9.2", "v2.9.3", "v2.9.2"], "{}", ran.stdout);
    }
}

#[tokio::test]
async fn a_token_that_is_too_old_begins_anew() {
    let cluster_watch = Script::new([
        (
            "",
            vec![
                of_cluster(
                    WatchEvent::Snapshot,
                    Some(cluster("v2.9.2", Health::Healthy)),
                    "t1",
                ),
                of_cluster(WatchEvent::Synced, None, "t2"),
                Step::Break,
            ],
        ),
        (
            "t2",
            vec![Step::Refuse(Status::new(Code::OutOfRange, "t2 is too old"))],
        ),
        (
            "",
            vec![
                of_cluster(
                    WatchEvent::Snapshot,
                    Some(cluster("v2.9.3", Health::Healthy)),
                    "t8",
                ),
                Step::Break,
            ],
        ),
        (
            "t8",
            vec![Step::Refuse(Status::permission_denied("not any more"))],
        ),
    ]);
    let hub = Hub {
        cluster_watch,
        ..Hub::full()
    };
    let ran = run(&hub.start().await, "get clusters -w -o json").await;
    assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.stdout);
    assert!(ran.stderr.contains("everything is told anew"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_watch_that_never_begins_is_no_answer() {
    let cluster_watch = Script::new([("", vec![Step::Refuse(Status::unavailable("bus is away"))])]);
    let hub = Hub {
        cluster_watch,
        ..Hub::full()
    };
    let ran = run(&hub.start().await, "get clusters -w").await;
    assert_eq!(ran.exit, 3, "{}", ran.stderr);
    let server = Hub::full().start().await;
    for (command, exit) in [
        ("get clusters nowhere -w", 2),
        ("get releases -w", 2),
        ("rollout watch rollouts/flux-v9.9.9-1", 2),
        ("wait rollouts/flux-v9.9.9-1 --for=state=COMPLETED", 2),
        ("wait rollouts --for=state=COMPLETED", 2),
        ("wait clusters/edge-1 --for=state=COMPLETED", 2),
    ] {
        let ran = run(&server, command).await;
        assert_eq!(ran.exit, exit, "{command}: {}", ran.stderr);
    }
}

fn ended(end: RolloutEnd, state: RolloutState) -> Rollout {
    let mut rollout = data::rollouts().remove(0);
    rollout.finished = Some(RolloutFinished {
        rollout: "flux-v2.9.3-1".to_owned(),
        end: end.into(),
        detail: "that is all".to_owned(),
    });
    rollout.state = state.into();
    rollout
}

/// It goes on, then ends.
fn story(last: Rollout) -> Script<WatchRolloutsResponse> {
    let mut baking = data::rollouts().remove(0);
    baking.stops.clear();
    baking.waits.clear();
    Script::new([(
        "",
        vec![
            of_rollout(WatchEvent::Snapshot, Some(data::rollouts().remove(0)), "t1"),
            of_rollout(WatchEvent::Synced, None, "t2"),
            of_rollout(WatchEvent::Bookmark, None, "t3"),
            of_rollout(WatchEvent::Changed, Some(baking), "t4"),
            of_rollout(WatchEvent::Changed, Some(last), "t5"),
        ],
    )])
}

fn completed() -> Rollout {
    ended(RolloutEnd::Completed, RolloutState::Completed)
}

fn halted() -> Rollout {
    ended(RolloutEnd::Halted, RolloutState::Halted)
}

fn hub(last: Rollout) -> Hub {
    Hub {
        rollout_watch: story(last),
        ..Hub::full()
    }
}

#[tokio::test]
async fn a_rollout_is_followed_until_it_ends() {
    let watch = "rollout watch rollouts/flux-v2.9.3-1";
    assert_snapshot!("watch_rollout", transcript(hub(completed()), &[watch]).await);
    let ran = run(&hub(halted()).start().await, &format!("{watch} -o json")).await;
    assert_eq!((ran.exit, ran.stdout.lines().count()), (1, 3), "{}", ran.stderr);
    let ran = run(&Hub::full().start().await, &format!("{watch} --timeout 2s")).await;
    assert_eq!(ran.exit, 8, "{}", ran.stderr);
}

#[tokio::test]
async fn a_wait_ends_with_what_it_waited_for_or_with_what_can_not_come() {
    let wait = "wait rollouts/flux-v2.9.3-1 --for=state=COMPLETED";
    assert_snapshot!("wait_reached", transcript(hub(completed()), &[wait]).await);
    assert_snapshot!(
        "wait_impossible",
        transcript(hub(halted()), &[&format!("{wait} -o json")]).await
    );
    let late = Hub {
        cluster_watch: Script::new([(
            "",
            vec![of_cluster(
                WatchEvent::Snapshot,
                Some(cluster("v2.9.2", Health::Healthy)),
                "t1",
            )],
        )]),
        ..Hub::full()
    };
    assert_snapshot!(
        "wait_late",
        transcript(
            late,
            &["wait clusters/canary-1 --for=version=v2.9.4 --timeout 3s"]
        )
        .await
    );
    let away = Hub {
        cluster_watch: Script::new([
            (
                "",
                vec![
                    of_cluster(
                        WatchEvent::Snapshot,
                        Some(cluster("v2.9.2", Health::Healthy)),
                        "t1",
                    ),
                    Step::Break,
                ],
            ),
            ("t1", Vec::new()),
        ]),
        ..Hub::full()
    };
    let command = "wait clusters/canary-1 --for=version=v2.9.4 --timeout 3s";
    let away = run(&away.start().await, command).await;
    assert_eq!(away.exit, 3, "a hub that went away says nothing: {}", away.stderr);
    let unheard = run(&Hub::full().start().await, &format!("{wait} --timeout 300ms")).await;
    assert_eq!(unheard.exit, 3, "{}", unheard.stderr);
}

#[tokio::test]
async fn what_can_not_be_watched_is_asked_for() {
    let commands = [
        "wait releases/v2.9.4 --for=outcome=ALLOW",
        "wait decisions/00000000000000d3 --for=outcome=allow",
        "wait decisions/00000000000000d2 --for=outcome=ALLOW --timeout 3s",
        "wait decisions/0 --for=outcome=ALLOW",
    ];
    assert_snapshot!("wait_decisions", transcript(Hub::full(), &commands).await);
}
