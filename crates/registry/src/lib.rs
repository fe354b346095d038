//! An OCI registry client that trusts no byte: mirrors, caps, digest checks.
//!
//! An [`domain::ImageRef`] is always the upstream name; [`Config::mirrors`] alone decide where its bytes
//! are fetched, and a mirror can lie as little as any registry: what is named by a digest is hashed here,
//! and what is named by a tag is answered with the digest of the bytes that came, never with a header.
//!
//! Invariants:
//! - No body is read beyond its cap, no call lasts longer than [`Config::timeout`].
//! - Plain HTTP reaches loopback hosts alone, in mirrors, redirects and token realms alike.
//! - At most one fetch of a digest, or of a tag, is under way at a time; what is kept is not fetched again, and
//!   what a tag named before only where the tag has moved.
//! - What an object is (index or image manifest) is read from its bytes, never from `Content-Type`.
//!
//! Deliberately not here: what a signature is worth (`evidence`), what manifests say (`flux`), credentials
//! (only anonymous tokens are asked for), the referrers API (ghcr.io and distribution answer it with 404).

mod artifact;
mod auth;
mod cache;
mod client;
mod config;
mod endpoint;
mod error;
mod image;
mod manifest;
mod signature;
mod transport;

#[cfg(test)]
mod lies;

pub use artifact::{DocumentError, FluxManifests, MAX_DOCUMENT_BYTES, document};
pub use client::Client;
pub use config::{Config, ConfigError, Mirror};
pub use error::{Error, Failure, Operation};
pub use manifest::{Descriptor, Manifest};
