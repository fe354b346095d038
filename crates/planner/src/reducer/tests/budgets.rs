use super::*;

/// Main is open with a budget of `wave` for itself and `overall` for the whole; m1 and m2 have assignments.
fn lab(wave: u32, overall: Option<u32>) -> Lab {
    let mut lab = Lab::running();
    lab.snapshot().failure_budget = overall;
    lab.snapshot().waves[1].failure_budget = wave;
    lab.upgrade("c1");
    lab.settle();
    lab.upgrade("c2");
    lab.pass(hours(1));
    lab.beat_all();
    lab.settle();
    assert_eq!(lab.in_work(), ["m1", "m2"]);
    lab
}

#[test]
fn a_failure_within_the_budget_is_left_behind_and_one_more_halts() {
    let mut lab = lab(1, None);
    lab.report("m1", ReportKind::Finished(Health::Unhealthy));
    assert_eq!(words(&lab.settle()), ["Enforce m3"]);
    assert_eq!(
        lab.told("m1"),
        ["CLUSTER_UNHEALTHY: left behind: epoch 1 ended UNHEALTHY (tolerated in wave main: 1)"]
    );
    lab.report("m2", ReportKind::Finished(Health::Inconclusive));
    assert_eq!(words(&lab.settle()), ["finish HALTED", "stop m3 STOPPED"]);
    assert_eq!(
        lab.end_detail(),
        "CLUSTER_UNHEALTHY: m1 in wave main: epoch 1 ended UNHEALTHY; CLUSTER_UNHEALTHY: m2 in wave main: epoch \
         1 ended INCONCLUSIVE; failed in wave main: 2, tolerated: 1"
    );
}

#[test]
fn a_rollout_within_its_budget_completes_and_names_whom_it_left_behind() {
    let mut lab = lab(1, Some(1));
    lab.report("m1", ReportKind::Refused(Reason::Customised));
    assert_eq!(words(&lab.settle()), ["stop m1 CLUSTER_REFUSED", "Enforce m3"]);
    assert_eq!(
        lab.told("m1"),
        ["CLUSTER_REFUSED: left behind: epoch 1 was refused: CUSTOMISED (tolerated in wave main: 1)"]
    );
    lab.upgrade("m2");
    lab.upgrade("m3");
    assert_eq!(words(&lab.settle()), ["bake main", "finish COMPLETED"]);
    assert_eq!(
        lab.end_detail(),
        "UPGRADE_COMPLETE: 2 waves, 5 clusters; without m1 (CLUSTER_REFUSED)"
    );
    // It is not tried again with the same release, until a person or a newer release does.
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("m1"), [Reason::ClusterRefused]);
    lab.decide("v2.9.5", "v2.9.3", Outcome::Allow);
    assert_eq!(words(&lab.settle())[0], "start flux-v2.9.5-1");
}

#[test]
fn the_budget_of_the_whole_counts_over_all_waves() {
    let mut lab = lab(3, Some(1));
    lab.report("m1", ReportKind::Finished(Health::Unhealthy));
    lab.settle();
    assert_eq!(lab.end(), None);
    lab.report("m2", ReportKind::Finished(Health::Unhealthy));
    lab.settle();
    assert_eq!(lab.end(), Some(RolloutEnd::Halted));
    assert!(
        lab.end_detail().ends_with("failed in all waves: 2, tolerated: 1"),
        "{}",
        lab.end_detail()
    );
}

#[test]
fn a_wave_without_a_budget_halts_at_the_first_failure_whatever_the_whole_tolerates() {
    let mut lab = lab(0, Some(3));
    lab.report("m1", ReportKind::Finished(Health::Unhealthy));
    assert_eq!(words(&lab.settle())[0], "finish HALTED");
}

