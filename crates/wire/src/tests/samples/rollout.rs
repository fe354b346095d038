//! The steps of a rollout.

use std::collections::BTreeMap;

use domain::Mode;
use domain::rollout::{
    RolloutEnd, RolloutFinished, RolloutStarted, StrategyId, WaveBaked, WaveOpened, WaveSnapshot,
};
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
    }
}

pub(in crate::tests) fn opened() -> WaveOpened {
    WaveOpened {
        rollout: rollout_key(),
        wave: "canary".to_owned(),
    }
}

pub(in crate::tests) fn baked() -> WaveBaked {
    WaveBaked {
        rollout: rollout_key(),
        wave: "canary".to_owned(),
        bake_started: at("2026-01-02T03:04:05Z"),
        bake_ended: at("2026-01-02T04:04:05Z"),
        heartbeats: BTreeMap::from([(cluster(), at("2026-01-02T04:04:00Z"))]),
    }
}

pub(in crate::tests) fn finished() -> RolloutFinished {
    RolloutFinished {
        rollout: rollout_key(),
        end: RolloutEnd::Halted,
        detail: "prod-eu is unhealthy".to_owned(),
    }
}
