//! What a cluster-agent does: it checks an assignment and every statement behind it, looks whether its
//! cluster can take the step, applies, and judges health.
//!
//! Nothing unsigned causes anything here, and no single service can: see `check` for the list. An agent
//! creates no consumer and publishes no event; it reads its own key and sends signed envelopes
//! (`../bus`'s `agent` module carries both).
//!
//! `check`, `health` and `preflight::plan` decide and do no IO; `cluster` and `store` do IO and decide
//! nothing; `run` ties them.

pub mod apply;
pub mod check;
pub mod cluster;
pub mod config;
pub mod facts;
pub mod flow;
pub mod health;
pub mod lease;
pub mod memory;
pub mod preflight;
pub mod run;
pub mod speak;
pub mod task;

pub use check::{AcceptedPolicy, Demands, Memory, Order, Refusal};
pub use config::Config;
pub use run::Agent;
