use super::*;

#[test]
fn no_more_clusters_are_in_work_than_the_wave_allows() {
    let mut lab = Lab::running();
    assert_eq!(lab.waits_for("c2"), [Reason::WaitingForClusters]);
    lab.report("c1", ReportKind::Accepted);
    lab.report("c1", ReportKind::Applied);
    assert_eq!(lab.settle(), []);
    // Even beyond its end: it was begun, nobody knows how far it is.
    lab.pass(hours(30));
    lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
    lab.beat("c2", Health::Healthy);
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.in_work(), ["c1"]);
}

#[test]
fn a_silent_agent_gets_no_assignment_and_one_that_never_answered_frees_its_place() {
    let mut lab = Lab::running();
    lab.pass(hours(24));
    lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
    lab.beat("c2", Health::Healthy);
    assert_eq!(words(&lab.settle()), ["Enforce c2"]);
    assert_eq!(lab.waits_for("c1"), [Reason::WaitingForAgent]);
}

#[test]
fn nothing_new_is_begun_while_the_ledger_is_not_sure_but_what_was_begun_goes_on() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Accepted);
    lab.pass(hours(12));
    lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
    lab.pass(hours(11));
    lab.beat_all();
    lab.ledger_ok = false;
    assert_eq!(words(&lab.settle()), ["renew c1"]);
    lab.upgrade("c1");
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("c2"), [Reason::LedgerUnconfirmed]);
    lab.ledger_ok = true;
    assert_eq!(words(&lab.settle()), ["Enforce c2"]);
}

#[test]
fn an_open_task_is_renewed_in_its_last_hour_on_its_own_baseline() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Accepted);
    lab.pass(hours(12));
    lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
    lab.beat_all();
    assert_eq!(lab.settle(), []);
    lab.pass(hours(11));
    // Its agent must be alive.
    assert_eq!(lab.settle(), []);
    lab.beat_all();
    let steps = lab.settle();
    let [Step::Assign(draft)] = steps.as_slice() else {
        panic!("{steps:?}")
    };
    assert_eq!(
        (draft.renews, &draft.baseline),
        (Some(Epoch(1)), &baseline("v2.9.3"))
    );
    // As long as the ALLOW, which was given 11 h ago.
    assert_eq!(draft.expires, lab.now + hours(13));
    let task = &lab.assignments[&name("c1")];
    assert_eq!(
        (task.epoch, task.task, task.reports.accepted),
        (Epoch(2), Epoch(1), true)
    );
}

#[test]
fn a_task_is_not_renewed_beyond_its_allow() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Accepted);
    lab.pass(hours(23));
    lab.beat_all();
    assert_eq!(lab.settle(), []);
    lab.decide("v2.9.4", "v2.9.3", Outcome::Deny);
    assert_eq!(lab.settle(), []);
    lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
    lab.modes.waves.insert("canary".to_owned(), Mode::Observe);
    assert_eq!(words(&lab.settle()), ["Observe c2"]);
}

#[test]
fn a_result_that_crossed_a_renewal_counts() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Accepted);
    lab.pass(hours(12));
    lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
    lab.pass(hours(11));
    lab.beat_all();
    assert_eq!(words(&lab.settle()), ["renew c1"]);
    lab.report_about("c1", Epoch(1), ReportKind::Finished(Health::Healthy));
    assert_eq!(words(&lab.settle()), ["Enforce c2"]);
}

#[test]
fn a_report_about_another_task_changes_nothing() {
    let mut lab = Lab::new();
    lab.settle();
    lab.enforce_all();
    lab.settle();
    assert_eq!(lab.assignments[&name("c1")].epoch, Epoch(2));
    lab.report_about("c1", Epoch(1), ReportKind::Refused(Reason::Customised));
    lab.report_about("c1", Epoch(3), ReportKind::Finished(Health::Unhealthy));
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.in_work(), ["c1"]);
    // The first result stays.
    lab.report("c1", ReportKind::Finished(Health::Healthy));
    lab.report("c1", ReportKind::Finished(Health::Unhealthy));
    assert_eq!(words(&lab.settle()), ["Enforce c2"]);
}

#[test]
fn what_was_not_begun_is_taken_back_once_when_the_mode_falls_back() {
    let mut lab = Lab::running();
    lab.modes = Modes::default();
    let steps = lab.settle();
    // c2 had no assignment: it gets its dry run. c1 has had its turn.
    assert_eq!(
        words(&steps),
        [
            "stop c1 MODE_OBSERVE",
            "Observe c2",
            "Observe m1",
            "Observe m2",
            "Observe m3"
        ]
    );
    lab.report("c1", ReportKind::Accepted);
    assert_eq!(lab.in_work(), Vec::<&str>::new());
    assert_eq!(lab.settle(), []);
    lab.enforce_all();
    assert_eq!(words(&lab.settle()), ["Enforce c1"]);
    assert_eq!(lab.assignments[&name("c1")].task, Epoch(3), "a task of its own");
}

