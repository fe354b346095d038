//! The steps of a rollout, as they stand on the log.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::{ClusterName, Digest, ReleaseKey, Version};

/// Name of a rollout: the version and an ordinal, like `flux-v2.9.4-1`. Never random: the controller
/// that starts the same rollout twice gives it the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RolloutKey {
    /// Version of the target.
    pub version: Version,
    /// 1 for the first rollout to that version.
    pub ordinal: u32,
}

/// Why a text is no rollout key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rollout {text:?} is not flux-vX.Y.Z-N")]
pub struct ParseRolloutKeyError {
    /// What was read.
    pub text: String,
}

impl fmt::Display for RolloutKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flux-{}-{}", self.version, self.ordinal)
    }
}

impl FromStr for RolloutKey {
    type Err = ParseRolloutKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text
            .strip_prefix("flux-")
            .and_then(|rest| rest.rsplit_once('-'))
            .and_then(|(version, ordinal)| Some((version.parse().ok()?, ordinal.parse().ok()?)));
        match parsed {
            Some((version, ordinal)) if ordinal > 0 => Ok(Self { version, ordinal }),
            Some(_) | None => Err(ParseRolloutKeyError {
                text: text.to_owned(),
            }),
        }
    }
}

/// A rollout began: strategy and membership are snapshots from here on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutStarted {
    /// The rollout.
    pub rollout: RolloutKey,
    /// The release to become.
    pub release: ReleaseKey,
    /// Name and digest of the strategy's text.
    pub strategy: StrategyId,
    /// The waves, in order, with their clusters.
    pub waves: Vec<WaveSnapshot>,
    /// Failed clusters that are tolerated in all waves together; `None`: each wave's own budget alone counts.
    pub failure_budget: Option<u32>,
    /// Silent clusters that are tolerated in the opened waves; `None`: silence never halts, it waits.
    pub unreachable_budget: Option<u32>,
    /// What becomes of it when a newer release is allowed.
    pub superseding: Superseding,
}

/// What becomes of a rollout when a newer release is allowed. Before a wave has opened it always gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Superseding {
    /// It is finished first, all waves.
    #[default]
    FinishRollout,
    /// The open wave is finished and baked, then it gives way.
    FinishWave,
}

/// A person asked for another attempt after a rollout was halted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRetried {
    /// The halted rollout.
    pub rollout: RolloutKey,
    /// Why, for people.
    pub reason: String,
    /// Who said so.
    pub principal: String,
    /// UUID of the request.
    pub request_id: String,
}

/// A strategy by name and by the digest of its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StrategyId {
    /// `metadata.name`.
    pub name: String,
    /// Digest of the file's bytes.
    pub digest: Digest,
}

/// A wave as it was when the rollout began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveSnapshot {
    /// Name, unique in the strategy.
    pub name: String,
    /// Name of the policy that must allow each of its clusters.
    pub policy: String,
    /// Its clusters, sorted by name.
    pub clusters: Vec<ClusterName>,
    /// How many of them may be in work at once.
    pub max_concurrency: u32,
    /// How long, after the last of them was upgraded, all must stay healthy.
    pub bake: jiff::SignedDuration,
    /// How many clusters must have been upgraded and be healthy at the end of the bake.
    pub bake_clusters: u32,
    /// How many reconciliations by Flux must have been seen in the wave since the upgrades.
    pub bake_reconciles: u64,
    /// Failed clusters that are tolerated in this wave; one more halts.
    pub failure_budget: u32,
    /// How many clusters that are not held the wave needs to be opened.
    pub min_clusters: u32,
}

/// A wave was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveOpened {
    /// The rollout.
    pub rollout: RolloutKey,
    /// The wave.
    pub wave: String,
    /// Why it could be opened, for people.
    pub detail: String,
}

/// A wave has baked: its clusters stayed healthy for as long as the strategy says, but for those that are held,
/// and those that its budgets leave behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveBaked {
    /// The rollout.
    pub rollout: RolloutKey,
    /// The wave.
    pub wave: String,
    /// When the last cluster of the wave was upgraded and healthy.
    pub bake_started: Timestamp,
    /// When the bake was judged to be over.
    pub bake_ended: Timestamp,
    /// For each cluster that was counted its heartbeat.
    pub heartbeats: BTreeMap<ClusterName, Timestamp>,
    /// Clusters that were upgraded and healthy.
    pub clusters: u32,
    /// Reconciliations by Flux that were counted.
    pub reconciles: u64,
}

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RolloutEnd {
    /// Every wave has baked: its clusters run the release and are well, but for those that are named as left
    /// behind.
    Completed,
    /// Something was wrong: no cluster is begun any more.
    Halted,
    /// A newer release took its place: before it had changed anything, or between two of its waves.
    Superseded,
}

impl fmt::Display for RolloutEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Completed => "COMPLETED",
            Self::Halted => "HALTED",
            Self::Superseded => "SUPERSEDED",
        })
    }
}

/// A rollout ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutFinished {
    /// The rollout.
    pub rollout: RolloutKey,
    /// How.
    pub end: RolloutEnd,
    /// For people.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_reads_back() {
        let key = RolloutKey {
            version: Version::new(2, 9, 4),
            ordinal: 1,
        };
        assert_eq!(key.to_string(), "flux-v2.9.4-1");
        assert_eq!(key.to_string().parse::<RolloutKey>().unwrap(), key);
        let rc: RolloutKey = "flux-v2.9.0-rc.1-2".parse().unwrap();
        assert_eq!((rc.version.to_string().as_str(), rc.ordinal), ("v2.9.0-rc.1", 2));
        for bad in ["flux-v2.9.4", "flux-v2.9.4-0", "v2.9.4-1", ""] {
            assert!(bad.parse::<RolloutKey>().is_err(), "{bad}");
        }
    }
}
