//! The rollout as a pure function: what is known in, the next steps out.
//!
//! Rules, each with a test named after it:
//! - One rollout at a time, to the highest version that is allowed for some cluster. A newer one replaces it
//!   only before it has opened a wave; the version of a halted one is not begun again
//!   ([`World::restarts`] is where a person's wish would stand).
//! - A wave opens when the waves before it have baked and each of its clusters has a valid ALLOW and Enforce.
//!   Under Observe a cluster gets one dry run, whatever its wave.
//! - In an opened wave at most `max_concurrency` clusters are in work.
//! - The first failure halts: a bad result, a refusal, a cluster that becomes unhealthy.
//! - A wave bakes from when its last cluster is done; it needs a fresh HEALTHY heartbeat of each.
//! - Nothing new is begun while the ledger is not sure, or without a valid ALLOW; what was begun goes on.
//! - Whatever is not done has a [`Wait`] that says why.
//!
//! Every step follows from the world as it is, never from another step of the same plan: the caller folds
//! what it published and asks again.
//!
//! Deliberately not here: epochs, statements, and stops other than those that follow from mode and decision.

mod course;
mod gate;
mod standing;
mod start;
mod steps;
mod stops;
mod task;
mod wave;
mod world;

#[cfg(test)]
mod tests;

pub use steps::{AssignDraft, Plan, Scope, Step, StopDraft, Wait};
pub use task::{AssignmentView, Reports, ResultKind, TaskResult};
pub use world::{
    ASSIGNMENT_LIFETIME, DecisionView, FRESH, FactsView, Modes, PreviousRollout, RENEW_WITHIN, RolloutView,
    World,
};

/// What to do next.
#[must_use]
pub fn plan(world: &World<'_>) -> Plan {
    let known = world::Known::new(world);
    let mut plan = Plan::default();
    stops::plan(&known, &mut plan);
    match known.active() {
        Some(rollout) => course::plan(&known, rollout, &mut plan),
        None => start::plan(&known, &mut plan),
    }
    plan
}
