//! Demo certificate authority, release factory and fakes. For tests and the demo only.
//!
//! Nothing here belongs into a service: the keys of [`sigstore`] are made on the spot and trusted by
//! nobody but the demo, and its trust root is known as such (`evidence::TrustRoot::is_demo`).

pub mod factory;
pub mod log;
pub mod manifests;
pub mod push;
pub mod registry;
pub mod sigstore;
