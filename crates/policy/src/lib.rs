//! Policy documents and their evaluation: whether a release may run on a baseline.
//!
//! A policy is a file that a person writes ([`document`]); [`evaluate()`] answers, for one release on one
//! baseline, with the worst of its rules; [`stored`] keeps everything that a decision rests on, so that it can
//! be made again from those bytes ([`replay`]). All of it is pure: `now` and every fact are arguments.
//!
//! Deliberately not here: when and where a release is rolled out (`planner`), how a signature is verified
//! (`evidence`: its results are an input), and how a decision is published.

#![warn(missing_docs)]
#![warn(clippy::wildcard_enum_match_arm)]

pub mod document;
pub mod evaluate;
pub mod load;
pub mod stored;

pub use document::{Policy, Rule, RuleKind};
pub use evaluate::{Evaluation, Inputs, Ledger, Verified, evaluate};
pub use load::LoadError;
pub use stored::{StoredInputs, replay};
