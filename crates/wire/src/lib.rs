//! Generated protocol code, and the only conversions between it and the domain.
//!
//! Outward a conversion cannot fail: `From<&domain::X>` for messages, `From<domain::X>` for enums and
//! digests. Inward it is strict, `TryFrom<v1::X>`: what is missing, malformed, unspecified, doubled or
//! contradicts itself is refused with a [`WireError`] that names the field. Order is never demanded.
//!
//! The event messages are [`attest::Claim`]s; [`schema`] judges statements by their kind.
//!
//! Deliberately not here: signatures and subjects (`attest`, `bus`), and whether what a message says is
//! true or allowed (`evidence`, `policy`, `planner`).

#![warn(missing_docs)]

mod claims;
mod convert;
mod error;
mod generated;
pub mod protobuf;
pub mod schema;

pub use convert::policy::PolicyDocument;
pub use convert::release::Discovered;
pub use convert::rollout::{ModeSetting, ParseScopeError, Scope};
pub use convert::time;
pub use error::{Malformed, ReadError, WireError};
pub use generated::{DESCRIPTOR_SET, audit, common, fleet, policy, release, rollout, verification};
pub use schema::decode;

#[cfg(test)]
mod tests;
