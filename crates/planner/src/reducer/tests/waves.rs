use super::*;

/// Every agent does its work, until nothing is left to do.
pub(super) fn complete(lab: &mut Lab) {
    for _ in 0..40 {
        lab.settle();
        let next = lab.in_work().first().map(ToString::to_string);
        match next {
            Some(cluster) => lab.upgrade(&cluster),
            None if lab.end().is_some() => return,
            None => {
                lab.pass(hours(1));
                lab.beat_all();
            }
        }
    }
    panic!("never completes: {:?}", lab.plan());
}

#[test]
fn a_whole_rollout_goes_wave_by_wave() {
    let mut lab = Lab::new();
    lab.enforce_all();
    assert_eq!(
        words(&lab.settle()),
        ["start flux-v2.9.4-1", "open canary", "Enforce c1"]
    );
    lab.upgrade("c1");
    assert_eq!(words(&lab.settle()), ["Enforce c2"]);
    lab.upgrade("c2");
    assert_eq!(lab.settle(), []);
    lab.pass(hours(1));
    lab.beat_all();
    assert_eq!(
        words(&lab.settle()),
        ["bake canary", "open main", "Enforce m1", "Enforce m2"]
    );
    lab.upgrade("m2");
    assert_eq!(words(&lab.settle()), ["Enforce m3"]);
    lab.upgrade("m1");
    assert_eq!(lab.settle(), []);
    lab.upgrade("m3");
    assert_eq!(words(&lab.settle()), ["bake main", "finish COMPLETED"]);
    assert!(lab.end_detail().starts_with("UPGRADE_COMPLETE"));
}

#[test]
fn under_observe_each_cluster_gets_one_dry_run_and_the_wave_waits_for_enforce() {
    let mut lab = Lab::new();
    let steps = words(&lab.settle());
    assert_eq!(
        steps,
        [
            "start flux-v2.9.4-1",
            "Observe c1",
            "Observe c2",
            "Observe m1",
            "Observe m2",
            "Observe m3"
        ]
    );
    assert_eq!(lab.waits_for("canary"), [Reason::WaitingForEnforce]);
    assert_eq!(lab.waits_for("main"), [Reason::WaitingForWave]);
    lab.report("c1", ReportKind::WouldUpgrade);
    lab.pass(hours(1));
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("c1"), [Reason::WaitingForEnforce]);
}

#[test]
fn another_baseline_gets_another_dry_run() {
    let mut lab = Lab::new();
    lab.settle();
    lab.runs("m1", "v2.9.2");
    lab.decide("v2.9.4", "v2.9.2", Outcome::Allow);
    assert_eq!(words(&lab.settle()), ["Observe m1"]);
}

#[test]
fn a_refused_dry_run_does_not_halt() {
    let mut lab = Lab::new();
    lab.settle();
    lab.report("c1", ReportKind::Refused(Reason::Customised));
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("c1"), [Reason::ClusterRefused]);
    assert_eq!(lab.end(), None);
}

#[test]
fn enforce_for_one_wave_leaves_the_next_one_waiting() {
    let mut lab = Lab::new();
    lab.modes.waves.insert("canary".to_owned(), Mode::Enforce);
    lab.settle();
    lab.upgrade("c1");
    lab.settle();
    lab.upgrade("c2");
    lab.pass(hours(1));
    lab.beat_all();
    assert_eq!(words(&lab.settle()), ["bake canary"]);
    assert_eq!(lab.waits_for("main"), [Reason::WaitingForEnforce]);
    lab.modes.waves.insert("main".to_owned(), Mode::Enforce);
    assert_eq!(words(&lab.settle()), ["open main", "Enforce m1", "Enforce m2"]);
}

