//! What needs whom, over a small fleet in which everything is well unless a test breaks something.

use wire::common::v1::{Health, Outcome};
use wire::fleet::v1::{Assignment, ClusterMember, Heartbeat, Report, Symptom};
use wire::policy::v1::RuleResult;
use wire::rollout::v1::{
    RolloutEnd, RolloutFinished, RolloutStarted, RolloutWait, StopKind, StopSet, Wave, WaveSnapshot,
};

use super::needs::Urgency;
use super::*;

const NOW: &str = "2026-11-24T12:00:00Z";

fn time(text: &str) -> Option<wire::protobuf::Timestamp> {
    Some(wire::time::timestamp(text.parse().unwrap()))
}

fn look() -> Look {
    Look {
        wide: false,
        now: NOW.parse().unwrap(),
    }
}

fn cluster(name: &str, version: &str) -> Cluster {
    Cluster {
        name: format!("clusters/{name}"),
        member: Some(ClusterMember::default()),
        version: version.to_owned(),
        baseline: "b1".to_owned(),
        heartbeat: Some(Heartbeat {
            send_time: time("2026-11-24T11:59:30Z"),
            health: Health::Healthy.into(),
            ..Heartbeat::default()
        }),
        ..Cluster::default()
    }
}

fn rollout(waits: Vec<RolloutWait>) -> Rollout {
    Rollout {
        name: "rollouts/flux-v2.9.4-1".to_owned(),
        started: Some(RolloutStarted {
            rollout: "flux-v2.9.4-1".to_owned(),
            waves: vec![WaveSnapshot {
                wave: "main".to_owned(),
                clusters: vec!["a".to_owned(), "b".to_owned()],
                ..WaveSnapshot::default()
            }],
            ..RolloutStarted::default()
        }),
        state: RolloutState::Running.into(),
        waves: vec![Wave {
            wave: "main".to_owned(),
            waits,
            ..Wave::default()
        }],
        ..Rollout::default()
    }
}

fn decision(outcome: Outcome, reason: &str) -> DecisionView {
    DecisionView {
        name: "decisions/0".to_owned(),
        decision: Some(Decision {
            release: "flux/v2.9.4@sha256:00".to_owned(),
            policy: "p".to_owned(),
            baseline: "b1".to_owned(),
            outcome: outcome.into(),
            rules: vec![RuleResult {
                outcome: outcome.into(),
                reason: reason.to_owned(),
                ..RuleResult::default()
            }],
            valid_until_time: time("2026-11-24T23:00:00Z"),
            ..Decision::default()
        }),
        ..DecisionView::default()
    }
}

fn well() -> Seen {
    Seen {
        releases: ["v2.9.10", "v2.9.4", "v2.9.9"]
            .map(|version| Release {
                name: format!("releases/flux/{version}"),
                release: format!("flux/{version}@sha256:00"),
                ..Release::default()
            })
            .to_vec(),
        verification: None,
        decisions: vec![decision(Outcome::Deny, "ALREADY_RUNNING")],
        rollouts: Vec::new(),
        clusters: vec![cluster("a", "v2.9.10"), cluster("b", "v2.9.10")],
        stops: Vec::new(),
        ledger: Ok(LedgerStatus {
            report_time: time("2026-11-24T11:59:00Z"),
            sound: true,
            ..LedgerStatus::default()
        }),
    }
}

/// Urgency, reason, what it is about and the command of each need.
fn needs(seen: &Seen) -> Vec<(Urgency, String, String, String)> {
    let status = status(seen, look());
    let told = |need: &Need| {
        (
            need.urgency,
            need.reason.clone(),
            need.about.join(","),
            need.command.clone(),
        )
    };
    status.needs.iter().map(told).collect()
}

fn one(seen: &Seen) -> (Urgency, String, String, String) {
    let mut needs = needs(seen);
    assert_eq!(needs.len(), 1, "{needs:?}");
    needs.remove(0)
}

fn told(urgency: Urgency, reason: &str, about: &str, command: &str) -> (Urgency, String, String, String) {
    (urgency, reason.to_owned(), about.to_owned(), command.to_owned())
}

