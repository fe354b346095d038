//! Every file of an export that follows from the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use attest::{PublicKey, Role, Trust};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::layout::{self, Line, Manifest};
use super::readme;
use super::tree::Tree;
use crate::ledger::tiles::{self, Kind, Tile, WIDTH};
use crate::ledger::{LedgerError, NoteVerifier};

/// What the files follow from.
#[derive(Debug)]
pub(super) struct Basis<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) verifier: &'a NoteVerifier,
    pub(super) checkpoint: &'a str,
    pub(super) tree: &'a Tree,
    pub(super) lines: &'a [Line],
    pub(super) root: Option<&'a PublicKey>,
    pub(super) trust: Option<&'a Trust>,
    /// The statement that the README tells how to check.
    pub(super) example: Option<Example>,
}

/// A statement, by its line and by the place of its key in the bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Example {
    pub(super) line: Line,
    pub(super) key: usize,
    /// `predicateType` of the statement.
    pub(super) predicate_type: String,
}

/// Path and bytes of each file.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

pub(super) fn files(basis: &Basis<'_>) -> Result<Files, LedgerError> {
    let mut files = tile_files(basis)?;
    let mut put = |path: &str, bytes: Vec<u8>| files.insert(PathBuf::from(path), bytes);
    put(layout::LEDGER_VKEY, format!("{}\n", basis.verifier).into_bytes());
    put(layout::LEDGER_PEM, basis.verifier.to_pem().into_bytes());
    if let Some(root) = basis.root {
        put(layout::ROOT, root.to_pem().into_bytes());
    }
    if let Some(trust) = basis.trust {
        put(layout::BUNDLE, trust.envelope().to_vec());
        for (name, key) in key_names(trust).iter().zip(&trust.bundle().keys) {
            put(name, key.public_key.clone().into_bytes());
        }
    }
    put(layout::README, readme::text(basis).into_bytes());
    if !basis.manifest.complete {
        for line in basis.lines {
            files.insert(layout::proof(line.index), proof(basis, line.index));
        }
    }
    Ok(files)
}

/// File of each key of a bundle: `keys/<role>.pub`, the second one of a role `keys/<role>-2.pub`.
pub(super) fn key_names(trust: &Trust) -> Vec<String> {
    let mut seen: BTreeMap<Role, usize> = BTreeMap::new();
    let name = |role: Role| {
        let count = seen.entry(role).or_default();
        *count += 1;
        match *count {
            1 => format!("keys/{role}.pub"),
            n => format!("keys/{role}-{n}.pub"),
        }
    };
    trust.bundle().keys.iter().map(|key| key.role).map(name).collect()
}

fn tile_files(basis: &Basis<'_>) -> Result<Files, LedgerError> {
    let folder = Path::new(layout::TILES);
    let mut files = Files::new();
    for tile in tiles::between(0, basis.tree.size()) {
        let bytes = match tile.kind {
            Kind::Hashes(_) => basis.tree.tile(tile),
            Kind::Entries if basis.manifest.complete => Some(entries(basis.lines, tile)?),
            // Records of leaves that were not chosen are nobody's business here.
            Kind::Entries => None,
        };
        if let Some(bytes) = bytes {
            files.insert(folder.join(tile.path()), bytes);
        }
    }
    files.insert(
        folder.join(layout::CHECKPOINT),
        basis.checkpoint.as_bytes().to_vec(),
    );
    Ok(files)
}

fn entries(lines: &[Line], tile: Tile) -> Result<Vec<u8>, LedgerError> {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let chosen = lines
        .iter()
        .skip(number(tile.number * WIDTH))
        .take(number(tile.width));
    let leaves: Vec<_> = chosen.map(Line::leaf).collect();
    tiles::frame(&leaves)
}

/// c2sp.org/tlog-proof: the index, the inclusion proof and the checkpoint.
fn proof(basis: &Basis<'_>, index: u64) -> Vec<u8> {
    let mut text = format!("c2sp.org/tlog-proof@v1\nindex {index}\n");
    for hash in basis.tree.inclusion_proof(index) {
        text.push_str(&STANDARD.encode(hash.as_bytes()));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(basis.checkpoint);
    text.into_bytes()
}
