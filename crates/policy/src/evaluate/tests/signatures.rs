use super::*;

const IMAGE: Artifact = Artifact::Image(Component::HelmController);

/// What the signature rule says, whatever the others do.
fn signed(case: &Case) -> (Outcome, Reason, String) {
    let evaluation = case.evaluate();
    assert_ne!(evaluation.outcome, Outcome::Allow);
    let rule = &evaluation.rules[0];
    (rule.outcome, rule.reason, rule.detail.clone())
}

fn deny(case: &Case, reason: Reason) {
    let (outcome, found, detail) = signed(case);
    assert_eq!((outcome, found), (Outcome::Deny, reason), "{detail}");
}

#[test]
fn a_failed_check_denies_with_its_reason_and_both_identities() {
    let mut case = Case::good();
    case.all_say(IMAGE, CheckResult::Failed, Some(Reason::IdentityMismatch));
    let evidence = case.evidence.iter_mut().find(|e| e.artifact == IMAGE).unwrap();
    evidence.found.as_mut().unwrap().subject_alternative_name = "https://github.com/mallory/x".to_owned();
    deny(&case, Reason::IdentityMismatch);
    let detail = signed(&case).2;
    for part in [
        "helm-controller: FAILED",
        "expected https://github.com/fluxcd/helm-controller/",
        "found https://github.com/mallory/x",
    ] {
        assert!(detail.contains(part), "{part} not in {detail}");
    }
}

#[test]
fn a_failed_check_without_a_reason_still_denies() {
    let mut case = Case::good();
    case.all_say(IMAGE, CheckResult::Failed, None);
    deny(&case, Reason::SignatureInvalid);
}

#[test]
fn failed_manifests_without_contents_are_denied_with_their_reason() {
    let mut case = Case::good();
    case.contents = None;
    case.evidence
        .retain(|evidence| evidence.artifact == Artifact::FluxManifests);
    case.verified
        .retain(|own| own.artifact == Artifact::FluxManifests);
    case.all_say(
        Artifact::FluxManifests,
        CheckResult::Failed,
        Some(Reason::ClaimMismatch),
    );
    deny(&case, Reason::ClaimMismatch);
    case.all_say(
        Artifact::FluxManifests,
        CheckResult::NotChecked,
        Some(Reason::SignatureMissing),
    );
    deny(&case, Reason::SignatureMissing);
}

#[test]
fn unknown_contents_are_denied_even_where_all_evidence_passed() {
    deny(
        &Case {
            contents: None,
            ..Case::good()
        },
        Reason::EvidenceMissing,
    );
    let mut case = Case::good();
    case.contents.as_mut().unwrap().images.clear();
    deny(&case, Reason::EvidenceMissing);
}

#[test]
fn an_unsigned_artifact_is_denied_and_does_not_wait() {
    let mut case = Case::good();
    case.all_say(IMAGE, CheckResult::NotChecked, Some(Reason::SignatureMissing));
    deny(&case, Reason::SignatureMissing);
    case.all_say(IMAGE, CheckResult::NotChecked, None);
    deny(&case, Reason::EvidenceMissing);
}

#[test]
fn a_failure_is_named_before_a_gap() {
    let mut case = Case::good();
    case.all_say(
        Artifact::FluxManifests,
        CheckResult::NotChecked,
        Some(Reason::SignatureMissing),
    );
    case.all_say(IMAGE, CheckResult::Failed, Some(Reason::PayloadMismatch));
    deny(&case, Reason::PayloadMismatch);
    assert!(signed(&case).2.contains("flux-manifests: NOT_CHECKED"));
}

#[test]
fn missing_evidence_summary_or_own_verification_is_denied() {
    let mut case = Case::good();
    case.evidence.retain(|evidence| evidence.artifact != IMAGE);
    deny(&case, Reason::EvidenceMissing);

    deny(
        &Case {
            summary: None,
            ..Case::good()
        },
        Reason::EvidenceMissing,
    );
    let mut case = Case::good();
    case.summary
        .as_mut()
        .unwrap()
        .checks
        .retain(|line| line.artifact != IMAGE);
    deny(&case, Reason::EvidenceMissing);

    let mut case = Case::good();
    case.verified.retain(|own| own.artifact != IMAGE);
    deny(&case, Reason::EvidenceMissing);
    deny(
        &Case {
            verified: Vec::new(),
            ..Case::good()
        },
        Reason::EvidenceMissing,
    );
}

