//! Clusters and rollouts.

use std::collections::BTreeMap;

use domain::trace::TraceId;
use wire::common::v1::{CrdVersions, Health, Mode};
use wire::fleet::v1::{
    Action, Assignment, Cluster, ClusterFacts, ClusterMember, ComponentFacts, Gate, HealthReport, Heartbeat,
    Report, ReportKind, Symptom, Wait,
};
use wire::rollout::v1::{
    Rollout, RolloutEnd, RolloutFinished, RolloutStarted, RolloutState, RolloutWait, Wave, WaveSnapshot,
    WaveState,
};

use wire::verification::v1::BaselineStatus;

use super::{baseline, digest, key, time};

const ROLLOUT: &str = "flux-v2.9.3-1";

fn cluster(name: &str, wave: &str, mode: Mode) -> Cluster {
    Cluster {
        name: format!("clusters/{name}"),
        member: Some(ClusterMember {
            cluster: name.to_owned(),
            labels: BTreeMap::from([("fluxgate.dev/wave".to_owned(), wave.to_owned())]),
            agent_key: "SHA256:AAAA".to_owned(),
            max_mode: Mode::Enforce.into(),
            image_registry: "ghcr.io".to_owned(),
            removed: false,
        }),
        wave: wave.to_owned(),
        mode: mode.into(),
        ..Cluster::default()
    }
}

fn facts(name: &str) -> ClusterFacts {
    ClusterFacts {
        cluster: name.to_owned(),
        observe_time: time("11:00:00"),
        kubernetes: "v1.33.4".to_owned(),
        installer: "flux-cli".to_owned(),
        components: vec![ComponentFacts {
            component: "source-controller".to_owned(),
            image: "ghcr.io/fluxcd/source-controller:v1.9.2".to_owned(),
            image_ids: vec![domain::Digest::of(b"source").into()],
        }],
        crds: vec![CrdVersions {
            name: "buckets.source.toolkit.fluxcd.io".to_owned(),
            versions: vec!["v1".to_owned(), "v1beta2".to_owned()],
            storage: "v1".to_owned(),
            stored: vec!["v1".to_owned()],
        }],
    }
}

fn assignment(name: &str, epoch: u64, action: Action) -> Assignment {
    Assignment {
        cluster: name.to_owned(),
        epoch,
        action: action.into(),
        mode: Mode::Enforce.into(),
        rollout: ROLLOUT.to_owned(),
        target: key("v2.9.3").to_string(),
        issue_time: time("10:00:00"),
        expire_time: time("23:00:00"),
        ..Assignment::default()
    }
}

fn report(name: &str, epoch: u64, kind: ReportKind, reason: &str) -> Report {
    let health = if kind == ReportKind::Finished {
        Health::Healthy
    } else {
        Health::Unspecified
    };
    Report {
        cluster: name.to_owned(),
        send_time: time("10:01:00"),
        epoch,
        assignment: digest("assignment"),
        kind: kind.into(),
        reason: reason.to_owned(),
        health: health.into(),
        detail: String::new(),
    }
}

fn heartbeat(name: &str, sent: &str, health: Health) -> Heartbeat {
    let health = health.into();
    Heartbeat {
        cluster: name.to_owned(),
        send_time: time(sent),
        epoch: 3,
        health,
        observations: 12,
        reconciles: 340,
        ..Heartbeat::default()
    }
}

fn judged(name: &str, health: Health, symptoms: Vec<Symptom>) -> HealthReport {
    HealthReport {
        cluster: name.to_owned(),
        observe_time: time("11:58:00"),
        epoch: 3,
        health: health.into(),
        symptoms,
    }
}

fn gate(about: &str, reason: &str, detail: &str, until: &str) -> Gate {
    Gate {
        gate: about.to_owned(),
        open: reason.is_empty(),
        reason: reason.to_owned(),
        detail: detail.to_owned(),
        until_time: if until.is_empty() { None } else { time(until) },
    }
}

fn open_gate(about: &str, detail: &str) -> Gate {
    gate(about, "", detail, "")
}

