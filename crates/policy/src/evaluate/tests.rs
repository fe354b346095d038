use std::collections::BTreeMap;

use domain::evidence::SummaryLine;
use domain::identity::{Claims, IdentityProfile, SignerIdentity};
use domain::{CheckKind, Component, ImageContents, ImageRef, Version};

use super::*;

mod ages_and_steps;
mod properties;
mod signatures;

/// The inputs of a decision, owned, so that a test can spoil one of them.
struct Case {
    policy: Policy,
    release: ReleaseKey,
    contents: Option<ReleaseContents>,
    summary: Option<RoleSummary>,
    verified: Vec<Verified>,
    evidence: Vec<Evidence>,
    baseline: Baseline,
    ledger: Ledger,
    tag_moved: bool,
    now: Timestamp,
}

const RULES: &str = "\
apiVersion: policy.fluxgate.dev/v1alpha1
kind: UpgradePolicy
metadata: {name: default}
spec:
  rules:
    - {name: signed, signature: {profile: flux, artifacts: All}}
    - {name: step, versionStep: {allow: [Patch, Minor], skippedMinors: NeedsApproval}}
    - {name: age, releaseAge: {patch: 72h, minor: 14d, dotZero: 30d}}
";

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap()
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn index(component: Component) -> Digest {
    Digest::of(component.name().as_bytes())
}

impl Case {
    /// v2.9.3 to v2.9.4, everything as it must be, 80 hours after the last signature.
    fn good() -> Self {
        Self::step("v2.9.3", "v2.9.4", 80)
    }

    fn step(from: &str, to: &str, hours: i64) -> Self {
        let release = ReleaseKey {
            version: version(to),
            manifests: Digest::of(b"manifests"),
        };
        let image = |component: Component| ImageContents {
            image: ImageRef::tagged(&format!("ghcr.io/fluxcd/{component}"), "v1.0.0").unwrap(),
            index: index(component),
            platforms: Vec::new(),
        };
        let images: BTreeMap<_, _> = Component::ALL.into_iter().map(|c| (c, image(c))).collect();
        let contents = ReleaseContents {
            release: release.clone(),
            layer: Digest::of(b"layer"),
            document: Digest::of(b"document"),
            images: images.clone(),
        };
        let targets: Vec<(Artifact, Digest)> = std::iter::once((Artifact::FluxManifests, release.manifests))
            .chain(Component::ALL.into_iter().map(|c| (Artifact::Image(c), index(c))))
            .collect();
        let evidence: Vec<_> = targets
            .iter()
            .map(|(a, d)| evidence_of(&release, *a, *d))
            .collect();
        let verified = targets
            .iter()
            .enumerate()
            .map(|(n, (artifact, digest))| Verified {
                artifact: *artifact,
                digest: *digest,
                result: CheckResult::Passed,
                reason: None,
                detail: String::new(),
                integrated_time: Some(at(-i64::try_from(n).unwrap())),
            });
        Self {
            policy: Policy::parse("p.yaml", RULES).unwrap(),
            summary: Some(summary_of(&release, &evidence)),
            contents: Some(contents),
            verified: verified.collect(),
            evidence,
            baseline: Baseline {
                version: Some(version(from)),
                layer: None,
                images,
                crds: BTreeMap::new(),
            },
            ledger: Ledger::Confirmed,
            tag_moved: false,
            now: at(hours),
            release,
        }
    }

    fn evaluate(&self) -> Evaluation {
        evaluate(&Inputs {
            policy: &self.policy,
            release: &self.release,
            contents: self.contents.as_ref(),
            summary: self.summary.as_ref(),
            verified: &self.verified,
            evidence: &self.evidence,
            baseline: &self.baseline,
            ledger: &self.ledger,
            tag_moved: self.tag_moved,
            now: self.now,
        })
    }

    /// The one rule that does not allow, after a check that there is no other.
    fn objection(&self) -> RuleResult {
        let evaluation = self.evaluate();
        let mut objections: Vec<_> = evaluation
            .rules
            .into_iter()
            .filter(|rule| rule.outcome != Outcome::Allow)
            .collect();
        assert_eq!(objections.len(), 1, "{objections:?}");
        assert_eq!(evaluation.outcome, objections[0].outcome);
        assert_eq!(evaluation.valid_until, None);
        objections.remove(0)
    }

