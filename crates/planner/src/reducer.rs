//! The rollout as a pure function: what is known in, the next steps out.
//!
//! The rules, each with its test: `docs/rollout-semantics.md`. In short: one rollout at a time and one wave after
//! the other; a wave opens when those before it have baked and each of its clusters that is not stopped has a
//! valid ALLOW and Enforce; never more clusters in work than the wave allows; a failure or a silence beyond the
//! budgets halts; what a person stopped is not begun; whatever is not done has a [`Wait`] that says why, and
//! [`gates`] says it for one cluster, condition by condition.
//!
//! Every step follows from the world as it is, never from another step of the same plan: the caller folds
//! what it published and asks again.
//!
//! Deliberately not here: epochs and statements.

mod bake;
mod breach;
mod course;
mod gate;
mod gates;
mod open;
mod standing;
mod start;
mod steps;
mod stopped;
mod stops;
mod task;
mod wave;
mod world;

#[cfg(test)]
mod tests;

pub use gates::{GateLine, Gates, gates};
pub use steps::{AssignDraft, Plan, Scope, Step, StopDraft, Wait};
pub use task::{AssignmentView, Reports, ResultKind, TaskResult};
pub use world::{
    ASSIGNMENT_LIFETIME, DecisionView, FRESH, FactsView, LOST_AFTER, Modes, Opened, PreviousRollout,
    RENEW_WITHIN, RolloutView, World,
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
