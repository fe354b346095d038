//! Whom a mode is set for, and for whom another one holds all the same.

use domain::{ClusterMember, Mode};
use hub::grpc::{not_found, unavailable};
use tonic::Status;

use super::Api;
use crate::modes;

impl Api {
    /// The members that a scope speaks of now.
    pub(super) async fn in_scope(&self, scope: &wire::Scope) -> Result<Vec<ClusterMember>, Status> {
        let members = self.0.members().await.map_err(|error| *unavailable(&error))?;
        let strategy = &self.0.strategy;
        match scope {
            wire::Scope::Wave(wave) => {
                if !strategy.waves.iter().any(|known| known.name == *wave) {
                    return Err(*not_found(&format!(
                        "wave/{wave} in strategy {}",
                        strategy.id.name
                    )));
                }
                let own = |m: &ClusterMember| strategy.wave_of(m).is_some_and(|w| w.name == *wave);
                Ok(members.into_iter().filter(own).collect())
            }
            wire::Scope::Cluster(cluster) => {
                let found: Vec<_> = members.into_iter().filter(|m| m.cluster == *cluster).collect();
                if found.is_empty() {
                    Err(*not_found(&format!("cluster/{cluster}")))
                } else {
                    Ok(found)
                }
            }
        }
    }

    /// What holds for the members of a scope after a mode was set for it, where that is something else.
    pub(super) async fn differing(
        &self,
        members: &[ClusterMember],
        (scope, mode): (&wire::Scope, Mode),
        validate_only: bool,
    ) -> Result<Vec<String>, Status> {
        let mut modes = self.0.modes().await.map_err(|error| *unavailable(&error))?;
        if validate_only {
            modes = modes::with(modes, scope, mode);
        }
        let why = |member: &ClusterMember| {
            let wave = self.0.strategy.wave_of(member).map(|wave| wave.name.as_str());
            modes::differs(member, wave, (scope, mode), &modes)
        };
        Ok(members.iter().filter_map(why).collect())
    }
}
