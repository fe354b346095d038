//! What rollout-controller serves: `FleetService` and `RolloutService`. Every answer is planned afresh from
//! the log; nothing is kept for them.

pub(crate) mod fleet;
pub(crate) mod rollout;

use domain::ClusterName;
use planner::reducer::{Scope, Wait};

/// What a scope is called in the API.
fn scope_name(scope: &Scope) -> String {
    match scope {
        Scope::Rollout => "rollout".to_owned(),
        Scope::Wave(wave) => format!("wave/{wave}"),
        Scope::Cluster(cluster) => format!("cluster/{cluster}"),
    }
}

/// The waits of one cluster.
fn of_cluster<'a>(waits: &'a [Wait], cluster: &'a ClusterName) -> impl Iterator<Item = &'a Wait> {
    waits
        .iter()
        .filter(move |wait| matches!(&wait.scope, Scope::Cluster(name) if name == cluster))
}
