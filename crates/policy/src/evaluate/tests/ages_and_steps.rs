use super::*;

fn with_step(step: &str, from: &str, to: &str) -> Case {
    let text = RULES.replace("{allow: [Patch, Minor], skippedMinors: NeedsApproval}", step);
    Case {
        policy: Policy::parse("p.yaml", &text).unwrap(),
        ..Case::step(from, to, 99_999)
    }
}

#[test]
fn steps_within_the_policy_are_allowed() {
    for (from, to) in [
        ("v2.9.3", "v2.9.4"),
        ("v2.8.5", "v2.9.4"),
        ("v2.9.0-rc.1", "v2.9.0"),
    ] {
        assert_eq!(
            Case::step(from, to, 99_999).evaluate().outcome,
            Outcome::Allow,
            "{from} to {to}"
        );
    }
}

#[test]
fn steps_outside_the_policy_are_denied() {
    for (from, to, reason) in [
        ("v2.9.4", "v2.9.4", Reason::AlreadyRunning),
        ("v2.9.4", "v2.9.3", Reason::Downgrade),
        ("v2.10.0", "v2.9.9", Reason::Downgrade),
        ("v3.0.0", "v2.9.9", Reason::Downgrade),
        ("v2.9.3", "v3.0.0", Reason::StepNotAllowed),
        ("v2.9.3", "v2.9.4-rc.1", Reason::Prerelease),
    ] {
        let objection = Case::step(from, to, 99_999).objection();
        assert_eq!(
            (objection.rule.as_str(), objection.outcome),
            ("step", Outcome::Deny),
            "{from} to {to}"
        );
        assert_eq!(objection.reason, reason, "{from} to {to}");
        assert!(
            objection.detail.starts_with(&format!("{from} to {to}")),
            "{}",
            objection.detail
        );
    }
}

#[test]
fn an_unknown_baseline_version_is_denied() {
    let mut case = Case::step("v2.9.3", "v2.9.4", 99_999);
    case.baseline.version = None;
    assert_eq!(case.objection().reason, Reason::BaselineVersionUnknown);
}

#[test]
fn only_sizes_that_the_policy_names_are_allowed() {
    let objection = with_step("{allow: [Patch]}", "v2.8.0", "v2.9.4").objection();
    assert_eq!(
        (objection.outcome, objection.reason),
        (Outcome::Deny, Reason::StepNotAllowed)
    );
    let objection = with_step("{allow: [Minor]}", "v2.9.3", "v2.9.4").objection();
    assert_eq!(
        (objection.outcome, objection.reason),
        (Outcome::Deny, Reason::StepNotAllowed)
    );
}

#[test]
fn skipped_minors_are_answered_as_the_policy_says() {
    for (word, outcome) in [("NeedsApproval", Outcome::NeedsApproval), ("Deny", Outcome::Deny)] {
        let step = format!("{{allow: [Patch, Minor], skippedMinors: {word}, downgrade: false}}");
        let objection = with_step(&step, "v2.7.5", "v2.9.4").objection();
        assert_eq!(
            (objection.outcome, objection.reason),
            (outcome, Reason::MinorsSkipped)
        );
    }
    let open = with_step(
        "{allow: [Patch, Minor], skippedMinors: Allow}",
        "v2.7.5",
        "v2.9.4",
    );
    assert_eq!(open.evaluate().outcome, Outcome::Allow);
    let silent = with_step("{allow: [Patch, Minor]}", "v2.7.5", "v2.9.4");
    assert_eq!(silent.evaluate().outcome, Outcome::NeedsApproval);
}

#[test]
fn pre_releases_run_only_where_the_policy_wants_them() {
    let case = with_step(
        "{allow: [Patch, Minor], prerelease: true}",
        "v2.9.3",
        "v2.9.4-rc.1",
    );
    assert_eq!(case.evaluate().outcome, Outcome::Allow);
}

#[test]
fn a_young_release_waits_until_it_is_old_enough_to_the_second() {
    let case = Case::step("v2.9.3", "v2.9.4", 1);
    let objection = case.objection();
    assert_eq!(
        (objection.outcome, objection.reason),
        (Outcome::Wait, Reason::ReleaseTooYoung)
    );
    assert_eq!(objection.until, Some(at(72)));
    assert_eq!(case.evaluate().wait_until, Some(at(72)));
    let before = at(72).checked_sub(SignedDuration::from_secs(1)).unwrap();
    assert_eq!(
        Case {
            now: before,
            ..Case::good()
        }
        .evaluate()
        .outcome,
        Outcome::Wait
    );
    assert_eq!(
        Case {
            now: at(72),
            ..Case::good()
        }
        .evaluate()
        .outcome,
        Outcome::Allow
    );
}

#[test]
fn the_age_depends_on_the_step_and_on_the_first_release_of_a_minor() {
    for (from, to, hours) in [
        ("v2.9.3", "v2.9.4", 72),
        ("v2.8.9", "v2.9.4", 14 * 24),
        ("v2.8.9", "v2.9.0", 720),
    ] {
        assert_eq!(
            Case::step(from, to, 0).evaluate().wait_until,
            Some(at(hours)),
            "{from} to {to}"
        );
    }
}

#[test]
fn the_age_counts_from_the_latest_of_our_own_verified_times() {
    let mut case = Case::good();
    case.verified[5].integrated_time = Some(at(70));
    assert_eq!(case.evaluate().wait_until, Some(at(142)));
    // What the evidence says about times is not asked.
    let mut case = Case::good();
    case.evidence[5].integrated_time = Some(at(70));
    assert_eq!(case.evaluate().outcome, Outcome::Allow);
}

#[test]
fn an_unknown_age_is_denied() {
    let mut case = Case::good();
    case.verified[5].integrated_time = None;
    let objection = case.objection();
    assert_eq!(
        (objection.rule.as_str(), objection.outcome),
        ("age", Outcome::Deny)
    );
    assert_eq!(objection.reason, Reason::EvidenceMissing);
}

#[test]
fn times_of_other_digests_and_of_unknown_contents_do_not_count() {
    let mut case = Case::good();
    case.verified[5].digest = Digest::of(b"other");
    let age = case.evaluate().rules.remove(2);
    assert_eq!(
        (age.outcome, age.reason),
        (Outcome::Deny, Reason::EvidenceMissing)
    );
    let age = Case {
        contents: None,
        ..Case::good()
    }
    .evaluate()
    .rules
    .remove(2);
    assert_eq!(
        (age.outcome, age.reason),
        (Outcome::Deny, Reason::EvidenceMissing)
    );
}

#[test]
fn a_time_in_the_future_waits() {
    let mut case = Case::good();
    case.verified[0].integrated_time = Some(at(1000));
    assert_eq!(case.evaluate().wait_until, Some(at(1072)));
}

#[test]
fn deny_beats_needs_approval_beats_wait() {
    let case = Case::step("v2.7.5", "v2.9.4", 0);
    let evaluation = case.evaluate();
    assert_eq!(
        (evaluation.outcome, evaluation.wait_until),
        (Outcome::NeedsApproval, None)
    );
    let evaluation = Case {
        tag_moved: true,
        ..case
    }
    .evaluate();
    assert_eq!((evaluation.outcome, evaluation.wait_until), (Outcome::Deny, None));
}
