//! The steps of a rollout.

use std::collections::BTreeMap;

use domain::rollout::{
    RolloutEnd, RolloutFinished, RolloutRetried, RolloutStarted, StrategyId, Superseding, WaveBaked,
    WaveOpened, WaveSnapshot,
};
use domain::{Mode, StopScope, StopSetting};
use jiff::SignedDuration;

use super::{at, cluster, digest, release, rollout_key};
use crate::{ModeSetting, Scope};

pub(in crate::tests) fn mode() -> ModeSetting {
    ModeSetting {
        scope: Scope::Wave("canary".to_owned()),
        mode: Mode::Enforce,
        principal: "anna".to_owned(),
        request_id: "7d9b1f0e-3f0c-4a53-9f11-0d6a3c1b2e4f".to_owned(),
    }
}

pub(in crate::tests) fn started() -> RolloutStarted {
    let wave = |name: &str, clusters: &[&str], bake| WaveSnapshot {
        name: name.to_owned(),
        policy: "production".to_owned(),
        clusters: clusters.iter().map(|name| name.parse().unwrap()).collect(),
        max_concurrency: 2,
        bake,
        bake_clusters: 2,
        bake_reconciles: 100,
        failure_budget: 1,
        min_clusters: 2,
    };
    RolloutStarted {
        rollout: rollout_key(),
        release: release(),
        strategy: StrategyId {
            name: "default".to_owned(),
            digest: digest("strategy"),
        },
        waves: vec![
            wave("canary", &["dev", "stage"], SignedDuration::from_millis(90_500)),
            wave("all", &[], SignedDuration::ZERO),
        ],
        failure_budget: Some(3),
        unreachable_budget: None,
        superseding: Superseding::FinishWave,
    }
}

pub(in crate::tests) fn opened() -> WaveOpened {
    WaveOpened {
        rollout: rollout_key(),
        wave: "canary".to_owned(),
        detail: "2 of 2 clusters are allowed and enforced".to_owned(),
    }
}

pub(in crate::tests) fn baked() -> WaveBaked {
    WaveBaked {
        rollout: rollout_key(),
        wave: "canary".to_owned(),
        bake_started: at("2026-01-02T03:04:05Z"),
        bake_ended: at("2026-01-02T04:04:05Z"),
        heartbeats: BTreeMap::from([(cluster(), at("2026-01-02T04:04:00Z"))]),
        clusters: 1,
        reconciles: 340,
    }
}

pub(in crate::tests) fn finished() -> RolloutFinished {
    RolloutFinished {
        rollout: rollout_key(),
        end: RolloutEnd::Halted,
        detail: "prod-eu is unhealthy".to_owned(),
    }
}

pub(in crate::tests) fn stop() -> StopSetting {
    StopSetting {
        scope: StopScope::Label {
            key: "region".to_owned(),
            value: "eu".to_owned(),
        },
        active: true,
        reason: "holidays".to_owned(),
        principal: "anna".to_owned(),
        request_id: "7d9b1f0e-3f0c-4a53-9f11-0d6a3c1b2e4f".to_owned(),
    }
}

pub(in crate::tests) fn retried() -> RolloutRetried {
    RolloutRetried {
        rollout: rollout_key(),
        reason: "the node had no disk".to_owned(),
        principal: "anna".to_owned(),
        request_id: "7d9b1f0e-3f0c-4a53-9f11-0d6a3c1b2e4f".to_owned(),
    }
}
