//! What baselines are made of, each statement read once.

use bus::{Area, Fact, Newest};
use domain::{Baseline, ClusterFacts, ClusterMember, ReleaseContents};
use wire::{fleet, verification};

/// The newest statement of each kind about each thing.
#[derive(Debug)]
pub(crate) struct Statements {
    /// What each agent saw last, members or not.
    pub(super) facts: Newest<ClusterFacts>,
    /// Everyone who is or was a member.
    pub(super) members: Newest<ClusterMember>,
    /// Baselines, as stored and as read.
    pub(super) baselines: Newest<(Fact, Baseline)>,
    /// What releases contain.
    pub(super) releases: Newest<ReleaseContents>,
}

impl Default for Statements {
    fn default() -> Self {
        Self {
            facts: Newest::new(Area::Cluster, "facts", facts),
            members: Newest::new(Area::Cluster, "member", member),
            baselines: Newest::new(Area::Verification, "contents", baseline),
            releases: Newest::new(Area::Verification, "contents", release),
        }
    }
}

fn facts(fact: &Fact) -> Option<ClusterFacts> {
    wire::decode::<fleet::v1::ClusterFacts, _>(&fact.statement).ok()
}

fn member(fact: &Fact) -> Option<ClusterMember> {
    wire::decode::<fleet::v1::ClusterMember, _>(&fact.statement).ok()
}

fn baseline(fact: &Fact) -> Option<(Fact, Baseline)> {
    Some((fact.clone(), stated(fact)?))
}

/// The baseline that a statement is about.
pub(super) fn stated(fact: &Fact) -> Option<Baseline> {
    wire::decode::<verification::v1::BaselineContents, _>(&fact.statement).ok()
}

fn release(fact: &Fact) -> Option<ReleaseContents> {
    wire::decode::<verification::v1::ReleaseContents, _>(&fact.statement).ok()
}
