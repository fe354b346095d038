//! Stops, and the wish for another attempt: what persons say about rollouts.

use domain::rollout::RolloutRetried;
use domain::{StopKind, StopScope, StopSetting};

use super::common::choices;
use super::field;
use crate::WireError;
use crate::rollout::v1;

choices!(StopKind, v1::StopKind, "StopKind", [Pause, Freeze, Hold, Recall]);

impl From<&StopSetting> for v1::StopSet {
    fn from(setting: &StopSetting) -> Self {
        Self {
            scope: setting.scope.to_string(),
            kind: v1::StopKind::from(setting.scope.kind()).into(),
            active: setting.active,
            reason: setting.reason.clone(),
            principal: setting.principal.clone(),
            request_id: setting.request_id.clone(),
        }
    }
}

impl TryFrom<v1::StopSet> for StopSetting {
    type Error = WireError;

    fn try_from(message: v1::StopSet) -> Result<Self, WireError> {
        let scope: StopScope = field::parsed("StopSet.scope", &message.scope)?;
        let kind: StopKind = field::choice::<v1::StopKind, _>("StopSet.kind", message.kind)?;
        if kind != scope.kind() {
            return Err(WireError::Unexpected {
                field: "StopSet.kind",
            });
        }
        Ok(Self {
            scope,
            active: message.active,
            reason: field::text("StopSet.reason", message.reason)?,
            principal: field::text("StopSet.principal", message.principal)?,
            request_id: field::text("StopSet.request_id", message.request_id)?,
        })
    }
}

impl From<&RolloutRetried> for v1::RolloutRetried {
    fn from(retried: &RolloutRetried) -> Self {
        Self {
            rollout: retried.rollout.to_string(),
            reason: retried.reason.clone(),
            principal: retried.principal.clone(),
            request_id: retried.request_id.clone(),
        }
    }
}

impl TryFrom<v1::RolloutRetried> for RolloutRetried {
    type Error = WireError;

    fn try_from(message: v1::RolloutRetried) -> Result<Self, WireError> {
        Ok(Self {
            rollout: field::parsed("RolloutRetried.rollout", &message.rollout)?,
            reason: field::text("RolloutRetried.reason", message.reason)?,
            principal: field::text("RolloutRetried.principal", message.principal)?,
            request_id: field::text("RolloutRetried.request_id", message.request_id)?,
        })
    }
}
