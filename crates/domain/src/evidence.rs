//! What was checked about an artifact, and with which result.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::identity::{IdentityProfile, SignerIdentity};
use crate::{Artifact, Digest, Reason, ReleaseKey};

/// A kind of check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckKind {
    /// The Sigstore signature of the artifact: chain, SCT, log entry, payload, identity, claims.
    Signature,
}

/// The result of a check. Only `Passed` passes: what could not be checked never counts as passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckResult {
    /// Checked, and as it must be.
    Passed,
    /// Checked, and wrong: a fact, never retried.
    Failed,
    /// Not checked, because the evidence does not exist.
    NotChecked,
}

/// One check of one artifact, with everything needed to do it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The release that the artifact belongs to.
    pub release: ReleaseKey,
    /// The artifact.
    pub artifact: Artifact,
    /// Upstream name and tag, as identities and `docker-reference` are checked on it.
    pub image: crate::ImageRef,
    /// Digest of the artifact: an image's index, or the OCI manifest of `flux-manifests`.
    pub digest: Digest,
    /// What was checked.
    pub check: CheckKind,
    /// The result.
    pub result: CheckResult,
    /// Why, where it did not pass.
    pub reason: Option<Reason>,
    /// For people: what was found, in a sentence.
    pub detail: String,
    /// Who had to have signed.
    pub expected: IdentityProfile,
    /// Who signed, as far as a certificate could be read.
    pub found: Option<SignerIdentity>,
    /// When the signature entered the transparency log, if that was verified.
    pub integrated_time: Option<Timestamp>,
    /// The upstream material: one entry for each signature found.
    pub material: Vec<SignatureMaterial>,
}

/// One legacy cosign signature as it lies in the registry (cosign signature spec, `.sig` tag).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureMaterial {
    /// The simplesigning payload: the bytes of the layer.
    pub payload: Vec<u8>,
    /// Annotation `dev.cosignproject.cosign/signature`: base64 of the DER signature.
    pub signature: String,
    /// Annotation `dev.sigstore.cosign/certificate`: PEM.
    pub certificate: String,
    /// Annotation `dev.sigstore.cosign/bundle`: JSON with SET and log entry.
    pub bundle: String,
}

/// What a role says about a whole release; names the evidence that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSummary {
    /// The release.
    pub release: ReleaseKey,
    /// Which attempt this is, from 1.
    pub attempt: u64,
    /// Digest of the envelope of ReleaseContents; absent if the manifests' own signature failed.
    pub contents: Option<Digest>,
    /// One line for each check.
    pub checks: Vec<SummaryLine>,
}

/// One check in a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryLine {
    /// The artifact.
    pub artifact: Artifact,
    /// Digest of the artifact.
    pub digest: Digest,
    /// What was checked.
    pub check: CheckKind,
    /// The result.
    pub result: CheckResult,
    /// Why, where it did not pass.
    pub reason: Option<Reason>,
    /// Subject of the evidence on the bus.
    pub subject: String,
    /// Digest of the envelope of the evidence.
    pub evidence: Digest,
}

impl RoleSummary {
    /// Whether every check passed, there is one for the manifests and every image of `digests`, and
    /// they speak of these very digests.
    #[must_use]
    pub fn passed_for(&self, digests: &[(Artifact, Digest)], check: CheckKind) -> bool {
        digests.iter().all(|(artifact, digest)| {
            let mut lines = self
                .checks
                .iter()
                .filter(|l| l.artifact == *artifact && l.check == check);
            lines
                .next()
                .is_some_and(|line| line.digest == *digest && line.result == CheckResult::Passed)
                && lines.next().is_none()
        })
    }

    /// The worst result of all checks; `NotChecked` where there is none.
    #[must_use]
    pub fn worst(&self) -> CheckResult {
        let any = |result| self.checks.iter().any(|line| line.result == result);
        if any(CheckResult::Failed) {
            CheckResult::Failed
        } else if self.checks.is_empty() || any(CheckResult::NotChecked) {
            CheckResult::NotChecked
        } else {
            CheckResult::Passed
        }
    }
}

impl fmt::Display for CheckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Signature => "signature",
        })
    }
}

/// Why a text names no kind of check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no kind of check; known is signature")]
pub struct ParseCheckKindError {
    /// What was read.
    pub text: String,
}

impl FromStr for CheckKind {
    type Err = ParseCheckKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "signature" => Ok(Self::Signature),
            other => Err(ParseCheckKindError {
                text: other.to_owned(),
            }),
        }
    }
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "PASSED",
            Self::Failed => "FAILED",
            Self::NotChecked => "NOT_CHECKED",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Component, Version};

    fn line(artifact: Artifact, digest: Digest, result: CheckResult) -> SummaryLine {
        SummaryLine {
            artifact,
            digest,
            check: CheckKind::Signature,
            result,
            reason: None,
            subject: String::new(),
            evidence: Digest::of(b"e"),
        }
    }

    fn summary(checks: Vec<SummaryLine>) -> RoleSummary {
        let release = ReleaseKey {
            version: Version::new(2, 9, 4),
            manifests: Digest::of(b"m"),
        };
        RoleSummary {
            release,
            attempt: 1,
            contents: None,
            checks,
        }
    }

    #[test]
    fn a_missing_doubled_or_other_line_never_passes() {
        let artifact = Artifact::Image(Component::SourceController);
        let digest = Digest::of(b"i");
        let wanted = [(artifact, digest)];
        let passed = line(artifact, digest, CheckResult::Passed);
        let check = CheckKind::Signature;
        assert!(summary(vec![passed.clone()]).passed_for(&wanted, check));
        assert!(!summary(vec![]).passed_for(&wanted, check));
        assert!(!summary(vec![passed.clone(), passed]).passed_for(&wanted, check));
        let other = line(artifact, Digest::of(b"x"), CheckResult::Passed);
        assert!(!summary(vec![other]).passed_for(&wanted, check));
        let unchecked = line(artifact, digest, CheckResult::NotChecked);
        assert!(!summary(vec![unchecked]).passed_for(&wanted, check));
    }

    #[test]
    fn the_worst_result_counts_and_nothing_is_not_passed() {
        let artifact = Artifact::FluxManifests;
        let of = |r| line(artifact, Digest::of(b"m"), r);
        assert_eq!(summary(vec![]).worst(), CheckResult::NotChecked);
        assert_eq!(
            summary(vec![of(CheckResult::Passed)]).worst(),
            CheckResult::Passed
        );
        let mixed = vec![
            of(CheckResult::NotChecked),
            of(CheckResult::Failed),
            of(CheckResult::Passed),
        ];
        assert_eq!(summary(mixed).worst(), CheckResult::Failed);
    }
}
