use std::sync::Arc;

use attest::bundle::{self, BundleKey, TrustBundle};
use attest::{Claim, Header, Role, SigningKey, Trust};
use bus::memory::MemoryLog;
use bus::{Expect, Judge, Subject};
use bytes::Bytes;
use domain::assignment::StatementRef;
use domain::fleet::ReportKind;
use domain::rollout::{RolloutEnd, StrategyId, WaveSnapshot};
use domain::{Action, Health, Mode, Reason, ReleaseKey, RolloutKey, Version};
use jiff::SignedDuration;
use planner::reducer::ResultKind;

use super::*;
use crate::world::Known;

const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

fn cluster() -> ClusterName {
    "edge-1".parse().unwrap()
}

fn rollout() -> RolloutKey {
    "flux-v2.9.4-1".parse().unwrap()
}

fn release() -> ReleaseKey {
    ReleaseKey {
        version: Version::new(2, 9, 4),
        manifests: Digest::of(b"m"),
    }
}

fn assignment(epoch: u64, action: Action) -> Assignment {
    let statement = || StatementRef {
        subject: "fluxgate.v1.policy.x.decision.1".to_owned(),
        digest: Digest::of(b"statement"),
    };
    Assignment {
        cluster: cluster(),
        epoch: Epoch(epoch),
        action,
        mode: Mode::Enforce,
        rollout: rollout(),
        target: release(),
        layer: Digest::of(b"layer"),
        images: BTreeMap::new(),
        image_registry: "ghcr.io".to_owned(),
        baseline: "0123456789abcdef".parse().unwrap(),
        contents: statement(),
        baseline_contents: statement(),
        decision: statement(),
        summaries: vec![statement()],
        stops: Vec::new(),
        stable_for: SignedDuration::from_secs(60),
        success_deadline: SignedDuration::from_mins(30),
        issued: NOW,
        expires: NOW + SignedDuration::from_hours(24),
        as_of: 0,
    }
}

fn started() -> RolloutStarted {
    RolloutStarted {
        rollout: rollout(),
        release: release(),
        strategy: StrategyId {
            name: "s".to_owned(),
            digest: Digest::of(b"s"),
        },
        waves: vec![WaveSnapshot {
            name: "canary".to_owned(),
            policy: "default".to_owned(),
            clusters: vec![cluster()],
            max_concurrency: 1,
            bake: SignedDuration::ZERO,
            bake_clusters: 0,
            bake_reconciles: 0,
            failure_budget: 0,
            min_clusters: 1,
        }],
        failure_budget: None,
        unreachable_budget: None,
        superseding: domain::rollout::Superseding::FinishRollout,
    }
}

/// What the view gives for an event; nobody signed it, as nobody checks it here any more.
fn fact<C: Claim>(subject: Subject, sequence: u64, claim: &C) -> Fact {
    let header = Header::published(subject.to_string(), NOW, "");
    let statement = attest::claim::statement(&header, claim).unwrap();
    Fact {
        subject,
        sequence,
        time: NOW + SignedDuration::from_secs(i64::try_from(sequence).unwrap()),
        traceparent: None,
        envelope: statement.to_bytes().into(),
        statement,
    }
}

fn assigned(sequence: u64, assignment: &Assignment) -> Fact {
    let name = subject::assignment(&assignment.cluster, assignment.epoch);
    fact(name, sequence, &fleet::v1::Assignment::from(assignment))
}

fn reported(sequence: u64, about: &Fact, kind: ReportKind) -> Fact {
    let epoch = Epoch(about.subject.n());
    let name = match &kind {
        ReportKind::Accepted => subject::accepted(&cluster(), epoch),
        ReportKind::Refused(_) => subject::refused(&cluster(), epoch),
        ReportKind::Applied => subject::applied(&cluster(), epoch),
        ReportKind::WouldUpgrade | ReportKind::Finished(_) => subject::result(&cluster(), epoch),
    };
    let report = Report {
        cluster: cluster(),
        sent: NOW,
        epoch,
        assignment: about.digest(),
        kind,
        detail: String::new(),
    };
    fact(name, sequence, &fleet::v1::Report::from(&report))
}

fn folded(facts: &[&Fact]) -> Fold {
    let mut fold = Fold::default();
    for fact in facts {
        fold.take(fact);
    }
    fold
}

