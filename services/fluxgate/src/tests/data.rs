//! A small fleet: three releases (allowed, signed by a stranger, still at work) and four clusters.

mod fleet;
mod stops;

use domain::{ReleaseKey, trace::TraceId};
use wire::audit::v1::{Entry, LedgerStatus};
use wire::common::v1::{CheckResult, Digest, Outcome, StatementRef};
use wire::policy::v1::{Decision, DecisionView, PolicyText, RuleResult};
use wire::protobuf::Timestamp;
use wire::release::v1::Release;
use wire::verification::v1::{
    Evidence, IdentityProfile, RoleSummary, SignerIdentity, SummaryLine, Verification,
};

pub(super) use fleet::{baselines, clusters, rollouts};
pub(super) use stops::{stop, stops};

const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// A time of 2026-11-24, like `11:30:00`.
fn time(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = format!("2026-11-24T{text}Z").parse().unwrap();
    Some(wire::time::timestamp(time))
}

fn digest(of: &str) -> Option<Digest> {
    Some(domain::Digest::of(of.as_bytes()).into())
}

fn key(version: &str) -> ReleaseKey {
    ReleaseKey {
        version: version.parse().unwrap(),
        manifests: domain::Digest::of(version.as_bytes()),
    }
}

fn baseline() -> String {
    domain::Digest::of(b"baseline").hex().chars().take(16).collect()
}

pub(super) fn releases() -> Vec<Release> {
    let release = |version: &str, seen: &str| Release {
        name: key(version).api_name(),
        release: key(version).to_string(),
        discover_time: time(seen),
        tag_moved: false,
        trace_id: TraceId::of_release(&key(version)).to_string(),
    };
    vec![
        release("v2.9.5", "11:59:30"),
        release("v2.9.4", "09:00:00"),
        release("v2.9.3", "00:00:00"),
    ]
}

fn line(artifact: &str, result: CheckResult, reason: &str) -> SummaryLine {
    SummaryLine {
        artifact: artifact.to_owned(),
        digest: digest(artifact),
        check: "signature".to_owned(),
        result: result.into(),
        reason: reason.to_owned(),
        evidence: Some(StatementRef {
            subject: "fluxgate.v1.verification.x".to_owned(),
            digest: digest("evidence"),
        }),
    }
}

fn evidence(version: &str, artifact: &str, result: CheckResult) -> Evidence {
    let san = |reference: &str| {
        format!("https://github.com/fluxcd/{artifact}/.github/workflows/release.yml@{reference}")
    };
    let (tag, repository) = (
        "refs/tags/v1.9.4",
        format!("https://github.com/fluxcd/{artifact}"),
    );
    Evidence {
        release: key(version).to_string(),
        artifact: artifact.to_owned(),
        image: format!("ghcr.io/fluxcd/{artifact}:v1.9.4"),
        digest: digest(artifact),
        check: "signature".to_owned(),
        result: result.into(),
        reason: if result == CheckResult::Failed {
            "IDENTITY_MISMATCH".to_owned()
        } else {
            String::new()
        },
        detail: "no signature carries an expected identity".to_owned(),
        expected: Some(IdentityProfile {
            subject_alternative_names: vec![san(tag)],
            issuer: ISSUER.to_owned(),
            source_repository: repository.clone(),
            source_ref: tag.to_owned(),
            trigger: "push".to_owned(),
            ..IdentityProfile::default()
        }),
        found: Some(SignerIdentity {
            subject_alternative_name: san("refs/heads/main").replace("fluxcd", "stranger"),
            issuer: ISSUER.to_owned(),
            source_repository: repository.replace("fluxcd", "stranger"),
            source_ref: "refs/heads/main".to_owned(),
            source_digest: "0a1b".to_owned(),
            trigger: "workflow_dispatch".to_owned(),
        }),
        integrated_time: time("08:00:00"),
        material: Vec::new(),
    }
}

pub(super) fn verifications() -> Vec<Verification> {
    let passed = CheckResult::Passed;
    let verification = |version: &str, lines: Vec<SummaryLine>, evidence: Vec<Evidence>| Verification {
        release: key(version).to_string(),
        summary: Some(RoleSummary {
            release: key(version).to_string(),
            attempt: 1,
            contents: digest("contents"),
            checks: lines,
            request_id: String::new(),
        }),
        evidence,
        verify_time: time("09:01:00"),
        ..Verification::default()
    };
    let bad = vec![
        line("flux-manifests", passed, ""),
        line("source-controller", CheckResult::Failed, "IDENTITY_MISMATCH"),
        line("helm-controller", CheckResult::NotChecked, "SIGNATURE_MISSING"),
    ];
    let found = vec![
        evidence("v2.9.4", "flux-manifests", passed),
        evidence("v2.9.4", "source-controller", CheckResult::Failed),
        Evidence {
            reason: "SIGNATURE_MISSING".to_owned(),
            found: None,
            expected: None,
            detail: String::new(),
            ..evidence("v2.9.4", "helm-controller", CheckResult::NotChecked)
        },
    ];
    let good = vec![
        line("flux-manifests", passed, ""),
        line("source-controller", passed, ""),
    ];
    vec![
        Verification {
            release: key("v2.9.5").to_string(),
            ..Verification::default()
        },
        verification("v2.9.4", bad, found),
        verification("v2.9.3", good, vec![evidence("v2.9.3", "flux-manifests", passed)]),
    ]
}

