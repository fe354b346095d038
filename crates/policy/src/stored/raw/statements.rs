//! What was read of each statement: summary, contents, evidence, baseline.

use std::collections::{BTreeMap, BTreeSet};

use domain::evidence::SummaryLine;
use domain::identity::{Claims, IdentityProfile, SignerIdentity};
use domain::{
    Artifact, Baseline, CheckKind, CheckResult, Component, CrdVersions, Digest, Evidence, ImageContents,
    ImageRef, Platform, PlatformImage, Reason, ReleaseContents, ReleaseKey, RoleSummary, Version,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RawStatement, text};
use crate::stored::Named;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawSummary {
    statement: RawStatement,
    #[serde(with = "text")]
    release: ReleaseKey,
    attempt: u64,
    contents: Option<Digest>,
    checks: Vec<RawLine>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawLine {
    artifact: Artifact,
    digest: Digest,
    #[serde(with = "text")]
    check: CheckKind,
    #[serde(with = "text::result")]
    result: CheckResult,
    #[serde(with = "text::option")]
    reason: Option<Reason>,
    subject: String,
    evidence: Digest,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawContents {
    statement: RawStatement,
    #[serde(with = "text")]
    release: ReleaseKey,
    layer: Digest,
    document: Digest,
    images: BTreeMap<Component, RawImage>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawImage {
    #[serde(with = "text")]
    image: ImageRef,
    index: Digest,
    platforms: Vec<RawPlatform>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawPlatform {
    os: String,
    architecture: String,
    manifest: Digest,
    config: Digest,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawEvidence {
    statement: RawStatement,
    #[serde(with = "text")]
    release: ReleaseKey,
    artifact: Artifact,
    #[serde(with = "text")]
    image: ImageRef,
    digest: Digest,
    #[serde(with = "text")]
    check: CheckKind,
    #[serde(with = "text::result")]
    result: CheckResult,
    #[serde(with = "text::option")]
    reason: Option<Reason>,
    detail: String,
    expected: RawProfile,
    found: Option<RawIdentity>,
    integrated_time: Option<Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawProfile {
    subject_alternative_names: Vec<String>,
    issuer: String,
    source_repository: String,
    source_ref: String,
    source_owner: String,
    trigger: String,
    runner: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawIdentity {
    subject_alternative_name: String,
    issuer: String,
    source_repository: String,
    source_ref: String,
    source_digest: String,
    trigger: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawBaseline {
    statement: RawStatement,
    version: Option<Version>,
    layer: Option<Digest>,
    images: BTreeMap<Component, RawImage>,
    crds: BTreeMap<String, RawCrd>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawCrd {
    versions: BTreeSet<String>,
    storage: String,
}

impl From<&Named<RoleSummary>> for RawSummary {
    fn from(Named { statement, value }: &Named<RoleSummary>) -> Self {
        let line = |line: &SummaryLine| RawLine {
            artifact: line.artifact,
            digest: line.digest,
            check: line.check,
            result: line.result,
            reason: line.reason,
            subject: line.subject.clone(),
            evidence: line.evidence,
        };
        Self {
            statement: statement.into(),
            release: value.release.clone(),
            attempt: value.attempt,
            contents: value.contents,
            checks: value.checks.iter().map(line).collect(),
        }
    }
}

impl RawSummary {
    pub(super) fn read(self) -> Named<RoleSummary> {
        let line = |line: RawLine| SummaryLine {
            artifact: line.artifact,
            digest: line.digest,
            check: line.check,
            result: line.result,
            reason: line.reason,
            subject: line.subject,
            evidence: line.evidence,
        };
        self.statement.names(RoleSummary {
            release: self.release,
            attempt: self.attempt,
            contents: self.contents,
            checks: self.checks.into_iter().map(line).collect(),
        })
    }
}

impl From<&Named<ReleaseContents>> for RawContents {
    fn from(Named { statement, value }: &Named<ReleaseContents>) -> Self {
        Self {
            statement: statement.into(),
            release: value.release.clone(),
            layer: value.layer,
            document: value.document,
            images: written(&value.images),
        }
    }
}

impl RawContents {
    pub(super) fn read(self) -> Named<ReleaseContents> {
        self.statement.names(ReleaseContents {
            release: self.release,
            layer: self.layer,
            document: self.document,
            images: read(self.images),
        })
    }
}

fn written(images: &BTreeMap<Component, ImageContents>) -> BTreeMap<Component, RawImage> {
    let platform = |image: &PlatformImage| RawPlatform {
        os: image.platform.os.clone(),
        architecture: image.platform.architecture.clone(),
        manifest: image.manifest,
        config: image.config,
    };
    let image = |image: &ImageContents| RawImage {
        image: image.image.clone(),
        index: image.index,
        platforms: image.platforms.iter().map(platform).collect(),
    };
    images
        .iter()
        .map(|(component, found)| (*component, image(found)))
        .collect()
}

fn read(images: BTreeMap<Component, RawImage>) -> BTreeMap<Component, ImageContents> {
    let platform = |raw: RawPlatform| PlatformImage {
        platform: Platform {
            os: raw.os,
            architecture: raw.architecture,
        },
        manifest: raw.manifest,
        config: raw.config,
    };
    let image = |raw: RawImage| ImageContents {
        image: raw.image,
        index: raw.index,
        platforms: raw.platforms.into_iter().map(platform).collect(),
    };
    images
        .into_iter()
        .map(|(component, raw)| (component, image(raw)))
        .collect()
}

impl From<&Named<Evidence>> for RawEvidence {
    fn from(Named { statement, value }: &Named<Evidence>) -> Self {
        let expected = &value.expected;
        Self {
            statement: statement.into(),
            release: value.release.clone(),
            artifact: value.artifact,
            image: value.image.clone(),
            digest: value.digest,
            check: value.check,
            result: value.result,
            reason: value.reason,
            detail: value.detail.clone(),
            expected: RawProfile {
                subject_alternative_names: expected.subject_alternative_names.clone(),
                issuer: expected.issuer.clone(),
                source_repository: expected.claims.source_repository.clone(),
                source_ref: expected.claims.source_ref.clone(),
                source_owner: expected.claims.source_owner.clone(),
                trigger: expected.claims.trigger.clone(),
                runner: expected.claims.runner.clone(),
            },
            found: value.found.as_ref().map(|found| RawIdentity {
                subject_alternative_name: found.subject_alternative_name.clone(),
                issuer: found.issuer.clone(),
                source_repository: found.source_repository.clone(),
                source_ref: found.source_ref.clone(),
                source_digest: found.source_digest.clone(),
                trigger: found.trigger.clone(),
            }),
            integrated_time: value.integrated_time,
        }
    }
}

impl RawEvidence {
    pub(super) fn read(self) -> Named<Evidence> {
        self.statement.names(Evidence {
            release: self.release,
            artifact: self.artifact,
            image: self.image,
            digest: self.digest,
            check: self.check,
            result: self.result,
            reason: self.reason,
            detail: self.detail,
            expected: IdentityProfile {
                subject_alternative_names: self.expected.subject_alternative_names,
                issuer: self.expected.issuer,
                claims: Claims {
                    source_repository: self.expected.source_repository,
                    source_ref: self.expected.source_ref,
                    source_owner: self.expected.source_owner,
                    trigger: self.expected.trigger,
                    runner: self.expected.runner,
                },
            },
            found: self.found.map(|found| SignerIdentity {
                subject_alternative_name: found.subject_alternative_name,
                issuer: found.issuer,
                source_repository: found.source_repository,
                source_ref: found.source_ref,
                source_digest: found.source_digest,
                trigger: found.trigger,
            }),
            integrated_time: self.integrated_time,
            material: Vec::new(),
        })
    }
}

impl From<&Named<Baseline>> for RawBaseline {
    fn from(Named { statement, value }: &Named<Baseline>) -> Self {
        let crd = |crd: &CrdVersions| RawCrd {
            versions: crd.versions.clone(),
            storage: crd.storage.clone(),
        };
        Self {
            statement: statement.into(),
            version: value.version.clone(),
            layer: value.layer,
            images: written(&value.images),
            crds: value
                .crds
                .iter()
                .map(|(name, found)| (name.clone(), crd(found)))
                .collect(),
        }
    }
}

impl RawBaseline {
    pub(super) fn read(self) -> Named<Baseline> {
        let crd = |raw: RawCrd| CrdVersions {
            versions: raw.versions,
            storage: raw.storage,
        };
        let crds = self.crds.into_iter().map(|(name, raw)| (name, crd(raw)));
        self.statement.names(Baseline {
            version: self.version,
            layer: self.layer,
            images: read(self.images),
            crds: crds.collect(),
        })
    }
}
