//! What is known: the input of a plan. Every part is a projection of the log or of a bucket.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use domain::fleet::{HealthReport, Heartbeat};
use domain::rollout::{RolloutEnd, RolloutFinished, RolloutStarted, WaveBaked, WaveSnapshot};
use domain::{
    BaselineKey, ClusterMember, ClusterName, Decision, Mode, Outcome, Reason, ReleaseKey, RolloutKey,
    StopSetting, Version,
};
use jiff::{SignedDuration, Timestamp};

use super::AssignmentView;
use crate::Strategy;

/// How long an assignment lives at most: somebody who holds back its successor gains no more than a day.
pub const ASSIGNMENT_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// An open task is renewed when it ends within this time.
pub const RENEW_WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// A heartbeat counts for so long; it is also the tolerance for clocks that are ahead.
pub const FRESH: SignedDuration = SignedDuration::from_mins(5);
/// A cluster of an opened wave counts against the unreachable budget after so long a silence: three times
/// [`FRESH`]. It is counted from when the hub began to listen, so that one that was away does not take its whole
/// fleet for lost.
pub const LOST_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// Everything that a plan depends on.
#[derive(Debug, Clone)]
pub struct World<'a> {
    /// The time.
    pub now: Timestamp,
    /// The strategy. A running rollout has its waves from when it began; `health` is taken from here.
    pub strategy: &'a Strategy,
    /// The fleet. Those that are removed do not count.
    pub members: &'a [ClusterMember],
    /// What each cluster runs.
    pub facts: BTreeMap<ClusterName, FactsView>,
    /// The newest decision of each series (release, policy, baseline).
    pub decisions: Vec<DecisionView>,
    /// Who may be written to.
    pub modes: Modes,
    /// The active rollout, or the last one.
    pub rollout: Option<RolloutView>,
    /// The last finished rollout to each version.
    pub previous: BTreeMap<Version, PreviousRollout>,
    /// Halted rollouts after which a person asked for another attempt.
    pub restarts: BTreeSet<RolloutKey>,
    /// The stops in force: the newest word about each scope, where it is active.
    pub stops: Vec<StopSetting>,
    /// The newest assignment of each cluster.
    pub assignments: BTreeMap<ClusterName, AssignmentView>,
    /// Clusters that can't act upon their newest assignment, which they have not answered: a key that signed it, or
    /// what it rests on, has come to its end.
    pub orphans: BTreeSet<ClusterName>,
    /// The newest heartbeat of each cluster.
    pub heartbeats: BTreeMap<ClusterName, Heartbeat>,
    /// The newest health report of each cluster.
    pub health: BTreeMap<ClusterName, HealthReport>,
    /// Whether audit-log confirms the ledger.
    pub ledger_ok: bool,
    /// Since when whoever plans has been hearing agents without a break: no silence is older.
    pub listening_since: Timestamp,
}

/// What a cluster runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactsView {
    /// The baseline that describes its facts; `None` while the verifier has not mapped them.
    pub baseline: Option<BaselineKey>,
    /// The one version of that baseline; `None` where it is mixed or unknown.
    pub version: Option<Version>,
    /// When the agent looked.
    pub observed: Timestamp,
}

/// The newest decision of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionView {
    /// The release.
    pub release: ReleaseKey,
    /// Name of the policy.
    pub policy: String,
    /// The baseline.
    pub baseline: BaselineKey,
    /// The answer.
    pub outcome: Outcome,
    /// Reason of the first of its worst rules.
    pub reason: Reason,
    /// Until when an ALLOW may be acted upon; an ALLOW without it is none.
    pub valid_until: Option<Timestamp>,
    /// With WAIT: when another answer is possible.
    pub wait_until: Option<Timestamp>,
}

/// The newest mode statements.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Modes {
    /// By wave.
    pub waves: BTreeMap<String, Mode>,
    /// By cluster.
    pub clusters: BTreeMap<ClusterName, Mode>,
}

impl Modes {
    /// The mode that holds for a member, under its cap: what a person said for the cluster itself, else what
    /// was said for its wave, else Observe. The agent has a cap of its own, which is not known here.
    #[must_use]
    pub fn of(&self, wave: Option<&str>, member: &ClusterMember) -> Mode {
        let of_wave = || self.waves.get(wave?);
        let said = self.clusters.get(&member.cluster).or_else(of_wave);
        said.copied().unwrap_or_default().min(member.max_mode)
    }
}

/// A rollout, folded from its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutView {
    /// How it began.
    pub started: RolloutStarted,
    /// The waves that were opened.
    pub opened: BTreeMap<String, Opened>,
    /// The waves that have baked.
    pub baked: BTreeMap<String, WaveBaked>,
    /// How it ended.
    pub finished: Option<RolloutFinished>,
}

/// When a wave was opened, and why it could be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The time that the stream gave.
    pub at: Timestamp,
    /// The reason, for people.
    pub why: String,
}

/// A rollout that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviousRollout {
    /// Its ordinal, the highest to its version.
    pub ordinal: u32,
    /// How it ended.
    pub end: RolloutEnd,
    /// The reason code of its end, where there was one.
    pub reason: Option<Reason>,
}

impl From<&RolloutFinished> for PreviousRollout {
    /// The detail of an end begins with the code of its reason.
    fn from(finished: &RolloutFinished) -> Self {
        let code = finished.detail.split_once(": ").map(|(code, _)| code);
        Self {
            ordinal: finished.rollout.ordinal,
            end: finished.end,
            reason: code.and_then(|code| code.parse().ok()),
        }
    }
}