/// Upgraded and well; unwell; refused and silent; never heard.
pub(crate) fn clusters() -> Vec<Cluster> {
    let wait = |reason: &str, detail: &str| Wait {
        reason: reason.to_owned(),
        detail: detail.to_owned(),
        until_time: None,
    };
    let canary = Cluster {
        facts: Some(facts("canary-1")),
        version: "v2.9.3".to_owned(),
        baseline: baseline(),
        assignment: Some(assignment("canary-1", 3, Action::Upgrade)),
        reports: [ReportKind::Accepted, ReportKind::Applied, ReportKind::Finished]
            .map(|kind| report("canary-1", 3, kind, ""))
            .to_vec(),
        health: Some(judged("canary-1", Health::Healthy, Vec::new())),
        heartbeat: Some(heartbeat("canary-1", "11:59:50", Health::Healthy)),
        ..cluster("canary-1", "canary", Mode::Enforce)
    };
    let symptom = Symptom {
        reason: "CRASH_LOOP".to_owned(),
        object: "pod/flux-system/source-controller-0".to_owned(),
        detail: "restarted 5 times".to_owned(),
    };
    let edge = Cluster {
        facts: Some(facts("edge-1")),
        version: "v2.9.2".to_owned(),
        baseline: baseline(),
        assignment: Some(assignment("edge-1", 2, Action::Stop)),
        health: Some(judged("edge-1", Health::Unhealthy, vec![symptom])),
        heartbeat: Some(heartbeat("edge-1", "12:00:30", Health::Unhealthy)),
        waits: vec![wait("CLUSTER_UNHEALTHY", "judged at 11:58")],
        stops: vec!["hold cluster/edge-1: rolled back by hand".to_owned()],
        ..cluster("edge-1", "canary", Mode::Enforce)
    };
    let refused = Cluster {
        facts: Some(facts("prod-us-1")),
        assignment: Some(assignment("prod-us-1", 3, Action::Upgrade)),
        reports: vec![Report {
            detail: "/spec/replicas of source-controller: expected 1, found 2".to_owned(),
            ..report("prod-us-1", 3, ReportKind::Refused, "CUSTOMISED")
        }],
        health: Some(judged("prod-us-1", Health::Healthy, Vec::new())),
        heartbeat: Some(heartbeat("prod-us-1", "11:40:00", Health::Healthy)),
        waits: vec![wait("WAITING_FOR_AGENT", "silent for 20m")],
        gates: vec![
            open_gate("member", "in the fleet's file, wave main"),
            gate("agent", "WAITING_FOR_AGENT", "silent for 20m", ""),
            gate(
                "decision",
                "RELEASE_TOO_YOUNG",
                "72h are wanted, 12h are over",
                "23:00:00",
            ),
            gate("mode", "WAITING_FOR_ENFORCE", "the wave is under Observe", ""),
            gate("stops", "STOPPED", "wave/main: end of quarter", ""),
        ],
        stops: vec!["freeze wave/main: end of quarter".to_owned()],
        ..cluster("prod-us-1", "main", Mode::Observe)
    };
    let unheard = Cluster {
        waits: vec![Wait {
            until_time: time("13:00:00"),
            ..wait("WAITING_FOR_BAKE", "canary bakes")
        }],
        gates: vec![
            open_gate("member", "in the fleet's file, wave main"),
            gate(
                "decision",
                "RELEASE_TOO_YOUNG",
                "72h are wanted, 60h are over",
                "23:00:00",
            ),
            gate("wave", "WAITING_FOR_BAKE", "canary bakes", "13:00:00"),
        ],
        ..cluster("prod-eu-7", "main", Mode::Observe)
    };
    vec![canary, edge, unheard, refused]
}

/// What the verifier says where what runs is not known.
pub(crate) fn baselines() -> Vec<BaselineStatus> {
    vec![BaselineStatus {
        name: "clusters/prod-us-1".to_owned(),
        reason: "BASELINE_IMAGE_UNKNOWN".to_owned(),
        detail: "source-controller: a node reports sha256:0123, which is not part of ghcr.io/fluxcd/source-controller:v1.8.2"
            .to_owned(),
        check_time: time("11:58:00"),
        ..BaselineStatus::default()
    }]
}