#[test]
fn what_was_said_for_a_cluster_goes_before_what_was_said_for_its_wave() {
    let mut modes = Modes::default();
    let mut m1 = member("m1", "main");
    assert_eq!(modes.of(Some("main"), &m1), Mode::Observe);
    modes.waves.insert("main".to_owned(), Mode::Enforce);
    assert_eq!(modes.of(Some("main"), &m1), Mode::Enforce);
    assert_eq!(modes.of(Some("canary"), &m1), Mode::Observe);
    assert_eq!(modes.of(None, &m1), Mode::Observe);
    modes.clusters.insert(name("m1"), Mode::Observe);
    assert_eq!(modes.of(Some("main"), &m1), Mode::Observe);
    modes.waves.insert("main".to_owned(), Mode::Observe);
    modes.clusters.insert(name("m1"), Mode::Enforce);
    assert_eq!(modes.of(Some("main"), &m1), Mode::Enforce);
    m1.max_mode = Mode::Observe;
    assert_eq!(modes.of(Some("main"), &m1), Mode::Observe);
}

#[test]
fn a_wave_opens_only_when_each_of_its_clusters_is_allowed_and_enforced() {
    // One is under Observe.
    let mut lab = Lab::new();
    lab.modes.clusters.insert(name("c1"), Mode::Enforce);
    lab.settle();
    assert_eq!(lab.waits_for("canary"), [Reason::WaitingForEnforce]);
    lab.modes.clusters.insert(name("c2"), Mode::Enforce);
    assert_eq!(words(&lab.settle())[..1], ["open canary"]);
    // One is capped by the fleet file.
    let mut lab = Lab::new();
    lab.enforce_all();
    lab.members[1].max_mode = Mode::Observe;
    lab.settle();
    assert_eq!(lab.waits_for("canary"), [Reason::WaitingForEnforce]);
    // One runs something that is not allowed.
    let mut lab = Lab::new();
    lab.enforce_all();
    lab.runs("c2", "v2.9.1");
    lab.decide("v2.9.4", "v2.9.1", Outcome::Wait);
    lab.settle();
    assert_eq!(lab.waits_for("canary"), [Reason::WaitingForDecision]);
    assert_eq!(lab.waits_for("c2"), [Reason::ReleaseTooYoung]);
    let wave = lab
        .plan()
        .waits
        .into_iter()
        .find(|w| w.scope == Scope::Wave("canary".to_owned()))
        .unwrap();
    assert_eq!(wave.until, Some(lab.now + hours(5)));
    // One is silent.
    let mut lab = Lab::new();
    lab.enforce_all();
    lab.facts.remove(&name("c2"));
    lab.settle();
    assert_eq!(lab.waits_for("canary"), [Reason::WaitingForAgent]);
}

#[test]
fn no_wave_opens_while_the_ledger_is_not_sure() {
    let mut lab = Lab::new();
    lab.settle();
    lab.ledger_ok = false;
    lab.enforce_all();
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("canary"), [Reason::LedgerUnconfirmed]);
}

#[test]
fn a_bad_result_halts() {
    for health in [Health::Unhealthy, Health::Inconclusive] {
        let mut lab = Lab::running();
        lab.report("c1", ReportKind::Accepted);
        lab.report("c1", ReportKind::Finished(health));
        assert_eq!(words(&lab.settle()), ["finish HALTED"]);
        let detail = lab.end_detail();
        assert!(
            detail.starts_with("CLUSTER_UNHEALTHY: c1 in wave canary"),
            "{detail}"
        );
        assert!(detail.contains(&health.to_string()), "{detail}");
    }
}

#[test]
fn a_refusal_under_enforce_halts() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Refused(Reason::Customised));
    assert_eq!(words(&lab.settle()), ["stop c1 CLUSTER_REFUSED", "finish HALTED"]);
    assert_eq!(
        lab.end_detail(),
        "CLUSTER_REFUSED: c1 in wave canary: epoch 1 was refused: CUSTOMISED; failed in wave canary: 1, \
         tolerated: 0"
    );
    assert_eq!(lab.settle(), [], "taken back once");
}

