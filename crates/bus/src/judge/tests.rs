use bytes::Bytes;
use domain::{Artifact, CheckKind, Digest, Epoch, ReleaseKey, Version};

use super::*;
use crate::fixture::{
    Assignment, Baseline, Decision, Discovered, Facts, Mode, NOW, Report, Summary, World, hint, signed,
};

fn release() -> ReleaseKey {
    ReleaseKey {
        version: Version::new(2, 9, 4),
        manifests: Digest::of(b"m"),
    }
}

fn decision(n: u64) -> Subject {
    subject::decision(&release(), "default", &"0123456789abcdef".parse().unwrap(), n)
}

fn event(subject: &Subject, sequence: u64, payload: Bytes) -> Stored {
    Stored {
        sequence,
        subject: subject.to_string(),
        payload,
        time: NOW,
        traceparent: None,
    }
}

fn judge(world: &World, event: &Stored, known: &Known) -> Result<Statement, Invalid> {
    let (subject, rule) = Judge::name(&event.subject)?;
    world
        .judge()
        .decide(&world.trust(), (&subject, &rule), event, known)
}

fn fact(event: &Stored) -> Fact {
    let statement = read_signed(&event.payload).unwrap();
    Fact {
        subject: event.subject.parse().unwrap(),
        sequence: event.sequence,
        time: event.time,
        traceparent: None,
        envelope: event.payload.clone(),
        statement,
    }
}

fn after(event: &Stored) -> Known {
    Known {
        predecessor: Some(fact(event)),
        member: None,
    }
}

fn allow() -> Decision {
    Decision {
        outcome: "ALLOW".to_owned(),
    }
}

#[test]
fn a_statement_counts_under_its_own_subject_and_role_alone() {
    let world = World::new();
    let good = signed(&decision(1), &allow(), &world.policy, 0);
    assert!(judge(&world, &event(&decision(1), 5, good.clone()), &Known::default()).is_ok());
    let other = subject::decision(&release(), "other", &"0123456789abcdef".parse().unwrap(), 1);
    let moved = judge(&world, &event(&other, 5, good), &Known::default());
    assert!(matches!(moved, Err(Invalid::Trust(TrustError::Subject { .. }))));
    let forged = signed(&decision(1), &allow(), &world.controller, 0);
    let forged = judge(&world, &event(&decision(1), 5, forged), &Known::default());
    assert!(matches!(forged, Err(Invalid::Trust(TrustError::Role(_)))));
    let garbage = judge(
        &world,
        &event(&decision(1), 5, Bytes::from_static(b"{}")),
        &Known::default(),
    );
    assert!(matches!(garbage, Err(Invalid::Trust(_))));
}

#[test]
fn another_kind_or_shape_does_not_count() {
    let world = World::new();
    let summary = signed(&decision(1), &Summary { attempt: 1 }, &world.policy, 0);
    let judged = judge(&world, &event(&decision(1), 5, summary), &Known::default());
    assert!(matches!(judged, Err(Invalid::Kind(_))));
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Odd {
        odd: u8,
    }
    impl attest::Claim for Odd {
        const KIND: &'static str = "mode";
    }
    let mode = subject::mode("fleet", 1);
    let odd = signed(&mode, &Odd { odd: 1 }, &world.controller, 0);
    assert!(matches!(
        judge(&world, &event(&mode, 5, odd), &Known::default()),
        Err(Invalid::Shape)
    ));
    let nowhere = "fluxgate.v1.cluster.x-1.heartbeat.1";
    assert!(matches!(Judge::name(nowhere), Err(Invalid::Name)));
}

#[test]
fn a_hint_is_bare_and_names_its_subject() {
    let world = World::new();
    let name = subject::release_discovered(&release());
    let claim = Discovered {
        tag: "v2.9.4".to_owned(),
    };
    assert!(judge(&world, &event(&name, 1, hint(&name, &claim)), &Known::default()).is_ok());
    let moved = event(&name, 1, hint(&decision(1), &claim));
    assert!(matches!(
        judge(&world, &moved, &Known::default()),
        Err(Invalid::Subject(_))
    ));
    let wrapped = event(&name, 1, signed(&name, &claim, &world.controller, 0));
    assert!(matches!(
        judge(&world, &wrapped, &Known::default()),
        Err(Invalid::Claim(_))
    ));
}