#[test]
fn what_was_not_begun_is_taken_back_when_the_allow_is_gone() {
    for outcome in [Outcome::Wait, Outcome::NeedsApproval, Outcome::Deny] {
        let mut lab = Lab::running();
        lab.decide("v2.9.4", "v2.9.3", outcome);
        assert_eq!(words(&lab.settle()), ["stop c1 NOT_ALLOWED"]);
        lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
        // Nobody has seen the stop yet: c1 keeps its place and is asked again.
        assert_eq!(words(&lab.settle()), ["Enforce c1"]);
    }
}

#[test]
fn what_was_not_begun_is_asked_anew_when_a_key_behind_it_has_come_to_its_end() {
    let mut lab = Lab::running();
    lab.orphans.insert(name("c1"));
    let Some(Step::Stop(stop)) = lab.plan().steps.into_iter().next() else {
        panic!("it is taken back")
    };
    assert_eq!(
        (stop.cluster, stop.reason),
        (name("c1"), Reason::StatementInvalid)
    );
    // What it began goes on, whatever became of the keys.
    let mut begun = Lab::running();
    begun.report("c1", ReportKind::Accepted);
    begun.orphans.insert(name("c1"));
    assert!(begun.plan().steps.is_empty());
}

#[test]
fn what_was_not_begun_is_taken_back_when_the_cluster_runs_something_else() {
    let mut lab = Lab::running();
    lab.runs("c1", "v2.9.2");
    lab.decide("v2.9.4", "v2.9.2", Outcome::Allow);
    assert_eq!(words(&lab.settle()), ["stop c1 BASELINE_MOVED", "Enforce c1"]);
    assert_eq!(lab.assignments[&name("c1")].baseline, baseline("v2.9.2"));
}

#[test]
fn what_was_begun_is_not_taken_back() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Accepted);
    lab.modes.waves.insert("canary".to_owned(), Mode::Observe);
    lab.decide("v2.9.4", "v2.9.3", Outcome::Deny);
    assert_eq!(lab.settle(), []);
    lab.report("c1", ReportKind::Finished(Health::Healthy));
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("c1"), []);
}

#[test]
fn a_task_that_was_begun_before_its_stop_arrived_still_counts() {
    let mut lab = Lab::running();
    lab.modes.waves.insert("canary".to_owned(), Mode::Observe);
    lab.settle();
    lab.report_about("c1", Epoch(1), ReportKind::Accepted);
    assert_eq!(lab.in_work(), ["c1"]);
    lab.pass(hours(30));
    assert_eq!(lab.in_work(), ["c1"]);
    lab.report_about("c1", Epoch(1), ReportKind::Finished(Health::Unhealthy));
    assert_eq!(words(&lab.settle()), ["finish HALTED"]);
}

#[test]
fn a_stop_that_crosses_an_acceptance_leaves_the_task_in_work_and_its_result_counts() {
    for answer in [ReportKind::Refused(Reason::Stopped), ReportKind::Accepted] {
        for scope in ["cluster/c1", "fleet"] {
            let mut lab = Lab::running();
            lab.stop(scope, true);
            assert_eq!(words(&lab.settle()), ["stop c1 STOPPED"], "{scope}");
            lab.report_about("c1", Epoch(1), ReportKind::Accepted);
            lab.report_about("c1", Epoch(2), answer.clone());
            assert_eq!(lab.in_work(), ["c1"], "{scope}");
            assert_eq!(lab.settle(), [], "c1 keeps its place");
            lab.stop(scope, false);
            assert_eq!(lab.settle(), [], "it is not asked for what it is doing");
            assert_eq!(lab.in_work(), ["c1"], "{scope}");
            // Its agent knows the first epoch alone.
            lab.report_about("c1", Epoch(1), ReportKind::Finished(Health::Healthy));
            assert_eq!(words(&lab.settle()), ["Enforce c2"], "{scope}");
        }
    }
}

#[test]
fn an_acceptance_that_is_heard_after_the_answer_to_its_stop_counts() {
    let mut lab = Lab::running();
    lab.stop("cluster/c1", true);
    lab.settle();
    lab.report_about("c1", Epoch(2), ReportKind::Refused(Reason::Stopped));
    assert_eq!(lab.in_work(), Vec::<&str>::new());
    lab.report_about("c1", Epoch(1), ReportKind::Accepted);
    assert_eq!(lab.in_work(), ["c1"]);
    lab.report_about("c1", Epoch(1), ReportKind::Finished(Health::Unhealthy));
    assert_eq!(words(&lab.settle())[0], "finish HALTED");
}

#[test]
fn an_agent_that_may_not_write_is_waited_for_and_does_not_halt() {
    for kind in [ReportKind::Refused(Reason::ModeObserve), ReportKind::WouldUpgrade] {
        let mut lab = Lab::running();
        lab.report("c1", kind);
        assert_eq!(words(&lab.settle()), ["Enforce c2"]);
        assert_eq!(lab.waits_for("c1"), [Reason::ModeObserve]);
        lab.upgrade("c2");
        lab.pass(hours(24));
        lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
        lab.beat_all();
        assert_eq!(words(&lab.settle()), ["Enforce c1"]);
    }
}

