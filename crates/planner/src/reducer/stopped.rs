//! Which stops touch what, and how they are told to people.
//!
//! A stop never touches what was begun: a task that an agent has accepted goes on to its end.

use domain::stop::{StopKind, StopScope};
use domain::{ClusterMember, ClusterName, RolloutKey, StopSetting, Version};

use super::world::Known;

/// Stops in force, in the order of their scopes; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stops<'w>(Vec<&'w StopSetting>);

impl<'w> Stops<'w> {
    fn new(found: impl Iterator<Item = &'w StopSetting>) -> Option<Self> {
        let mut found: Vec<_> = found.collect();
        found.sort_by(|a, b| a.scope.cmp(&b.scope));
        (!found.is_empty()).then_some(Self(found))
    }

    /// Who stopped what and why.
    pub(super) fn text(&self) -> String {
        self.0
            .iter()
            .map(|stop| text(stop))
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// Whether the cluster itself is held: its wave goes on without it.
    pub(super) fn hold(&self) -> bool {
        self.0.iter().any(|stop| stop.scope.kind() == StopKind::Hold)
    }
}

/// One stop, like `freeze of wave/main by alice: holidays`.
pub(super) fn text(stop: &StopSetting) -> String {
    let (kind, scope, reason) = (stop.scope.kind(), &stop.scope, &stop.reason);
    format!("{kind} of {scope} by {}: {reason}", stop.principal)
}

impl<'w> Known<'w> {
    fn stops(&self) -> impl Iterator<Item = &'w StopSetting> {
        self.world().stops.iter().filter(|stop| stop.active)
    }

    /// The stops that touch a cluster in a wave, for a rollout.
    pub(super) fn stops_of(
        &self,
        member: &ClusterMember,
        wave: Option<&str>,
        rollout: Option<&RolloutKey>,
    ) -> Option<Stops<'w>> {
        Stops::new(
            self.stops()
                .filter(|stop| stop.scope.touches(member, wave, rollout)),
        )
    }

    /// The stops because of which a wave of a rollout is not opened, whichever clusters it has.
    pub(super) fn stops_of_wave(&self, wave: &str, rollout: &RolloutKey) -> Option<Stops<'w>> {
        Stops::new(self.stops().filter(|stop| match &stop.scope {
            StopScope::Fleet => true,
            StopScope::Wave(name) => name == wave,
            StopScope::Rollout(key) => key == rollout,
            StopScope::Version(version) => *version == rollout.version,
            StopScope::Label { .. } | StopScope::Cluster(_) => false,
        }))
    }

    /// The stops because of which nothing of a rollout goes on.
    pub(super) fn stops_of_rollout(&self, rollout: &RolloutKey) -> Option<Stops<'w>> {
        Stops::new(self.stops().filter(|stop| match &stop.scope {
            StopScope::Fleet => true,
            StopScope::Rollout(key) => key == rollout,
            StopScope::Version(version) => *version == rollout.version,
            StopScope::Wave(_) | StopScope::Label { .. } | StopScope::Cluster(_) => false,
        }))
    }

    /// The stops because of which no rollout begins.
    pub(super) fn stops_of_fleet(&self) -> Option<Stops<'w>> {
        Stops::new(self.stops().filter(|stop| stop.scope == StopScope::Fleet))
    }

    /// The stops because of which a cluster is no reason to begin a rollout: those of its own, of its wave and
    /// of its labels. One of the fleet is told once, for the rollout.
    pub(super) fn stops_of_candidate(&self, member: &ClusterMember, wave: &str) -> Option<Stops<'w>> {
        let touching = self.stops().filter(|stop| stop.scope != StopScope::Fleet);
        Stops::new(touching.filter(|stop| stop.scope.touches(member, Some(wave), None)))
    }

    /// The recall of a version.
    pub(super) fn recall(&self, version: &Version) -> Option<&'w StopSetting> {
        self.stops()
            .find(|stop| matches!(&stop.scope, StopScope::Version(recalled) if recalled == version))
    }

    /// Whether a cluster is held.
    pub(super) fn held(&self, cluster: &ClusterName) -> Option<Stops<'w>> {
        Stops::new(
            self.stops()
                .filter(|stop| matches!(&stop.scope, StopScope::Cluster(held) if held == cluster)),
        )
    }
}
