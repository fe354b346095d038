//! Clusters: who belongs to the fleet, what runs there, how it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::{Baseline, Component, CrdSet, CrdVersions, Digest, Epoch, ImageRef, Reason};

/// Name of a cluster: a DNS label (RFC 1123), 1 to 63 of `[a-z0-9-]`, unique in the fleet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName(String);

/// Why a text is no cluster name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cluster name {text:?} is not 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit"
)]
pub struct ParseClusterNameError {
    /// What was read.
    pub text: String,
}

impl ClusterName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ClusterName {
    type Err = ParseClusterNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let ok = (1..=63).contains(&text.len())
            && text.bytes().all(inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if ok {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseClusterNameError {
                text: text.to_owned(),
            })
        }
    }
}

/// Whether fluxgate may write. Ordered: the lowest of several holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Mode {
    /// Look, check, dry-run, report.
    #[default]
    Observe,
    /// Write.
    Enforce,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Observe => "Observe",
            Self::Enforce => "Enforce",
        })
    }
}

/// Why a text is no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mode {text:?} is neither Observe nor Enforce")]
pub struct ParseModeError {
    /// What was read.
    pub text: String,
}

impl FromStr for Mode {
    type Err = ParseModeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "Observe" => Ok(Self::Observe),
            "Enforce" => Ok(Self::Enforce),
            other => Err(ParseModeError {
                text: other.to_owned(),
            }),
        }
    }
}

/// A cluster of the fleet, from the operator's `fleet.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterMember {
    /// Its name.
    pub cluster: ClusterName,
    /// Labels that waves select on.
    pub labels: BTreeMap<String, String>,
    /// Fingerprint of the agent's public key: `SHA256:` and the base64 of the SHA-256 of its SPKI,
    /// without padding.
    pub agent_key: String,
    /// Cap on the mode, whatever anyone enforces.
    pub max_mode: Mode,
    /// Registry host (and path) that the cluster pulls from in place of `ghcr.io`.
    pub image_registry: String,
    /// No longer in the fleet.
    pub removed: bool,
}

/// Who installed Flux in a cluster, and so who may change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installer {
    /// `flux install`: field manager `flux`.
    FluxCli,
    /// Server-side `kubectl apply`: field manager `kubectl`.
    Kubectl,
    /// A fresh install of ours: field manager `fluxgate`.
    Fluxgate,
    /// Somebody else owns the install; nothing is written. The text says what was seen.
    Other(String),
}

impl Installer {
    /// The field manager that a direct apply must use; `None` where there is an owner to ask.
    #[must_use]
    pub const fn field_manager(&self) -> Option<&'static str> {
        match self {
            Self::FluxCli => Some("flux"),
            Self::Kubectl => Some("kubectl"),
            Self::Fluxgate => Some("fluxgate"),
            Self::Other(_) => None,
        }
    }
}

impl fmt::Display for Installer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FluxCli => f.pad("flux-cli"),
            Self::Kubectl => f.pad("kubectl"),
            Self::Fluxgate => f.pad("fluxgate"),
            Self::Other(seen) => f.pad(seen),
        }
    }
}

/// What an agent saw in its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterFacts {
    /// The cluster.
    pub cluster: ClusterName,
    /// When the agent looked, by its own clock.
    pub observed: Timestamp,
    /// Version of the API server, like `v1.36.3`.
    pub kubernetes: String,
    /// Who installed Flux.
    pub installer: Installer,
    /// Each component found, with its images.
    pub components: BTreeMap<Component, ComponentFacts>,
    /// Each Flux CRD found.
    pub crds: BTreeMap<String, CrdFacts>,
}

/// What runs of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentFacts {
    /// The image as the Deployment names it.
    pub image: ImageRef,
    /// The digests in the pods' `imageID`, each an index, a platform manifest or a config.
    pub image_ids: BTreeSet<Digest>,
}

/// One CRD as the API server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrdFacts {
    /// `spec.versions`.
    pub crd: CrdVersions,
    /// `status.storedVersions`: what objects may be stored in.
    pub stored: BTreeSet<String>,
}

