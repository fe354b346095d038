use super::*;

#[test]
fn a_rollout_starts_for_the_highest_version_that_is_allowed_for_a_cluster_below_it() {
    let mut lab = Lab::new();
    lab.decide("v2.9.2", "v2.9.3", Outcome::Allow);
    lab.decide("v2.9.5", "v2.9.3", Outcome::Wait);
    lab.decide("v2.10.0", "v2.8.0", Outcome::Allow);
    let plan = lab.plan();
    assert_eq!(words(&plan.steps), ["start flux-v2.9.4-1"]);
    let Step::Start(started) = &plan.steps[0] else {
        panic!()
    };
    assert_eq!(started.release, release("v2.9.4"));
    assert_eq!(started.strategy, lab.strategy.id);
    assert_eq!(started.waves, lab.strategy.snapshot(&lab.members).unwrap());
}

#[test]
fn nothing_starts_without_a_valid_allow_on_a_known_version() {
    for outcome in [Outcome::Wait, Outcome::NeedsApproval, Outcome::Deny] {
        let mut lab = Lab::new();
        lab.decide("v2.9.4", "v2.9.3", outcome);
        assert_eq!(lab.settle(), []);
        assert_eq!(lab.waits_for("c1").len(), 1, "{outcome}");
    }
    let mut lab = Lab::new();
    lab.pass(hours(24));
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("c1"), [Reason::DecisionExpired]);
    let mut lab = Lab::new();
    lab.decisions[0].valid_until = None;
    assert_eq!(lab.settle(), []);
    let mut lab = Lab::new();
    lab.decisions[0].policy = "other".to_owned();
    assert_eq!(lab.settle(), []);
    let mut lab = Lab::new();
    lab.facts.values_mut().for_each(|facts| facts.version = None);
    assert_eq!(lab.settle(), []);
    let mut lab = Lab::new();
    lab.facts.clear();
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("m3"), [Reason::WaitingForAgent]);
}

#[test]
fn nothing_starts_for_clusters_that_are_in_no_wave_or_removed() {
    let mut lab = Lab::new();
    lab.members.iter_mut().for_each(|member| member.labels.clear());
    assert_eq!(lab.settle(), []);
    let mut lab = Lab::new();
    lab.members.iter_mut().for_each(|member| member.removed = true);
    assert_eq!(lab.settle(), []);
}

#[test]
fn a_waiting_release_says_until_when() {
    let mut lab = Lab::new();
    lab.decide("v2.9.4", "v2.9.3", Outcome::Wait);
    let waits = lab.plan().waits;
    assert_eq!(waits.len(), 5);
    assert!(
        waits
            .iter()
            .all(|w| w.reason == Reason::ReleaseTooYoung && w.until == Some(lab.now + hours(5)))
    );
}

#[test]
fn a_fleet_that_does_not_fit_the_strategy_starts_nothing_and_says_why() {
    let mut lab = Lab::new();
    lab.strategy.waves[0].min_clusters = 3;
    let plan = lab.plan();
    assert_eq!(plan.steps, []);
    assert!(
        plan.waits[0]
            .detail
            .contains("wave canary has 2 clusters, at least 3"),
        "{plan:?}"
    );
}

#[test]
fn nothing_starts_while_the_ledger_is_not_sure() {
    let mut lab = Lab::new();
    lab.ledger_ok = false;
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("rollout"), [Reason::LedgerUnconfirmed]);
}

#[test]
fn a_halted_version_waits_for_the_reason_that_it_was_halted_for() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Refused(Reason::Customised));
    lab.settle();
    assert_eq!(lab.end(), Some(RolloutEnd::Halted));
    assert_eq!(lab.waits_for("rollout"), [Reason::ClusterRefused]);

    let mut lab = Lab::running();
    lab.stop("version/v2.9.4", true);
    lab.settle();
    lab.stop("version/v2.9.4", false);
    assert_eq!(lab.waits_for("rollout"), [Reason::Stopped]);
}

