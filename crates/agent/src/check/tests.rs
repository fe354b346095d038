//! One test for each line of the list in protocol section 5 that needs no cluster. Every world is a valid one
//! with one thing changed, so a check that is taken out turns its test red.

use std::collections::BTreeMap;

use attest::{BundleKey, Claim, Header, SigningKey, TrustBundle};
use domain::assignment::StatementRef;
use domain::decision::PolicyId;
use domain::evidence::SummaryLine;
use domain::{
    Artifact, BaselineKey, CheckKind, CheckResult, Component, CrdSet, Decision, ImageContents, Outcome,
    ReleaseKey, RoleSummary, RolloutKey, RuleResult, Version,
};
use wire::{fleet, policy, verification};

use super::*;

mod alone;

const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Everything that a good dossier is made of; tests change it before it is signed.
struct World {
    root: SigningKey,
    keys: BTreeMap<Role, SigningKey>,
    bundle: TrustBundle,
    contents: ReleaseContents,
    baseline: Baseline,
    summary: RoleSummary,
    decision: Decision,
    assignment: Assignment,
    /// Who signs each kind, where that is not the role that should.
    impostor: Option<Role>,
    demands: Demands,
    memory: Memory,
    /// A statement that is left out.
    left_out: Option<&'static str>,
}

fn image(component: Component, tag: &str) -> ImageContents {
    let index = Digest::of(format!("{component} {tag}").as_bytes());
    let name = format!("ghcr.io/fluxcd/{component}:{tag}");
    ImageContents {
        image: name.parse::<domain::ImageRef>().unwrap().pinned(index),
        index,
        platforms: vec![],
    }
}

fn reference(subject: &str) -> StatementRef {
    StatementRef {
        subject: subject.to_owned(),
        digest: Digest::of(b"filled in when signed"),
    }
}

fn key_of(role: Role, key: &SigningKey) -> BundleKey {
    BundleKey {
        role,
        public_key: key.public().to_pem(),
        not_before: NOW - HOUR,
        not_after: NOW + HOUR * 48,
        retired_at: None,
        revoked_at: None,
    }
}

fn line(artifact: Artifact, digest: Digest) -> SummaryLine {
    SummaryLine {
        artifact,
        digest,
        check: CheckKind::Signature,
        result: CheckResult::Passed,
        reason: None,
        subject: "fluxgate.v1.verification.x.y.1".to_owned(),
        evidence: Digest::of(b"evidence"),
    }
}

fn release() -> ReleaseKey {
    ReleaseKey {
        version: Version::new(2, 9, 4),
        manifests: Digest::of(b"manifests"),
    }
}

fn decision_of(baseline: BaselineKey) -> Decision {
    Decision {
        release: release(),
        policy: PolicyId {
            name: "default".to_owned(),
            digest: Digest::of(b"policy"),
        },
        baseline,
        outcome: Outcome::Allow,
        rules: vec![RuleResult {
            rule: "signed".to_owned(),
            outcome: Outcome::Allow,
            reason: Reason::SignatureVerified,
            detail: String::new(),
            until: None,
        }],
        inputs: Digest::of(b"inputs"),
        decided: NOW,
        valid_until: Some(NOW + HOUR * 24),
        wait_until: None,
        as_of: 9,
        supersedes: None,
        demo: true,
    }
}