fn rule(name: &str, outcome: Outcome, reason: &str, detail: &str) -> RuleResult {
    RuleResult {
        rule: name.to_owned(),
        outcome: outcome.into(),
        reason: reason.to_owned(),
        detail: detail.to_owned(),
        until_time: if outcome == Outcome::Wait {
            time("23:00:00")
        } else {
            None
        },
    }
}

fn view(id: &str, policy: &str, version: &str, outcome: Outcome, rules: Vec<RuleResult>) -> DecisionView {
    DecisionView {
        name: format!("decisions/{id}"),
        decision: Some(Decision {
            release: key(version).to_string(),
            policy: policy.to_owned(),
            policy_digest: digest(policy),
            baseline: baseline(),
            outcome: outcome.into(),
            rules,
            inputs: digest("inputs"),
            decide_time: time("10:00:00"),
            valid_until_time: if outcome == Outcome::Allow {
                time("23:59:59")
            } else {
                None
            },
            wait_until_time: if outcome == Outcome::Wait {
                time("23:00:00")
            } else {
                None
            },
            as_of: 40,
            supersedes: String::new(),
            demo: version == "v2.9.3",
        }),
        subject: format!("fluxgate.v1.policy.flux_{id}.decision.1"),
        sequence: 41,
        trace_id: TraceId::of_release(&key(version)).to_string(),
    }
}

pub(super) fn decisions() -> Vec<DecisionView> {
    let signed = |outcome, reason| {
        rule(
            "signed",
            outcome,
            reason,
            "every artifact is signed by its workflow",
        )
    };
    let deny = vec![
        signed(Outcome::Deny, "IDENTITY_MISMATCH"),
        rule(
            "soak",
            Outcome::Wait,
            "RELEASE_TOO_YOUNG",
            "72h are wanted, 3h are over",
        ),
    ];
    let wait = vec![
        signed(Outcome::Allow, "SIGNATURE_VERIFIED"),
        rule(
            "soak",
            Outcome::Wait,
            "RELEASE_TOO_YOUNG",
            "72h are wanted, 12h are over",
        ),
    ];
    let allow = vec![signed(Outcome::Allow, "SIGNATURE_VERIFIED")];
    let mut expired = view(
        "00000000000000d4",
        "edge",
        "v2.9.3",
        Outcome::Allow,
        allow.clone(),
    );
    expired.decision.as_mut().unwrap().valid_until_time = time("11:00:00");
    vec![
        view("00000000000000d1", "production", "v2.9.4", Outcome::Deny, deny),
        view("00000000000000d2", "production", "v2.9.3", Outcome::Wait, wait),
        view("00000000000000d3", "canary", "v2.9.3", Outcome::Allow, allow),
        expired,
    ]
}

pub(super) fn policies() -> Vec<PolicyText> {
    let policy = |name: &str| PolicyText {
        policy: name.to_owned(),
        digest: digest(name),
        text: "kind: UpgradePolicy\nspec: {}\n".to_owned(),
    };
    ["canary", "edge", "production"].map(policy).to_vec()
}

pub(super) fn entries() -> Vec<Entry> {
    let entry = |index: u64, kind: &str, summary: &str| Entry {
        index,
        sequence: index + 1,
        subject: format!("fluxgate.v1.area.workflow-{index}.{kind}.1"),
        payload: digest(summary),
        store_time: time("09:00:00"),
        kind: kind.to_owned(),
        trace_id: if index == 0 {
            TraceId::of_release(&key("v2.9.4")).to_string()
        } else {
            String::new()
        },
        summary: summary.to_owned(),
        ..Entry::default()
    };
    vec![
        entry(
            0,
            "release-discovered",
            "seen: flux/v2.9.4 in ghcr.io/fluxcd/flux-manifests (a hint)",
        ),
        entry(1, "decision", "decisions/00000000000000d1: DENY flux/v2.9.4"),
        entry(2, "report", "REFUSED by prod-us-1: CUSTOMISED"),
        // What is published need not be a statement.
        entry(3, "", ""),
        entry(4, "health", "edge-1 is UNHEALTHY\u{1b}[2J"),
    ]
}

pub(super) fn source() -> wire::release::v1::ReleaseSource {
    wire::release::v1::ReleaseSource {
        repository: "ghcr.io/fluxcd/flux-manifests".to_owned(),
        look_time: time("11:59:48"),
        success_time: time("11:59:48"),
        ..wire::release::v1::ReleaseSource::default()
    }
}

pub(super) fn ledger() -> LedgerStatus {
    LedgerStatus {
        report_time: time("11:59:20"),
        confirmed: 5,
        stream_create_time: time("00:00:00"),
        sound: true,
        problem: String::new(),
        tree_size: 5,
        root_hash: "00".repeat(32),
        checkpoint: "note".to_owned(),
    }
}