#[test]
fn nothing_needs_anybody_when_all_run_the_newest() {
    let status = status(&well(), look());
    assert!(status.needs.is_empty(), "{:?}", status.needs);
    assert_eq!((status.state, status.exit().code()), ("DONE", 0));
    let release = status.release.unwrap();
    // By version, not by its letters.
    assert_eq!(
        (release.name.as_str(), release.running),
        ("releases/flux/v2.9.10", 2)
    );
    // What was decided for what runs no more is still the answer about the release.
    let mut upgraded = well();
    let mut before = decision(Outcome::Allow, "");
    before.decision.as_mut().unwrap().baseline = "b0".to_owned();
    upgraded.decisions.push(before);
    let status = super::status(&upgraded, look());
    assert!(status.needs.is_empty(), "{:?}", status.needs);
    assert_eq!(status.release.unwrap().decision, "ALLOW");
}

#[test]
fn what_is_refused_halted_or_failed_is_an_answer_of_no() {
    let mut seen = well();
    seen.decisions.push(decision(Outcome::Deny, "IDENTITY_MISMATCH"));
    let want = told(
        Urgency::Failed,
        "IDENTITY_MISMATCH",
        "releases/flux/v2.9.4",
        "fluxgate describe releases/flux/v2.9.4",
    );
    assert_eq!(one(&seen), want);
    assert_eq!(status(&seen, look()).exit().code(), 1);

    let mut seen = well();
    let mut halted = rollout(Vec::new());
    halted.state = RolloutState::Halted.into();
    halted.finished = Some(RolloutFinished {
        end: RolloutEnd::Halted.into(),
        ..RolloutFinished::default()
    });
    seen.rollouts = vec![halted.clone()];
    let command = "fluxgate describe rollouts/flux-v2.9.4-1";
    assert_eq!(
        one(&seen),
        told(Urgency::Failed, "HALTED", "rollouts/flux-v2.9.4-1", command)
    );
    let end = halted.finished.as_mut().unwrap();
    end.detail = "CLUSTER_UNHEALTHY: canary ended UNHEALTHY".to_owned();
    seen.rollouts = vec![halted.clone()];
    let want = told(
        Urgency::Failed,
        "CLUSTER_UNHEALTHY",
        "rollouts/flux-v2.9.4-1",
        command,
    );
    assert_eq!(one(&seen), want);
    // Another attempt is under way: the halt is history.
    seen.rollouts = vec![rollout(Vec::new()), halted];
    assert_eq!(one(&seen).0, Urgency::Time);

    let mut seen = well();
    seen.clusters[0].reports = vec![Report {
        kind: ReportKind::Refused.into(),
        reason: "CUSTOMISED".to_owned(),
        ..Report::default()
    }];
    let want = told(
        Urgency::Failed,
        "CUSTOMISED",
        "clusters/a",
        "fluxgate describe clusters/a",
    );
    assert_eq!(one(&seen), want);
}

#[test]
fn an_acknowledged_stop_is_no_failure_and_hides_none() {
    let refused = |reason: &str| Report {
        kind: ReportKind::Refused.into(),
        reason: reason.to_owned(),
        ..Report::default()
    };
    let mut seen = well();
    seen.clusters[0].assignment = Some(Assignment {
        action: wire::fleet::v1::Action::Stop.into(),
        ..Assignment::default()
    });
    seen.clusters[0].reports = vec![refused("STOPPED")];
    assert!(needs(&seen).is_empty(), "{:?}", needs(&seen));
    assert_eq!(lists::state(&seen.clusters[0]), "STOPPED");
    let text = crate::describe::cluster(&seen.clusters[0], None, look());
    assert!(text.ends_with("What to do\n  Nothing to do."), "{text}");

    seen.clusters[0].reports = vec![refused("CUSTOMISED"), refused("STOPPED")];
    assert_eq!(one(&seen).1, "CUSTOMISED");
    assert_eq!(lists::state(&seen.clusters[0]), "REFUSED CUSTOMISED");
    assert_eq!(status(&seen, look()).clusters.len(), 1);
}

#[test]
fn an_unsound_or_silent_ledger_is_first_of_all() {
    let mut seen = well();
    seen.decisions.push(decision(Outcome::Deny, "IDENTITY_MISMATCH"));
    seen.ledger.as_mut().unwrap().sound = false;
    assert_eq!(needs(&seen)[0].1, "LEDGER_UNCONFIRMED");
    seen = well();
    seen.ledger.as_mut().unwrap().report_time = time("2026-11-24T11:50:00Z");
    let want = told(Urgency::Failed, "LEDGER_UNCONFIRMED", "ledger", "fluxgate check");
    assert_eq!(one(&seen), want);
    seen.ledger = Err("no".to_owned());
    assert_eq!(one(&seen), want);
}

