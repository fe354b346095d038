//! `fluxgate.verification`: contents, baselines, evidence and summaries.

use domain::assignment::StatementRef;
use domain::evidence::{SignatureMaterial, SummaryLine};
use domain::identity::{Claims, IdentityProfile, SignerIdentity};
use domain::{Baseline, BaselineKey, Evidence, ReleaseContents, RoleSummary};

use super::common::{crds, images, read_images};
use super::{field, time};
use crate::WireError;
use crate::common::v1 as common;
use crate::verification::v1;

impl From<&ReleaseContents> for v1::ReleaseContents {
    fn from(contents: &ReleaseContents) -> Self {
        Self {
            release: contents.release.to_string(),
            layer: Some(contents.layer.into()),
            document: Some(contents.document.into()),
            images: images(&contents.images),
        }
    }
}

impl TryFrom<v1::ReleaseContents> for ReleaseContents {
    type Error = WireError;

    fn try_from(message: v1::ReleaseContents) -> Result<Self, WireError> {
        Ok(Self {
            release: field::parsed("ReleaseContents.release", &message.release)?,
            layer: field::digest("ReleaseContents.layer", message.layer)?,
            document: field::digest("ReleaseContents.document", message.document)?,
            images: read_images("ReleaseContents.images", message.images)?,
        })
    }
}

impl From<&Baseline> for v1::BaselineContents {
    fn from(baseline: &Baseline) -> Self {
        Self {
            baseline: baseline.key().to_string(),
            version: baseline
                .version
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            layer: baseline.layer.map(Into::into),
            images: images(&baseline.images),
            crds: crds(&baseline.crds),
        }
    }
}

impl TryFrom<v1::BaselineContents> for Baseline {
    type Error = WireError;

    fn try_from(message: v1::BaselineContents) -> Result<Self, WireError> {
        let field = "BaselineContents.baseline";
        let claimed: BaselineKey = field::parsed(field, &message.baseline)?;
        let baseline = Self {
            version: field::optional("BaselineContents.version", &message.version)?,
            layer: field::optional_digest("BaselineContents.layer", message.layer)?,
            images: read_images("BaselineContents.images", message.images)?,
            crds: field::keyed(
                "BaselineContents.crds",
                message.crds.into_iter().map(TryInto::try_into),
            )?,
        };
        let computed = baseline.key();
        if computed == claimed {
            Ok(baseline)
        } else {
            Err(WireError::Baseline {
                field,
                claimed,
                computed,
            })
        }
    }
}