fn world() -> World {
    let keys: BTreeMap<Role, SigningKey> = Role::ALL
        .into_iter()
        .map(|role| (role, SigningKey::generate().unwrap().0))
        .collect();
    let root = SigningKey::generate().unwrap().0;
    let component = Component::SourceController;
    let target = image(component, "v1.9.4");
    let contents = ReleaseContents {
        release: release(),
        layer: Digest::of(b"layer"),
        document: Digest::of(b"document"),
        images: BTreeMap::from([(component, target.clone())]),
    };
    let baseline = Baseline {
        version: Some(Version::new(2, 9, 3)),
        layer: Some(Digest::of(b"old layer")),
        images: BTreeMap::from([(component, image(component, "v1.9.3"))]),
        crds: CrdSet::new(),
    };
    let summary = RoleSummary {
        release: release(),
        attempt: 1,
        contents: None,
        checks: vec![
            line(Artifact::FluxManifests, release().manifests),
            line(Artifact::Image(component), target.index),
        ],
    };
    let assignment = Assignment {
        cluster: "prod".parse().unwrap(),
        epoch: Epoch(3),
        action: Action::Upgrade,
        mode: Mode::Enforce,
        rollout: RolloutKey {
            version: release().version,
            ordinal: 1,
        },
        target: release(),
        layer: contents.layer,
        images: BTreeMap::from([(component, target.index)]),
        image_registry: "ghcr.io".to_owned(),
        baseline: baseline.key(),
        contents: reference(&subject_of_contents()),
        baseline_contents: reference(&subject_of_baseline(&baseline)),
        decision: reference(&bus::subject::decision(&release(), "default", &baseline.key(), 1).to_string()),
        summaries: vec![reference(
            &bus::subject::verification_summary(&release(), 1).to_string(),
        )],
        stops: vec![],
        stable_for: SignedDuration::from_secs(60),
        success_deadline: SignedDuration::from_mins(30),
        issued: NOW,
        expires: NOW + HOUR * 20,
        as_of: 10,
    };
    let demands = Demands {
        cluster: "prod".parse().unwrap(),
        root: root.public().clone(),
        lowest_bundle: 1,
        roles: BTreeSet::from([Role::Verifier, Role::Policy, Role::Controller]),
        policies: vec![AcceptedPolicy {
            name: "default".to_owned(),
            digest: None,
        }],
        max_mode: Mode::Enforce,
        accept_demo: true,
    };
    World {
        bundle: TrustBundle {
            version: 2,
            demo: true,
            keys: keys.iter().map(|(role, key)| key_of(*role, key)).collect(),
        },
        decision: decision_of(baseline.key()),
        root,
        keys,
        contents,
        baseline,
        summary,
        assignment,
        impostor: None,
        demands,
        memory: Memory::default(),
        left_out: None,
    }
}

fn subject_of_contents() -> String {
    bus::subject::verification_contents(bus::subject::Scope::Release(&release()), 1).to_string()
}

fn subject_of_baseline(baseline: &Baseline) -> String {
    bus::subject::verification_contents(bus::subject::Scope::Baseline(&baseline.key()), 1).to_string()
}

impl World {
    fn sign<C: Claim>(&self, role: Role, subject: &str, claim: &C) -> String {
        let stranger = SigningKey::generate().unwrap().0;
        let key = if self.impostor == Some(role) {
            &stranger
        } else {
            &self.keys[&role]
        };
        let header = Header::published(subject, NOW, "00-trace-span-01");
        String::from_utf8(attest::claim::sign(&header, claim, key).unwrap().to_bytes()).unwrap()
    }

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    /// Signs everything, from the statements that are named to the assignment that names them.
    fn dossier(&self) -> Dossier {
        let mut assignment = self.assignment.clone();
        let mut statements = BTreeMap::new();
        let contents = self.sign(
            Role::Verifier,
            &assignment.contents.subject,
            &verification::v1::ReleaseContents::from(&self.contents),
        );
        assignment.contents.digest = Self::digest(&contents);
        let mut summary = self.summary.clone();
        summary.contents = summary.contents.or(Some(assignment.contents.digest));
        for named in &mut assignment.summaries {
            let signed = self.sign(
                Role::Verifier,
                &named.subject,
                &verification::v1::RoleSummary::from(&summary),
            );
            named.digest = Self::digest(&signed);
            statements.insert(named.subject.clone(), signed);
        }
        let baseline = self.sign(
            Role::Verifier,
            &assignment.baseline_contents.subject,
            &verification::v1::BaselineContents::from(&self.baseline),
        );
        assignment.baseline_contents.digest = Self::digest(&baseline);
        let decision = self.sign(
            Role::Policy,
            &assignment.decision.subject,
            &policy::v1::Decision::from(&self.decision),
        );
        assignment.decision.digest = Self::digest(&decision);
        statements.insert(assignment.contents.subject.clone(), contents);
        statements.insert(assignment.baseline_contents.subject.clone(), baseline);
        statements.insert(assignment.decision.subject.clone(), decision);
        statements.retain(|subject, _| self.left_out.is_none_or(|left| !subject.contains(left)));
        let own = bus::subject::assignment(&assignment.cluster, assignment.epoch).to_string();
        let signed = self.sign(Role::Controller, &own, &fleet::v1::Assignment::from(&assignment));
        let bundle = attest::bundle::sign(&self.bundle, &self.root, NOW)
            .unwrap()
            .to_bytes();
        Dossier {
            bundle: String::from_utf8(bundle).unwrap(),
            assignment: signed,
            statements,
        }
    }