/// A world with members and waves by the name of the cluster: a plan looks each of them up many times.
#[derive(Debug)]
pub(super) struct Known<'w> {
    world: &'w World<'w>,
    members: BTreeMap<&'w ClusterName, &'w ClusterMember>,
    waves: BTreeMap<&'w ClusterName, &'w WaveSnapshot>,
}

impl<'w> Known<'w> {
    pub(super) fn new(world: &'w World<'w>) -> Self {
        let members = world.members.iter().filter(|member| !member.removed);
        let waves = world.active().map(|rollout| rollout.started.waves.as_slice());
        let waves = waves.unwrap_or_default().iter();
        Self {
            world,
            members: members.map(|member| (&member.cluster, member)).collect(),
            waves: waves
                .flat_map(|wave| wave.clusters.iter().map(move |cluster| (cluster, wave)))
                .collect(),
        }
    }

    /// The input itself, for as long as it lives.
    pub(super) const fn world(&self) -> &'w World<'w> {
        self.world
    }

    pub(super) fn member(&self, cluster: &ClusterName) -> Option<&'w ClusterMember> {
        self.members.get(cluster).copied()
    }

    /// The wave of the active rollout that the cluster is in.
    pub(super) fn wave_of(&self, cluster: &ClusterName) -> Option<&'w WaveSnapshot> {
        self.waves.get(cluster).copied()
    }
}

impl<'w> Deref for Known<'w> {
    type Target = World<'w>;

    fn deref(&self) -> &Self::Target {
        self.world
    }
}

impl RolloutView {
    pub(super) const fn key(&self) -> &RolloutKey {
        &self.started.rollout
    }

    pub(super) const fn target(&self) -> &ReleaseKey {
        &self.started.release
    }
}

impl World<'_> {
    pub(super) fn active(&self) -> Option<&RolloutView> {
        self.rollout.as_ref().filter(|rollout| rollout.finished.is_none())
    }

    pub(super) fn mode(&self, wave: &str, member: &ClusterMember) -> Mode {
        self.modes.of(Some(wave), member)
    }

    pub(super) fn decisions<'w>(
        &'w self,
        release: &'w ReleaseKey,
        policy: &'w str,
        baseline: &'w BaselineKey,
    ) -> impl Iterator<Item = &'w DecisionView> {
        self.decisions
            .iter()
            .filter(move |d| d.release == *release && d.policy == policy && d.baseline == *baseline)
    }

    /// Until when the release is allowed on this baseline; `None` where it is not.
    pub(super) fn allowed(
        &self,
        release: &ReleaseKey,
        policy: &str,
        baseline: &BaselineKey,
    ) -> Option<Timestamp> {
        let valid = self
            .decisions(release, policy, baseline)
            .map(|d| d.valid_allow(self.now));
        // Two of one series can't be; if they are, both must allow.
        valid.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// The newest heartbeat, if it is neither old nor from a clock that is far ahead.
    pub(super) fn fresh_heartbeat(&self, cluster: &ClusterName) -> Option<&Heartbeat> {
        let heartbeat = self.heartbeats.get(cluster)?;
        let age = self.now.duration_since(heartbeat.sent);
        (age < FRESH && age > -FRESH).then_some(heartbeat)
    }

    /// Whether the agent was silent for so long that its cluster counts as lost, in a wave that was opened
    /// then. What nobody listened to is not held against it, and nothing is judged while the ledger is
    /// not sure: then it may be the hub that hears nothing.
    pub(super) fn lost(&self, cluster: &ClusterName, opened: Timestamp) -> bool {
        let sent = self.heartbeats.get(cluster).map(|heartbeat| heartbeat.sent);
        let listened = opened.max(self.listening_since);
        let heard = sent.map_or(listened, |sent| sent.max(listened));
        self.ledger_ok && self.now.duration_since(heard) >= LOST_AFTER
    }

    /// When an assignment ends that is made now.
    pub(super) fn expiry(&self, allowed_until: Timestamp) -> Timestamp {
        later(self.now, ASSIGNMENT_LIFETIME).min(allowed_until)
    }

    /// The last finished rollout to a version.
    pub(super) fn previous(&self, version: &Version) -> Option<PreviousRollout> {
        let listed = self.previous.get(version).copied();
        let current = self
            .rollout
            .as_ref()
            .filter(|rollout| rollout.key().version == *version);
        let current = current.and_then(|rollout| rollout.finished.as_ref().map(PreviousRollout::from));
        [listed, current]
            .into_iter()
            .flatten()
            .max_by_key(|previous| previous.ordinal)
    }
}

impl From<&Decision> for DecisionView {
    fn from(decision: &Decision) -> Self {
        let worst = decision
            .rules
            .iter()
            .find(|rule| rule.outcome == decision.outcome);
        Self {
            release: decision.release.clone(),
            policy: decision.policy.name.clone(),
            baseline: decision.baseline.clone(),
            outcome: decision.outcome,
            reason: worst.map_or(Reason::NotAllowed, |rule| rule.reason),
            valid_until: decision.valid_until,
            wait_until: decision.wait_until,
        }
    }
}

impl DecisionView {
    /// Until when it allows, if it is an ALLOW that is still valid.
    pub(super) fn valid_allow(&self, now: Timestamp) -> Option<Timestamp> {
        match self.outcome {
            Outcome::Allow => self.valid_until.filter(|until| *until > now),
            Outcome::Wait | Outcome::NeedsApproval | Outcome::Deny => None,
        }
    }
}

/// The time `by` after `time`; the end of time where the sum is beyond it.
pub(super) fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