impl ClusterFacts {
    /// The CRD sets without their stored versions, as a baseline has them.
    #[must_use]
    pub fn crd_set(&self) -> CrdSet {
        self.crds
            .iter()
            .map(|(name, facts)| (name.clone(), facts.crd.clone()))
            .collect()
    }
}

impl Baseline {
    /// Whether these facts are this baseline: the same components, every image id that the nodes report
    /// belongs to the component's verified index, at least one is reported, and the CRD sets are equal.
    #[must_use]
    pub fn describes(&self, facts: &ClusterFacts) -> bool {
        self.images.len() == facts.components.len()
            && self.crds.len() == facts.crds.len()
            && self
                .crds
                .iter()
                .all(|(name, crd)| facts.crds.get(name).is_some_and(|found| found.crd == *crd))
            && facts.components.iter().all(|(component, found)| {
                !found.image_ids.is_empty()
                    && self
                        .images
                        .get(component)
                        .is_some_and(|image| found.image_ids.iter().all(|id| image.covers(*id)))
            })
    }
}

/// How a cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Everything that runs is what was meant to run, and it is well.
    Healthy,
    /// Could not be judged. Never counts as healthy.
    Inconclusive,
    /// Something is wrong.
    Unhealthy,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Healthy => "HEALTHY",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Unhealthy => "UNHEALTHY",
        })
    }
}

/// One thing seen that speaks against health.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Symptom {
    /// What kind.
    pub reason: Reason,
    /// The object, like `Deployment/source-controller`.
    pub object: String,
    /// What was expected and found.
    pub detail: String,
}

/// A judgement of health by an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// The cluster.
    pub cluster: ClusterName,
    /// When, by the agent's clock.
    pub observed: Timestamp,
    /// The epoch of the task that it is judged for; 0 where there was none yet.
    pub epoch: Epoch,
    /// The judgement.
    pub health: Health,
    /// What speaks against `Healthy`.
    pub symptoms: Vec<Symptom>,
}

/// A sign of life, kept in a bucket, never on the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The cluster.
    pub cluster: ClusterName,
    /// When, by the agent's clock.
    pub sent: Timestamp,
    /// Epoch of the last task.
    pub epoch: Epoch,
    /// Health of that task, or of what runs.
    pub health: Health,
    /// Health observations made since the task was applied: how often it was judged.
    pub observations: u64,
    /// The last assignment that does not count and can't be refused on the log under its epoch: forged, older
    /// than what was seen, or one that can't be used while the task before it goes on.
    /// Or what keeps the agent from its work, after some tries.
    pub alarm: Option<Alarm>,
    /// Reconciliations by Flux that were seen since the task was applied, as far as Flux reports them.
    pub reconciles: u64,
}

/// An assignment that does not count, or what keeps an agent from its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Which check failed.
    pub reason: Reason,
    /// What was expected and found.
    pub detail: String,
}

/// What an agent says about one assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The cluster.
    pub cluster: ClusterName,
    /// When, by the agent's clock.
    pub sent: Timestamp,
    /// Epoch of the assignment.
    pub epoch: Epoch,
    /// Digest of the assignment's envelope.
    pub assignment: Digest,
    /// What happened.
    pub kind: ReportKind,
    /// For people.
    pub detail: String,
}

/// What happened to an assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportKind {
    /// All checks passed; the task is stored and will be carried out.
    Accepted,
    /// A check failed: nothing was written.
    Refused(Reason),
    /// Everything was written.
    Applied,
    /// Under Observe: it would be upgraded, the dry run found no obstacle.
    WouldUpgrade,
    /// It runs and was judged.
    Finished(Health),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_names_are_dns_labels() {
        assert_eq!("prod-eu-7".parse::<ClusterName>().unwrap().as_str(), "prod-eu-7");
        for bad in ["", "-a", "a-", "Prod", "a.b", "a_b", "a>", &"a".repeat(64)] {
            assert!(bad.parse::<ClusterName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_lowest_mode_holds() {
        assert_eq!(
            [Mode::Enforce, Mode::Observe, Mode::Enforce].into_iter().min(),
            Some(Mode::Observe)
        );
        assert_eq!(Mode::default(), Mode::Observe);
    }
}