    fn check(&self) -> Result<Order, Refusal> {
        check(&self.dossier().to_bytes(), &self.demands, &self.memory, NOW)
    }

    fn refused(&self) -> Reason {
        self.check().unwrap_err().reason
    }
}

#[test]
fn a_good_dossier_is_an_order() {
    let order = world().check().unwrap();
    assert_eq!((order.mode, order.bundle), (Mode::Enforce, 2));
    assert_eq!(order.contents.release, release());
    assert_eq!(order.traceparent, "00-trace-span-01");
}

#[test]
fn the_bundle_must_be_by_the_pinned_root() {
    let mut world = world();
    world.root = SigningKey::generate().unwrap().0;
    assert_eq!(world.refused(), Reason::BundleInvalid);
}

#[test]
fn the_bundle_never_goes_back() {
    let mut world = world();
    world.memory.bundle = 3;
    assert_eq!(world.refused(), Reason::BundleOutdated);
    let mut world = self::world();
    world.demands.lowest_bundle = 3;
    assert_eq!(world.refused(), Reason::BundleOutdated);
}

#[test]
fn each_statement_must_be_by_its_role() {
    for role in [Role::Verifier, Role::Policy, Role::Controller] {
        let mut world = world();
        world.impostor = Some(role);
        let refusal = world.check().unwrap_err();
        assert_eq!(refusal.reason, Reason::StatementInvalid, "{role}");
        // An assignment that is not the controller's may not be reported under its epoch.
        assert_eq!(refusal.genuine.is_some(), role != Role::Controller, "{role}");
    }
}

#[test]
fn retired_revoked_and_expired_keys_do_not_act() {
    for change in [
        (|key: &mut BundleKey| key.retired_at = Some(100)) as fn(&mut BundleKey),
        |key| key.revoked_at = Some(100),
        |key| key.not_after = NOW - HOUR,
        |key| key.not_before = NOW + HOUR,
    ] {
        let mut world = world();
        world
            .bundle
            .keys
            .iter_mut()
            .filter(|key| key.role == Role::Policy)
            .for_each(change);
        assert_eq!(world.refused(), Reason::StatementInvalid);
    }
}

#[test]
fn a_genuine_assignment_of_another_cluster_is_refused() {
    let mut world = world();
    world.assignment.cluster = "canary".parse().unwrap();
    let refusal = world.check().unwrap_err();
    assert_eq!((refusal.reason, refusal.genuine), (Reason::WrongCluster, None));
}

#[test]
fn an_assignment_under_another_name_is_refused() {
    let world = world();
    let mut dossier = world.dossier();
    let other = bus::subject::assignment(&world.assignment.cluster, Epoch(4)).to_string();
    dossier.assignment = world.sign(
        Role::Controller,
        &other,
        &fleet::v1::Assignment::from(&world.assignment),
    );
    let refusal = check(&dossier.to_bytes(), &world.demands, &world.memory, NOW).unwrap_err();
    assert_eq!(refusal.reason, Reason::StatementInvalid);
}

