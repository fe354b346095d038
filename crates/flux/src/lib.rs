//! What Flux is: its install manifests, its components and their images, who signs them, which CRD
//! versions each release has, who installed it in a cluster and who changed it there.
//!
//! This crate knows facts about Flux and nothing about rollouts. It is pure: no IO, no clock, no
//! environment, no randomness; everything is an argument. Facts that stand in [`tables`] are compared with
//! upstream's own manifests by the real-data tests (`tests/data.rs`).
//!
//! Deliberately not here: fetching anything (`registry`), checking signatures (`evidence`), deciding
//! (`policy`, `planner`), writing to a cluster (`agent`).
#![warn(missing_docs)]
#![warn(clippy::wildcard_enum_match_arm)]

pub mod customisation;
pub mod hop;
pub mod identity;
pub mod manifest;
pub mod ownership;
pub mod pin;
pub mod subset;
pub mod tables;
mod workload;
