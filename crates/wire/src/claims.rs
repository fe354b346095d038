//! The event messages as claims: their kinds, what they are about for in-toto, and how an outsider reads
//! an ALLOW or a DENY.
//!
//! A message that is no value of the domain has no subjects of its own and is no verification summary;
//! such a statement is never well-formed.

use attest::vsa::Summary;
use attest::{Claim, ResourceDescriptor};
use domain::{Decision, Evidence, ImageContents, ImageRef, Outcome, ReleaseContents, ReleaseKey};

use crate::{audit, fleet, policy, release, rollout, verification};

/// Upstream repository of the manifests artifact, as subjects name it.
const MANIFESTS: &str = "ghcr.io/fluxcd/flux-manifests";

macro_rules! kinds {
    ($($message:ty => $kind:literal),* $(,)?) => {$(
        impl Claim for $message {
            const KIND: &'static str = $kind;
        }
    )*};
}

kinds! {
    release::v1::ReleaseDiscovered => "release-discovered",
    policy::v1::PolicyText => "policy-text",
    fleet::v1::ClusterMember => "cluster-member",
    fleet::v1::ClusterFacts => "cluster-facts",
    fleet::v1::HealthReport => "health",
    fleet::v1::Heartbeat => "heartbeat",
    fleet::v1::Assignment => "assignment",
    fleet::v1::Report => "report",
    rollout::v1::ModeSet => "mode",
    rollout::v1::RolloutStarted => "rollout-started",
    rollout::v1::WaveOpened => "wave-opened",
    rollout::v1::WaveBaked => "wave-baked",
    rollout::v1::RolloutFinished => "rollout-finished",
    rollout::v1::StopSet => "stop",
    rollout::v1::RolloutRetried => "rollout-retried",
    audit::v1::LedgerStatus => "ledger-status",
}

impl Claim for verification::v1::ReleaseContents {
    const KIND: &'static str = "release-contents";

    fn subjects(&self) -> Vec<ResourceDescriptor> {
        let Ok(contents) = ReleaseContents::try_from(self.clone()) else {
            return Vec::new();
        };
        let manifests = manifests(&contents.release);
        std::iter::once(manifests)
            .chain(contents.images.values().map(index))
            .collect()
    }
}

impl Claim for verification::v1::BaselineContents {
    const KIND: &'static str = "baseline-contents";

    fn subjects(&self) -> Vec<ResourceDescriptor> {
        match domain::Baseline::try_from(self.clone()) {
            Ok(baseline) => baseline.images.values().map(index).collect(),
            Err(_) => Vec::new(),
        }
    }
}

impl Claim for verification::v1::Evidence {
    const KIND: &'static str = "evidence";

    fn subjects(&self) -> Vec<ResourceDescriptor> {
        match Evidence::try_from(self.clone()) {
            Ok(evidence) => vec![ResourceDescriptor::new(
                unpinned(&evidence.image),
                evidence.digest,
            )],
            Err(_) => Vec::new(),
        }
    }
}

impl Claim for verification::v1::RoleSummary {
    const KIND: &'static str = "role-summary";

    fn subjects(&self) -> Vec<ResourceDescriptor> {
        self.release.parse().iter().map(manifests).collect()
    }
}

impl Claim for policy::v1::Decision {
    const KIND: &'static str = "decision";

    fn subjects(&self) -> Vec<ResourceDescriptor> {
        self.release.parse().iter().map(manifests).collect()
    }

    fn verification_summary(&self) -> Option<Summary> {
        let decision = Decision::try_from(self.clone()).ok()?;
        let passed = match decision.outcome {
            Outcome::Allow => true,
            Outcome::Deny => false,
            Outcome::Wait | Outcome::NeedsApproval => return None,
        };
        let ReleaseKey { version, manifests } = &decision.release;
        Some(Summary {
            time_verified: decision.decided,
            resource_uri: format!("oci://{MANIFESTS}:{version}@{manifests}"),
            policy: (
                format!("policies/{}", decision.policy.name),
                decision.policy.digest,
            ),
            inputs: vec![("inputs".to_owned(), decision.inputs)],
            passed,
        })
    }
}

/// The manifests artifact of a release.
fn manifests(release: &ReleaseKey) -> ResourceDescriptor {
    ResourceDescriptor::new(format!("{MANIFESTS}:{}", release.version), release.manifests)
}

/// The index of an image.
fn index(contents: &ImageContents) -> ResourceDescriptor {
    ResourceDescriptor::new(unpinned(&contents.image), contents.index)
}

/// Repository and tag; the digest stands beside the name.
fn unpinned(image: &ImageRef) -> String {
    match image.tag() {
        Some(tag) => format!("{}:{tag}", image.repository()),
        None => image.repository().to_owned(),
    }
}