fn snapshot(wave: &str, clusters: &[&str]) -> WaveSnapshot {
    WaveSnapshot {
        wave: wave.to_owned(),
        policy: "production".to_owned(),
        clusters: clusters.iter().map(ToString::to_string).collect(),
        max_concurrency: 2,
        bake_duration: Some(wire::time::duration(jiff::SignedDuration::from_hours(4))),
        bake_clusters: 2,
        bake_reconciles: 100,
        failure_budget: 0,
        min_clusters: 1,
    }
}

fn started(rollout: &str, version: &str) -> RolloutStarted {
    RolloutStarted {
        rollout: rollout.to_owned(),
        release: key(version).to_string(),
        strategy: "default".to_owned(),
        strategy_digest: digest("strategy"),
        waves: vec![
            snapshot("canary", &["canary-1", "edge-1"]),
            snapshot("main", &["prod-eu-7", "prod-us-1"]),
        ],
        failure_budget: Some(1),
        unreachable_budget: Some(1),
        superseding: wire::rollout::v1::Superseding::FinishWave.into(),
    }
}

fn wave(name: &str, state: WaveState, waits: Vec<RolloutWait>) -> Wave {
    let opened = state != WaveState::Pending;
    let at = |text, is| if is { time(text) } else { None };
    Wave {
        wave: name.to_owned(),
        state: state.into(),
        waits,
        open_time: at("09:31:00", opened),
        open_detail: if opened {
            format!("{name} has its turn")
        } else {
            String::new()
        },
        bake_end_time: at("09:50:00", state == WaveState::Baked),
    }
}

/// One that goes on, one that was halted, one that is done.
pub(crate) fn rollouts() -> Vec<Rollout> {
    let wait = |scope: &str, reason: &str, until: &str| RolloutWait {
        scope: scope.to_owned(),
        reason: reason.to_owned(),
        detail: format!("{scope} waits"),
        until_time: if until.is_empty() { None } else { time(until) },
    };
    let rollout = |name: &str, version: &str, waves: Vec<Wave>, end: Option<RolloutEnd>| Rollout {
        name: format!("rollouts/{name}"),
        started: Some(started(name, version)),
        start_time: time("09:30:00"),
        waves,
        finished: end.map(|end| RolloutFinished {
            rollout: name.to_owned(),
            end: end.into(),
            detail: match end {
                RolloutEnd::Halted => "CLUSTER_UNHEALTHY: edge-1 in wave canary: epoch 3 ended UNHEALTHY",
                _ => "all is said",
            }
            .to_owned(),
        }),
        waits: Vec::new(),
        trace_id: TraceId(*b"0123456789abcdef").to_string(),
        state: match end {
            None | Some(RolloutEnd::Unspecified) => RolloutState::Running,
            Some(RolloutEnd::Completed) => RolloutState::Completed,
            Some(RolloutEnd::Halted) => RolloutState::Halted,
            Some(RolloutEnd::Superseded) => RolloutState::Superseded,
        }
        .into(),
        stops: Vec::new(),
    };
    let mut running = rollout(
        ROLLOUT,
        "v2.9.3",
        vec![
            wave("canary", WaveState::Baked, Vec::new()),
            wave(
                "main",
                WaveState::Open,
                vec![wait("wave/main", "WAITING_FOR_BAKE", "13:00:00")],
            ),
        ],
        None,
    );
    running.stops = vec![super::stop("wave/main", true, "end of quarter", "")];
    running.waits = vec![wait("cluster/prod-us-1", "CLUSTER_REFUSED", "")];
    let baked = || {
        ["canary", "main"]
            .map(|name| wave(name, WaveState::Baked, Vec::new()))
            .to_vec()
    };
    let open = || {
        vec![
            wave("canary", WaveState::Open, Vec::new()),
            wave("main", WaveState::Pending, Vec::new()),
        ]
    };
    vec![
        running,
        rollout("flux-v2.9.2-1", "v2.9.2", open(), Some(RolloutEnd::Halted)),
        rollout("flux-v2.9.1-1", "v2.9.1", baked(), Some(RolloutEnd::Completed)),
    ]
}
