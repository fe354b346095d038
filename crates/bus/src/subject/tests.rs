use std::collections::BTreeSet;

use attest::Role;
use domain::{
    Artifact, BaselineKey, CheckKind, ClusterName, Component, Epoch, ReleaseKey, RolloutKey, Version,
};

use super::*;

fn release() -> ReleaseKey {
    ReleaseKey {
        version: Version::new(2, 9, 4),
        manifests: Digest::of(b"m"),
    }
}

fn baseline() -> BaselineKey {
    "0123456789abcdef".parse().unwrap()
}

fn cluster() -> ClusterName {
    "prod-eu-7".parse().unwrap()
}

fn rollout() -> RolloutKey {
    "flux-v2.9.4-1".parse().unwrap()
}

fn every_name() -> Vec<(Subject, Author, &'static str)> {
    let (r, b, c, o) = (release(), baseline(), cluster(), rollout());
    let role = Author::Role;
    let source = Artifact::Image(Component::SourceController);
    let epoch = Epoch(7);
    vec![
        (release_discovered(&r), Author::Hint, "release-discovered"),
        (
            verification_contents(Scope::Release(&r), 2),
            role(Role::Verifier),
            "release-contents",
        ),
        (
            verification_contents(Scope::Baseline(&b), 1),
            role(Role::Verifier),
            "baseline-contents",
        ),
        (
            verification_evidence(&r, source, CheckKind::Signature, 1),
            role(Role::Verifier),
            "evidence",
        ),
        (
            verification_evidence(&r, Artifact::FluxManifests, CheckKind::Signature, 1),
            role(Role::Verifier),
            "evidence",
        ),
        (verification_summary(&r, 1), role(Role::Verifier), "role-summary"),
        (
            scan_evidence(&r, source, CheckKind::Signature, 1),
            role(Role::Scanner),
            "evidence",
        ),
        (scan_summary(&r, 1), role(Role::Scanner), "role-summary"),
        (
            advisory_database("osv", 3),
            role(Role::Scanner),
            "advisory-database",
        ),
        (decision(&r, "default", &b, 4), role(Role::Policy), "decision"),
        (
            approval(&r, "default", &b, Digest::of(b"x")),
            role(Role::Policy),
            "approval",
        ),
        (policy_text("default", 1), role(Role::Policy), "policy-text"),
        (member(&c, 1), role(Role::Controller), "cluster-member"),
        (facts(&c, 1), Author::Agent, "cluster-facts"),
        (health(&c, 1), Author::Agent, "health"),
        (assignment(&c, epoch), role(Role::Controller), "assignment"),
        (accepted(&c, epoch), Author::Agent, "report"),
        (refused(&c, epoch), Author::Agent, "report"),
        (applied(&c, epoch), Author::Agent, "report"),
        (result(&c, epoch), Author::Agent, "report"),
        (rollout_started(&o), role(Role::Controller), "rollout-started"),
        (rollout_opened(&o, "main"), role(Role::Controller), "wave-opened"),
        (rollout_baked(&o, "main"), role(Role::Controller), "wave-baked"),
        (rollout_finished(&o), role(Role::Controller), "rollout-finished"),
        (rollout_retried(&o), role(Role::Controller), "rollout-retried"),
        (mode("wave/main", 1), role(Role::Controller), "mode"),
        (stop("fleet", 1), role(Role::Controller), "stop"),
        (trust_bundle(3), Author::Root, "trust-bundle"),
    ]
}

#[test]
fn every_name_has_its_rule_reads_back_and_is_its_own() {
    let mut seen = BTreeSet::new();
    for (subject, author, kind) in every_name() {
        let text = subject.to_string();
        assert_eq!(text.parse::<Subject>().unwrap(), subject);
        let rule = rule(&subject).unwrap_or_else(|| panic!("{text} has no rule"));
        assert_eq!(rule.author, author, "{text}");
        assert!(rule.kinds.contains(&kind), "{text}");
        assert!(seen.insert(text));
    }
}

