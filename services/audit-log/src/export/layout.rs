//! Names and forms of the files of an export.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use domain::Digest;

use crate::ledger::Leaf;

pub(super) const MANIFEST: &str = "export.json";
pub(super) const ENTRIES: &str = "entries.ndjson";
pub(super) const CHECKPOINT: &str = "checkpoint";
pub(super) const TILES: &str = "tiles";
pub(super) const README: &str = "README.txt";
pub(super) const ROOT: &str = "keys/root.pub";
pub(super) const BUNDLE: &str = "keys/bundle.json";
pub(super) const LEDGER_VKEY: &str = "keys/ledger.vkey";
pub(super) const LEDGER_PEM: &str = "keys/ledger.pem";

pub(super) fn envelope(index: u64) -> PathBuf {
    PathBuf::from(format!("envelopes/{index}.json"))
}

pub(super) fn blob(digest: Digest) -> PathBuf {
    PathBuf::from(format!("blobs/sha256/{}", digest.hex()))
}

pub(super) fn proof(index: u64) -> PathBuf {
    PathBuf::from(format!("proofs/{index}"))
}

/// `export.json`: one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    // Fields in the order of their names: that is the order in the file.
    /// What the leaves were chosen by, for people; empty where all are there.
    pub chosen_by: String,
    /// Whether every leaf that the checkpoint covers is there.
    pub complete: bool,
    /// [`super::FORMAT`].
    pub format: String,
    /// Number of leaves that are there.
    pub leaves: u64,
}

/// A line of `entries.ndjson`: the leaf's record with the leaf's index in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    // Fields in the order of their names: that is the order in the file.
    /// Index of the leaf, from 0.
    pub index: u64,
    /// SHA-256 of the payload.
    pub payload: Digest,
    /// Stream sequence.
    pub sequence: u64,
    /// Subject.
    pub subject: String,
}

impl Line {
    /// The leaf.
    #[must_use]
    pub fn leaf(&self) -> Leaf {
        Leaf {
            payload: self.payload,
            sequence: self.sequence,
            subject: self.subject.clone(),
        }
    }
}

/// One line of JSON and its end.
pub(super) fn line(value: &impl Serialize) -> Vec<u8> {
    // Numbers, digests and texts always serialise.
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