#[test]
fn our_own_result_that_differs_from_the_evidence_is_denied_as_a_disagreement() {
    for (evidence, own) in [
        (CheckResult::Passed, CheckResult::Failed),
        (CheckResult::Passed, CheckResult::NotChecked),
        (CheckResult::Failed, CheckResult::Passed),
        (CheckResult::NotChecked, CheckResult::Passed),
    ] {
        let mut case = Case::good();
        case.all_say(IMAGE, evidence, None);
        case.verified
            .iter_mut()
            .find(|v| v.artifact == IMAGE)
            .unwrap()
            .result = own;
        deny(&case, Reason::EvidenceDisagrees);
        let detail = signed(&case).2;
        assert!(
            detail.contains(&format!("{own} by policy-engine itself")),
            "{detail}"
        );
    }
}

#[test]
fn a_summary_that_says_more_than_its_evidence_is_denied() {
    let mut case = Case::good();
    let good = case.summary.clone();
    case.all_say(IMAGE, CheckResult::NotChecked, Some(Reason::SignatureMissing));
    case.summary = good;
    deny(&case, Reason::EvidenceDisagrees);
}

#[test]
fn other_digests_are_denied_wherever_they_stand() {
    let other = Digest::of(b"other");
    let mut case = Case::good();
    case.evidence
        .iter_mut()
        .find(|e| e.artifact == IMAGE)
        .unwrap()
        .digest = other;
    deny(&case, Reason::DigestsDisagree);

    let mut case = Case::good();
    case.verified
        .iter_mut()
        .find(|v| v.artifact == IMAGE)
        .unwrap()
        .digest = other;
    deny(&case, Reason::DigestsDisagree);

    let mut case = Case::good();
    case.summary.as_mut().unwrap().checks[3].digest = other;
    deny(&case, Reason::DigestsDisagree);

    let mut case = Case::good();
    case.contents
        .as_mut()
        .unwrap()
        .images
        .get_mut(&Component::HelmController)
        .unwrap()
        .index = other;
    deny(&case, Reason::DigestsDisagree);
}

#[test]
fn statements_of_another_release_are_denied() {
    let other = ReleaseKey {
        version: version("v2.9.4"),
        manifests: Digest::of(b"second"),
    };
    let mut case = Case::good();
    case.contents.as_mut().unwrap().release = other.clone();
    deny(&case, Reason::DigestsDisagree);
    let mut case = Case::good();
    case.summary.as_mut().unwrap().release = other.clone();
    deny(&case, Reason::DigestsDisagree);
    let mut case = Case::good();
    case.evidence[2].release = other;
    deny(&case, Reason::DigestsDisagree);
}

#[test]
fn doubled_statements_are_denied() {
    let mut case = Case::good();
    case.evidence.push(case.evidence[0].clone());
    deny(&case, Reason::EvidenceDisagrees);
    let mut case = Case::good();
    case.verified.push(case.verified[0].clone());
    deny(&case, Reason::EvidenceDisagrees);
    let mut case = Case::good();
    let line = case.summary.as_ref().unwrap().checks[0].clone();
    case.summary.as_mut().unwrap().checks.push(line);
    deny(&case, Reason::EvidenceDisagrees);
}

#[test]
fn a_failure_beside_the_contents_is_denied() {
    let mut case = Case::good();
    case.contents
        .as_mut()
        .unwrap()
        .images
        .remove(&Component::SourceWatcher);
    assert_eq!(case.evaluate().outcome, Outcome::Allow);
    case.all_say(
        Artifact::Image(Component::SourceWatcher),
        CheckResult::Failed,
        Some(Reason::DigestMismatch),
    );
    deny(&case, Reason::DigestMismatch);
}
