//! Bytes, expectations, a trust root and a time in; check results out.
//!
//! What it verifies is a legacy cosign signature (cosign SIGNATURE_SPEC: `.sig` tag, simplesigning payload,
//! Fulcio certificate, Rekor v1 promise), which is what Flux up to 2.9 publishes. Every service that judges
//! a signature calls [`verify_signatures`]: the verifier first, policy-engine again over the material that
//! the evidence carries.
//!
//! Invariants:
//! - No IO, no environment, no randomness; `now` is an argument. One exception that can only refuse more:
//!   `sigstore-verify` compares the log's time and the keys' validity with the machine's own clock.
//! - Only a passed check passes; nothing found is `NOT_CHECKED`, everything else is `FAILED`.
//! - Identities are compared as exact texts. No policy of `sigstore-verify` without identity or issuer, and
//!   none that skips chain, SCT or log, is reachable from here.
//! - One signature is judged by its own four parts; parts of two are never combined.
//!
//! Deliberately not here: fetching (`registry`), who has to have signed (`flux::identity`), whether a
//! release may be used (`policy`).

#![warn(missing_docs)]
#![warn(clippy::wildcard_enum_match_arm)]

mod cryptography;
mod material;
mod payload;
mod self_test;
mod signature;
mod trust;

pub use self_test::{SelfTestError, self_test};
pub use signature::{Expectation, MAX_MATERIALS, Verdict, verify_signatures};
pub use trust::{TrustRoot, TrustRootError};