    /// Lets verifier and policy-engine agree on another result for one artifact.
    fn all_say(&mut self, artifact: Artifact, result: CheckResult, reason: Option<Reason>) {
        for evidence in self.evidence.iter_mut().filter(|e| e.artifact == artifact) {
            (evidence.result, evidence.reason) = (result, reason);
        }
        for own in self.verified.iter_mut().filter(|own| own.artifact == artifact) {
            (own.result, own.reason, own.integrated_time) = (result, reason, None);
        }
        self.summary = Some(summary_of(&self.release, &self.evidence));
    }
}

fn summary_of(release: &ReleaseKey, evidence: &[Evidence]) -> RoleSummary {
    let line = |evidence: &Evidence| SummaryLine {
        artifact: evidence.artifact,
        digest: evidence.digest,
        check: evidence.check,
        result: evidence.result,
        reason: evidence.reason,
        subject: format!("evidence.{}", evidence.artifact),
        evidence: Digest::of(b"envelope"),
    };
    RoleSummary {
        release: release.clone(),
        attempt: 1,
        contents: Some(Digest::of(b"contents")),
        checks: evidence.iter().map(line).collect(),
    }
}

fn evidence_of(release: &ReleaseKey, artifact: Artifact, digest: Digest) -> Evidence {
    let workflow = format!("https://github.com/fluxcd/{artifact}/.github/workflows/release.yml@refs/tags/v1");
    Evidence {
        release: release.clone(),
        artifact,
        image: ImageRef::tagged(&format!("ghcr.io/fluxcd/{artifact}"), "v1.0.0").unwrap(),
        digest,
        check: CheckKind::Signature,
        result: CheckResult::Passed,
        reason: None,
        detail: "checked".to_owned(),
        expected: IdentityProfile {
            subject_alternative_names: vec![workflow.clone()],
            issuer: "https://token.actions.githubusercontent.com".to_owned(),
            claims: Claims {
                source_repository: format!("https://github.com/fluxcd/{artifact}"),
                source_ref: "refs/tags/v1".to_owned(),
                source_owner: "https://github.com/fluxcd".to_owned(),
                trigger: "push".to_owned(),
                runner: "github-hosted".to_owned(),
            },
        },
        found: Some(SignerIdentity {
            subject_alternative_name: workflow,
            ..SignerIdentity::default()
        }),
        integrated_time: Some(at(0)),
        material: Vec::new(),
    }
}

#[test]
fn a_good_release_is_allowed_for_a_day_with_every_rule_named() {
    let case = Case::good();
    let evaluation = case.evaluate();
    assert_eq!(evaluation.outcome, Outcome::Allow);
    assert_eq!(evaluation.valid_until, Some(at(80 + 24)));
    assert_eq!(evaluation.wait_until, None);
    let said: Vec<_> = evaluation
        .rules
        .iter()
        .map(|rule| (rule.rule.as_str(), rule.reason))
        .collect();
    assert_eq!(
        said,
        [
            ("signed", Reason::SignatureVerified),
            ("step", Reason::StepAllowed),
            ("age", Reason::ReleaseOldEnough)
        ]
    );
}

#[test]
fn a_tag_that_moved_is_denied() {
    let case = Case {
        tag_moved: true,
        ..Case::good()
    };
    let objection = case.objection();
    assert_eq!(
        (objection.rule.as_str(), objection.outcome),
        ("tag", Outcome::Deny)
    );
    assert_eq!(objection.reason, Reason::TagMoved);
}

#[test]
fn an_unsure_ledger_turns_allow_into_wait_without_an_end() {
    let ledger = Ledger::Unconfirmed {
        why: "audit-log was last heard 6 min ago".to_owned(),
    };
    let case = Case {
        ledger,
        ..Case::good()
    };
    let objection = case.objection();
    assert_eq!(
        (objection.rule.as_str(), objection.outcome),
        ("ledger", Outcome::Wait)
    );
    assert_eq!(objection.reason, Reason::LedgerUnconfirmed);
    assert_eq!(objection.detail, "audit-log was last heard 6 min ago");
    assert_eq!(case.evaluate().wait_until, None);
}

#[test]
fn an_unsure_ledger_changes_no_other_answer() {
    for spoilt in [
        Case {
            tag_moved: true,
            ..Case::good()
        },
        Case::step("v2.9.3", "v2.9.4", 1),
        Case::step("v2.7.5", "v2.9.4", 9999),
    ] {
        let sure = spoilt.evaluate();
        let unsure = Case {
            ledger: Ledger::Unconfirmed {
                why: "gap".to_owned(),
            },
            ..spoilt
        };
        assert_eq!(unsure.evaluate(), sure);
    }
}
