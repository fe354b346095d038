use attest::Header;
use domain::Decision;

use super::*;

const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

fn policy() -> PolicyId {
    PolicyId {
        name: "default".to_owned(),
        digest: Digest::of(b"p"),
    }
}

fn newest(outcome: Outcome, valid: SignedDuration) -> Decided {
    let release = domain::ReleaseKey {
        version: domain::Version::new(2, 9, 4),
        manifests: Digest::of(b"m"),
    };
    let baseline = "0123456789abcdef".parse().unwrap();
    let subject = subject::decision(&release, "default", &baseline, 1);
    let decision = Decision {
        release,
        policy: policy(),
        baseline,
        outcome,
        rules: Vec::new(),
        inputs: Digest::of(b"i"),
        decided: NOW,
        valid_until: (outcome == Outcome::Allow).then_some(NOW + valid),
        wait_until: None,
        as_of: 1,
        supersedes: None,
        demo: false,
    };
    let header = Header::published(subject.to_string(), NOW, "");
    let statement = attest::claim::statement(&header, &v1::Decision::from(&decision)).unwrap();
    let fact = Fact {
        subject,
        sequence: 2,
        time: NOW,
        traceparent: None,
        envelope: Vec::new().into(),
        statement,
    };
    Decided::read(&fact).unwrap()
}

fn evaluation(outcome: Outcome) -> Evaluation {
    Evaluation {
        outcome,
        rules: Vec::new(),
        wait_until: None,
        valid_until: None,
    }
}

#[test]
fn the_same_answer_is_given_once() {
    let day = SignedDuration::from_hours(24);
    let says =
        |newest: Option<&Decided>, outcome| differs(&evaluation(outcome), &policy(), newest, NOW, |_| false);
    assert!(says(None, Outcome::Deny));
    assert!(!says(Some(&newest(Outcome::Deny, day)), Outcome::Deny));
    assert!(!says(Some(&newest(Outcome::Allow, day)), Outcome::Allow));
    assert!(says(Some(&newest(Outcome::Deny, day)), Outcome::Allow));
}

#[test]
fn an_allow_is_renewed_when_it_ends_or_its_key_does_not_act_any_more() {
    let (allow, deny) = (evaluation(Outcome::Allow), evaluation(Outcome::Deny));
    let (day, hour) = (SignedDuration::from_hours(24), SignedDuration::from_hours(1));
    let ending = newest(Outcome::Allow, hour);
    assert!(differs(&allow, &policy(), Some(&ending), NOW, |_| false));
    let fresh = newest(Outcome::Allow, day);
    assert!(differs(&allow, &policy(), Some(&fresh), NOW, |_| true));
    let denied = newest(Outcome::Deny, day);
    assert!(!differs(&deny, &policy(), Some(&denied), NOW, |_| true));
}

#[test]
fn a_decision_under_another_name_is_none() {
    let mut fact = newest(Outcome::Deny, SignedDuration::from_hours(24)).fact;
    assert!(Decided::read(&fact).is_some());
    let next = fact.subject.to_string().replacen(".decision.1", ".decision.2", 1);
    fact.subject = next.parse().unwrap();
    assert!(Decided::read(&fact).is_some(), "the next of the same series");
    let release = domain::ReleaseKey {
        version: domain::Version::new(2, 9, 5),
        manifests: Digest::of(b"m"),
    };
    fact.subject = subject::decision(&release, "default", &"0123456789abcdef".parse().unwrap(), 1);
    assert!(Decided::read(&fact).is_none());
}