#[test]
fn a_number_counts_only_after_a_valid_one_of_lower_sequence() {
    let world = World::new();
    let mode = |n| subject::mode("fleet", n);
    let claim = Mode {
        mode: "Enforce".to_owned(),
    };
    let first = event(&mode(1), 3, signed(&mode(1), &claim, &world.controller, 0));
    let second = event(&mode(2), 4, signed(&mode(2), &claim, &world.controller, 0));
    assert!(judge(&world, &second, &after(&first)).is_ok());
    assert!(matches!(
        judge(&world, &second, &Known::default()),
        Err(Invalid::NoPredecessor(_))
    ));
    let early = Stored {
        sequence: 2,
        ..second
    };
    assert!(matches!(
        judge(&world, &early, &after(&first)),
        Err(Invalid::NoPredecessor(_))
    ));
}

#[test]
fn contents_of_a_baseline_are_opened_by_the_contents_before() {
    let world = World::new();
    let key = "0123456789abcdef".parse().unwrap();
    let name = |n| subject::verification_contents(subject::Scope::Baseline(&key), n);
    let claim = Baseline {
        version: "v2.9.3".to_owned(),
    };
    let first = event(&name(1), 3, signed(&name(1), &claim, &world.verifier, 0));
    let second = event(&name(2), 4, signed(&name(2), &claim, &world.verifier, 0));
    assert!(judge(&world, &first, &Known::default()).is_ok());
    assert!(judge(&world, &second, &after(&first)).is_ok());
    assert!(matches!(
        judge(&world, &second, &Known::default()),
        Err(Invalid::NoPredecessor(needed)) if needed == name(1)
    ));
    // A release's contents wait for the summary of the attempt before, and neither stands for the other.
    let release = release();
    let contents = subject::verification_contents(subject::Scope::Release(&release), 2);
    let strange = event(&contents, 5, signed(&contents, &claim, &world.verifier, 0));
    assert!(matches!(
        judge(&world, &strange, &after(&first)),
        Err(Invalid::Kind(_))
    ));
    let (_, rule) = Judge::name(&strange.subject).unwrap();
    assert_eq!(
        Judge::needs(&contents, &rule).predecessor,
        Some(subject::verification_summary(&release, 1))
    );
}

#[test]
fn who_had_read_less_than_the_one_before_is_void() {
    let world = World::new();
    let first = event(&decision(1), 10, signed(&decision(1), &allow(), &world.policy, 8));
    let second = |as_of| {
        event(
            &decision(2),
            20,
            signed(&decision(2), &allow(), &world.policy, as_of),
        )
    };
    assert!(judge(&world, &second(8), &after(&first)).is_ok());
    assert!(matches!(
        judge(&world, &second(7), &after(&first)),
        Err(Invalid::AsOf { as_of: 7 })
    ));
    // Who claims to have read the future would make every honest successor void.
    assert!(matches!(
        judge(&world, &second(20), &after(&first)),
        Err(Invalid::AsOf { as_of: 20 })
    ));
}

#[test]
fn an_attempt_is_opened_by_the_summary_before() {
    let world = World::new();
    let summary = |n| subject::verification_summary(&release(), n);
    let first = event(
        &summary(1),
        3,
        signed(&summary(1), &Summary { attempt: 1 }, &world.verifier, 0),
    );
    let second = event(
        &summary(2),
        4,
        signed(&summary(2), &Summary { attempt: 2 }, &world.verifier, 0),
    );
    assert!(judge(&world, &first, &Known::default()).is_ok());
    assert!(judge(&world, &second, &after(&first)).is_ok());
    assert!(matches!(
        judge(&world, &second, &Known::default()),
        Err(Invalid::NoPredecessor(_))
    ));
    // So is everything else of an attempt, each by the summary of its own role.
    let (key, manifests, check) = (release(), Artifact::FluxManifests, CheckKind::Signature);
    let scanned = subject::scan_summary(&key, 1);
    for (opened, by) in [
        (
            subject::verification_contents(subject::Scope::Release(&key), 2),
            summary(1),
        ),
        (
            subject::verification_evidence(&key, manifests, check, 2),
            summary(1),
        ),
        (subject::scan_summary(&key, 2), scanned.clone()),
        (subject::scan_evidence(&key, manifests, check, 2), scanned),
    ] {
        let (_, rule) = Judge::name(&opened.to_string()).unwrap();
        assert_eq!(Judge::needs(&opened, &rule).predecessor, Some(by), "{opened}");
    }
}

