//! What a stop touches, now. The planner decides by the same rule ([`StopScope::touches`]); this is for answers, and
//! for what an agent is told.

use domain::{ClusterMember, StopScope, StopSetting};
use planner::Strategy;
use planner::reducer::RolloutView;

use crate::said::Said;
use crate::world::Known;

/// A stop in words, as agents and people read it.
pub(crate) fn in_words(stop: &StopSetting) -> String {
    format!("{} {}: {}", stop.scope.kind(), stop.scope, stop.reason)
}

impl Known {
    /// The stops in force.
    pub(crate) fn active_stops(&self) -> impl Iterator<Item = &StopSetting> {
        self.stops
            .iter()
            .filter_map(Said::stop)
            .filter(|stop| stop.active)
    }

    /// The rollout that goes on.
    pub(crate) fn active(&self) -> Option<&RolloutView> {
        let active = |rollout: &&RolloutView| rollout.finished.is_none();
        self.rollouts.iter().map(|(_, view)| view.as_ref()).find(active)
    }

    /// The wave that a member is in: that of the rollout that goes on, else of the strategy.
    pub(crate) fn wave_of<'k>(&'k self, strategy: &'k Strategy, member: &ClusterMember) -> Option<&'k str> {
        let has = |wave: &&domain::rollout::WaveSnapshot| wave.clusters.contains(&member.cluster);
        let snapshot = self
            .active()
            .and_then(|rollout| rollout.started.waves.iter().find(has));
        match snapshot {
            Some(wave) => Some(&wave.name),
            None => strategy.wave_of(member).map(|wave| wave.name.as_str()),
        }
    }

    /// Whether a stop of this scope touches a member.
    fn touches(&self, strategy: &Strategy, scope: &StopScope, member: &ClusterMember) -> bool {
        let own = |rollout: &&RolloutView| {
            let mut waves = rollout.started.waves.iter();
            waves.any(|wave| wave.clusters.contains(&member.cluster))
        };
        let rollout = self.active().filter(own).map(|rollout| &rollout.started.rollout);
        scope.touches(member, self.wave_of(strategy, member), rollout)
    }

    /// The stops in force that touch a member, in words.
    pub(crate) fn stops_in_words(&self, strategy: &Strategy, member: &ClusterMember) -> Vec<String> {
        self.active_stops()
            .filter(|stop| self.touches(strategy, &stop.scope, member))
            .map(in_words)
            .collect()
    }

    /// The members that a scope takes in.
    pub(crate) fn in_scope<'k>(&'k self, strategy: &Strategy, scope: &StopScope) -> Vec<&'k ClusterMember> {
        let members = self.members.iter();
        members
            .filter(|member| self.touches(strategy, scope, member))
            .collect()
    }

    /// Whether there is what a scope names. A version may be recalled before anybody has seen it, and a label may be
    /// frozen before any cluster has it.
    pub(crate) fn exists(&self, strategy: &Strategy, scope: &StopScope) -> bool {
        match scope {
            StopScope::Fleet | StopScope::Label { .. } | StopScope::Version(_) => true,
            StopScope::Wave(name) => {
                let of_strategy = strategy.waves.iter().any(|wave| wave.name == *name);
                let of_rollout =
                    |rollout: &RolloutView| rollout.started.waves.iter().any(|w| w.name == *name);
                of_strategy || self.active().is_some_and(of_rollout)
            }
            StopScope::Cluster(name) => self.members.iter().any(|member| member.cluster == *name),
            StopScope::Rollout(key) => self.rollouts.iter().any(|(_, view)| view.started.rollout == *key),
        }
    }

    /// The stops in force that touch a rollout as a whole or in a part; of one that is over only those that name it.
    pub(crate) fn stops_of(&self, strategy: &Strategy, rollout: &RolloutView) -> Vec<&Said> {
        let key = &rollout.started.rollout;
        let over = rollout.finished.is_some();
        let touches = |scope: &StopScope| match scope {
            StopScope::Rollout(stopped) => stopped == key,
            StopScope::Version(version) => *version == key.version,
            StopScope::Fleet => !over,
            StopScope::Wave(_) | StopScope::Label { .. } | StopScope::Cluster(_) if over => false,
            StopScope::Wave(name) => rollout.started.waves.iter().any(|wave| wave.name == *name),
            StopScope::Label { .. } | StopScope::Cluster(_) => {
                let mut members = self.members.iter();
                let own = |member: &ClusterMember| {
                    let mut waves = rollout.started.waves.iter();
                    waves.any(|wave| wave.clusters.contains(&member.cluster))
                };
                members.any(|member| own(member) && self.touches(strategy, scope, member))
            }
        };
        let active = |said: &&Said| {
            said.stop()
                .is_some_and(|stop| stop.active && touches(&stop.scope))
        };
        self.stops.iter().filter(active).collect()
    }

    /// Whether a person has to lift something before the rollout as a whole goes on.
    pub(crate) fn is_paused(&self, rollout: &RolloutView) -> bool {
        let key = &rollout.started.rollout;
        self.active_stops().any(|stop| match &stop.scope {
            StopScope::Fleet => true,
            StopScope::Rollout(stopped) => stopped == key,
            StopScope::Wave(_) | StopScope::Label { .. } | StopScope::Cluster(_) | StopScope::Version(_) => {
                false
            }
        })
    }

    /// Members of these whose task was begun and is not over.
    pub(crate) fn in_work(&self, members: &[&ClusterMember]) -> Vec<String> {
        let begun = |member: &&&ClusterMember| {
            let course = self.courses.get(&member.cluster);
            course.is_some_and(|course| course.view.reports.accepted && course.view.in_work(self.now))
        };
        members
            .iter()
            .filter(begun)
            .map(|member| member.cluster.to_string())
            .collect()
    }
}