#[test]
fn taking_the_mode_back_and_giving_it_again_asks_an_agent_again() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Refused(Reason::ModeObserve));
    lab.modes.waves.insert("canary".to_owned(), Mode::Observe);
    assert_eq!(
        words(&lab.settle()),
        ["stop c1 MODE_OBSERVE", "Observe c1", "Observe c2"]
    );
    lab.enforce_all();
    assert_eq!(words(&lab.settle()), ["Enforce c1"]);
}

/// The two ways in which an agent says that its own cap keeps it from writing.
const CAPPED: [ReportKind; 2] = [ReportKind::Refused(Reason::ModeObserve), ReportKind::WouldUpgrade];

#[test]
fn what_an_agent_said_no_to_is_taken_back_when_its_rollout_is_over() {
    for kind in CAPPED {
        let mut lab = Lab::running();
        lab.report("c1", kind);
        lab.settle();
        lab.report("c2", ReportKind::Refused(Reason::Customised));
        assert_eq!(
            words(&lab.settle()),
            ["stop c2 CLUSTER_REFUSED", "finish HALTED", "stop c1 STOPPED"]
        );
        assert_eq!(lab.in_work(), Vec::<&str>::new(), "both had said no");
        assert_eq!(lab.settle(), [], "once");
    }
}

#[test]
fn what_an_agent_said_no_to_is_left_alone_when_it_has_ended() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Refused(Reason::ModeObserve));
    lab.pass(hours(24));
    lab.modes = Modes::default();
    assert_eq!(lab.settle(), []);
}

#[test]
fn what_an_agent_said_no_to_is_taken_back_when_the_allow_is_gone_or_the_cluster_runs_something_else() {
    for kind in CAPPED {
        let mut lab = Lab::running();
        lab.report("c1", kind.clone());
        lab.settle();
        lab.runs("c1", "v2.9.2");
        assert_eq!(words(&lab.settle()), ["stop c1 BASELINE_MOVED"]);
        let mut lab = Lab::running();
        lab.report("c1", kind);
        lab.settle();
        lab.decide("v2.9.4", "v2.9.3", Outcome::Deny);
        assert_eq!(
            words(&lab.settle()),
            ["stop c1 NOT_ALLOWED", "stop c2 NOT_ALLOWED"]
        );
    }
}

#[test]
fn what_a_removed_cluster_has_not_begun_is_taken_back_even_where_its_agent_said_no() {
    for kind in [None, Some(ReportKind::Refused(Reason::Customised))] {
        let mut lab = Lab::running();
        if let Some(kind) = kind {
            lab.report("c1", kind);
        }
        lab.members[0].removed = true;
        assert_eq!(words(&lab.settle())[0], "stop c1 STOPPED");
        assert_eq!(lab.end(), None, "who left the fleet halts nothing");
    }
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Accepted);
    lab.members[0].removed = true;
    assert!(!words(&lab.settle()).contains(&"stop c1 STOPPED".to_owned()));
}

#[test]
fn a_task_that_was_begun_before_the_stop_of_a_capped_agent_arrived_still_counts() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Refused(Reason::ModeObserve));
    lab.modes.clusters.insert(name("c1"), Mode::Observe);
    lab.runs("c1", "v2.9.2");
    assert_eq!(words(&lab.settle()), ["stop c1 MODE_OBSERVE", "Enforce c2"]);
    assert_eq!(lab.in_work(), ["c2"]);
    // Its agent was restarted with another file and had not seen the stop.
    lab.report_about("c1", Epoch(1), ReportKind::Accepted);
    assert_eq!(lab.in_work(), ["c1", "c2"]);
    lab.report_about("c1", Epoch(1), ReportKind::Finished(Health::Unhealthy));
    assert_eq!(words(&lab.settle())[0], "finish HALTED");
}

#[test]
fn what_was_not_begun_is_not_renewed_while_the_ledger_is_not_sure() {
    let mut lab = Lab::running();
    lab.pass(hours(12));
    lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
    lab.pass(hours(11));
    lab.beat_all();
    lab.ledger_ok = false;
    assert_eq!(lab.settle(), []);
    lab.ledger_ok = true;
    assert_eq!(words(&lab.settle()), ["renew c1"]);
}

#[test]
fn a_task_of_an_earlier_rollout_is_waited_for_and_not_renewed() {
    let mut lab = Lab::running();
    lab.upgrade("c1");
    lab.settle();
    lab.report("c2", ReportKind::Accepted);
    lab.beat("c1", Health::Unhealthy);
    assert_eq!(words(&lab.settle()), ["finish HALTED"]);
    lab.restarts.insert("flux-v2.9.4-1".parse().unwrap());
    assert_eq!(words(&lab.settle()), ["start flux-v2.9.4-2", "open canary"]);
    lab.pass(hours(12));
    lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
    lab.pass(hours(11));
    lab.beat_all();
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("c2"), [Reason::WaitingForClusters]);
    // Its end counts here: the wave bakes from then on.
    lab.upgrade("c2");
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("canary"), [Reason::WaitingForBake]);
}
