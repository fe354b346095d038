//! One value of the domain for each event, with every optional field set.

mod rollout;

use std::collections::{BTreeMap, BTreeSet};

use attest::{BundleKey, Role, TrustBundle};
use domain::assignment::StatementRef;
use domain::decision::PolicyId;
use domain::evidence::{SignatureMaterial, SummaryLine};
use domain::fleet::{ComponentFacts, CrdFacts, HealthReport, Heartbeat, Report, ReportKind, Symptom};
use domain::identity::{Claims, IdentityProfile, SignerIdentity};
use domain::{
    Action, Artifact, Assignment, Baseline, CheckKind, CheckResult, ClusterFacts, ClusterMember, ClusterName,
    Component, CrdVersions, Decision, Digest, Epoch, Evidence, Health, ImageContents, Installer, Mode,
    Outcome, Platform, PlatformImage, Reason, ReleaseContents, ReleaseKey, RoleSummary, RolloutKey,
    RuleResult, Version,
};
use jiff::Timestamp;

use crate::{Discovered, PolicyDocument, audit, time};

pub(super) use rollout::{baked, finished, mode, opened, retried, started, stop};

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

pub(super) fn release() -> ReleaseKey {
    ReleaseKey {
        version: Version::new(2, 9, 4),
        manifests: digest("flux-manifests"),
    }
}

fn rollout_key() -> RolloutKey {
    RolloutKey {
        version: Version::new(2, 9, 4),
        ordinal: 1,
    }
}

fn cluster() -> ClusterName {
    "prod-eu".parse().unwrap()
}

fn statement(subject: &str) -> StatementRef {
    StatementRef {
        subject: format!("fluxgate.v1.{subject}.1"),
        digest: digest(subject),
    }
}

fn image(component: Component, tag: &str) -> ImageContents {
    let index = digest(&format!("{component}:{tag}"));
    let platform = |architecture: &str| PlatformImage {
        platform: Platform {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
        },
        manifest: digest(&format!("{component}:{tag} {architecture}")),
        config: digest(&format!("{component}:{tag} {architecture} config")),
    };
    ImageContents {
        image: format!("ghcr.io/fluxcd/{component}:{tag}@{index}")
            .parse()
            .unwrap(),
        index,
        platforms: vec![platform("amd64"), platform("arm/v7")],
    }
}

fn images() -> BTreeMap<Component, ImageContents> {
    BTreeMap::from([
        (
            Component::SourceController,
            image(Component::SourceController, "v1.9.4"),
        ),
        (
            Component::HelmController,
            image(Component::HelmController, "v1.6.1"),
        ),
    ])
}

fn crd() -> (String, CrdVersions) {
    let versions = BTreeSet::from(["v1".to_owned(), "v1beta2".to_owned()]);
    (
        "buckets.source.toolkit.fluxcd.io".to_owned(),
        CrdVersions {
            versions,
            storage: "v1".to_owned(),
        },
    )
}

pub(super) fn discovered() -> Discovered {
    Discovered {
        release: release(),
        repository: "ghcr.io/fluxcd/flux-manifests".to_owned(),
    }
}

pub(super) fn contents() -> ReleaseContents {
    ReleaseContents {
        release: release(),
        layer: digest("layer"),
        document: digest("document"),
        images: images(),
    }
}

pub(super) fn baseline() -> Baseline {
    Baseline {
        version: Some(Version::new(2, 9, 3)),
        layer: Some(digest("layer")),
        images: images(),
        crds: BTreeMap::from([crd()]),
    }
}

pub(super) fn evidence() -> Evidence {
    let component = Component::SourceController;
    let text = str::to_owned;
    Evidence {
        release: release(),
        artifact: Artifact::Image(component),
        image: "ghcr.io/fluxcd/source-controller:v1.9.4".parse().unwrap(),
        digest: image(component, "v1.9.4").index,
        check: CheckKind::Signature,
        result: CheckResult::Failed,
        reason: Some(Reason::ClaimMismatch),
        detail: text("source ref is refs/heads/main"),
        expected: IdentityProfile {
            subject_alternative_names: vec![text(
                "https://github.com/fluxcd/source-controller/x@refs/tags/v1.9.4",
            )],
            issuer: text("https://token.actions.githubusercontent.com"),
            claims: Claims {
                source_repository: text("https://github.com/fluxcd/source-controller"),
                source_ref: text("refs/tags/v1.9.4"),
                source_owner: text("https://github.com/fluxcd"),
                trigger: text("push"),
                runner: text("github-hosted"),
            },
        },
        found: Some(SignerIdentity {
            subject_alternative_name: text("https://github.com/fluxcd/source-controller/x@refs/heads/main"),
            issuer: text("https://token.actions.githubusercontent.com"),
            source_repository: text("https://github.com/fluxcd/source-controller"),
            source_ref: text("refs/heads/main"),
            source_digest: text("0123456789012345678901234567890123456789"),
            trigger: text("push"),
        }),
        integrated_time: Some(at("2026-01-02T03:04:05Z")),
        material: vec![SignatureMaterial {
            payload: vec![0, 255, b'{'],
            signature: text("MEUCIQ=="),
            certificate: text("-----BEGIN CERTIFICATE-----"),
            bundle: text("{}"),
        }],
    }
}

pub(super) fn summary() -> RoleSummary {
    let line = |artifact: Artifact, result, reason| SummaryLine {
        artifact,
        digest: digest(artifact.name()),
        check: CheckKind::Signature,
        result,
        reason,
        subject: format!("fluxgate.v1.verification.{artifact}.signature.1"),
        evidence: digest("evidence"),
    };
    RoleSummary {
        release: release(),
        attempt: 2,
        contents: Some(digest("contents")),
        checks: vec![
            line(Artifact::FluxManifests, CheckResult::Passed, None),
            line(
                Artifact::Image(Component::HelmController),
                CheckResult::NotChecked,
                Some(Reason::SignatureMissing),
            ),
        ],
    }
}