#[test]
fn names_are_those_of_the_protocol() {
    let workflow = format!("prod-eu-7-{}", &Digest::of(b"prod-eu-7").hex()[..12]);
    assert_eq!(
        facts(&cluster(), 3).to_string(),
        format!("fluxgate.v1.cluster.{workflow}.facts.3")
    );
    let r = release();
    let key = format!("{r}\ndefault\n{}", baseline());
    let digest = &Digest::of(key.as_bytes()).hex()[..12];
    let text = decision(&r, "default", &baseline(), 2).to_string();
    assert!(
        text.starts_with("fluxgate.v1.policy.flux_v2_9_4_sha256_"),
        "{text}"
    );
    assert!(text.ends_with(&format!("-{digest}.decision.2")), "{text}");
    assert_eq!(decision_id(&trust_bundle(1)).len(), 16);
    assert_eq!(trust_bundle(12).to_string(), attest::bundle::bundle_subject(12));
}

#[test]
fn no_key_makes_a_wildcard_or_another_token() {
    let long = "x".repeat(500);
    for hostile in [
        ">", "*", "a.b", "a b", "", "\r\n", "ümlaut", "A", &long, "a\0b", "$JS.API", ".", "..",
    ] {
        for subject in [
            mode(hostile, 1),
            policy_text(hostile, 1),
            rollout_opened(&rollout(), hostile),
        ] {
            let text = subject.to_string();
            assert_eq!(text.split('.').count(), 6, "{text}");
            assert_eq!(text.parse::<Subject>().unwrap(), subject);
            assert!(text.len() < 250);
        }
    }
    let names = ["main", "Main", "ma.in", "ma_in", "ma in", &long];
    let subjects: BTreeSet<Subject> = names.iter().map(|name| rollout_baked(&rollout(), name)).collect();
    assert_eq!(subjects.len(), names.len());
}

#[test]
fn other_texts_are_no_subjects() {
    for bad in [
        "fluxgate.v1.trust.bundle.bundle",
        "fluxgate.v1.trust.bundle.bundle.0",
        "fluxgate.v1.trust.bundle.bundle.01",
        "fluxgate.v1.trust.bundle.bundle.+1",
        "fluxgate.v1.trust.bundle.bundle.1.1",
        "fluxgate.v1.trust.bundle.bundle.99999999999999999999",
        "fluxgate.v1.trust.*.bundle.1",
        "fluxgate.v1.trust..bundle.1",
        "fluxgate.v1.trust.Bundle.bundle.1",
        "fluxgate.v1.other.bundle.bundle.1",
        "fluxgate.v2.trust.bundle.bundle.1",
        "fluxgate.v1",
        "",
    ] {
        assert!(bad.parse::<Subject>().is_err(), "{bad}");
    }
}

#[test]
fn nothing_stands_elsewhere() {
    for nowhere in [
        "fluxgate.v1.trust.other.bundle.1",
        "fluxgate.v1.release.x-1.discovered.2",
        "fluxgate.v1.rollout.x-1.started.2",
        "fluxgate.v1.scan.x-1.contents.1",
        "fluxgate.v1.verification.x-1.source-controller-magic.1",
        "fluxgate.v1.policy.x-1.approval-ff.1",
        "fluxgate.v1.cluster.x-1.heartbeat.1",
    ] {
        assert_eq!(rule(&nowhere.parse().unwrap()), None, "{nowhere}");
    }
}

#[test]
fn knows_its_neighbours() {
    let third = verification_contents(Scope::Release(&release()), 3);
    assert_eq!(third.summary_before(), Some(verification_summary(&release(), 2)));
    assert_eq!(verification_summary(&release(), 1).summary_before(), None);
    assert_eq!(
        accepted(&cluster(), Epoch(4)).assignment_reported(),
        assignment(&cluster(), Epoch(4))
    );
    assert_eq!(health(&cluster(), 4).membership().at(1), member(&cluster(), 1));
    assert_eq!(mode("fleet", 2).previous(), Some(mode("fleet", 1)));
    assert_eq!(mode("fleet", 1).previous(), None);
}