#[test]
fn an_alarm_and_an_unwell_cluster_are_failures() {
    let mut seen = well();
    let heartbeat = seen.clusters[1].heartbeat.as_mut().unwrap();
    heartbeat.alarm_reason = "EPOCH_OLD".to_owned();
    seen.clusters[0].health = Some(wire::fleet::v1::HealthReport {
        health: Health::Unhealthy.into(),
        symptoms: vec![Symptom {
            reason: "CRASH_LOOP".to_owned(),
            ..Symptom::default()
        }],
        ..wire::fleet::v1::HealthReport::default()
    });
    let reasons: Vec<String> = needs(&seen).into_iter().map(|need| need.1).collect();
    assert_eq!(reasons, ["EPOCH_OLD", "CRASH_LOOP"]);
}

#[test]
fn a_cluster_that_cannot_be_judged_needs_a_person_and_one_that_settles_needs_time() {
    let judged = |reason: &str, observed: &str| wire::fleet::v1::HealthReport {
        health: Health::Inconclusive.into(),
        observe_time: time(observed),
        symptoms: vec![Symptom {
            reason: reason.to_owned(),
            object: "API server".to_owned(),
            detail: "reading Deployments: Connection refused".to_owned(),
        }],
        ..wire::fleet::v1::HealthReport::default()
    };
    let mut seen = well();
    let command = "fluxgate describe clusters/a";
    seen.clusters[0].health = Some(judged("HEALTH_UNKNOWN", "2026-11-24T11:59:50Z"));
    let want = told(Urgency::Person, "HEALTH_UNKNOWN", "clusters/a", command);
    assert_eq!(one(&seen), want);
    let status = status(&seen, look());
    assert_eq!((status.exit().code(), status.clusters.len()), (8, 1));
    assert_eq!(
        status.needs[0].detail,
        "API server: reading Deployments: Connection refused"
    );

    let text = crate::describe::cluster(&seen.clusters[0], None, look());
    let (story, todo) = text.split_once("What to do").unwrap();
    assert!(story.contains("Connection refused"), "{text}");
    assert!(todo.trim_start().starts_with("HEALTH_UNKNOWN"), "{text}");

    seen.clusters[0].health = Some(judged("DEPLOYMENT_NOT_READY", "2026-11-24T11:59:50Z"));
    assert_eq!(one(&seen).0, Urgency::Time);
    seen.clusters[0].health = Some(judged("DEPLOYMENT_NOT_READY", "2026-11-24T11:50:00Z"));
    assert_eq!(one(&seen).0, Urgency::Person);
    // An upgrade is told by its rollout.
    seen.clusters[0].reports = vec![Report {
        kind: ReportKind::Applied.into(),
        ..Report::default()
    }];
    assert!(needs(&seen).is_empty(), "{:?}", needs(&seen));
}

#[test]
fn clusters_with_the_same_alarm_are_told_together_with_where_it_stands() {
    let mut seen = well();
    for cluster in &mut seen.clusters {
        let heartbeat = cluster.heartbeat.as_mut().unwrap();
        heartbeat.alarm_reason = "EPOCH_OLD".to_owned();
    }
    let command = "fluxgate describe clusters/a";
    assert_eq!(
        one(&seen),
        told(Urgency::Failed, "EPOCH_OLD", "clusters/a,clusters/b", command)
    );
}

#[test]
fn what_waits_for_a_person_names_the_command() {
    let wait = |scope: &str, reason: &str| RolloutWait {
        scope: scope.to_owned(),
        reason: reason.to_owned(),
        ..RolloutWait::default()
    };
    let mut seen = well();
    seen.rollouts = vec![rollout(vec![wait("wave/main", "WAITING_FOR_ENFORCE")])];
    let command = "fluxgate enforce --wave main";
    assert_eq!(
        one(&seen),
        told(Urgency::Person, "WAITING_FOR_ENFORCE", "waves/main", command)
    );
    assert_eq!(status(&seen, look()).exit().code(), 8);
    seen.rollouts = vec![rollout(vec![wait("wave/main", "CLUSTER_UNHEALTHY")])];
    let command = "fluxgate describe rollouts/flux-v2.9.4-1";
    assert_eq!(
        one(&seen),
        told(Urgency::Person, "CLUSTER_UNHEALTHY", "waves/main", command)
    );

    let mut seen = well();
    seen.decisions = vec![decision(Outcome::NeedsApproval, "STEP_NOT_ALLOWED")];
    assert_eq!(
        (one(&seen).0, one(&seen).3.as_str()),
        (Urgency::Person, "fluxgate describe decisions/0")
    );

    let mut seen = well();
    seen.clusters[0].heartbeat = None;
    seen.clusters[1].heartbeat = None;
    let command = "fluxgate get clusters -o wide";
    assert_eq!(
        one(&seen),
        told(
            Urgency::Person,
            "WAITING_FOR_AGENT",
            "clusters/a,clusters/b",
            command
        )
    );
}