#[test]
fn a_halted_rollout_is_begun_again_only_when_a_person_asks() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Finished(Health::Unhealthy));
    assert_eq!(words(&lab.settle()), ["finish HALTED"]);
    assert_eq!(lab.waits_for("rollout"), [Reason::ClusterUnhealthy]);
    assert_eq!(
        lab.plan().waits[0].detail,
        "flux-v2.9.4-1 was halted: it is begun again when a person retries it, a newer version by itself"
    );
    let halted = lab.rollout.as_ref().unwrap().started.rollout.clone();
    lab.restarts.insert(halted);
    assert_eq!(
        words(&lab.settle()),
        ["start flux-v2.9.4-2", "open canary", "Enforce c1"]
    );
    // The permission was for the first halt alone.
    lab.report("c1", ReportKind::Finished(Health::Unhealthy));
    assert_eq!(words(&lab.settle()), ["finish HALTED"]);
}

#[test]
fn a_higher_version_starts_after_a_halt() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Finished(Health::Unhealthy));
    lab.settle();
    lab.decide("v2.9.5", "v2.9.3", Outcome::Allow);
    assert_eq!(words(&lab.settle())[..2], ["start flux-v2.9.5-1", "open canary"]);
}

#[test]
fn a_newer_release_replaces_a_rollout_that_has_opened_no_wave() {
    let mut lab = Lab::new();
    lab.settle();
    lab.decide("v2.9.5", "v2.9.3", Outcome::Allow);
    let steps = words(&lab.settle());
    assert_eq!(steps[..2], ["finish SUPERSEDED", "start flux-v2.9.5-1"]);
    assert_eq!(lab.previous[&version("v2.9.4")].end, RolloutEnd::Superseded);
}

#[test]
fn a_newer_release_waits_for_a_rollout_that_has_opened_a_wave() {
    let mut lab = Lab::running();
    lab.decide("v2.9.5", "v2.9.3", Outcome::Allow);
    assert_eq!(lab.settle(), []);
    lab.ledger_ok = false;
    assert_eq!(lab.settle(), []);
}

#[test]
fn a_completed_rollout_is_not_begun_again_by_facts_that_are_older_than_it() {
    let mut lab = Lab::running();
    waves::complete(&mut lab);
    assert_eq!(lab.end(), Some(RolloutEnd::Completed));
    let result = lab.assignments[&name("m3")].reports.result.unwrap();
    let old = FactsView {
        baseline: Some(baseline("v2.9.3")),
        version: Some(version("v2.9.3")),
        observed: result.at - SignedDuration::from_secs(1),
    };
    lab.facts.insert(name("m3"), old);
    lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
    assert_eq!(lab.settle(), []);
}

#[test]
fn a_cluster_that_joins_later_gets_a_rollout_of_its_own() {
    let mut lab = Lab::running();
    waves::complete(&mut lab);
    lab.members.push(member("m4", "main"));
    lab.runs("m4", "v2.9.3");
    lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
    lab.beat_all();
    assert_eq!(words(&lab.settle())[..2], ["start flux-v2.9.4-2", "open canary"]);
    lab.pass(hours(1));
    lab.beat_all();
    assert_eq!(words(&lab.settle()), ["bake canary", "open main", "Enforce m4"]);
}

#[test]
fn an_open_wave_keeps_its_rollout_even_before_anything_was_assigned() {
    let mut lab = Lab::new();
    lab.runs("c1", "v2.9.4");
    lab.runs("c2", "v2.9.4");
    lab.enforce_all();
    assert_eq!(words(&lab.settle()), ["start flux-v2.9.4-1", "open canary"]);
    lab.decide("v2.9.5", "v2.9.3", Outcome::Allow);
    assert_eq!(lab.settle(), []);
}

