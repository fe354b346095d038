use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    text: String,
}

impl Claim for Note {
    const KIND: &'static str = "note";
}

struct World {
    root: SigningKey,
    policy: SigningKey,
    bundle: TrustBundle,
}

const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);
const HOUR: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

fn key(role: Role, key: &SigningKey) -> BundleKey {
    BundleKey {
        role,
        public_key: key.public().to_pem(),
        not_before: NOW - HOUR,
        not_after: NOW + HOUR,
        retired_at: None,
        revoked_at: None,
    }
}

fn world() -> World {
    let generate = || SigningKey::generate().unwrap().0;
    let (root, policy) = (generate(), generate());
    let bundle = TrustBundle {
        version: 3,
        demo: true,
        keys: vec![key(Role::Policy, &policy)],
    };
    World { root, policy, bundle }
}

impl World {
    fn envelope(&self) -> Vec<u8> {
        sign(&self.bundle, &self.root, NOW).unwrap().to_bytes()
    }

    fn trust(&self) -> Trust {
        Trust::open(self.root.public(), 1, &self.envelope()).unwrap()
    }

    fn note(&self, key: &SigningKey, subject: &str) -> Vec<u8> {
        let note = Note {
            text: "hello".to_owned(),
        };
        claim::sign(&Header::published(subject, NOW, ""), &note, key)
            .unwrap()
            .to_bytes()
    }
}

#[test]
fn a_statement_counts_for_its_role_and_subject() {
    let world = world();
    let note = world.note(&world.policy, "a.b");
    let statement = world.trust().at(&note, Role::Policy, "a.b", 7).unwrap();
    assert_eq!(statement.claim::<Note>().unwrap().text, "hello");
    assert!(matches!(
        world.trust().at(&note, Role::Verifier, "a.b", 7),
        Err(TrustError::Role(_))
    ));
    assert!(matches!(
        world.trust().at(&note, Role::Policy, "a.c", 7),
        Err(TrustError::Subject { .. })
    ));
}

#[test]
fn a_foreign_key_never_counts() {
    let world = world();
    let (stranger, _) = SigningKey::generate().unwrap();
    let note = world.note(&stranger, "a.b");
    assert!(matches!(
        world.trust().at(&note, Role::Policy, "a.b", 7),
        Err(TrustError::Role(_))
    ));
}

#[test]
fn only_the_root_key_makes_bundles_and_they_never_go_back() {
    let mut world = world();
    let (stranger, _) = SigningKey::generate().unwrap();
    let forged = sign(&world.bundle, &stranger, NOW).unwrap().to_bytes();
    assert!(matches!(
        Trust::open(world.root.public(), 1, &forged),
        Err(TrustError::NotByRoot(_))
    ));
    let third = world.envelope();
    assert!(matches!(
        Trust::open(world.root.public(), 4, &third),
        Err(TrustError::Outdated { lowest: 4, found: 3 })
    ));
    let mut trust = world.trust();
    assert!(matches!(trust.advance(&third), Err(TrustError::Outdated { .. })));
    world.bundle.version = 4;
    trust.advance(&world.envelope()).unwrap();
    assert_eq!(trust.bundle().version, 4);
    assert!(trust.advance(&third).is_err());
    assert_eq!(trust.bundle().version, 4);
}

#[test]
fn a_retired_or_revoked_key_speaks_up_to_its_sequence() {
    for revoke in [false, true] {
        let mut world = world();
        let note = world.note(&world.policy, "a.b");
        for key in &mut world.bundle.keys {
            if revoke {
                key.revoked_at = Some(10);
            } else {
                key.retired_at = Some(10);
            }
        }
        let trust = world.trust();
        assert!(trust.at(&note, Role::Policy, "a.b", 10).is_ok());
        assert!(trust.at(&note, Role::Policy, "a.b", 11).is_err());
        assert!(trust.acting(&note, Role::Policy, "a.b", NOW).is_err());
        assert_eq!(trust.has_revocations(), revoke);
    }
}

#[test]
fn windows_are_judged_when_acting_and_never_when_folding() {
    let world = world();
    let note = world.note(&world.policy, "a.b");
    let trust = world.trust();
    assert!(trust.acting(&note, Role::Policy, "a.b", NOW).is_ok());
    assert!(trust.acting(&note, Role::Policy, "a.b", NOW + HOUR * 2).is_err());
    assert!(trust.acting(&note, Role::Policy, "a.b", NOW - HOUR * 2).is_err());
    assert!(trust.at(&note, Role::Policy, "a.b", 1).is_ok());
}

#[test]
fn an_agents_statement_is_bound_to_its_fingerprint() {
    let (agent, _) = SigningKey::generate().unwrap();
    let (other, _) = SigningKey::generate().unwrap();
    let cluster = "prod".parse().unwrap();
    let header = Header::of_agent(&cluster, agent.public(), NOW, "");
    let bytes = claim::sign(&header, &Note { text: "x".to_owned() }, &agent)
        .unwrap()
        .to_bytes();
    let fingerprint = agent.public().fingerprint();
    assert_eq!(
        by_agent(&bytes, &fingerprint).unwrap().header().unwrap().cluster,
        "prod"
    );
    assert!(by_agent(&bytes, &other.public().fingerprint()).is_err());
    // A stranger who names the agent's key in the header has not signed with it.
    let stolen = claim::sign(&header, &Note { text: "x".to_owned() }, &other)
        .unwrap()
        .to_bytes();
    assert!(by_agent(&stolen, &fingerprint).is_err());
}

#[test]
fn the_outside_of_a_summary_is_that_of_its_claim() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Answer {
        passed: bool,
    }
    impl Claim for Answer {
        const KIND: &'static str = "answer";
        fn verification_summary(&self) -> Option<crate::vsa::Summary> {
            Some(crate::vsa::Summary {
                time_verified: NOW,
                resource_uri: "oci://x".to_owned(),
                policy: ("p".to_owned(), domain::Digest::of(b"p")),
                inputs: vec![],
                passed: self.passed,
            })
        }
    }
    let header = Header::published("a.b", NOW, "");
    let mut statement = claim::statement(&header, &Answer { passed: false }).unwrap();
    assert_eq!(statement.claim_type(), "https://fluxgate.dev/answer/v1");
    assert!(!statement.claim::<Answer>().unwrap().passed);
    statement.predicate.as_object_mut().unwrap()["verificationResult"] = "PASSED".into();
    assert!(statement.claim::<Answer>().is_err());
}