#[test]
fn an_older_epoch_or_another_assignment_of_the_same_is_refused() {
    let mut world = world();
    world.memory.epoch = Epoch(4);
    assert_eq!(world.refused(), Reason::EpochOld);
    world.memory.epoch = Epoch(3);
    world.memory.assignment = Some(Digest::of(b"another"));
    assert_eq!(world.refused(), Reason::EpochOld);
    let dossier = world.dossier();
    world.memory.assignment = Some(Digest::of(dossier.assignment.as_bytes()));
    assert!(check(&dossier.to_bytes(), &world.demands, &world.memory, NOW).is_ok());
}

#[test]
fn times_must_fit() {
    let mut world = world();
    world.assignment.issued = NOW + CLOCK_TOLERANCE + SignedDuration::from_secs(1);
    world.assignment.expires = world.assignment.issued + HOUR;
    assert_eq!(world.refused(), Reason::ClockSkew);
    let mut world = self::world();
    world.assignment.issued = NOW - HOUR;
    world.assignment.expires = NOW;
    assert_eq!(world.refused(), Reason::AssignmentExpired);
    let mut world = self::world();
    world.assignment.issued = NOW - HOUR * 10;
    world.assignment.expires = world.assignment.issued + MAX_LIFETIME + SignedDuration::from_secs(1);
    assert_eq!(world.refused(), Reason::AssignmentExpired);
}

#[test]
fn stops_keep_a_task_from_beginning() {
    let mut world = world();
    world.assignment.action = Action::Stop;
    assert_eq!(world.refused(), Reason::Stopped);
    let mut world = self::world();
    world.assignment.stops = vec!["freeze fleet".to_owned()];
    assert_eq!(world.refused(), Reason::Stopped);
}

#[test]
fn the_lowest_mode_holds() {
    let mut world = world();
    world.demands.max_mode = Mode::Observe;
    assert_eq!(world.check().unwrap().mode, Mode::Observe);
    let mut world = self::world();
    world.assignment.mode = Mode::Observe;
    assert_eq!(world.check().unwrap().mode, Mode::Observe);
}

#[test]
fn only_allow_for_this_release_and_baseline_counts() {
    for outcome in [Outcome::Wait, Outcome::NeedsApproval, Outcome::Deny] {
        let mut world = world();
        world.decision.outcome = outcome;
        assert_eq!(world.refused(), Reason::NotAllowed, "{outcome}");
    }
    let mut world = world();
    world.decision.release.manifests = Digest::of(b"another");
    assert_eq!(world.refused(), Reason::NotAllowed);
    let mut world = self::world();
    world.decision.baseline = "0123456789abcdef".parse().unwrap();
    assert_eq!(world.refused(), Reason::NotAllowed);
}

#[test]
fn an_allow_ends_and_no_assignment_outlives_it() {
    let mut world = world();
    world.decision.valid_until = Some(NOW);
    assert_eq!(world.refused(), Reason::DecisionExpired);
    let mut world = self::world();
    world.decision.valid_until = None;
    assert_eq!(world.refused(), Reason::DecisionExpired);
    let mut world = self::world();
    world.decision.valid_until = Some(world.assignment.expires - SignedDuration::from_secs(1));
    assert_eq!(world.refused(), Reason::DecisionExpired);
}

#[test]
fn only_accepted_policies_count() {
    let mut world = world();
    world.demands.policies = vec![AcceptedPolicy {
        name: "other".to_owned(),
        digest: None,
    }];
    assert_eq!(world.refused(), Reason::PolicyNotAccepted);
    let named = |digest| {
        vec![AcceptedPolicy {
            name: "default".to_owned(),
            digest: Some(digest),
        }]
    };
    world.demands.policies = named(Digest::of(b"another text"));
    assert_eq!(world.refused(), Reason::PolicyNotAccepted);
    world.demands.policies = named(world.decision.policy.digest);
    assert!(world.check().is_ok());
}