pub(super) fn policy() -> PolicyDocument {
    let text = "metadata:\n  name: production\n".to_owned();
    PolicyDocument {
        policy: PolicyId {
            name: "production".to_owned(),
            digest: digest(&text),
        },
        text,
    }
}

pub(super) fn decision(outcome: Outcome) -> Decision {
    Decision {
        release: release(),
        policy: policy().policy,
        baseline: baseline().key(),
        outcome,
        rules: vec![RuleResult {
            rule: "age".to_owned(),
            outcome,
            reason: Reason::ReleaseTooYoung,
            detail: "public for 3 h of 72 h".to_owned(),
            until: Some(at("2026-01-05T00:00:00Z")),
        }],
        inputs: digest("inputs"),
        decided: at("2026-01-02T03:04:05.678901234Z"),
        valid_until: Some(at("2026-01-03T03:04:05Z")),
        wait_until: Some(at("2026-01-05T00:00:00Z")),
        as_of: u64::MAX,
        supersedes: Some("fluxgate.v1.decision.x.production.1".to_owned()),
        demo: true,
    }
}

pub(super) fn member() -> ClusterMember {
    ClusterMember {
        cluster: cluster(),
        labels: BTreeMap::from([
            ("tier".to_owned(), "prod".to_owned()),
            ("eu".to_owned(), String::new()),
        ]),
        agent_key: "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU".to_owned(),
        max_mode: Mode::Enforce,
        image_registry: "ghcr.io".to_owned(),
        removed: true,
    }
}

pub(super) fn facts() -> ClusterFacts {
    let index = image(Component::SourceController, "v1.9.4").index;
    let found = ComponentFacts {
        image: "ghcr.io/fluxcd/source-controller:v1.9.4".parse().unwrap(),
        image_ids: BTreeSet::from([index, digest("other")]),
    };
    let (name, crd) = crd();
    ClusterFacts {
        cluster: cluster(),
        observed: at("2026-01-02T03:04:05Z"),
        kubernetes: "v1.36.3".to_owned(),
        installer: Installer::FluxCli,
        components: BTreeMap::from([(Component::SourceController, found)]),
        crds: BTreeMap::from([(
            name,
            CrdFacts {
                crd,
                stored: BTreeSet::from(["v1".to_owned()]),
            },
        )]),
    }
}

pub(super) fn health() -> HealthReport {
    HealthReport {
        cluster: cluster(),
        observed: at("2026-01-02T03:04:05Z"),
        epoch: Epoch(7),
        health: Health::Unhealthy,
        symptoms: vec![Symptom {
            reason: Reason::CrashLoop,
            object: "Pod/source-controller-0".to_owned(),
            detail: "exit code 1".to_owned(),
        }],
    }
}

pub(super) fn heartbeat() -> Heartbeat {
    Heartbeat {
        cluster: cluster(),
        sent: at("2026-01-02T03:04:05Z"),
        epoch: Epoch(0),
        health: Health::Inconclusive,
        observations: 12,
        reconciles: 340,
        alarm: Some(domain::fleet::Alarm {
            reason: Reason::WrongCluster,
            detail: "assignment is for cluster prod-eu-8".to_owned(),
        }),
    }
}

pub(super) fn assignment() -> Assignment {
    Assignment {
        cluster: cluster(),
        epoch: Epoch(7),
        action: Action::Upgrade,
        mode: Mode::Observe,
        rollout: rollout_key(),
        target: release(),
        layer: digest("layer"),
        images: images()
            .into_iter()
            .map(|(component, image)| (component, image.index))
            .collect(),
        image_registry: "registry.example:5000/mirror".to_owned(),
        baseline: baseline().key(),
        contents: statement("contents"),
        baseline_contents: statement("baseline"),
        decision: statement("decision"),
        summaries: vec![statement("verifier"), statement("scanner")],
        stops: vec!["cluster/prod-eu".to_owned()],
        issued: at("2026-01-02T03:04:05Z"),
        expires: at("2026-01-03T03:04:05Z"),
        as_of: 42,
        stable_for: jiff::SignedDuration::from_secs(60),
        success_deadline: jiff::SignedDuration::from_mins(30),
    }
}

pub(super) fn report(kind: ReportKind) -> Report {
    Report {
        cluster: cluster(),
        sent: at("2026-01-02T03:04:05Z"),
        epoch: Epoch(7),
        assignment: digest("assignment"),
        kind,
        detail: "spec.replicas: expected 1, found 2".to_owned(),
    }
}

pub(super) fn ledger() -> audit::v1::LedgerStatus {
    audit::v1::LedgerStatus {
        report_time: Some(time::timestamp(at("2026-01-02T03:04:05Z"))),
        confirmed: 41,
        stream_create_time: Some(time::timestamp(at("2026-01-01T00:00:00Z"))),
        sound: true,
        problem: String::new(),
        tree_size: 42,
        root_hash: digest("root").hex(),
        checkpoint: "fluxgate.dev/ledger\n42\n".to_owned(),
    }
}

pub(super) fn bundle() -> TrustBundle {
    TrustBundle {
        version: 1,
        demo: true,
        keys: vec![BundleKey {
            role: Role::Policy,
            public_key: "-----BEGIN PUBLIC KEY-----".to_owned(),
            not_before: at("2026-01-01T00:00:00Z"),
            not_after: at("2027-01-01T00:00:00Z"),
            retired_at: None,
            revoked_at: None,
        }],
    }
}
