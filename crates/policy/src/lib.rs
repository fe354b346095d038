//! Policy documents and their evaluation: whether a release may run on a baseline.
//!
//! A policy is a file that a person writes ([`document`]); [`evaluate()`] answers, for one release on one
//! baseline, with the worst of its rules. Both are pure: `now` and every fact are arguments, so a stored
//! decision can be replayed.
//!
//! Deliberately not here: when and where a release is rolled out (`planner`), how a signature is verified
//! (`evidence`: its results are an input), and how a decision is published.

#![warn(missing_docs)]
#![warn(clippy::wildcard_enum_match_arm)]

pub mod document;
pub mod evaluate;
pub mod load;

pub use document::{Policy, Rule, RuleKind};
pub use evaluate::{Evaluation, Inputs, Ledger, Verified, evaluate};
pub use load::LoadError;
