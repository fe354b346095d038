//! Everything that is refused, by the field that it is refused for.

mod fleet;
mod rollout;

use std::error::Error;
use std::fmt::Write as _;

use domain::{Baseline, Decision, Digest, Evidence, Mode, Outcome, ReleaseContents, RoleSummary};

use super::samples;
use crate::{Discovered, PolicyDocument, WireError, common, policy, release, verification};

/// Fields with a way to spoil them.
type Rows<M> = [(&'static str, fn(&mut M))];

/// Spoils the message in each way and checks that the field is named; returns what a person would read.
fn refused<M, D>(message: &M, rows: &Rows<M>) -> String
where
    M: Clone,
    D: TryFrom<M, Error = WireError>,
{
    let mut read = String::new();
    for (field, spoil) in rows {
        let mut spoilt = message.clone();
        spoil(&mut spoilt);
        let Err(error) = D::try_from(spoilt) else {
            panic!("{field} was accepted")
        };
        assert_eq!(error.field(), *field, "{error}");
        assert!(!error.retryable());
        let source = error
            .source()
            .map(|source| format!(": {source}"))
            .unwrap_or_default();
        writeln!(read, "{error}{source}").unwrap();
    }
    read
}

fn other() -> Option<common::v1::Digest> {
    Some(samples::digest("another").into())
}

fn sha512() -> Option<common::v1::Digest> {
    Some(common::v1::Digest {
        algorithm: "sha512".to_owned(),
        hex: "00".to_owned(),
    })
}

fn late() -> Option<crate::protobuf::Timestamp> {
    Some(crate::protobuf::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    })
}

#[test]
fn hints() {
    let discovered = release::v1::ReleaseDiscovered::from(&samples::discovered());
    let rows: &Rows<release::v1::ReleaseDiscovered> = &[
        ("ReleaseDiscovered.release", |m| m.release.clear()),
        ("ReleaseDiscovered.repository", |m| m.repository.clear()),
    ];
    insta::assert_snapshot!("hints", refused::<_, Discovered>(&discovered, rows));
}

#[test]
fn common_messages() {
    let contents = verification::v1::ReleaseContents::from(&samples::contents());
    let rows: &Rows<verification::v1::ReleaseContents> = &[
        ("ReleaseContents.release", |m| m.release.clear()),
        ("ReleaseContents.release", |m| m.release = "flux/2.9.4".to_owned()),
        ("ReleaseContents.layer", |m| m.layer = None),
        ("ReleaseContents.layer", |m| m.layer = sha512()),
        ("ReleaseContents.document", |m| {
            m.document.as_mut().unwrap().hex.push('0')
        }),
        ("ReleaseContents.document", |m| {
            m.document.as_mut().unwrap().hex.make_ascii_uppercase()
        }),
        ("ReleaseContents.images", |m| m.images.push(m.images[0].clone())),
        ("ImageContents.component", |m| {
            m.images[0].component = "flux-cli".to_owned()
        }),
        ("ImageContents.image", |m| {
            m.images[0].image = "alpine:3".to_owned()
        }),
        ("ImageContents.image", |m| m.images[0].index = other()),
        ("ImageContents.index", |m| m.images[0].index = None),
        ("PlatformImage.os", |m| m.images[0].platforms[0].os.clear()),
        ("PlatformImage.architecture", |m| {
            m.images[0].platforms[0].architecture.clear()
        }),
        ("PlatformImage.manifest", |m| {
            m.images[0].platforms[0].manifest = None
        }),
        ("PlatformImage.config", |m| {
            m.images[0].platforms[0].config = sha512()
        }),
    ];
    let read = refused::<_, ReleaseContents>(&contents, rows);
    insta::assert_snapshot!("contents", read);

    let digest = common::v1::Digest {
        algorithm: String::new(),
        hex: String::new(),
    };
    assert_eq!(Digest::try_from(digest).unwrap_err().field(), "Digest");
}

#[test]
fn baselines() {
    let baseline = verification::v1::BaselineContents::from(&samples::baseline());
    let rows: &Rows<verification::v1::BaselineContents> = &[
        ("BaselineContents.baseline", |m| {
            m.baseline = "0123456789abcdeF".to_owned()
        }),
        ("BaselineContents.baseline", |m| {
            m.baseline = "0123456789abcdef".to_owned()
        }),
        ("BaselineContents.baseline", |m| m.images.truncate(1)),
        ("BaselineContents.baseline", |m| m.crds.clear()),
        ("BaselineContents.version", |m| m.version = "2.9.3".to_owned()),
        ("BaselineContents.layer", |m| m.layer = sha512()),
        ("BaselineContents.images", |m| m.images.push(m.images[1].clone())),
        ("BaselineContents.crds", |m| m.crds.push(m.crds[0].clone())),
        ("CrdVersions.name", |m| m.crds[0].name.clear()),
        ("CrdVersions.versions", |m| {
            m.crds[0].versions.push("v1".to_owned())
        }),
        ("CrdVersions.versions", |m| m.crds[0].versions.push(String::new())),
        ("CrdVersions.storage", |m| m.crds[0].storage.clear()),
        ("CrdVersions.stored", |m| m.crds[0].stored.push("v1".to_owned())),
    ];
    let read = refused::<_, Baseline>(&baseline, rows);
    insta::assert_snapshot!("baseline", read);
}

#[test]
fn evidence_and_summaries() {
    let evidence = verification::v1::Evidence::from(&samples::evidence());
    let rows: &Rows<verification::v1::Evidence> = &[
        ("Evidence.release", |m| m.release = "flux".to_owned()),
        ("Evidence.artifact", |m| m.artifact = "flux-cli".to_owned()),
        ("Evidence.image", |m| m.image = "source-controller".to_owned()),
        ("Evidence.digest", |m| m.digest = None),
        ("Evidence.check", |m| m.check = "sbom".to_owned()),
        ("Evidence.result", |m| m.result = 0),
        ("Evidence.result", |m| m.result = 9),
        ("Evidence.reason", |m| m.reason = "BECAUSE".to_owned()),
        ("Evidence.expected", |m| m.expected = None),
        ("Evidence.integrated_time", |m| m.integrated_time = late()),
    ];
    let mut read = refused::<_, Evidence>(&evidence, rows);

    let summary = verification::v1::RoleSummary::from(&samples::summary());
    let rows: &Rows<verification::v1::RoleSummary> = &[
        ("RoleSummary.release", |m| m.release.clear()),
        ("RoleSummary.attempt", |m| m.attempt = 0),
        ("RoleSummary.contents", |m| m.contents = sha512()),
        ("SummaryLine.artifact", |m| m.checks[0].artifact.clear()),
        ("SummaryLine.digest", |m| m.checks[0].digest = None),
        ("SummaryLine.check", |m| m.checks[0].check.clear()),
        ("SummaryLine.result", |m| m.checks[0].result = 0),
        ("SummaryLine.reason", |m| {
            m.checks[0].reason = "because".to_owned()
        }),
        ("SummaryLine.evidence", |m| m.checks[0].evidence = None),
        ("StatementRef.subject", |m| {
            m.checks[0].evidence.as_mut().unwrap().subject.clear()
        }),
        ("StatementRef.digest", |m| {
            m.checks[0].evidence.as_mut().unwrap().digest = None
        }),
    ];
    read.push_str(&refused::<_, RoleSummary>(&summary, rows));
    insta::assert_snapshot!("evidence", read);
}

#[test]
fn policies_and_decisions() {
    let policy = policy::v1::PolicyText::from(&samples::policy());
    let rows: &Rows<policy::v1::PolicyText> = &[
        ("PolicyText.policy", |m| m.policy.clear()),
        ("PolicyText.digest", |m| m.digest = None),
        ("PolicyText.digest", |m| m.text.push('\n')),
        ("PolicyText.text", |m| m.text.clear()),
    ];
    let mut read = refused::<_, PolicyDocument>(&policy, rows);

    let decision = policy::v1::Decision::from(&samples::decision(Outcome::Wait));
    let rows: &Rows<policy::v1::Decision> = &[
        ("Decision.release", |m| m.release = "helm/v2.9.4".to_owned()),
        ("Decision.policy", |m| m.policy.clear()),
        ("Decision.policy_digest", |m| m.policy_digest = None),
        ("Decision.baseline", |m| m.baseline = "none".to_owned()),
        ("Decision.outcome", |m| m.outcome = 0),
        ("Decision.outcome", |m| m.outcome = -1),
        ("Decision.inputs", |m| m.inputs = sha512()),
        ("Decision.decide_time", |m| m.decide_time = None),
        ("Decision.decide_time", |m| {
            m.decide_time.as_mut().unwrap().nanos = -1
        }),
        ("Decision.decide_time", |m| {
            m.decide_time.as_mut().unwrap().nanos = 1_000_000_000
        }),
        ("Decision.valid_until_time", |m| m.valid_until_time = late()),
        ("Decision.wait_until_time", |m| {
            m.wait_until_time.as_mut().unwrap().seconds = -62_135_596_801
        }),
        ("RuleResult.rule", |m| m.rules[0].rule.clear()),
        ("RuleResult.outcome", |m| m.rules[0].outcome = 0),
        ("RuleResult.reason", |m| m.rules[0].reason.clear()),
        ("RuleResult.until_time", |m| m.rules[0].until_time = late()),
    ];
    read.push_str(&refused::<_, Decision>(&decision, rows));
    insta::assert_snapshot!("policy", read);
}

#[test]
fn an_enum_that_stands_alone_is_named_by_its_type() {
    let error = Mode::try_from(common::v1::Mode::Unspecified).unwrap_err();
    assert_eq!(error.field(), "Mode");
    let error = Outcome::try_from(common::v1::Outcome::Unspecified).unwrap_err();
    assert_eq!(error.field(), "Outcome");
}

#[test]
fn json_that_says_more_than_the_message_is_refused() {
    let decision = policy::v1::Decision::from(&samples::decision(Outcome::Allow));
    let read = |json: serde_json::Value| serde_json::from_value::<policy::v1::Decision>(json);
    let good = serde_json::to_value(&decision).unwrap();
    assert_eq!(read(good.clone()).unwrap(), decision);

    let mut unknown = good.clone();
    unknown["waived"] = true.into();
    assert!(
        read(unknown)
            .unwrap_err()
            .to_string()
            .contains("unknown field `waived`")
    );
    let mut nested = good.clone();
    nested["rules"][0]["waived"] = true.into();
    assert!(read(nested).is_err());
    let mut choice = good.clone();
    choice["outcome"] = "OUTCOME_MAYBE".into();
    assert!(read(choice).is_err());
    let mut number = good;
    number["outcome"] = 9.into();
    assert!(read(number).is_err());
    let twice = r#"{"release": "a", "release": "b"}"#;
    assert!(serde_json::from_str::<policy::v1::Decision>(twice).is_err());
}
