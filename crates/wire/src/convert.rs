//! Between messages and the domain, one module for each area.

pub(crate) mod assignment;
pub(crate) mod common;
pub(crate) mod field;
pub(crate) mod fleet;
pub(crate) mod policy;
pub(crate) mod release;
pub(crate) mod rollout;
pub(crate) mod stop;
pub mod time;
pub(crate) mod verification;