#[test]
fn a_cluster_that_becomes_unhealthy_after_its_upgrade_halts() {
    for by_heartbeat in [true, false] {
        let mut lab = Lab::running();
        lab.upgrade("c1");
        lab.settle();
        if by_heartbeat {
            lab.beat("c1", Health::Unhealthy);
        } else {
            lab.judge("c1", Health::Unhealthy);
        }
        let steps = words(&lab.settle());
        // What c2 was asked but has not begun is taken back.
        assert_eq!(steps, ["finish HALTED", "stop c2 STOPPED"]);
        assert!(
            lab.end_detail().starts_with("CLUSTER_UNHEALTHY: c1"),
            "{}",
            lab.end_detail()
        );
    }
}

#[test]
fn what_was_said_before_the_upgrade_does_not_halt() {
    let mut lab = Lab::running();
    lab.beat("c1", Health::Unhealthy);
    lab.judge("c1", Health::Unhealthy);
    lab.pass(SignedDuration::from_secs(1));
    lab.upgrade("c1");
    assert_eq!(words(&lab.settle()), ["Enforce c2"]);
}

#[test]
fn a_halt_lets_what_was_begun_go_on() {
    let mut lab = Lab::running();
    lab.upgrade("c1");
    lab.settle();
    lab.report("c2", ReportKind::Accepted);
    lab.beat("c1", Health::Unhealthy);
    assert_eq!(words(&lab.settle()), ["finish HALTED"]);
    assert_eq!(lab.in_work(), ["c2"]);
}

#[test]
fn a_wave_bakes_from_when_its_last_cluster_is_done() {
    let mut lab = Lab::running();
    lab.upgrade("c1");
    lab.settle();
    lab.pass(hours(2));
    lab.beat_all();
    lab.upgrade("c2");
    let done = lab.assignments[&name("c2")].reports.result.unwrap().at;
    let wait = lab
        .plan()
        .waits
        .into_iter()
        .find(|w| w.reason == Reason::WaitingForBake)
        .unwrap();
    assert_eq!(
        (wait.scope, wait.until),
        (Scope::Wave("canary".to_owned()), Some(done + hours(1)))
    );
    lab.now = done + hours(1) - SignedDuration::from_secs(1);
    lab.beat_all();
    assert_eq!(lab.settle(), []);
    lab.now = done + hours(1);
    let Step::BakeWave(baked) = lab.plan().steps.remove(0) else {
        panic!()
    };
    assert_eq!((baked.bake_started, baked.bake_ended), (done, lab.now));
    assert_eq!(
        baked
            .heartbeats
            .keys()
            .map(ClusterName::as_str)
            .collect::<Vec<_>>(),
        ["c1", "c2"]
    );
}

#[test]
fn a_bake_needs_a_fresh_healthy_heartbeat_of_every_cluster() {
    let mut lab = Lab::running();
    lab.upgrade("c1");
    lab.settle();
    lab.upgrade("c2");
    lab.pass(hours(3));
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("canary"), [Reason::WaitingForBake]);
    assert_eq!(lab.waits_for("c1"), [Reason::WaitingForAgent]);
    lab.beat("c1", Health::Healthy);
    lab.beat("c2", Health::Inconclusive);
    assert_eq!(lab.settle(), []);
    assert_eq!(
        (lab.waits_for("c1"), lab.waits_for("c2")),
        (vec![], vec![Reason::HealthUnknown])
    );
    lab.beat("c2", Health::Healthy);
    lab.pass(FRESH);
    assert_eq!(lab.settle(), []);
    lab.beat_all();
    // A clock that is far ahead proves nothing.
    lab.heartbeats.get_mut(&name("c2")).unwrap().sent = lab.now + FRESH;
    assert_eq!(lab.settle(), []);
    lab.beat_all();
    assert_eq!(words(&lab.settle())[..2], ["bake canary", "open main"]);
}

#[test]
fn a_later_health_report_speaks_against_a_heartbeat() {
    let mut lab = Lab::running();
    lab.upgrade("c1");
    lab.settle();
    lab.upgrade("c2");
    lab.pass(hours(1));
    lab.beat_all();
    lab.pass(SignedDuration::from_secs(1));
    lab.judge("c2", Health::Inconclusive);
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("c2"), [Reason::HealthUnknown]);
}

