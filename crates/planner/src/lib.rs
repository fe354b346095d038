//! Which cluster is upgraded when: the fleet, the strategy, and the reducer that turns what is known into
//! the next steps of a rollout.
//!
//! Pure: `now` and every fact are arguments. [`plan`] says what to do; whoever calls it does it, folds what
//! was published into the next [`World`], and asks again. The same world gives the same plan, and a step
//! that was folded is not planned again, so a controller may die between any two lines.
//!
//! Deliberately not here: whether a release may run (`policy`), and statements, epochs and the bus.

#![warn(missing_docs)]
#![warn(clippy::wildcard_enum_match_arm)]

pub mod fleet;
pub mod reducer;
pub mod strategy;

pub use fleet::Fleet;
pub use reducer::{GateLine, Gates, Plan, Step, Wait, World, gates, plan};
pub use strategy::Strategy;
