//! What a plan is made of.

use domain::rollout::{RolloutFinished, RolloutStarted, WaveBaked, WaveOpened};
use domain::{Action, BaselineKey, ClusterName, Epoch, Mode, Reason, ReleaseKey, RolloutKey};
use jiff::{SignedDuration, Timestamp};

/// What to do now, and what is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In the order in which they are to be published. One that turns out to be published already changes
    /// nothing about the others.
    pub steps: Vec<Step>,
    /// What is not done, and why, wave by wave; the same world gives the same order.
    pub waits: Vec<Wait>,
}

/// One thing to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Begin a rollout.
    Start(RolloutStarted),
    /// Open a wave.
    OpenWave(WaveOpened),
    /// Give a cluster its next assignment.
    Assign(AssignDraft),
    /// Take an assignment back.
    Stop(StopDraft),
    /// A wave has baked.
    BakeWave(WaveBaked),
    /// The rollout is over.
    Finish(RolloutFinished),
}

/// An assignment before it has an epoch and the statements that allow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignDraft {
    /// The cluster.
    pub cluster: ClusterName,
    /// The rollout.
    pub rollout: RolloutKey,
    /// The release to become.
    pub release: ReleaseKey,
    /// Name of the policy whose ALLOW stands behind it.
    pub policy: String,
    /// What the cluster runs; in a renewal what it ran when the task began.
    pub baseline: BaselineKey,
    /// Enforce, or Observe for a dry run.
    pub mode: Mode,
    /// Always `Upgrade`; see [`StopDraft`].
    pub action: Action,
    /// How long the cluster must be well before it counts as healthy.
    pub stable_for: SignedDuration,
    /// How long after the writing it may take to get there.
    pub success_deadline: SignedDuration,
    /// When it ends; never after its ALLOW.
    pub expires: Timestamp,
    /// The epoch that this one renews, if it is no new task.
    pub renews: Option<Epoch>,
}

/// An assignment to take back: the next epoch repeats it in everything, its end included, with action
/// `Stop`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopDraft {
    /// The cluster.
    pub cluster: ClusterName,
    /// The epoch to take back.
    pub stops: Epoch,
    /// Why.
    pub reason: Reason,
    /// For people.
    pub detail: String,
}

/// Something that is not done yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// What waits.
    pub scope: Scope,
    /// Why.
    pub reason: Reason,
    /// For people: what exactly is missing.
    pub detail: String,
    /// The earliest time at which it can go on, if that is known.
    pub until: Option<Timestamp>,
}

/// What waits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The rollout, or the start of one.
    Rollout,
    /// A wave, by name.
    Wave(String),
    /// A cluster.
    Cluster(ClusterName),
}

impl Plan {
    pub(super) fn wait(&mut self, scope: Scope, reason: Reason, detail: impl Into<String>) {
        self.wait_until(scope, reason, detail, None);
    }

    pub(super) fn wait_until(
        &mut self,
        scope: Scope,
        reason: Reason,
        detail: impl Into<String>,
        until: Option<Timestamp>,
    ) {
        self.waits.push(Wait {
            scope,
            reason,
            detail: detail.into(),
            until,
        });
    }
}
