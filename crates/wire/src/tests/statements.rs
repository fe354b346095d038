//! The statement of each kind, as it stands on the wire.

use attest::claim::{Header, predicate_type, statement};
use attest::{Claim, Statement, vsa};
use domain::fleet::ReportKind;
use domain::{Decision, Outcome, Reason};

use super::samples;
use crate::schema::{agent_key, report_epoch, well_formed};
use crate::{ReadError, audit, decode, fleet, policy, release, rollout, verification};

fn header() -> Header {
    let trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
    Header::published(
        "fluxgate.v1.area.workflow.step.1",
        samples::at("2026-01-02T03:04:06Z"),
        trace,
    )
    .as_of(41)
}

/// The statement of a claim, read again from its bytes.
fn stated<C: Claim + PartialEq + std::fmt::Debug>(claim: &C) -> Statement {
    let made = statement(&header(), claim).unwrap();
    assert_eq!(
        made.to_bytes(),
        statement(&header(), claim).unwrap().to_bytes(),
        "the same bytes twice"
    );
    let read = Statement::parse(&made.to_bytes()).unwrap();
    assert_eq!(read, made);
    assert_eq!(read.claim_type(), predicate_type(C::KIND));
    assert_eq!(read.claim::<C>().unwrap(), *claim);
    read
}

fn decided(outcome: Outcome) -> Statement {
    stated(&policy::v1::Decision::from(&samples::decision(outcome)))
}

fn refusal() -> fleet::v1::Report {
    (&samples::report(ReportKind::Refused(Reason::Customised))).into()
}

/// One statement of each kind, in the order of the schema.
fn every_kind() -> Vec<(&'static str, Statement)> {
    fn named<C: Claim + PartialEq + std::fmt::Debug>(claim: &C) -> (&'static str, Statement) {
        (C::KIND, stated(claim))
    }
    vec![
        named(&release::v1::ReleaseDiscovered::from(&samples::discovered())),
        named(&verification::v1::ReleaseContents::from(&samples::contents())),
        named(&verification::v1::BaselineContents::from(&samples::baseline())),
        named(&verification::v1::Evidence::from(&samples::evidence())),
        named(&verification::v1::RoleSummary::from(&samples::summary())),
        named(&policy::v1::PolicyText::from(&samples::policy())),
        named(&policy::v1::Decision::from(&samples::decision(Outcome::Allow))),
        named(&fleet::v1::ClusterMember::from(&samples::member())),
        named(&fleet::v1::ClusterFacts::from(&samples::facts())),
        named(&fleet::v1::HealthReport::from(&samples::health())),
        named(&fleet::v1::Heartbeat::from(&samples::heartbeat())),
        named(&fleet::v1::Assignment::from(&samples::assignment())),
        named(&refusal()),
        named(&rollout::v1::ModeSet::from(&samples::mode())),
        named(&rollout::v1::RolloutStarted::from(&samples::started())),
        named(&rollout::v1::WaveOpened::from(&samples::opened())),
        named(&rollout::v1::WaveBaked::from(&samples::baked())),
        named(&rollout::v1::RolloutFinished::from(&samples::finished())),
        named(&rollout::v1::StopSet::from(&samples::stop())),
        named(&rollout::v1::RolloutRetried::from(&samples::retried())),
        named(&samples::ledger()),
        named(&samples::bundle()),
    ]
}

#[test]
fn every_kind_is_well_formed_and_written_as_before() {
    let statements = every_kind();
    let kinds: Vec<&str> = statements.iter().map(|(kind, _)| *kind).collect();
    let known: Vec<&str> = crate::schema::KINDS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, known, "one sample of each kind");
    for (kind, statement) in statements {
        assert!(well_formed(&statement), "{kind}");
        insta::assert_json_snapshot!(kind, statement);
    }
}