#[test]
fn demo_trust_is_refused_where_it_is_not_accepted() {
    let mut world = world();
    world.demands.accept_demo = false;
    assert_eq!(world.refused(), Reason::DemoTrustRefused);
    world.bundle.demo = false;
    assert_eq!(world.refused(), Reason::DemoTrustRefused);
    world.decision.demo = false;
    assert!(world.check().is_ok());
}

#[test]
fn every_named_statement_must_come_along() {
    for left in ["decision", "summary", "contents"] {
        let mut world = world();
        world.left_out = Some(left);
        assert_eq!(world.refused(), Reason::StatementMissing, "{left}");
    }
}

#[test]
fn the_verifier_must_have_passed_manifests_and_every_image() {
    for index in 0..2 {
        for result in [CheckResult::Failed, CheckResult::NotChecked] {
            let mut world = world();
            world.summary.checks[index].result = result;
            assert_eq!(world.refused(), Reason::SummaryNotPassed);
        }
        let mut world = world();
        world.summary.checks.remove(index);
        assert_eq!(world.refused(), Reason::SummaryNotPassed);
        let mut world = self::world();
        world.summary.checks[index].digest = Digest::of(b"another");
        assert_eq!(world.refused(), Reason::SummaryNotPassed);
    }
}

#[test]
fn demanded_roles_must_have_spoken_and_the_verifier_always() {
    let mut world = world();
    world.demands.roles.insert(Role::Scanner);
    assert_eq!(world.refused(), Reason::RoleMissing);
    let mut world = self::world();
    world.demands.roles.clear();
    world.assignment.summaries.clear();
    assert_eq!(world.refused(), Reason::RoleMissing);
}

#[test]
fn all_statements_must_cover_the_same_digests() {
    let mut world = world();
    world
        .assignment
        .images
        .insert(Component::SourceController, Digest::of(b"swapped"));
    assert_eq!(world.refused(), Reason::DigestsDisagree);
    let mut world = self::world();
    world.assignment.images.clear();
    assert_eq!(world.refused(), Reason::DigestsDisagree);
    let mut world = self::world();
    world.assignment.layer = Digest::of(b"swapped");
    assert_eq!(world.refused(), Reason::DigestsDisagree);
    let mut world = self::world();
    world.contents.release.manifests = Digest::of(b"another release");
    assert_eq!(world.refused(), Reason::DigestsDisagree);
    let mut world = self::world();
    world.summary.contents = Some(Digest::of(b"other contents"));
    assert_eq!(world.refused(), Reason::DigestsDisagree);
}

#[test]
fn the_baseline_must_be_the_one_that_was_decided_about() {
    let mut world = world();
    world.baseline.images.clear();
    assert_eq!(world.refused(), Reason::DigestsDisagree);
}

#[test]
fn a_target_below_the_baseline_or_an_unknown_baseline_is_refused() {
    let mut world = world();
    world.baseline.version = Some(Version::new(2, 9, 5));
    assert_eq!(world.refused(), Reason::TargetBelowBaseline);
    world.baseline.version = None;
    assert_eq!(world.refused(), Reason::BaselineVersionUnknown);
}

#[test]
fn bytes_that_are_no_dossier_are_refused() {
    let world = world();
    for bytes in [
        &b""[..],
        b"{}",
        b"[]",
        &vec![b' '; attest::dossier::MAX_DOSSIER + 1],
    ] {
        let refusal = check(bytes, &world.demands, &world.memory, NOW).unwrap_err();
        assert_eq!(
            (refusal.reason, refusal.genuine),
            (Reason::StatementInvalid, None)
        );
    }
}
