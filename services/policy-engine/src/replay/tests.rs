use attest::SigningKey;
use domain::assignment::StatementRef;
use domain::decision::PolicyId;
use domain::{Baseline, Outcome, ReleaseKey, Version};
use policy::stored::Named;
use policy::{Ledger, StoredInputs};

use super::*;

const POLICY: &str = include_str!("../../../../deploy/policy-default.yaml");

/// A release of which nothing but the hint is known.
fn inputs() -> StoredInputs {
    let statement = StatementRef {
        subject: "fluxgate.v1.verification.b-0.contents.1".to_owned(),
        digest: Digest::of(b"baseline"),
    };
    StoredInputs {
        policy: PolicyId {
            name: "default".to_owned(),
            digest: Digest::of(POLICY.as_bytes()),
        },
        text: POLICY.to_owned(),
        sequence: 3,
        release: ReleaseKey {
            version: Version::new(2, 9, 4),
            manifests: Digest::of(b"m"),
        },
        tag_moved: false,
        summary: None,
        contents: None,
        evidence: Vec::new(),
        trust_root: Digest::of(b"root"),
        verified: Vec::new(),
        baseline: Named {
            statement,
            value: Baseline {
                version: Some(Version::new(2, 9, 3)),
                layer: None,
                images: [].into(),
                crds: [].into(),
            },
        },
        ledger: Ledger::Confirmed,
        supersedes: None,
        demo: true,
        now: "2026-11-24T12:00:00Z".parse().unwrap(),
        as_of: 17,
    }
}

/// The envelope that policy-engine would have published, a second later.
fn signed(decision: &Decision, n: u64) -> Vec<u8> {
    let (release, policy) = (&decision.release, &decision.policy.name);
    let subject = bus::subject::decision(release, policy, &decision.baseline, n);
    let time = "2026-11-24T12:00:01Z".parse().unwrap();
    let header = Header::published(subject.to_string(), time, "00-1-2-01").as_of(decision.as_of);
    let (key, _pem) = SigningKey::generate().unwrap();
    let envelope = attest::claim::sign(&header, &v1::Decision::from(decision), &key).unwrap();
    envelope.to_bytes()
}

fn paths(inputs: &[u8], envelope: &[u8]) -> Vec<String> {
    let replayed = replay(inputs, envelope).unwrap();
    replayed.differences.into_iter().map(|d| d.path).collect()
}

#[test]
fn a_decision_is_the_same_byte_for_byte_when_made_again() {
    let bytes = inputs().to_bytes();
    let decision = policy::replay(&bytes).unwrap();
    assert_eq!(decision.outcome, Outcome::Deny);
    let replayed = replay(&bytes, &signed(&decision, 1)).unwrap();
    assert_eq!(replayed.differences, []);
    assert_eq!(replayed.decision, decision);
}

#[test]
fn a_second_decision_stands_behind_the_one_that_it_supersedes() {
    let first = policy::replay(&inputs().to_bytes()).unwrap();
    let name = |n| bus::subject::decision(&first.release, "default", &first.baseline, n).to_string();
    let second = StoredInputs {
        supersedes: Some(name(1)),
        ..inputs()
    };
    let bytes = second.to_bytes();
    let decision = policy::replay(&bytes).unwrap();
    assert_eq!(paths(&bytes, &signed(&decision, 2)), [""; 0]);
    assert!(
        paths(&bytes, &signed(&decision, 3))
            .iter()
            .any(|path| path.ends_with("header.subject"))
    );
    let other = bus::subject::decision(&first.release, "edge", &first.baseline, 1).to_string();
    for supersedes in [other, "nonsense".to_owned()] {
        let strange = StoredInputs {
            supersedes: Some(supersedes),
            ..inputs()
        };
        let failed = replay(&strange.to_bytes(), &signed(&decision, 2));
        assert!(matches!(failed, Err(ReplayError::Predecessor(_))));
    }
}

#[test]
fn what_was_signed_and_does_not_follow_is_named() {
    let bytes = inputs().to_bytes();
    let decision = policy::replay(&bytes).unwrap();
    let allowed = Decision {
        outcome: Outcome::Allow,
        ..decision.clone()
    };
    assert!(
        paths(&bytes, &signed(&allowed, 1))
            .iter()
            .any(|path| path.ends_with("body.outcome"))
    );
    let later = Decision {
        as_of: 18,
        ..decision.clone()
    };
    let own = "predicate.https://fluxgate.dev/decision/v1";
    assert_eq!(
        paths(&bytes, &signed(&later, 1)),
        [format!("{own}.body.asOf"), format!("{own}.header.asOf")]
    );
}

#[test]
fn other_inputs_are_not_the_ones_of_the_decision() {
    let bytes = inputs().to_bytes();
    let envelope = signed(&policy::replay(&bytes).unwrap(), 1);
    let other = StoredInputs {
        tag_moved: true,
        ..inputs()
    };
    let wrong = paths(&other.to_bytes(), &envelope);
    assert!(wrong.iter().any(|path| path.contains("body.inputs")), "{wrong:?}");
    assert!(wrong.iter().any(|path| path.contains("body.rules")), "{wrong:?}");
    assert!(replay(b"{}", &envelope).is_err());
    assert!(replay(&bytes, b"{}").is_err());
}
