use super::*;

#[test]
fn while_a_stop_touches_a_cluster_nothing_is_begun_for_it() {
    for scope in [
        "fleet",
        "wave/canary",
        "label/wave=canary",
        "rollout/flux-v2.9.4-1",
    ] {
        let mut lab = Lab::running();
        lab.upgrade("c1");
        lab.stop(scope, true);
        assert_eq!(lab.settle(), [], "{scope}");
        assert_eq!(lab.waits_for("c2"), [Reason::Stopped], "{scope}");
        assert!(lab.told("c2")[0].ends_with("by alice: incident"), "{scope}");
        lab.stop(scope, false);
        assert_eq!(words(&lab.settle()), ["Enforce c2"], "{scope}");
    }
}

#[test]
fn what_was_not_begun_is_taken_back_with_the_words_of_the_person_who_stopped_it() {
    for (scope, kind) in [
        ("fleet", "freeze"),
        ("wave/canary", "freeze"),
        ("label/wave=canary", "freeze"),
        ("cluster/c1", "hold"),
        ("rollout/flux-v2.9.4-1", "pause"),
    ] {
        let mut lab = Lab::running();
        lab.stop(scope, true);
        let plan = lab.plan();
        let Some(Step::Stop(stop)) = plan.steps.first() else {
            panic!("{plan:?}")
        };
        assert_eq!((stop.stops, stop.reason), (Epoch(1), Reason::Stopped));
        assert_eq!(stop.detail, format!("{kind} of {scope} by alice: incident"));
        lab.settle();
        assert_eq!(lab.assignments[&name("c1")].action, Action::Stop, "{scope}");
    }
}

#[test]
fn a_task_that_was_begun_goes_on_under_a_stop_and_is_renewed() {
    for scope in ["fleet", "cluster/c1", "rollout/flux-v2.9.4-1"] {
        let mut lab = Lab::running();
        lab.report("c1", ReportKind::Accepted);
        lab.stop(scope, true);
        lab.pass(hours(12));
        lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
        lab.pass(hours(11));
        lab.beat_all();
        assert!(words(&lab.settle()).contains(&"renew c1".to_owned()), "{scope}");
        assert!(lab.in_work().contains(&"c1"), "{scope}");
        lab.upgrade("c1");
        assert_eq!(lab.waits_for("c1"), [], "{scope}");
    }
}

#[test]
fn what_was_not_begun_is_not_renewed_under_a_stop() {
    let mut lab = Lab::running();
    lab.pass(hours(12));
    lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
    lab.pass(hours(11));
    lab.beat_all();
    lab.stop("fleet", true);
    assert_eq!(words(&lab.settle()), ["stop c1 STOPPED"]);
}

#[test]
fn under_a_stop_no_dry_run_is_asked_for() {
    let mut lab = Lab::new();
    lab.stop("cluster/m1", true);
    lab.stop("wave/canary", true);
    let steps = words(&lab.settle());
    assert_eq!(steps, ["start flux-v2.9.4-1", "Observe m2", "Observe m3"]);
}

#[test]
fn a_stop_that_the_agent_saw_first_is_no_failure_and_it_is_asked_again() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Refused(Reason::Stopped));
    assert_eq!(words(&lab.settle()), ["stop c1 STOPPED", "Enforce c1"]);
    assert_eq!(lab.end(), None);
}

#[test]
fn a_freeze_of_the_fleet_begins_no_rollout() {
    let mut lab = Lab::new();
    lab.stop("fleet", true);
    assert_eq!(lab.settle(), []);
    assert_eq!(
        lab.told("rollout"),
        ["STOPPED: freeze of fleet by alice: incident"]
    );
    lab.stop("fleet", false);
    assert_eq!(words(&lab.settle())[0], "start flux-v2.9.4-1");
}

#[test]
fn a_stopped_wave_is_not_opened_but_a_bake_goes_on_and_ends() {
    for scope in ["fleet", "wave/main", "rollout/flux-v2.9.4-1"] {
        let mut lab = Lab::running();
        lab.upgrade("c1");
        lab.settle();
        lab.upgrade("c2");
        lab.stop(scope, true);
        lab.pass(hours(1));
        lab.beat_all();
        assert_eq!(words(&lab.settle()), ["bake canary"], "{scope}");
        assert_eq!(lab.waits_for("main"), [Reason::Stopped], "{scope}");
        lab.stop(scope, false);
        assert_eq!(
            words(&lab.settle()),
            ["open main", "Enforce m1", "Enforce m2"],
            "{scope}"
        );
    }
}