#[test]
fn a_result_that_crossed_a_renewal_is_the_result_of_the_renewed_task() {
    let first = assigned(1, &assignment(1, Action::Upgrade));
    let accepted = reported(2, &first, ReportKind::Accepted);
    let renewed = assigned(3, &assignment(2, Action::Upgrade));
    let finished = reported(4, &first, ReportKind::Finished(Health::Healthy));
    let fold = folded(&[&first, &accepted, &renewed, &finished]);
    let course = &fold.courses[&cluster()];
    assert_eq!((course.view.epoch, course.view.task), (Epoch(2), Epoch(1)));
    assert!(course.view.reports.accepted);
    let kind = course.view.reports.result.map(|result| result.kind);
    assert_eq!(kind, Some(ResultKind::Finished(Health::Healthy)));
    assert_eq!(course.envelope, renewed);
    assert_eq!(course.reports.len(), 2);
    assert_eq!(fold.last, 4);
}

#[test]
fn a_report_counts_for_the_assignment_that_it_names_by_digest() {
    let first = assigned(1, &assignment(1, Action::Upgrade));
    let other = assigned(1, &assignment(1, Action::Stop));
    let fold = folded(&[&first, &reported(2, &other, ReportKind::Refused(Reason::Stopped))]);
    assert_eq!(fold.courses[&cluster()].view.reports.refused, None);
    assert_eq!(fold.courses[&cluster()].reports, []);
    // Nor does one that stands under another name than it claims.
    let mut moved = reported(2, &first, ReportKind::Accepted);
    moved.subject = subject::accepted(&"edge-2".parse().unwrap(), Epoch(1));
    assert!(
        !folded(&[&first, &moved]).courses[&cluster()]
            .view
            .reports
            .accepted
    );
}

#[test]
fn a_course_keeps_no_more_than_it_needs() {
    let mut fold = Fold::default();
    for n in 1..=200 {
        let next = assigned(n * 2, &assignment(n, Action::Upgrade));
        fold.take(&next);
        fold.take(&reported(
            n * 2 + 1,
            &next,
            ReportKind::Refused(Reason::Customised),
        ));
    }
    let course = &fold.courses[&cluster()];
    assert_eq!((course.digests.len(), course.reports.len()), (1, REPORTS));
    assert_eq!(course.reports.last().unwrap().epoch, Epoch(200));
}

#[test]
fn a_rollout_is_folded_step_by_step() {
    let begun = fact(
        subject::rollout_started(&rollout()),
        1,
        &rollout::v1::RolloutStarted::from(&started()),
    );
    let opened = WaveOpened {
        rollout: rollout(),
        wave: "canary".to_owned(),
        detail: "it is the first".to_owned(),
    };
    let opened = fact(
        subject::rollout_opened(&rollout(), "canary"),
        2,
        &rollout::v1::WaveOpened::from(&opened),
    );
    let finished = RolloutFinished {
        rollout: rollout(),
        end: RolloutEnd::Halted,
        detail: "x".to_owned(),
    };
    let finished = fact(
        subject::rollout_finished(&rollout()),
        3,
        &rollout::v1::RolloutFinished::from(&finished),
    );
    let fold = folded(&[&begun, &opened, &finished]);
    let (time, view) = &fold.rollouts[0];
    assert_eq!((*time, &view.started), (begun.time, &started()));
    let at = opened.time;
    let why = "it is the first".to_owned();
    assert_eq!(view.opened, [("canary".to_owned(), Opened { at, why })].into());
    assert_eq!(view.finished.as_ref().unwrap().end, RolloutEnd::Halted);
}

#[test]
fn what_a_cluster_was_asked_that_left_the_fleet_is_taken_back() {
    let text = "apiVersion: rollout.fluxgate.dev/v1alpha1\nkind: Strategy\nmetadata: {name: s}\nspec:\n  \
                waves: [{name: canary, selector: {matchLabels: {wave: canary}}}]\n";
    let strategy = planner::Strategy::parse("s.yaml", text).unwrap();
    let begun = fact(
        subject::rollout_started(&rollout()),
        1,
        &rollout::v1::RolloutStarted::from(&started()),
    );
    let fold = folded(&[&begun, &assigned(2, &assignment(1, Action::Upgrade))]);
    let known = Known {
        as_of: fold.last,
        members: Vec::new(),
        facts: BTreeMap::new(),
        decisions: Vec::new(),
        modes: planner::reducer::Modes::default(),
        stops: Vec::new(),
        retried: Vec::new(),
        rollouts: fold.rollouts,
        courses: fold.courses,
        health: BTreeMap::new(),
        heartbeats: BTreeMap::new(),
        ledger: hub::LedgerState::Confirmed,
        orphans: Default::default(),
        own_key_acts: true,
        listening_since: NOW,
        now: NOW,
    };
    let plan = planner::plan(&known.world(&strategy));
    let Some(planner::Step::Stop(stop)) = plan.steps.first() else {
        panic!("{plan:?}")
    };
    assert_eq!((&stop.cluster, stop.stops), (&cluster(), Epoch(1)));
    assert_eq!(stop.detail, "the cluster has left the fleet");
}