#[test]
fn an_agent_speaks_with_its_key_for_its_cluster_in_rising_time() {
    let world = World::new();
    let member = subject::member(&world.cluster, 1);
    let member = event(&member, 1, signed(&member, &world.member(), &world.controller, 0));
    let claim = Facts {
        version: "v2.9.3".to_owned(),
    };
    let facts = |n, seconds| {
        event(
            &subject::facts(&world.cluster, n),
            2,
            world.by_agent(seconds, &claim),
        )
    };
    let known = |before: Option<&Stored>| Known {
        predecessor: before.map(|before| Fact {
            sequence: 1,
            ..fact(before)
        }),
        member: Some(fact(&member)),
    };
    let first = facts(1, 10);
    assert!(judge(&world, &first, &known(None)).is_ok());
    assert!(matches!(
        judge(&world, &first, &Known::default()),
        Err(Invalid::NoMember)
    ));
    assert!(judge(&world, &facts(2, 11), &known(Some(&first))).is_ok());
    for replayed in [10, 9] {
        let judged = judge(&world, &facts(2, replayed), &known(Some(&first)));
        assert!(matches!(judged, Err(Invalid::TimeNotRising)));
    }
    let elsewhere = subject::facts(&"edge-2".parse().unwrap(), 1);
    let moved = event(&elsewhere, 2, world.by_agent(10, &claim));
    assert!(matches!(
        judge(&world, &moved, &known(None)),
        Err(Invalid::Cluster(_))
    ));
    let stranger = World {
        root: attest::SigningKey::generate().unwrap().0,
        ..World::new()
    };
    let forged = event(
        &subject::facts(&world.cluster, 1),
        2,
        stranger.by_agent(10, &claim),
    );
    assert!(matches!(
        judge(&world, &forged, &known(None)),
        Err(Invalid::Trust(TrustError::Agent(_)))
    ));
}

#[test]
fn a_report_answers_an_assignment_that_stands() {
    let world = World::new();
    let member = subject::member(&world.cluster, 1);
    let member = event(&member, 1, signed(&member, &world.member(), &world.controller, 0));
    let name = subject::assignment(&world.cluster, Epoch(1));
    let claim = Assignment {
        target: "v2.9.4".to_owned(),
    };
    let assignment = event(&name, 2, signed(&name, &claim, &world.controller, 0));
    let known = Known {
        predecessor: Some(fact(&assignment)),
        member: Some(fact(&member)),
    };
    let accepted = subject::accepted(&world.cluster, Epoch(1));
    let report = |epoch| event(&accepted, 3, world.by_agent(1, &Report { epoch }));
    assert!(judge(&world, &report(1), &known).is_ok());
    assert!(matches!(judge(&world, &report(2), &known), Err(Invalid::Epoch)));
    let orphan = Known {
        predecessor: None,
        ..known
    };
    assert!(matches!(
        judge(&world, &report(1), &orphan),
        Err(Invalid::NoPredecessor(_))
    ));
}

#[test]
fn a_bundle_is_by_the_root_key_under_its_version() {
    let world = World::new();
    let bundle = |n, bytes| event(&subject::trust_bundle(n), 1, bytes);
    assert!(judge(&world, &bundle(1, world.bundle_envelope()), &Known::default()).is_ok());
    let misplaced = judge(&world, &bundle(2, world.bundle_envelope()), &Known::default());
    assert!(matches!(misplaced, Err(Invalid::Subject(_))));
    let forged = World::new().bundle_envelope();
    let forged = judge(&world, &bundle(1, forged), &Known::default());
    assert!(matches!(forged, Err(Invalid::Trust(TrustError::NotByRoot(_)))));
}
