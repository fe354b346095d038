//! What stands between one cluster and its next upgrade, condition by condition, in the order in which they are
//! looked at: `agent`, `baseline`, `decision`, `mode`, `stops`, `rollout`, `wave`, `place`, `ledger`.
//!
//! Each line says what is there as well as what is missing, so that a waiting cluster can be described from
//! these alone. Deliberately not here: any decision. What is begun follows from the plan; these lines explain it.

use std::collections::BTreeMap;

use domain::{ClusterName, Reason};
use jiff::Timestamp;

use super::course::Course;
use super::steps::Plan;
use super::world::{Known, World};

mod lines;

use lines::{Inquiry, closed};

/// One condition for the upgrade of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateLine {
    /// What it is about, like `decision` or `mode`.
    pub gate: &'static str,
    /// Whether it holds.
    pub open: bool,
    /// Why it does not hold; `None` where it does.
    pub reason: Option<Reason>,
    /// For people: what is there and what is missing.
    pub detail: String,
    /// The earliest time at which it can open, if that is known.
    pub until: Option<Timestamp>,
}

/// Every condition for the upgrade of a cluster, in the order in which they are looked at. Only those that are
/// not open are waited for. Of a cluster that nothing newer is decided about there are the first three, of one
/// in no wave there is a line that says so, of one that is no member there is none.
#[must_use]
pub fn gates(world: &World<'_>, cluster: &ClusterName) -> Vec<GateLine> {
    Gates::new(world).of(cluster)
}

/// [`gates`] for many clusters of one world, which is planned once.
#[derive(Debug)]
pub struct Gates<'w> {
    world: Known<'w>,
    plan: Plan,
    /// The clusters in work, by opened wave of the active rollout.
    at_work: BTreeMap<String, Vec<ClusterName>>,
}

impl<'w> Gates<'w> {
    /// Plans.
    #[must_use]
    pub fn new(world: &'w World<'w>) -> Self {
        let known = Known::new(world);
        let mut at_work = BTreeMap::new();
        if let Some(rollout) = world.active() {
            for (wave, looks) in Course::new(&known, rollout).opened {
                let busy = looks.into_iter().filter(|look| look.standing.in_work());
                at_work.insert(wave.name.clone(), busy.map(|look| look.cluster.clone()).collect());
            }
        }
        Self {
            plan: super::plan(world),
            world: known,
            at_work,
        }
    }

    /// The plan that they explain.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The conditions of one cluster.
    #[must_use]
    pub fn of(&self, cluster: &ClusterName) -> Vec<GateLine> {
        let known = &self.world;
        let Some(member) = known.member(cluster) else {
            return Vec::new();
        };
        let Some(wave) = known.strategy.wave_of(member) else {
            let strategy = &known.strategy.id.name;
            let detail = format!("no wave of strategy {strategy} selects its labels: it is never touched");
            return vec![closed("wave", Reason::NoWave, detail)];
        };
        let inquiry = Inquiry {
            gates: self,
            world: known,
            member,
            wave,
            facts: known.facts.get(cluster),
        };
        inquiry.lines()
    }
}
