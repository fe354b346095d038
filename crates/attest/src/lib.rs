//! Signed statements: in-toto statements in DSSE envelopes, signed with P-256 keys that a trust bundle
//! gives to roles.
//!
//! What a statement is worth is decided here and nowhere else: an envelope has exactly one signature, the
//! signature is by a key of the role that may make this kind of statement, and the statement names the
//! subject that it was published under. Everything is judged over bytes; there is no IO and no clock, the
//! only randomness is that of ECDSA.
//!
//! Formats: DSSE 1.0.2 (`PAE`, JSON envelope), in-toto Statement v1, SLSA VSA v1. cosign and openssl can
//! check what is made here.

#![warn(missing_docs)]

pub mod bundle;
pub mod claim;
pub mod dossier;
pub mod dsse;
pub mod keys;
pub mod statement;
pub mod vsa;

pub use bundle::{BundleKey, Trust, TrustBundle, TrustError};
pub use claim::{Claim, ClaimError, Header};
pub use dossier::Dossier;
pub use dsse::Envelope;
pub use keys::{PublicKey, Role, SigningKey};
pub use statement::{ResourceDescriptor, Statement};
