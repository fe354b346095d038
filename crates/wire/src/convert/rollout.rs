//! `fluxgate.rollout`: the steps of a rollout, and who may write where.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use domain::rollout::{
    RolloutEnd, RolloutFinished, RolloutStarted, StrategyId, Superseding, WaveBaked, WaveOpened, WaveSnapshot,
};
use domain::{ClusterName, Mode};

use super::common::choices;
use super::{field, time};
use crate::WireError;
use crate::common::v1 as common;
use crate::rollout::v1;

/// What a mode is set for. Written `wave/NAME` or `cluster/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Every cluster of a wave, whichever they are then.
    Wave(String),
    /// One cluster.
    Cluster(ClusterName),
}

/// Why a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("scope {text:?} is neither wave/NAME nor cluster/NAME")]
pub struct ParseScopeError {
    /// What was read.
    pub text: String,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wave(name) => write!(f, "wave/{name}"),
            Self::Cluster(name) => write!(f, "cluster/{name}"),
        }
    }
}

impl FromStr for Scope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scope = match text.split_once('/') {
            Some(("wave", name)) if !name.is_empty() => Some(Self::Wave(name.to_owned())),
            Some(("cluster", name)) => name.parse().ok().map(Self::Cluster),
            Some(_) | None => None,
        };
        scope.ok_or_else(|| ParseScopeError {
            text: text.to_owned(),
        })
    }
}

/// Whether fluxgate may write in a scope: a person's act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeSetting {
    /// Where.
    pub scope: Scope,
    /// The mode.
    pub mode: Mode,
    /// Who said so.
    pub principal: String,
    /// UUID of the request.
    pub request_id: String,
}

impl From<&ModeSetting> for v1::ModeSet {
    fn from(setting: &ModeSetting) -> Self {
        Self {
            scope: setting.scope.to_string(),
            mode: common::Mode::from(setting.mode).into(),
            principal: setting.principal.clone(),
            request_id: setting.request_id.clone(),
        }
    }
}

impl TryFrom<v1::ModeSet> for ModeSetting {
    type Error = WireError;

    fn try_from(message: v1::ModeSet) -> Result<Self, WireError> {
        Ok(Self {
            scope: field::parsed("ModeSet.scope", &message.scope)?,
            mode: field::choice::<common::Mode, _>("ModeSet.mode", message.mode)?,
            principal: field::text("ModeSet.principal", message.principal)?,
            request_id: field::text("ModeSet.request_id", message.request_id)?,
        })
    }
}

impl From<&RolloutStarted> for v1::RolloutStarted {
    fn from(started: &RolloutStarted) -> Self {
        Self {
            rollout: started.rollout.to_string(),
            release: started.release.to_string(),
            strategy: started.strategy.name.clone(),
            strategy_digest: Some(started.strategy.digest.into()),
            waves: started.waves.iter().map(Into::into).collect(),
            failure_budget: started.failure_budget,
            unreachable_budget: started.unreachable_budget,
            superseding: v1::Superseding::from(started.superseding).into(),
        }
    }
}

impl TryFrom<v1::RolloutStarted> for RolloutStarted {
    type Error = WireError;

    fn try_from(message: v1::RolloutStarted) -> Result<Self, WireError> {
        let waves: Vec<WaveSnapshot> = field::list(message.waves)?;
        let names: BTreeSet<&str> = waves.iter().map(|wave| wave.name.as_str()).collect();
        if names.len() != waves.len() {
            return Err(WireError::Duplicate {
                field: "RolloutStarted.waves",
            });
        }
        Ok(Self {
            rollout: field::parsed("RolloutStarted.rollout", &message.rollout)?,
            release: field::parsed("RolloutStarted.release", &message.release)?,
            strategy: StrategyId {
                name: field::text("RolloutStarted.strategy", message.strategy)?,
                digest: field::digest("RolloutStarted.strategy_digest", message.strategy_digest)?,
            },
            waves,
            failure_budget: message.failure_budget,
            unreachable_budget: message.unreachable_budget,
            superseding: field::choice::<v1::Superseding, _>(
                "RolloutStarted.superseding",
                message.superseding,
            )?,
        })
    }
}

impl From<&WaveSnapshot> for v1::WaveSnapshot {
    fn from(wave: &WaveSnapshot) -> Self {
        Self {
            wave: wave.name.clone(),
            policy: wave.policy.clone(),
            clusters: wave.clusters.iter().map(ToString::to_string).collect(),
            max_concurrency: wave.max_concurrency,
            bake_duration: Some(time::duration(wave.bake)),
            bake_clusters: wave.bake_clusters,
            bake_reconciles: wave.bake_reconciles,
            failure_budget: wave.failure_budget,
            min_clusters: wave.min_clusters,
        }
    }
}