#[test]
fn stops_are_told_as_long_as_they_stop_something() {
    let stop = |scope: &str, kind: StopKind| Stop {
        set: Some(StopSet {
            scope: scope.to_owned(),
            kind: kind.into(),
            active: true,
            ..StopSet::default()
        }),
        ..Stop::default()
    };
    let mut seen = well();
    seen.stops = vec![stop("fleet", StopKind::Freeze)];
    let command = "fluxgate freeze clear fleet --reason TEXT";
    assert_eq!(one(&seen), told(Urgency::Person, "STOPPED", "fleet", command));
    let mut done = rollout(Vec::new());
    done.state = RolloutState::Completed.into();
    done.finished = Some(RolloutFinished::default());
    seen.rollouts = vec![done];
    seen.stops = vec![
        stop("version/v2.9.3", StopKind::Recall),
        stop("rollout/flux-v2.9.4-1", StopKind::Pause),
    ];
    assert!(needs(&seen).is_empty(), "{:?}", needs(&seen));
    // A version that nobody has seen is of no interest.
    assert!(status(&seen, look()).recalls.is_empty());
    seen.stops = vec![stop("version/v2.9.10", StopKind::Recall)];
    let status = status(&seen, look());
    assert_eq!(status.exit().code(), 0);
    let line = "releases/v2.9.10 is recalled: , by ; runs on 2; lift it with `fluxgate recall clear releases/v2.9.10 \
                --reason TEXT`";
    assert!(text(&status, look()).ends_with(line), "{}", text(&status, look()));
    // Nobody waits for clusters that must not run it.
    seen.clusters[0].version = "v2.9.9".to_owned();
    assert!(needs(&seen).is_empty(), "{:?}", needs(&seen));
}

#[test]
fn what_waits_for_time_says_until_when() {
    let mut seen = well();
    let bake = RolloutWait {
        scope: "wave/main".to_owned(),
        reason: "WAITING_FOR_BAKE".to_owned(),
        until_time: time("2026-11-24T13:00:00Z"),
        ..RolloutWait::default()
    };
    seen.rollouts = vec![rollout(vec![bake])];
    seen.clusters[0].assignment = Some(Assignment {
        rollout: "flux-v2.9.4-1".to_owned(),
        ..Assignment::default()
    });
    seen.clusters[0].reports = vec![Report {
        kind: ReportKind::Finished.into(),
        health: Health::Healthy.into(),
        ..Report::default()
    }];
    let status = status(&seen, look());
    let need = &status.needs[0];
    assert_eq!(need.until_time, Some("2026-11-24T13:00:00Z".parse().unwrap()));
    assert_eq!(
        (
            status.exit().code(),
            status.waves[0].done,
            status.waves[0].clusters
        ),
        (8, 1, 2)
    );
}

#[test]
fn a_hub_without_clusters_or_releases_is_not_done() {
    let mut seen = well();
    seen.clusters.clear();
    assert_eq!(
        one(&seen),
        told(Urgency::Person, "", "clusters", "fluxgate check")
    );
    let mut seen = well();
    seen.releases.clear();
    assert_eq!(
        one(&seen),
        told(Urgency::Time, "", "releases", "fluxgate reconcile releases")
    );
}

#[test]
fn a_fleet_behind_the_newest_release_is_not_done() {
    let mut seen = well();
    seen.decisions.clear();
    seen.clusters[0].version = "v2.9.9".to_owned();
    assert_eq!(one(&seen).1, "WAITING_FOR_DECISION");
    seen.clusters[0].member = Some(ClusterMember {
        removed: true,
        ..ClusterMember::default()
    });
    assert!(needs(&seen).is_empty());
}
