use attest::{Header, SigningKey};
use domain::assignment::StatementRef;
use domain::decision::PolicyId;
use domain::release::ReleaseKey;
use domain::trace::TraceId;
use domain::{Action, Epoch, Mode, Outcome, Reason, RolloutKey, RuleResult, Version};
use jiff::Timestamp;

use super::*;

const SUBJECT: &str = "fluxgate.v1.policy.x.decision.1";

fn release() -> ReleaseKey {
    ReleaseKey {
        version: Version::new(2, 9, 4),
        manifests: Digest::of(b"m"),
    }
}

fn decision(outcome: Outcome) -> Decision {
    let rule = |name: &str, outcome| RuleResult {
        rule: name.to_owned(),
        outcome,
        reason: Reason::TagMoved,
        detail: String::new(),
        until: None,
    };
    Decision {
        release: release(),
        policy: PolicyId {
            name: "default".to_owned(),
            digest: Digest::of(b"p"),
        },
        baseline: "0123456789abcdef".parse().unwrap(),
        outcome,
        rules: vec![
            rule("a", Outcome::Allow),
            rule("b", outcome),
            rule("c", Outcome::Allow),
        ],
        inputs: Digest::of(b"inputs"),
        decided: Timestamp::UNIX_EPOCH,
        valid_until: None,
        wait_until: None,
        as_of: 1,
        supersedes: None,
        demo: false,
    }
}

fn signed<C: Claim>(subject: &str, claim: &C) -> Vec<u8> {
    let (key, _) = SigningKey::generate().unwrap();
    let traceparent = TraceId::of_release(&release()).traceparent();
    let header = Header::published(subject, Timestamp::UNIX_EPOCH, traceparent);
    attest::claim::sign(&header, claim, &key).unwrap().to_bytes()
}

#[test]
fn a_decision_says_what_it_allows_and_names_its_inputs() {
    let claim = policy::v1::Decision::from(&decision(Outcome::Allow));
    let about = describe(SUBJECT, &signed(SUBJECT, &claim));
    assert_eq!(about.kind, "decision");
    assert_eq!(
        about.summary,
        "ALLOW flux/v2.9.4 under default for baseline 0123456789abcdef (3 rules)"
    );
    assert_eq!(about.release, release().to_string());
    assert_eq!(about.trace_id, TraceId::of_release(&release()).to_string());
    assert_eq!(about.blobs, [Digest::of(b"inputs")]);
    assert_eq!(about.decision, decision_name(SUBJECT));
    assert_eq!(about.decision.len(), "decisions/".len() + 16);
}

#[test]
fn what_does_not_allow_says_why() {
    let claim = policy::v1::Decision::from(&decision(Outcome::Deny));
    let about = describe(SUBJECT, &signed(SUBJECT, &claim));
    assert!(about.summary.starts_with("DENY flux/v2.9.4"), "{}", about.summary);
    assert!(
        about.summary.ends_with("(3 rules): TAG_MOVED"),
        "{}",
        about.summary
    );
}

#[test]
fn an_assignment_is_found_by_cluster_release_rollout_and_decision() {
    let named = |subject: &str| StatementRef {
        subject: subject.to_owned(),
        digest: Digest::of(b"s"),
    };
    let assignment = Assignment {
        cluster: "canary".parse().unwrap(),
        epoch: Epoch(2),
        action: Action::Upgrade,
        mode: Mode::Enforce,
        rollout: RolloutKey {
            version: Version::new(2, 9, 4),
            ordinal: 1,
        },
        target: release(),
        layer: Digest::of(b"l"),
        images: [(domain::Component::SourceController, Digest::of(b"i"))].into(),
        image_registry: String::new(),
        stable_for: jiff::SignedDuration::from_mins(10),
        success_deadline: jiff::SignedDuration::from_mins(30),
        baseline: "0123456789abcdef".parse().unwrap(),
        contents: named("c"),
        baseline_contents: named("b"),
        decision: named(SUBJECT),
        summaries: vec![named("s")],
        stops: Vec::new(),
        issued: Timestamp::UNIX_EPOCH,
        expires: Timestamp::UNIX_EPOCH,
        as_of: 7,
    };
    let subject = "fluxgate.v1.cluster.canary.assignment.2";
    let about = describe(
        subject,
        &signed(subject, &fleet::v1::Assignment::from(&assignment)),
    );
    assert_eq!(about.summary, "canary: UPGRADE to v2.9.4, epoch 2, Enforce");
    assert_eq!(
        (about.cluster.as_str(), about.rollout.as_str()),
        ("canary", "flux-v2.9.4-1")
    );
    assert_eq!(
        (about.release, about.decision),
        (release().to_string(), decision_name(SUBJECT))
    );
}

