//! Policies as their users meet them: scenario scripts with golden transcripts, and decisions that are made
//! again from what was stored.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where its scene can't be set"
)]

mod replay;
mod scenario;
mod world;