impl From<&Evidence> for v1::Evidence {
    fn from(evidence: &Evidence) -> Self {
        Self {
            release: evidence.release.to_string(),
            artifact: evidence.artifact.to_string(),
            image: evidence.image.to_string(),
            digest: Some(evidence.digest.into()),
            check: evidence.check.to_string(),
            result: common::CheckResult::from(evidence.result).into(),
            reason: evidence
                .reason
                .map(|reason| reason.to_string())
                .unwrap_or_default(),
            detail: evidence.detail.clone(),
            expected: Some((&evidence.expected).into()),
            found: evidence.found.as_ref().map(Into::into),
            integrated_time: time::optional_timestamp(evidence.integrated_time),
            material: evidence.material.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Evidence> for Evidence {
    type Error = WireError;

    fn try_from(message: v1::Evidence) -> Result<Self, WireError> {
        Ok(Self {
            release: field::parsed("Evidence.release", &message.release)?,
            artifact: field::parsed("Evidence.artifact", &message.artifact)?,
            image: field::parsed("Evidence.image", &message.image)?,
            digest: field::digest("Evidence.digest", message.digest)?,
            check: field::parsed("Evidence.check", &message.check)?,
            result: field::choice::<common::CheckResult, _>("Evidence.result", message.result)?,
            reason: field::optional("Evidence.reason", &message.reason)?,
            detail: message.detail,
            expected: message
                .expected
                .ok_or(WireError::Missing {
                    field: "Evidence.expected",
                })?
                .into(),
            found: message.found.map(Into::into),
            integrated_time: time::read_optional("Evidence.integrated_time", message.integrated_time)?,
            material: message.material.into_iter().map(Into::into).collect(),
        })
    }
}

impl From<&IdentityProfile> for v1::IdentityProfile {
    fn from(profile: &IdentityProfile) -> Self {
        Self {
            subject_alternative_names: profile.subject_alternative_names.clone(),
            issuer: profile.issuer.clone(),
            source_repository: profile.claims.source_repository.clone(),
            source_ref: profile.claims.source_ref.clone(),
            source_owner: profile.claims.source_owner.clone(),
            trigger: profile.claims.trigger.clone(),
            runner: profile.claims.runner.clone(),
        }
    }
}

/// Texts that are compared as they are: nothing in them can be malformed.
impl From<v1::IdentityProfile> for IdentityProfile {
    fn from(message: v1::IdentityProfile) -> Self {
        Self {
            subject_alternative_names: message.subject_alternative_names,
            issuer: message.issuer,
            claims: Claims {
                source_repository: message.source_repository,
                source_ref: message.source_ref,
                source_owner: message.source_owner,
                trigger: message.trigger,
                runner: message.runner,
            },
        }
    }
}

impl From<&SignerIdentity> for v1::SignerIdentity {
    fn from(identity: &SignerIdentity) -> Self {
        Self {
            subject_alternative_name: identity.subject_alternative_name.clone(),
            issuer: identity.issuer.clone(),
            source_repository: identity.source_repository.clone(),
            source_ref: identity.source_ref.clone(),
            source_digest: identity.source_digest.clone(),
            trigger: identity.trigger.clone(),
        }
    }
}

/// As far as it could be read: any of the texts may be empty.
impl From<v1::SignerIdentity> for SignerIdentity {
    fn from(message: v1::SignerIdentity) -> Self {
        Self {
            subject_alternative_name: message.subject_alternative_name,
            issuer: message.issuer,
            source_repository: message.source_repository,
            source_ref: message.source_ref,
            source_digest: message.source_digest,
            trigger: message.trigger,
        }
    }
}

impl From<&SignatureMaterial> for v1::SignatureMaterial {
    fn from(material: &SignatureMaterial) -> Self {
        Self {
            payload: material.payload.clone(),
            signature: material.signature.clone(),
            certificate: material.certificate.clone(),
            bundle: material.bundle.clone(),
        }
    }
}

/// As it lies in the registry: what is wrong with it is for the verification to say.
impl From<v1::SignatureMaterial> for SignatureMaterial {
    fn from(message: v1::SignatureMaterial) -> Self {
        Self {
            payload: message.payload,
            signature: message.signature,
            certificate: message.certificate,
            bundle: message.bundle,
        }
    }
}

impl From<&RoleSummary> for v1::RoleSummary {
    fn from(summary: &RoleSummary) -> Self {
        Self {
            release: summary.release.to_string(),
            attempt: summary.attempt,
            contents: summary.contents.map(Into::into),
            checks: summary.checks.iter().map(Into::into).collect(),
            // The API's own bookkeeping: no decision reads it.
            request_id: String::new(),
        }
    }
}

impl TryFrom<v1::RoleSummary> for RoleSummary {
    type Error = WireError;

    fn try_from(message: v1::RoleSummary) -> Result<Self, WireError> {
        Ok(Self {
            release: field::parsed("RoleSummary.release", &message.release)?,
            attempt: field::positive("RoleSummary.attempt", message.attempt)?,
            contents: field::optional_digest("RoleSummary.contents", message.contents)?,
            checks: field::list(message.checks)?,
        })
    }
}

impl From<&SummaryLine> for v1::SummaryLine {
    fn from(line: &SummaryLine) -> Self {
        Self {
            artifact: line.artifact.to_string(),
            digest: Some(line.digest.into()),
            check: line.check.to_string(),
            result: common::CheckResult::from(line.result).into(),
            reason: line.reason.map(|reason| reason.to_string()).unwrap_or_default(),
            evidence: Some(common::StatementRef {
                subject: line.subject.clone(),
                digest: Some(line.evidence.into()),
            }),
        }
    }
}

impl TryFrom<v1::SummaryLine> for SummaryLine {
    type Error = WireError;

    fn try_from(message: v1::SummaryLine) -> Result<Self, WireError> {
        let evidence: StatementRef = field::message("SummaryLine.evidence", message.evidence)?;
        Ok(Self {
            artifact: field::parsed("SummaryLine.artifact", &message.artifact)?,
            digest: field::digest("SummaryLine.digest", message.digest)?,
            check: field::parsed("SummaryLine.check", &message.check)?,
            result: field::choice::<common::CheckResult, _>("SummaryLine.result", message.result)?,
            reason: field::optional("SummaryLine.reason", &message.reason)?,
            subject: evidence.subject,
            evidence: evidence.digest,
        })
    }
}
