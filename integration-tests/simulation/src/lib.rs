//! Everything that decides, over the fake log, under a virtual clock, with everything that can go wrong.
//!
//! A seed gives a course: two replicas each of the verifier (its statements, without a registry), of policy-engine
//! and of rollout-controller (the real ones, moved by hand), four clusters with the agent's real check, somebody who
//! owns the bus, a person who sets modes, an audit-log that is not always sure. Publishes are lost, land late, are
//! said twice; replicas lag, die at any operation on the log and start again without a memory; agents die, fall
//! silent, send in any order. `referee` folds the log by itself and objects to what must never be. Then everything
//! goes well for a while, and all of it has to come to its end.
//!
//! Deliberately not here: NATS and API servers (`integration-tests`), and the lease: one controller acts, as the lease
//! promises, and what it had under way is dropped when it loses it; what it had published may land later.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a simulation is a test: it asserts"
)]

pub mod bugs;
pub mod course;
pub mod fixture;
mod referee;
mod replay;
mod replica;
mod site;
mod turns;
mod verifier;

pub use bugs::Bug;
pub use course::{Failure, Plan, Played, Report, play};
