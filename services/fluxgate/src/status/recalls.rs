//! Versions that must not run. A recall is for good: it needs nobody, and it is not hidden.

use serde::Serialize;
use wire::rollout::v1::StopKind;

use super::{Seen, members, version_of};
use crate::names;

/// A recall in force.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecallLine {
    /// What was recalled, `releases/v2.9.4`.
    pub(crate) release: String,
    /// Why.
    pub(crate) reason: String,
    /// By whom.
    pub(crate) principal: String,
    /// Clusters that run it.
    pub(crate) running: usize,
    /// What lifts it.
    pub(crate) command: String,
}

/// The recalls in force of versions that were seen as a release, or run somewhere.
pub(super) fn of(seen: &Seen) -> Vec<RecallLine> {
    let sets = seen.stops.iter().filter_map(|stop| stop.set.as_ref());
    let recalls = sets.filter(|set| set.active && set.kind() == StopKind::Recall);
    let lines = recalls.filter_map(|set| {
        let version = names::bare(&set.scope);
        let running = members(&seen.clusters)
            .filter(|cluster| cluster.version == version)
            .count();
        let is_seen = seen
            .releases
            .iter()
            .any(|release| version_of(&release.release) == version);
        (is_seen || running > 0).then(|| RecallLine {
            release: names::scope(&set.scope),
            reason: set.reason.clone(),
            principal: set.principal.clone(),
            running,
            command: names::lift(&set.scope),
        })
    });
    lines.collect()
}