/// A view on a log in memory, and the controller's key.
struct Bus {
    log: MemoryLog,
    view: View,
    key: SigningKey,
}

impl Bus {
    async fn new() -> Self {
        let generate = || SigningKey::generate().unwrap().0;
        let (root, key) = (generate(), generate());
        let hour = SignedDuration::from_hours(1);
        let keys = vec![BundleKey {
            role: Role::Controller,
            public_key: key.public().to_pem(),
            not_before: NOW - hour,
            not_after: NOW + hour,
            retired_at: None,
            revoked_at: None,
        }];
        let bundle = TrustBundle {
            version: 1,
            demo: true,
            keys,
        };
        let bundle = bundle::sign(&bundle, &root, NOW).unwrap().to_bytes();
        let trust = Trust::open(root.public(), 1, &bundle).unwrap();
        let log = MemoryLog::new(NOW);
        let view = View::open(None, Judge::new(hub::join::SCHEMA, trust))
            .await
            .unwrap();
        let (following, source) = (view.clone(), Arc::new(log.clone()));
        tokio::spawn(async move { following.run(source, runtime::Shutdown::default().token()).await });
        Self { log, view, key }
    }

    async fn assign(&self, epoch: u64, action: Action) {
        let name = subject::assignment(&cluster(), Epoch(epoch));
        let header = Header::published(name.to_string(), NOW, "");
        let claim = fleet::v1::Assignment::from(&assignment(epoch, action));
        let envelope = attest::claim::sign(&header, &claim, &self.key)
            .unwrap()
            .to_bytes();
        let appended =
            bus::EventLog::append(&self.log, &name, Bytes::from(envelope), None, Expect::Absent).await;
        assert!(matches!(appended, Ok(bus::Appended::Stored(_))));
    }

    async fn shows(&self, events: u64) {
        self.view
            .changed()
            .wait_for(|cursor| *cursor == events)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn is_advanced_by_new_events_alone_and_dropped_with_the_stream() {
    let bus = Bus::new().await;
    let mut fold = Fold::default();
    fold.catch_up(&bus.view).await.unwrap();
    assert!(fold.courses.is_empty());
    bus.assign(1, Action::Upgrade).await;
    bus.assign(2, Action::Upgrade).await;
    bus.shows(2).await;
    fold.catch_up(&bus.view).await.unwrap();
    assert_eq!((fold.courses[&cluster()].newest.epoch, fold.last), (Epoch(2), 2));
    bus.assign(3, Action::Stop).await;
    bus.shows(3).await;
    let before = Arc::clone(&fold.courses[&cluster()]);
    fold.catch_up(&bus.view).await.unwrap();
    assert_eq!(fold.courses[&cluster()].newest.action, Action::Stop);
    assert_eq!(fold.courses[&cluster()].view.task, before.view.task);
    fold.catch_up(&bus.view).await.unwrap();
    assert_eq!(fold.last, 3);
    // Another stream with fewer events.
    bus.log.recreate(NOW + SignedDuration::from_hours(1));
    bus.log.set_time(NOW + SignedDuration::from_hours(1));
    bus.assign(1, Action::Upgrade).await;
    bus.shows(1).await;
    fold.catch_up(&bus.view).await.unwrap();
    assert_eq!((fold.courses[&cluster()].newest.epoch, fold.last), (Epoch(1), 1));
    // And one with more events than were folded.
    bus.log.recreate(NOW + SignedDuration::from_hours(2));
    bus.log.set_time(NOW + SignedDuration::from_hours(2));
    bus.assign(1, Action::Stop).await;
    bus.assign(2, Action::Stop).await;
    bus.shows(2).await;
    fold.catch_up(&bus.view).await.unwrap();
    assert_eq!(fold.courses[&cluster()].view.task, Epoch(1));
    assert_eq!((fold.courses[&cluster()].newest.epoch, fold.last), (Epoch(2), 2));
}