#[test]
fn a_decision_view_names_the_first_of_its_worst_rules() {
    let rule = |outcome, reason| domain::RuleResult {
        rule: "r".to_owned(),
        outcome,
        reason,
        detail: String::new(),
        until: None,
    };
    let decision = domain::Decision {
        release: release("v2.9.4"),
        policy: domain::decision::PolicyId {
            name: "default".to_owned(),
            digest: Digest::of(b"p"),
        },
        baseline: baseline("v2.9.3"),
        outcome: Outcome::Deny,
        rules: vec![
            rule(Outcome::Wait, Reason::ReleaseTooYoung),
            rule(Outcome::Deny, Reason::TagMoved),
            rule(Outcome::Deny, Reason::Downgrade),
        ],
        inputs: Digest::of(b"inputs"),
        decided: Timestamp::UNIX_EPOCH,
        valid_until: None,
        wait_until: None,
        as_of: 1,
        supersedes: None,
        demo: false,
    };
    let view = DecisionView::from(&decision);
    assert_eq!(
        (view.outcome, view.reason, view.policy.as_str()),
        (Outcome::Deny, Reason::TagMoved, "default")
    );
}

#[test]
fn a_cluster_whose_facts_are_late_begins_no_rollout_to_a_lower_version() {
    let mut lab = Lab::running();
    lab.decide("v2.9.2", "v2.9.1", Outcome::Allow);
    waves::complete(&mut lab);
    let result = lab.assignments[&name("m3")].reports.result.unwrap();
    let late = FactsView {
        baseline: Some(baseline("v2.9.1")),
        version: Some(version("v2.9.1")),
        observed: result.at - SignedDuration::from_secs(1),
    };
    lab.facts.insert(name("m3"), late);
    lab.decide("v2.9.2", "v2.9.1", Outcome::Allow);
    assert_eq!(lab.settle(), []);
}

#[test]
fn a_silent_cluster_is_no_reason_to_begin_a_rollout() {
    let mut lab = Lab::new();
    lab.pass(FRESH);
    assert_eq!(lab.settle(), []);
    assert_eq!(lab.waits_for("m1"), [Reason::WaitingForAgent]);
    lab.beat("m1", Health::Healthy);
    assert_eq!(words(&lab.settle())[0], "start flux-v2.9.4-1");
}

#[test]
fn what_failed_in_a_halted_rollout_does_not_count_in_the_next_and_what_is_done_counts_as_done() {
    let mut lab = Lab::running();
    lab.upgrade("c1");
    lab.settle();
    lab.report("c2", ReportKind::Refused(Reason::Customised));
    lab.settle();
    assert_eq!(lab.end(), Some(RolloutEnd::Halted));
    lab.restarts.insert("flux-v2.9.4-1".parse().unwrap());
    assert_eq!(
        words(&lab.settle()),
        ["start flux-v2.9.4-2", "open canary", "Enforce c2"]
    );
    lab.upgrade("c2");
    lab.settle();
    lab.pass(hours(1));
    lab.beat_all();
    assert_eq!(words(&lab.settle())[0], "bake canary");
    assert_eq!(lab.rollout.as_ref().unwrap().baked["canary"].clusters, 2);
}

#[test]
fn the_snapshot_is_filled_from_the_strategy() {
    use crate::strategy::{Bake, Budget};
    let mut lab = Lab::new();
    lab.strategy.failure_budget = Some(Budget::Percent(50));
    lab.strategy.unreachable_budget = Some(Budget::Count(7));
    lab.strategy.superseding = domain::rollout::Superseding::FinishWave;
    lab.strategy.waves[1].failure_budget = Budget::Percent(34);
    lab.strategy.waves[1].bake = Bake {
        duration: hours(2),
        clusters: 3,
        reconciles: 9,
    };
    let Step::Start(started) = lab.plan().steps.remove(0) else {
        panic!()
    };
    // Of five clusters in all, three of them in main, rounded down.
    assert_eq!(
        (started.failure_budget, started.unreachable_budget),
        (Some(2), Some(7))
    );
    assert_eq!(started.superseding, domain::rollout::Superseding::FinishWave);
    let main = &started.waves[1];
    assert_eq!((main.failure_budget, main.bake), (1, hours(2)));
    assert_eq!((main.bake_clusters, main.bake_reconciles), (3, 9));
}
