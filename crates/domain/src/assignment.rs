//! What one cluster should be.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::{BaselineKey, ClusterName, Component, Digest, Mode, ReleaseKey, RolloutKey};

/// Number of an assignment of a cluster, rising across all rollouts: the `n` of its subject. The first
/// is 1; 0 means that there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Become the target.
    Upgrade,
    /// Begin nothing; what was begun is ended.
    Stop,
}

/// A statement by its name on the bus and the digest of its envelope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatementRef {
    /// Subject.
    pub subject: String,
    /// SHA-256 of the envelope's bytes.
    pub digest: Digest,
}

/// An assignment, as signed by rollout-controller. It names by digest every statement that allows it;
/// the agent checks them all again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The cluster that it is for.
    pub cluster: ClusterName,
    /// Its number.
    pub epoch: Epoch,
    /// What to do.
    pub action: Action,
    /// The lowest of all modes that the controller knows.
    pub mode: Mode,
    /// The rollout it belongs to.
    pub rollout: RolloutKey,
    /// The release to become.
    pub target: ReleaseKey,
    /// Digest of the layer with the manifests; the bytes are a blob.
    pub layer: Digest,
    /// Index digest of each component of the release.
    pub images: BTreeMap<Component, Digest>,
    /// Where the cluster pulls images from in place of `ghcr.io`.
    pub image_registry: String,
    /// What the cluster must run when the task begins.
    pub baseline: BaselineKey,
    /// ReleaseContents.
    pub contents: StatementRef,
    /// BaselineContents.
    pub baseline_contents: StatementRef,
    /// The ALLOW.
    pub decision: StatementRef,
    /// Summaries of the roles.
    pub summaries: Vec<StatementRef>,
    /// Stops in force for the cluster; anything here keeps a task from beginning.
    pub stops: Vec<String>,
    /// How long the cluster must be well without a break before the task counts as healthy.
    pub stable_for: SignedDuration,
    /// How long after the writing the cluster may take to get there.
    pub success_deadline: SignedDuration,
    /// When it was made.
    pub issued: Timestamp,
    /// When it ends: at most 24 h later, never after its ALLOW.
    pub expires: Timestamp,
    /// Stream sequence up to which the controller had read.
    pub as_of: u64,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Upgrade => "UPGRADE",
            Self::Stop => "STOP",
        })
    }
}