#[test]
fn a_hint_is_read_without_an_envelope() {
    let seen = Discovered {
        release: release(),
        repository: "ghcr.io/fluxcd/flux-manifests".to_owned(),
    };
    let header = Header::published("s", Timestamp::UNIX_EPOCH, "");
    let statement = attest::claim::statement(&header, &release::v1::ReleaseDiscovered::from(&seen)).unwrap();
    let about = describe("s", &statement.to_bytes());
    assert_eq!(about.kind, "release-discovered");
    assert_eq!(
        about.summary,
        "seen: flux/v2.9.4 in ghcr.io/fluxcd/flux-manifests (a hint)"
    );
    assert_eq!(about.trace_id, "");
}

#[test]
fn a_statement_under_another_subject_is_marked() {
    let claim = policy::v1::Decision::from(&decision(Outcome::Allow));
    let about = describe("fluxgate.v1.other", &signed(SUBJECT, &claim));
    assert!(
        about.summary.starts_with("made for another subject: ALLOW"),
        "{}",
        about.summary
    );
}

#[test]
fn what_does_not_read_is_a_leaf_all_the_same() {
    for payload in [b"".as_slice(), b"\xff\x00", b"{}", b"[]", b"{\"payload\":1}"] {
        assert_eq!(describe(SUBJECT, payload), About::default());
    }
    let mut claim = policy::v1::Decision::from(&decision(Outcome::Deny));
    claim.release = "nonsense".to_owned();
    let about = describe(SUBJECT, &signed(SUBJECT, &claim));
    assert_eq!(
        (about.kind.as_str(), about.summary.as_str()),
        ("decision", "does not read as a decision")
    );
    assert_eq!(about.blobs, []);
}

#[test]
fn lines_can_not_break_out_of_their_line() {
    assert_eq!(one_line("a\nb\u{1b}[31m\u{7f}"), "a b [31m ");
    assert_eq!(one_line(&"x".repeat(1000)).len(), LONGEST);
    let trace = "0a".repeat(16);
    assert_eq!(
        trace_id(&format!("00-{trace}-00f067aa0ba902b7-01")),
        Some(trace.as_str())
    );
    assert_eq!(trace_id("00-xyz-1-01"), None);
    assert_eq!(trace_id(""), None);
}

#[test]
fn trace_span_time_and_author_are_an_index() {
    let claim = policy::v1::Decision::from(&decision(Outcome::Allow));
    let about = describe(SUBJECT, &signed(SUBJECT, &claim));
    assert_eq!(
        about.span_id,
        TraceId::of_release(&release()).root_span().to_string()
    );
    assert_eq!(about.made, Some(Timestamp::UNIX_EPOCH));
    for bad in ["", "00-", "00-0a-0b-01", "00-zz-ZZ-01"] {
        assert_eq!((trace_id(bad), span_id(bad)), (None, None), "{bad}");
    }
    let baseline = "0123456789abcdef".parse().unwrap();
    let subject = |n| bus::subject::decision(&release(), "default", &baseline, n).to_string();
    assert_eq!(author(&subject(1)), "policy-engine");
    assert_eq!(author("fluxgate.v1.trust.bundle.bundle.1"), "root key");
    let cluster = "canary".parse().unwrap();
    assert_eq!(
        author(&bus::subject::health(&cluster, 3).to_string()),
        "cluster-agent"
    );
    assert_eq!(
        author(&bus::subject::member(&cluster, 3).to_string()),
        "rollout-controller"
    );
    assert_eq!(author("fluxgate.v1.lost.sequence.filler.3"), "");
}