#[test]
fn allow_and_deny_are_verification_summaries() {
    for (outcome, result) in [(Outcome::Allow, "PASSED"), (Outcome::Deny, "FAILED")] {
        let statement = decided(outcome);
        assert_eq!(statement.predicate_type, vsa::PREDICATE_TYPE);
        assert_eq!(statement.predicate["verificationResult"], result);
        let uri = format!(
            "oci://ghcr.io/fluxcd/flux-manifests:v2.9.4@{}",
            samples::digest("flux-manifests")
        );
        assert_eq!(statement.predicate["resourceUri"], uri);
        assert_eq!(
            statement.subject[0].digest["sha256"],
            samples::digest("flux-manifests").hex()
        );
        let decision: Decision = decode::<policy::v1::Decision, _>(&statement).unwrap();
        assert_eq!(decision, samples::decision(outcome));
    }
    insta::assert_json_snapshot!("decision-deny", decided(Outcome::Deny));
}

#[test]
fn wait_and_needs_approval_are_none() {
    for outcome in [Outcome::Wait, Outcome::NeedsApproval] {
        let statement = decided(outcome);
        assert_eq!(statement.predicate_type, predicate_type("decision"));
        assert!(well_formed(&statement));
    }
    insta::assert_json_snapshot!("decision-wait", decided(Outcome::Wait));
}

#[test]
fn an_outside_that_says_more_than_the_inside_is_refused() {
    let mut passed = decided(Outcome::Deny);
    passed.predicate["verificationResult"] = "PASSED".into();
    assert!(!well_formed(&passed));
    let mut subject = decided(Outcome::Allow);
    subject.subject[0]
        .digest
        .insert("sha256".to_owned(), samples::digest("another").hex());
    assert!(!well_formed(&subject));
    let mut bare = decided(Outcome::Allow);
    bare.predicate_type = predicate_type("decision");
    assert!(!well_formed(&bare));
}

#[test]
fn what_decodes_but_is_no_value_of_the_domain_is_not_well_formed() {
    for outcome in [Outcome::Allow, Outcome::Wait] {
        let mut decision = policy::v1::Decision::from(&samples::decision(outcome));
        decision.baseline.clear();
        let statement = stated(&decision);
        assert!(!well_formed(&statement));
        let error = decode::<policy::v1::Decision, Decision>(&statement).unwrap_err();
        assert!(
            matches!(&error, ReadError::Wire(wire) if wire.field() == "Decision.baseline"),
            "{error}"
        );
    }
    let mut contents = verification::v1::ReleaseContents::from(&samples::contents());
    contents.images.push(contents.images[0].clone());
    assert!(!well_formed(&stated(&contents)));
    let status = audit::v1::LedgerStatus {
        report_time: None,
        ..samples::ledger()
    };
    assert!(!well_formed(&stated(&status)));
}

#[test]
fn unknown_kinds_and_other_claims_are_refused() {
    let mut unknown = stated(&samples::ledger());
    unknown.predicate_type = predicate_type("approval");
    assert!(!well_formed(&unknown));
    let mut confused = stated(&refusal());
    confused.predicate_type = predicate_type("assignment");
    assert!(!well_formed(&confused));
    let mut garbage = stated(&samples::bundle());
    garbage.predicate["body"]["version"] = "x".into();
    assert!(!well_formed(&garbage));
    let error = decode::<policy::v1::Decision, Decision>(&stated(&refusal())).unwrap_err();
    assert!(matches!(error, ReadError::Claim(_)), "{error}");
}

#[test]
fn the_bus_learns_the_agents_key_and_the_reports_epoch() {
    let member = stated(&fleet::v1::ClusterMember::from(&samples::member()));
    assert_eq!(agent_key(&member), Some(samples::member().agent_key));
    assert_eq!(report_epoch(&member), None);
    assert_eq!(report_epoch(&stated(&refusal())), Some(7));
    assert_eq!(agent_key(&stated(&refusal())), None);
}