#[test]
fn a_failure_halts_a_paused_rollout() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Accepted);
    lab.stop("rollout/flux-v2.9.4-1", true);
    lab.report("c1", ReportKind::Finished(Health::Unhealthy));
    assert_eq!(words(&lab.settle()), ["finish HALTED"]);
}

#[test]
fn a_frozen_label_holds_its_wave_up_while_the_others_of_it_go_on() {
    let mut lab = Lab::new();
    lab.members[0].labels.insert("region".to_owned(), "eu".to_owned());
    lab.enforce_all();
    lab.stop("label/region=eu", true);
    assert_eq!(
        words(&lab.settle()),
        ["start flux-v2.9.4-1", "open canary", "Enforce c2"]
    );
    lab.upgrade("c2");
    lab.pass(hours(1));
    lab.beat_all();
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("canary"), [Reason::WaitingForClusters]);
    lab.stop("label/region=eu", false);
    assert_eq!(words(&lab.settle()), ["Enforce c1"]);
}

#[test]
fn a_wave_whose_clusters_are_all_frozen_is_not_opened() {
    let mut lab = Lab::new();
    lab.settle();
    lab.enforce_all();
    lab.stop("label/wave=canary", true);
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("canary"), [Reason::Stopped]);
}

#[test]
fn a_wave_goes_on_without_a_held_cluster_which_counts_for_nothing() {
    let mut lab = Lab::running();
    lab.stop("cluster/c1", true);
    assert_eq!(words(&lab.settle()), ["stop c1 STOPPED"]);
    lab.report("c1", ReportKind::Accepted);
    assert_eq!(words(&lab.settle()), ["Enforce c2"]);
    lab.upgrade("c2");
    assert_eq!(lab.waits_for("c1"), [Reason::Stopped]);
    lab.pass(hours(1));
    lab.beat_all();
    // Its agent may be away: nobody asks it.
    lab.heartbeats.remove(&name("c1"));
    let steps = lab.settle();
    let Step::BakeWave(baked) = &steps[0] else {
        panic!("{steps:?}")
    };
    assert_eq!(baked.clusters, 1);
    assert_eq!(
        baked
            .heartbeats
            .keys()
            .map(ClusterName::as_str)
            .collect::<Vec<_>>(),
        ["c2"]
    );
}

#[test]
fn a_held_cluster_that_was_upgraded_is_not_waited_for_by_the_bake_but_its_failure_counts() {
    let mut lab = Lab::running();
    lab.upgrade("c1");
    lab.settle();
    lab.upgrade("c2");
    lab.stop("cluster/c1", true);
    lab.pass(hours(1));
    lab.beat("c2", Health::Healthy);
    assert_eq!(words(&lab.settle())[0], "bake canary");
    lab.beat("c1", Health::Unhealthy);
    assert_eq!(words(&lab.settle())[0], "finish HALTED");
}

#[test]
fn a_wave_with_too_few_clusters_that_are_not_held_is_neither_opened_nor_baked() {
    let mut lab = Lab::new();
    lab.strategy.waves[0].min_clusters = 2;
    lab.enforce_all();
    lab.stop("cluster/c1", true);
    assert_eq!(words(&lab.settle()), ["start flux-v2.9.4-1"]);
    assert_eq!(
        lab.told("canary"),
        ["FLEET_UNFIT: 1 of 2 clusters are not held, wanted: 2"]
    );
    lab.stop("cluster/c1", false);
    assert_eq!(words(&lab.settle()), ["open canary", "Enforce c1"]);
    lab.upgrade("c1");
    lab.settle();
    lab.upgrade("c2");
    lab.stop("cluster/c2", true);
    lab.pass(hours(1));
    lab.beat_all();
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("canary"), [Reason::FleetUnfit]);
    lab.stop("cluster/c2", false);
    assert_eq!(words(&lab.settle())[0], "bake canary");
}

