//! Everything that decides, over the fake log, under a virtual clock, with everything that can go wrong.
//!
//! A seed gives a course: two replicas each of the verifier (its statements, without a registry), of policy-engine
//! and of rollout-controller (the real ones, moved by hand), four clusters with the agent's real check, somebody who
//! owns the bus, a person who sets modes, stops things and lifts that again, an audit-log that is not always sure.
//! Publishes are lost, land late, are said twice; replicas lag, die at any operation on the log and start again without
//! a memory; agents die, fall silent, send in any order. `referee` folds the log by itself and objects to what must
//! never be. Then everything goes well for a while, and all of it has to come to its end.
//!
//! Of a stop two things are judged. Over the log: whoever had read it opens nothing and asks nobody to begin. At the
//! clusters: once a person has the answer that it is applied, no agent begins anything in its scope until it is lifted,
//! except by an older assignment that somebody who owns the bus put before it (that delays a stop by a day at most).
//! What was begun goes on. At the end everything is lifted; a version that was recalled may stay halted.
//!
//! Two controllers act at once for a while: one that has lost its lease and has not noticed, to whose view little
//! comes, beside the new one. Nothing keeps both from writing different clusters' assignments from different readings,
//! so each is judged by what it had read (`referee`), and what agents truly do at once by itself. What lies before an
//! agent is never replaced by an older assignment (`course/lying.rs`).
//!
//! In most courses a second bundle retires or revokes the key of policy-engine or of rollout-controller, as soon as a
//! cluster was asked to write; replicas get the successor when they are restarted, one by one. Nothing by the ended key
//! counts behind its end; no agent begins by its statements under the new bundle, nor goes back to an older bundle; and
//! what a controller lays before an agent is what it can act upon. Somebody who has the ended key asks with it. A key
//! is ended where the log is then, never earlier.
//!
//! Deliberately not here: NATS and API servers (`integration-tests`), and the lease itself. What a controller had under
//! way is dropped when it loses it; what it had published may land later.

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
