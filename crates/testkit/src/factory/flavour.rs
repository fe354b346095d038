//! In which ways a release is wrong, and what a verifier has to find.

use domain::{Artifact, CheckResult, Digest, ImageRef, Reason};

use crate::sigstore::{Fault, Workflow, simplesigning};

/// How a release is. Everything but what a flavour names is as upstream makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// As upstream makes it.
    Good,
    /// This artifact is signed by another workflow of the same organisation: `IDENTITY_MISMATCH`.
    WrongWorkflow(Artifact),
    /// This artifact was built from another tag: `CLAIM_MISMATCH` where the shared workflow signs, whose name is
    /// the same for every tag, else `IDENTITY_MISMATCH`.
    OtherTag(Artifact),
    /// This artifact was built from a branch, by hand: as [`Self::OtherTag`].
    Branch(Artifact),
    /// This artifact was built from the source of another repository: as [`Self::OtherTag`].
    OtherRepository(Artifact),
    /// This artifact was built on a machine that is not GitHub's: `CLAIM_MISMATCH`.
    SelfHosted(Artifact),
    /// The certificate or the log entry of this artifact's signature is wrong.
    Faulty(Fault, Artifact),
    /// The payload that upstream signed for this artifact names another digest: `PAYLOAD_MISMATCH`.
    OtherDigest(Artifact),
    /// The payload that upstream signed for this artifact names another repository: `PAYLOAD_MISMATCH`.
    OtherName(Artifact),
    /// The tag of this artifact was moved after signing to other content, beside which lies a copy of the
    /// first content's signature: `PAYLOAD_MISMATCH`.
    SwappedAfterSigning(Artifact),
    /// Nobody signs this artifact: `SIGNATURE_MISSING`, which is not checked, not failed.
    Unsigned(Artifact),
    /// Nothing is signed until [`super::Factory::sign_late`] is called: upstream pushes first and signs later.
    Late,
}

/// One signature that is about to be made.
pub(super) struct Signing {
    pub(super) payload: Vec<u8>,
    pub(super) workflow: Workflow,
    pub(super) fault: Option<Fault>,
}

impl Flavour {
    /// Every way in which this artifact can be wrong, in the order of the protocol's checks.
    #[must_use]
    pub fn wrong(artifact: Artifact) -> Vec<Self> {
        let mut all = vec![
            Self::WrongWorkflow(artifact),
            Self::OtherTag(artifact),
            Self::Branch(artifact),
            Self::OtherRepository(artifact),
            Self::SelfHosted(artifact),
        ];
        all.extend(Fault::ALL.map(|fault| Self::Faulty(fault, artifact)));
        all.extend([
            Self::OtherDigest(artifact),
            Self::OtherName(artifact),
            Self::SwappedAfterSigning(artifact),
            Self::Unsigned(artifact),
        ]);
        all
    }

    /// The artifact that is not as upstream makes it; none where that is none, or all.
    #[must_use]
    pub const fn artifact(self) -> Option<Artifact> {
        match self {
            Self::Good | Self::Late => None,
            Self::WrongWorkflow(artifact)
            | Self::OtherTag(artifact)
            | Self::Branch(artifact)
            | Self::OtherRepository(artifact)
            | Self::SelfHosted(artifact)
            | Self::Faulty(_, artifact)
            | Self::OtherDigest(artifact)
            | Self::OtherName(artifact)
            | Self::SwappedAfterSigning(artifact)
            | Self::Unsigned(artifact) => Some(artifact),
        }
    }

    /// What a verifier has to find about the artifact: the result and its reason.
    #[must_use]
    pub const fn finding(self) -> (CheckResult, Reason) {
        match self {
            Self::Good => (CheckResult::Passed, Reason::SignatureVerified),
            Self::WrongWorkflow(_) => (CheckResult::Failed, Reason::IdentityMismatch),
            Self::OtherTag(artifact) | Self::Branch(artifact) | Self::OtherRepository(artifact) => {
                (CheckResult::Failed, other_source(artifact))
            }
            Self::SelfHosted(_) => (CheckResult::Failed, Reason::ClaimMismatch),
            Self::Faulty(fault, _) => (CheckResult::Failed, fault.reason()),
            Self::OtherDigest(_) | Self::OtherName(_) | Self::SwappedAfterSigning(_) => {
                (CheckResult::Failed, Reason::PayloadMismatch)
            }
            Self::Unsigned(_) | Self::Late => (CheckResult::NotChecked, Reason::SignatureMissing),
        }
    }

    /// For people: what is wrong.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Good => "as upstream makes it",
            Self::WrongWorkflow(_) => "another workflow of the organisation",
            Self::OtherTag(_) => "built from another tag",
            Self::Branch(_) => "built by hand from a branch",
            Self::OtherRepository(_) => "built from another repository",
            Self::SelfHosted(_) => "built on a self-hosted machine",
            Self::Faulty(fault, _) => fault.about(),
            Self::OtherDigest(_) => "payload names another digest",
            Self::OtherName(_) => "payload names another repository",
            Self::SwappedAfterSigning(_) => "content swapped after signing",
            Self::Unsigned(_) => "not signed",
            Self::Late => "not signed yet",
        }
    }

    /// This flavour where it is about the artifact, else good.
    pub(super) fn on(self, artifact: Artifact) -> Self {
        if self == Self::Late || self.artifact() == Some(artifact) {
            self
        } else {
            Self::Good
        }
    }

    /// The signature that is made instead of upstream's for this image and digest; none where none is.
    pub(super) fn signing(self, image: &ImageRef, digest: Digest, workflow: Workflow) -> Option<Signing> {
        let name = image.repository();
        let by = |workflow| Signing {
            payload: simplesigning(name, digest),
            workflow,
            fault: None,
        };
        let over = |payload| Signing {
            payload,
            ..by(workflow.clone())
        };
        Some(match self {
            Self::Good | Self::SwappedAfterSigning(_) => by(workflow),
            Self::WrongWorkflow(_) => by(workflow.end_to_end_test()),
            Self::OtherTag(_) => by(workflow.at("refs/tags/v0.0.1")),
            Self::Branch(_) => by(Workflow {
                trigger: "workflow_dispatch".to_owned(),
                ..workflow.at("refs/heads/main")
            }),
            Self::OtherRepository(_) => by(workflow.of("https://github.com/fluxcd/flagger")),
            Self::SelfHosted(_) => by(Workflow {
                runner: "self-hosted".to_owned(),
                ..workflow
            }),
            Self::Faulty(fault, _) => Signing {
                fault: Some(fault),
                ..by(workflow)
            },
            Self::OtherDigest(_) => over(simplesigning(name, Digest::of(b"another image"))),
            Self::OtherName(_) => over(simplesigning("ghcr.io/fluxcd/flagger", digest)),
            Self::Unsigned(_) | Self::Late => return None,
        })
    }
}

/// The name of the shared workflow says nothing about the source that it builds; a workflow in the repository
/// itself carries both repository and ref in its name.
const fn other_source(artifact: Artifact) -> Reason {
    match artifact {
        Artifact::FluxManifests => Reason::IdentityMismatch,
        Artifact::Image(_) => Reason::ClaimMismatch,
    }
}