impl TryFrom<v1::WaveSnapshot> for WaveSnapshot {
    type Error = WireError;

    fn try_from(message: v1::WaveSnapshot) -> Result<Self, WireError> {
        let field = "WaveSnapshot.clusters";
        let clusters: BTreeSet<ClusterName> = field::distinct(
            field,
            message.clusters.iter().map(|name| field::parsed(field, name)),
        )?;
        Ok(Self {
            name: field::text("WaveSnapshot.wave", message.wave)?,
            policy: field::text("WaveSnapshot.policy", message.policy)?,
            clusters: clusters.into_iter().collect(),
            max_concurrency: field::positive("WaveSnapshot.max_concurrency", message.max_concurrency)?,
            bake: time::read_duration("WaveSnapshot.bake_duration", message.bake_duration)?,
            bake_clusters: message.bake_clusters,
            bake_reconciles: message.bake_reconciles,
            failure_budget: message.failure_budget,
            min_clusters: message.min_clusters,
        })
    }
}

impl From<&WaveOpened> for v1::WaveOpened {
    fn from(opened: &WaveOpened) -> Self {
        Self {
            rollout: opened.rollout.to_string(),
            wave: opened.wave.clone(),
            detail: opened.detail.clone(),
        }
    }
}

impl TryFrom<v1::WaveOpened> for WaveOpened {
    type Error = WireError;

    fn try_from(message: v1::WaveOpened) -> Result<Self, WireError> {
        Ok(Self {
            rollout: field::parsed("WaveOpened.rollout", &message.rollout)?,
            wave: field::text("WaveOpened.wave", message.wave)?,
            detail: message.detail,
        })
    }
}

impl From<&WaveBaked> for v1::WaveBaked {
    fn from(baked: &WaveBaked) -> Self {
        let heartbeat =
            |(cluster, sent): (&ClusterName, &jiff::Timestamp)| (cluster.to_string(), time::timestamp(*sent));
        Self {
            rollout: baked.rollout.to_string(),
            wave: baked.wave.clone(),
            bake_start_time: Some(time::timestamp(baked.bake_started)),
            bake_end_time: Some(time::timestamp(baked.bake_ended)),
            heartbeats: baked.heartbeats.iter().map(heartbeat).collect(),
            clusters: baked.clusters,
            reconciles: baked.reconciles,
        }
    }
}

impl TryFrom<v1::WaveBaked> for WaveBaked {
    type Error = WireError;

    fn try_from(message: v1::WaveBaked) -> Result<Self, WireError> {
        let field = "WaveBaked.heartbeats";
        let heartbeats = message
            .heartbeats
            .into_iter()
            .map(|(cluster, sent)| Ok((field::parsed(field, &cluster)?, time::read(field, Some(sent))?)));
        Ok(Self {
            rollout: field::parsed("WaveBaked.rollout", &message.rollout)?,
            wave: field::text("WaveBaked.wave", message.wave)?,
            bake_started: time::read("WaveBaked.bake_start_time", message.bake_start_time)?,
            bake_ended: time::read("WaveBaked.bake_end_time", message.bake_end_time)?,
            heartbeats: field::keyed(field, heartbeats)?,
            clusters: message.clusters,
            reconciles: message.reconciles,
        })
    }
}

choices!(
    Superseding,
    v1::Superseding,
    "Superseding",
    [FinishRollout, FinishWave]
);
choices!(
    RolloutEnd,
    v1::RolloutEnd,
    "RolloutEnd",
    [Completed, Halted, Superseded]
);

impl From<&RolloutFinished> for v1::RolloutFinished {
    fn from(finished: &RolloutFinished) -> Self {
        Self {
            rollout: finished.rollout.to_string(),
            end: v1::RolloutEnd::from(finished.end).into(),
            detail: finished.detail.clone(),
        }
    }
}

impl TryFrom<v1::RolloutFinished> for RolloutFinished {
    type Error = WireError;

    fn try_from(message: v1::RolloutFinished) -> Result<Self, WireError> {
        Ok(Self {
            rollout: field::parsed("RolloutFinished.rollout", &message.rollout)?,
            end: field::choice::<v1::RolloutEnd, _>("RolloutFinished.end", message.end)?,
            detail: message.detail,
        })
    }
}