#[test]
fn a_released_cluster_is_upgraded_in_its_wave_even_when_that_has_baked() {
    let mut lab = Lab::running();
    lab.snapshot().waves[1].max_concurrency = 1;
    lab.stop("cluster/c1", true);
    lab.settle();
    lab.report("c1", ReportKind::Accepted);
    lab.settle();
    lab.upgrade("c2");
    lab.pass(hours(1));
    lab.beat_all();
    assert_eq!(words(&lab.settle()), ["bake canary", "open main", "Enforce m1"]);
    lab.stop("cluster/c1", false);
    // The places of a wave are its own.
    assert_eq!(words(&lab.settle()), ["Enforce c1"]);
    lab.upgrade("m1");
    assert_eq!(words(&lab.settle()), ["Enforce m2"]);
    lab.upgrade("m2");
    lab.settle();
    lab.upgrade("m3");
    // The rollout is not over while one is in work.
    assert_eq!(words(&lab.settle()), ["bake main"]);
    assert_eq!(lab.waits_for("rollout"), [Reason::WaitingForClusters]);
    lab.upgrade("c1");
    assert_eq!(words(&lab.settle()), ["finish COMPLETED"]);
    assert_eq!(lab.end_detail(), "UPGRADE_COMPLETE: 2 waves, 5 clusters");
}

#[test]
fn released_clusters_of_a_baked_wave_are_no_more_at_once_than_the_wave_allows() {
    let mut lab = Lab::new();
    lab.strategy.waves[0].min_clusters = 0;
    lab.members.push(member("c3", "canary"));
    lab.runs("c3", "v2.9.3");
    lab.beat_all();
    lab.enforce_all();
    lab.stop("cluster/c1", true);
    lab.stop("cluster/c2", true);
    lab.settle();
    lab.upgrade("c3");
    lab.pass(hours(1));
    lab.beat_all();
    assert_eq!(words(&lab.settle())[0], "bake canary");
    lab.stop("cluster/c1", false);
    lab.stop("cluster/c2", false);
    assert_eq!(words(&lab.settle()), ["Enforce c1"]);
    assert_eq!(lab.waits_for("c2"), [Reason::WaitingForClusters]);
    lab.upgrade("c1");
    assert_eq!(words(&lab.settle()), ["Enforce c2"]);
}

#[test]
fn a_cluster_that_is_released_after_the_end_gets_the_next_rollout() {
    let mut lab = Lab::running();
    lab.stop("cluster/c1", true);
    lab.settle();
    lab.report("c1", ReportKind::Accepted);
    waves::complete(&mut lab);
    assert_eq!(
        lab.end_detail(),
        "UPGRADE_COMPLETE: 2 waves, 5 clusters; without c1 (STOPPED)"
    );
    lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
    assert_eq!(lab.settle(), [], "a held cluster is no reason to begin one");
    assert_eq!(lab.waits_for("c1"), [Reason::Stopped]);
    lab.stop("cluster/c1", false);
    assert_eq!(
        words(&lab.settle()),
        ["start flux-v2.9.4-2", "open canary", "Enforce c1"]
    );
}

#[test]
fn a_recalled_version_is_not_begun_and_the_next_lower_allowed_one_is() {
    let mut lab = Lab::new();
    lab.decide("v2.9.5", "v2.9.3", Outcome::Allow);
    lab.stop("version/v2.9.5", true);
    assert_eq!(words(&lab.settle())[0], "start flux-v2.9.4-1");
    let mut lab = Lab::new();
    lab.stop("version/v2.9.4", true);
    assert_eq!(lab.settle(), []);
    assert_eq!(
        lab.told("m1"),
        ["STOPPED: recall of version/v2.9.4 by alice: incident"]
    );
}

#[test]
fn a_recall_halts_the_rollout_at_once_and_lets_what_was_begun_go_on() {
    let mut lab = Lab::new();
    lab.strategy.waves[0].max_concurrency = crate::strategy::Concurrency::Count(2);
    lab.enforce_all();
    lab.settle();
    lab.report("c1", ReportKind::Accepted);
    lab.stop("version/v2.9.4", true);
    assert_eq!(words(&lab.settle()), ["stop c2 STOPPED", "finish HALTED"]);
    assert_eq!(lab.end_detail(), "recalled: incident (by alice)");
    // The stop of c2 has not been acknowledged.
    assert_eq!(lab.in_work(), ["c1", "c2"]);
    // Lifting the recall begins nothing: the rollout was halted.
    lab.stop("version/v2.9.4", false);
    assert_eq!(lab.settle(), []);
}

#[test]
fn the_order_of_stops_changes_nothing() {
    let mut lab = Lab::running();
    for scope in ["wave/canary", "fleet", "cluster/c1", "label/wave=canary"] {
        lab.stop(scope, true);
    }
    let plan = lab.plan();
    lab.stops.reverse();
    assert_eq!(lab.plan(), plan);
}

#[test]
fn a_lifted_stop_stops_nothing() {
    let mut lab = Lab::running();
    lab.stop("fleet", true);
    lab.stops[0].active = false;
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.in_work(), ["c1"]);
}