#[test]
fn a_refused_cluster_that_begins_after_all_holds_a_place() {
    let mut lab = lab(1, None);
    lab.report("m1", ReportKind::Refused(Reason::Customised));
    assert_eq!(words(&lab.settle()), ["stop m1 CLUSTER_REFUSED", "Enforce m3"]);
    lab.report_about("m1", Epoch(1), ReportKind::Accepted);
    assert_eq!(lab.in_work(), ["m1", "m2", "m3"]);
    lab.upgrade("m2");
    lab.members.push(member("m4", "main"));
    assert_eq!(lab.settle(), []);
    lab.report_about("m1", Epoch(1), ReportKind::Finished(Health::Healthy));
    assert_eq!(lab.waits_for("m1"), []);
}

#[test]
fn a_wave_that_can_no_longer_have_the_clusters_of_its_bake_halts() {
    let mut lab = lab(2, None);
    lab.snapshot().waves[1].bake_clusters = 2;
    lab.report("m1", ReportKind::Finished(Health::Unhealthy));
    lab.settle();
    assert_eq!(lab.end(), None);
    lab.report("m2", ReportKind::Finished(Health::Unhealthy));
    assert_eq!(words(&lab.settle())[0], "finish HALTED");
    assert_eq!(
        lab.end_detail(),
        "FLEET_UNFIT: clusters left in wave main that can prove v2.9.4: 1, wanted by its bake: 2"
    );
}

#[test]
fn a_wave_that_lost_too_many_members_to_be_opened_halts() {
    let mut lab = Lab::new();
    lab.strategy.waves[0].min_clusters = 2;
    lab.settle();
    lab.members[0].removed = true;
    assert_eq!(words(&lab.settle())[0], "finish HALTED");
    assert_eq!(
        lab.end_detail(),
        "FLEET_UNFIT: clusters left in wave canary: 1, wanted: 2"
    );
}

#[test]
fn a_bake_needs_as_many_clusters_as_the_strategy_says() {
    let mut lab = Lab::running();
    lab.snapshot().waves[0].bake_clusters = 2;
    lab.snapshot().waves[0].min_clusters = 0;
    lab.stop("cluster/c2", true);
    lab.upgrade("c1");
    lab.settle();
    lab.pass(hours(1));
    lab.beat_all();
    assert_eq!(lab.settle(), []);
    assert_eq!(
        lab.told("canary"),
        ["WAITING_FOR_BAKE: 1 of 2 clusters that the bake wants are upgraded and healthy"]
    );
    lab.stop("cluster/c2", false);
    assert_eq!(words(&lab.settle()), ["Enforce c2"]);
    lab.upgrade("c2");
    lab.pass(hours(1));
    lab.beat_all();
    assert_eq!(words(&lab.settle())[0], "bake canary");
    assert_eq!(lab.rollout.as_ref().unwrap().baked["canary"].clusters, 2);
}

#[test]
fn a_bake_needs_as_many_reconciliations_as_the_strategy_says() {
    let mut lab = Lab::running();
    lab.snapshot().waves[0].bake_reconciles = 100;
    lab.upgrade("c1");
    lab.settle();
    lab.upgrade("c2");
    lab.pass(hours(1));
    lab.beat_all();
    lab.heartbeats.get_mut(&name("c1")).unwrap().reconciles = 60;
    lab.heartbeats.get_mut(&name("c2")).unwrap().reconciles = 39;
    assert_eq!(lab.settle(), []);
    assert_eq!(
        lab.told("canary"),
        ["WAITING_FOR_BAKE: 99 of 100 reconciliations that the bake wants were seen"]
    );
    lab.heartbeats.get_mut(&name("c2")).unwrap().reconciles = 40;
    // What was counted for an earlier task proves nothing.
    lab.heartbeats.get_mut(&name("c2")).unwrap().epoch = Epoch(0);
    assert_eq!(lab.settle(), []);
    lab.heartbeats.get_mut(&name("c2")).unwrap().epoch = Epoch(1);
    assert_eq!(words(&lab.settle())[0], "bake canary");
    assert_eq!(lab.rollout.as_ref().unwrap().baked["canary"].reconciles, 100);
}

#[test]
fn a_wave_bakes_with_not_one_healthy_cluster_never() {
    let mut lab = Lab::running();
    lab.snapshot().waves[0].failure_budget = 2;
    lab.report("c1", ReportKind::Finished(Health::Unhealthy));
    lab.settle();
    lab.report("c2", ReportKind::Finished(Health::Unhealthy));
    assert_eq!(words(&lab.settle()), ["finish HALTED"]);
    assert!(
        lab.end_detail().starts_with("FLEET_UNFIT"),
        "{}",
        lab.end_detail()
    );
}