#[test]
fn clusters_that_run_the_target_or_something_newer_need_nothing() {
    let mut lab = Lab::new();
    lab.runs("c1", "v2.9.4");
    lab.runs("c2", "v2.10.0");
    lab.enforce_all();
    assert_eq!(words(&lab.settle()), ["start flux-v2.9.4-1", "open canary"]);
    lab.pass(hours(1));
    lab.beat_all();
    assert_eq!(
        words(&lab.settle()),
        ["bake canary", "open main", "Enforce m1", "Enforce m2"]
    );
}

#[test]
fn a_cluster_at_the_target_that_is_unwell_holds_the_wave_and_one_that_falls_ill_halts() {
    let mut lab = Lab::new();
    lab.runs("c1", "v2.9.4");
    lab.runs("c2", "v2.9.4");
    lab.judge("c1", Health::Unhealthy);
    lab.beat("c1", Health::Unhealthy);
    lab.enforce_all();
    lab.settle();
    assert_eq!(lab.waits_for("c1"), [Reason::ClusterUnhealthy]);
    lab.pass(hours(1));
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("c1"), [Reason::WaitingForAgent]);
    lab.judge("c2", Health::Unhealthy);
    assert_eq!(words(&lab.settle()), ["finish HALTED"]);
}

#[test]
fn a_wave_that_waits_for_an_ill_cluster_alone_says_what_is_wrong_with_it() {
    let mut lab = Lab::new();
    for cluster in ["c1", "c2"] {
        lab.runs(cluster, "v2.9.4");
    }
    lab.judge("c1", Health::Unhealthy);
    let report = lab.health.get_mut(&name("c1")).unwrap();
    report.symptoms = vec![domain::fleet::Symptom {
        reason: Reason::CrashLoop,
        object: "Pod/source-controller-1".to_owned(),
        detail: "exit code 1".to_owned(),
    }];
    lab.beat("c1", Health::Unhealthy);
    lab.enforce_all();
    lab.settle();
    let why = "it already runs v2.9.4 and is UNHEALTHY: CRASH_LOOP Pod/source-controller-1: exit code 1; repair it, or \
               roll it back: nothing is done there until it is well";
    assert_eq!(lab.told("c1"), [format!("CLUSTER_UNHEALTHY: {why}")]);
    assert_eq!(
        lab.told("canary"),
        [format!("CLUSTER_UNHEALTHY: 1 of 2 clusters are done; c1: {why}")]
    );
    // While another one is upgraded the wave waits for that.
    lab.runs("c2", "v2.9.3");
    lab.settle();
    assert_eq!(lab.waits_for("canary"), [Reason::WaitingForClusters]);
}

#[test]
fn a_cluster_that_leaves_the_fleet_holds_nothing_up() {
    let mut lab = Lab::running();
    lab.upgrade("c1");
    lab.settle();
    lab.members.retain(|member| member.cluster != name("c2"));
    assert_eq!(words(&lab.settle()), ["stop c2 STOPPED"]);
    lab.pass(hours(1));
    lab.beat_all();
    assert_eq!(words(&lab.settle())[..2], ["bake canary", "open main"]);
}

#[test]
fn a_heartbeat_from_before_the_bake_proves_nothing() {
    let mut lab = Lab::running();
    lab.strategy.waves[0].bake.duration = SignedDuration::ZERO;
    lab.rollout.as_mut().unwrap().started.waves[0].bake = SignedDuration::ZERO;
    lab.upgrade("c1");
    lab.settle();
    lab.pass(SignedDuration::from_secs(1));
    lab.report("c2", ReportKind::Finished(Health::Healthy));
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("c1"), [Reason::WaitingForAgent]);
    lab.beat_all();
    assert_eq!(words(&lab.settle())[..2], ["bake canary", "open main"]);
}
