//! Exports: folders that hold a part of the ledger, or all of it, with everything that an outsider needs to
//! check it, with fluxgate or without.
//!
//! ```text
//! export.json             what was exported
//! entries.ndjson          a line for each leaf: index, payload digest, sequence, subject
//! envelopes/<index>.json  the payload of the leaf, byte for byte
//! blobs/sha256/<hex>      the blobs that payloads name
//! checkpoint              signed note: origin, size, root of the ledger
//! tiles/                  the same checkpoint and the tree, as c2sp.org/tlog-tiles has it
//! proofs/<index>          inclusion proof, as c2sp.org/tlog-proof has it, where not all leaves are there
//! keys/                   the ledger's key, the root key, the trust bundle and the keys in it
//! README.txt              what to type to check one statement with jq, openssl and cosign
//! ```
//!
//! Everything but `export.json`, `entries.ndjson`, envelopes, blobs, checkpoint and, where not all leaves are
//! there, the tiles of leaf hashes is derived (`derive`): whoever checks an export makes it again and compares
//! bytes. No file has a byte that is not covered.
//!
//! There is no IO here beyond writing (`write`) and reading (`verify`) one folder.

mod derive;
mod layout;
mod readme;
mod statements;
mod study;
mod tree;
mod verify;
mod write;

pub use layout::{Line, Manifest};
pub use statements::{Standing, Void};
pub use verify::{Contents, Demands, Fault, ReadError, Report, RootDemand, What, open, verify};
pub use write::{Begin, WriteError, Writer, Written};

/// What export.json says that it is.
pub const FORMAT: &str = "fluxgate-export/v1";

/// Kinds that every export has: whoever judges signatures needs them.
pub const NEEDED: &[&str] = &["trust-bundle", "cluster-member"];

#[cfg(test)]
mod tests;