/// Everybody beats but one.
fn all_but(lab: &mut Lab, silent: &[&str]) {
    for member in lab.members.clone() {
        if !silent.contains(&member.cluster.as_str()) {
            lab.beat(member.cluster.as_str(), Health::Healthy);
        }
    }
}

#[test]
fn silence_never_halts_without_a_budget_for_it() {
    let mut lab = lab(0, None);
    lab.pass(hours(2));
    all_but(&mut lab, &["c1", "c2", "m1"]);
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("m1"), [Reason::WaitingForClusters]);
}

#[test]
fn a_silent_cluster_within_the_budget_is_left_behind_and_one_more_halts() {
    let mut lab = lab(0, None);
    lab.snapshot().unreachable_budget = Some(1);
    lab.upgrade("m1");
    lab.settle();
    lab.upgrade("m2");
    lab.upgrade("m3");
    lab.snapshot().waves[1].bake = hours(3);
    lab.pass(LOST_AFTER);
    all_but(&mut lab, &["m1"]);
    lab.settle();
    assert_eq!(
        lab.told("m1"),
        ["CLUSTER_UNREACHABLE: left behind: its agent is silent (tolerated: 1)"]
    );
    let mut halted = lab.rollout.clone();
    // The bake does without it, and does not count it.
    lab.pass(hours(3));
    all_but(&mut lab, &["m1"]);
    assert_eq!(words(&lab.settle()), ["bake main", "finish COMPLETED"]);
    assert_eq!(lab.rollout.as_ref().unwrap().baked["main"].clusters, 2);
    assert!(
        lab.end_detail().ends_with("without m1 (CLUSTER_UNREACHABLE)"),
        "{}",
        lab.end_detail()
    );
    // One more, even in a wave that has baked.
    std::mem::swap(&mut lab.rollout, &mut halted);
    lab.heartbeats.remove(&name("c2"));
    assert_eq!(words(&lab.settle()), ["finish HALTED"]);
    assert_eq!(
        lab.end_detail(),
        "CLUSTER_UNREACHABLE: c2 in wave canary, m1 in wave main; silent: 2, tolerated: 1"
    );
}

#[test]
fn a_silence_of_less_than_fifteen_minutes_counts_against_no_budget() {
    let mut lab = lab(0, None);
    lab.snapshot().unreachable_budget = Some(0);
    lab.pass(LOST_AFTER - SignedDuration::from_secs(1));
    all_but(&mut lab, &["m1"]);
    assert_eq!(lab.settle(), []);
    lab.pass(SignedDuration::from_secs(1));
    assert_eq!(words(&lab.settle())[0], "finish HALTED");
}

#[test]
fn silence_is_counted_from_when_the_hub_began_to_listen() {
    let mut lab = lab(0, None);
    lab.snapshot().unreachable_budget = Some(0);
    // The controller alone was away: audit-log went on confirming.
    lab.pass(hours(1));
    lab.listening_since = lab.now;
    assert_eq!(lab.settle(), []);
    all_but(&mut lab, &["m1"]);
    lab.pass(LOST_AFTER - SignedDuration::from_secs(1));
    all_but(&mut lab, &["m1"]);
    assert_eq!(lab.settle(), []);
    lab.pass(SignedDuration::from_secs(1));
    assert_eq!(words(&lab.settle())[0], "finish HALTED");
    assert!(
        lab.end_detail()
            .starts_with("CLUSTER_UNREACHABLE: m1 in wave main; silent: 1")
    );
}

#[test]
fn silence_is_not_judged_while_the_ledger_is_not_sure() {
    let mut lab = lab(0, None);
    lab.snapshot().unreachable_budget = Some(0);
    lab.ledger_ok = false;
    lab.pass(hours(1));
    assert_eq!(lab.settle(), []);
    lab.beat_all();
    lab.ledger_ok = true;
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.end(), None);
}

