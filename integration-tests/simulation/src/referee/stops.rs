//! Stops: nothing is begun by whoever has read them.

use std::collections::BTreeMap;

use bus::Fact;
use domain::{Assignment, ClusterMember, ClusterName, RolloutKey, StopScope, StopSetting};
use wire::{fleet, rollout};

use super::{Objection, Referee, unread};
use crate::turns::Author;

/// What persons said about stops, and the fleet that they touch.
#[derive(Debug, Default)]
pub(super) struct Stops {
    words: Vec<(u64, StopSetting)>,
    members: BTreeMap<ClusterName, ClusterMember>,
}

impl Stops {
    /// The stops that are in force at this place of the log.
    fn at(&self, place: u64) -> impl Iterator<Item = &StopScope> {
        let mut newest: BTreeMap<&StopScope, bool> = BTreeMap::new();
        for (_, stop) in self.words.iter().filter(|(sequence, _)| *sequence <= place) {
            newest.insert(&stop.scope, stop.active);
        }
        newest
            .into_iter()
            .filter_map(|(scope, active)| active.then_some(scope))
    }
}

impl Referee {
    pub(super) fn member(&mut self, fact: &Fact) -> Result<(), Objection> {
        let member: ClusterMember =
            wire::decode::<fleet::v1::ClusterMember, _>(&fact.statement).map_err(|error| unread(&error))?;
        self.stops.members.insert(member.cluster.clone(), member);
        Ok(())
    }

    pub(super) fn stop(&mut self, fact: &Fact) -> Result<(), Objection> {
        let stop: StopSetting =
            wire::decode::<rollout::v1::StopSet, _>(&fact.statement).map_err(|error| unread(&error))?;
        self.stops.words.push((fact.sequence, stop));
        Ok(())
    }

    /// The stops that are in force now.
    #[must_use]
    pub(crate) fn stops_in_force(&self) -> Vec<StopScope> {
        self.stops.at(self.read).cloned().collect()
    }

    /// Whether a stop of this scope touches the cluster, for this rollout.
    #[must_use]
    pub(crate) fn touches(&self, scope: &StopScope, cluster: &ClusterName, rollout: &RolloutKey) -> bool {
        let waves = self.rollouts.iter().filter(|(key, _)| key == rollout);
        let wave = waves
            .flat_map(|(_, course)| &course.started.waves)
            .find(|wave| wave.clusters.contains(cluster));
        let member = self.stops.members.get(cluster);
        member.is_some_and(|member| scope.touches(member, wave.map(|wave| wave.name.as_str()), Some(rollout)))
    }

    /// What was not begun is not asked for by whoever had read a stop of it.
    pub(super) fn not_stopped(
        &self,
        fact: &Fact,
        (assignment, as_of): (&Assignment, u64),
    ) -> Result<(), Objection> {
        let (cluster, rollout) = (&assignment.cluster, &assignment.rollout);
        let mut stops = self.stops.at(as_of);
        match stops.find(|scope| self.touches(scope, cluster, rollout)) {
            Some(scope) => Err(format!(
                "{} at {} rests on {as_of}, where the stop of {scope} stood",
                fact.subject, fact.sequence
            )),
            None => Ok(()),
        }
    }

    /// No rollout begins, and no wave opens, by whoever had read a stop of it.
    pub(super) fn goes_on(
        &self,
        fact: &Fact,
        author: Option<Author>,
        (rollout, wave): (&RolloutKey, Option<&str>),
    ) -> Result<(), Objection> {
        let Some(author) = author else { return Ok(()) };
        let stops = |scope: &&StopScope| match scope {
            StopScope::Fleet => true,
            StopScope::Version(version) => *version == rollout.version,
            StopScope::Rollout(key) => key == rollout,
            StopScope::Wave(name) => wave == Some(name.as_str()),
            StopScope::Label { .. } | StopScope::Cluster(_) => false,
        };
        match self.stops.at(author.read).find(stops) {
            Some(scope) => Err(format!(
                "{} at {} by whoever had read the stop of {scope}",
                fact.subject, fact.sequence
            )),
            None => Ok(()),
        }
    }

    /// Whether whoever ended a rollout had read a recall of its version.
    pub(super) fn is_recalled(&self, author: Option<Author>, rollout: &RolloutKey) -> bool {
        let recall = StopScope::Version(rollout.version.clone());
        author.is_some_and(|author| self.stops.at(author.read).any(|scope| *scope == recall))
    }
}