#[test]
fn a_held_cluster_may_be_silent() {
    let mut lab = lab(0, None);
    lab.snapshot().unreachable_budget = Some(0);
    lab.stop("cluster/m1", true);
    lab.settle();
    lab.pass(hours(1));
    all_but(&mut lab, &["m1"]);
    lab.settle();
    assert_eq!(lab.end(), None);
}

#[test]
fn a_lost_cluster_that_may_be_writing_keeps_its_place_and_is_upgraded_when_it_is_back() {
    let mut lab = lab(0, None);
    lab.snapshot().unreachable_budget = Some(1);
    lab.report("m1", ReportKind::Accepted);
    lab.report("m2", ReportKind::Accepted);
    lab.pass(LOST_AFTER);
    all_but(&mut lab, &["m1"]);
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("m3"), [Reason::WaitingForClusters]);
    lab.report("m2", ReportKind::Finished(Health::Healthy));
    assert_eq!(words(&lab.settle()), ["Enforce m3"]);
    lab.report("m3", ReportKind::Finished(Health::Healthy));
    lab.pass(SignedDuration::from_secs(1));
    all_but(&mut lab, &["m1"]);
    assert_eq!(words(&lab.settle()), ["bake main", "finish COMPLETED"]);
    assert_eq!(lab.in_work(), ["m1"]);
    // Facts that are older than the rollout, from an agent that is away, begin no other.
    lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
    lab.runs("m2", "v2.9.4");
    lab.runs("m3", "v2.9.4");
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("m1"), [Reason::WaitingForAgent]);
    lab.beat_all();
    assert_eq!(words(&lab.settle())[0], "start flux-v2.9.4-2");
}

#[test]
fn clusters_that_run_something_newer_prove_nothing_about_the_release() {
    let mut lab = Lab::new();
    lab.runs("c1", "v2.9.5");
    lab.runs("c2", "v2.9.5");
    lab.enforce_all();
    assert_eq!(lab.settle(), []);
    assert_eq!(
        lab.told("rollout"),
        [
            "FLEET_UNFIT: clusters of wave canary that can prove v2.9.4: 0, wanted by its bake: 1; the others run \
             something newer"
        ]
    );
    // Neither when somebody upgrades them by hand later.
    let mut lab = Lab::running();
    lab.runs("c1", "v2.9.5");
    lab.runs("c2", "v2.9.5");
    assert_eq!(words(&lab.settle())[1..], ["finish HALTED"]);
    assert_eq!(
        lab.end_detail(),
        "FLEET_UNFIT: clusters left in wave canary that can prove v2.9.4: 0, wanted by its bake: 1"
    );
    // Where an earlier wave has proved it, a wave with nothing to do holds nothing up.
    let mut lab = Lab::new();
    for cluster in ["m1", "m2", "m3"] {
        lab.runs(cluster, "v2.9.5");
    }
    lab.enforce_all();
    waves::complete(&mut lab);
    assert_eq!(lab.end(), Some(RolloutEnd::Completed));
}

#[test]
fn a_held_cluster_that_may_be_writing_in_silence_keeps_its_place_and_holds_nothing_else_up() {
    for accepted in [true, false] {
        let mut lab = lab(0, None);
        if accepted {
            lab.report("m1", ReportKind::Accepted);
        }
        lab.report("m2", ReportKind::Accepted);
        lab.stop("cluster/m1", true);
        lab.settle();
        lab.pass(LOST_AFTER);
        all_but(&mut lab, &["m1"]);
        assert_eq!(lab.settle(), [], "both places are taken");
        assert_eq!(lab.waits_for("m1"), [Reason::Stopped]);
        for cluster in ["m2", "m3"] {
            lab.report(cluster, ReportKind::Finished(Health::Healthy));
            lab.pass(SignedDuration::from_secs(1));
            all_but(&mut lab, &["m1"]);
            lab.settle();
        }
        assert_eq!(lab.end(), Some(RolloutEnd::Completed), "{accepted}");
        assert_eq!(lab.in_work(), ["m1"]);
    }
}
