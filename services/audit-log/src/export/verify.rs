//! Checking an export, offline: everything is computed again from the leaves, the payloads and the two keys
//! that whoever checks has from elsewhere.
//!
//! Steps: (1) the checkpoint is by the ledger's key; (2) `export.json` and `entries.ndjson` are as an export
//! writes them, and leaves stand in order; (3) each payload has its leaf's digest; (4) the leaves, or the
//! hashes of all leaves, make the root of the checkpoint; (5) the trust bundle is by the root key, and each
//! payload is signed by whoever may speak under its subject; (6) each blob has its digest, and none that a
//! signed statement names is missing; (7) every other file is, byte for byte, what follows from these, and there
//! is no file besides; (8) the tree continues each older checkpoint.
//!
//! Of a part this shows that each leaf is in the tree, not that each leaf is in the part: by what leaves were chosen
//! is the word of whoever made the folder, which nobody signs.

mod contents;
mod fault;
mod folder;
mod report;

use std::path::{Path, PathBuf};

use attest::PublicKey;
use domain::Digest;

use super::derive::{self, Basis, Files};
use super::layout::{self, Line, Manifest};
use super::study::{Study, study};
use super::tree::Tree;
use crate::ledger::merkle::TreeHash;
use crate::ledger::note::{Head, NoteVerifier};
use crate::ledger::tiles::{self, Kind};

pub use contents::Contents;
pub use fault::{Fault, What};
pub use folder::ReadError;
pub use report::Report;

use folder::Folder;

/// What whoever checks has from elsewhere.
#[derive(Debug, Clone)]
pub struct Demands {
    /// The ledger's key.
    pub key: NoteVerifier,
    /// The root key; without one the export's own is believed.
    pub root: Option<RootDemand>,
    /// Older checkpoints, by the file that each is from.
    pub older: Vec<(PathBuf, String)>,
}

/// A root key, whole or by its fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootDemand {
    /// The key.
    Key(PublicKey),
    /// `SHA256:...`.
    Fingerprint(String),
}

/// Checks the export in a folder.
///
/// # Errors
/// If the folder can't be read. What is wrong in it is in the report.
pub fn verify(dir: &Path, demands: &Demands) -> Result<Report, ReadError> {
    Ok(open(dir, demands)?.0)
}

/// Checks the export in a folder and gives out what is in it; nothing where anything is wrong.
///
/// # Errors
/// If the folder can't be read. What is wrong in it is in the report.
pub fn open(dir: &Path, demands: &Demands) -> Result<(Report, Option<Contents>), ReadError> {
    let folder = Folder::open(dir)?;
    let mut check = Check {
        folder,
        demands,
        report: Report::new(demands.key.name()),
    };
    let found = check.run()?;
    let Check { folder, report, .. } = check;
    let contents = found.filter(|_| report.is_good()).map(|(lines, tree, studied)| {
        Contents::new(folder, lines, tree, studied.blobs.into_keys().collect())
    });
    Ok((report, contents))
}

struct Check<'a> {
    folder: Folder,
    demands: &'a Demands,
    report: Report,
}

impl Check<'_> {
    fn fault(&mut self, path: impl Into<PathBuf>, what: What) {
        self.report.faults.push(Fault {
            path: path.into(),
            what,
        });
    }

    /// The bytes of a file that has to be there.
    fn needed(&mut self, path: &Path) -> Result<Option<Vec<u8>>, ReadError> {
        let bytes = self.folder.read(path)?;
        if bytes.is_none() {
            self.fault(path, What::Missing);
        }
        Ok(bytes)
    }

    fn run(&mut self) -> Result<Option<(Vec<Line>, Tree, Study)>, ReadError> {
        // Step 1.
        let Some((text, head)) = self.checkpoint()? else {
            return Ok(None);
        };
        // Steps 2 and 3.
        let manifest = self.manifest()?;
        let lines = self.lines(head.size)?;
        let (Some(manifest), Some(lines)) = (manifest, lines) else {
            return Ok(None);
        };
        self.report.complete = manifest.complete;
        self.report.chosen_by.clone_from(&manifest.chosen_by);
        if manifest.leaves != lines.len() as u64 {
            self.fault(
                layout::ENTRIES,
                What::Count {
                    expected: manifest.leaves,
                    found: lines.len() as u64,
                },
            );
        }
        self.payloads(&lines)?;
        // Step 4.
        let tree = self.tree(&manifest, &lines, head)?;
        // Step 5.
        let root = self.root_key()?;
        let studied = self.study(root.as_ref(), &lines)?;
        // Step 6.
        self.blobs(&studied)?;
        // Steps 7 and 8.
        let Some(tree) = tree else { return Ok(None) };
        let basis = Basis {
            manifest: &manifest,
            verifier: &self.demands.key,
            checkpoint: &text,
            tree: &tree,
            lines: &lines,
            root: root.as_ref(),
            trust: studied.trust.as_ref(),
            example: studied.example.clone(),
        };
        match derive::files(&basis) {
            Ok(files) => self.derived(&files, &lines, &studied)?,
            Err(_) => self.fault(layout::ENTRIES, What::Form { line: 0 }),
        }
        self.continues(&tree);
        Ok(Some((lines, tree, studied)))
    }

    fn checkpoint(&mut self) -> Result<Option<(String, Head)>, ReadError> {
        let Some(bytes) = self.needed(Path::new(layout::CHECKPOINT))? else {
            return Ok(None);
        };
        let Ok(text) = String::from_utf8(bytes) else {
            self.fault(layout::CHECKPOINT, What::Form { line: 0 });
            return Ok(None);
        };
        match Head::open(&text, &self.demands.key) {
            Ok(head) => {
                (self.report.size, self.report.root_hash) = (head.size, head.root.to_string());
                Ok(Some((text, head)))
            }
            Err(error) => {
                self.fault(layout::CHECKPOINT, What::Note(error));
                Ok(None)
            }
        }
    }

    fn manifest(&mut self) -> Result<Option<Manifest>, ReadError> {
        let Some(bytes) = self.needed(Path::new(layout::MANIFEST))? else {
            return Ok(None);
        };
        let read = serde_json::from_slice::<Manifest>(&bytes).ok();
        let good = |manifest: &Manifest| {
            manifest.format == super::FORMAT
                && manifest.complete == manifest.chosen_by.is_empty()
                && layout::line(manifest) == bytes
        };
        let manifest = read.filter(good);
        if manifest.is_none() {
            self.fault(layout::MANIFEST, What::Form { line: 0 });
        }
        Ok(manifest)
    }

    /// The leaves, in order; none where a line is not as it has to be.
    fn lines(&mut self, size: u64) -> Result<Option<Vec<Line>>, ReadError> {
        let Some(bytes) = self.needed(Path::new(layout::ENTRIES))? else {
            return Ok(None);
        };
        let mut lines: Vec<Line> = Vec::new();
        for (number, text) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            let read = serde_json::from_slice::<Line>(text).ok();
            let Some(line) = read.filter(|line| layout::line(line) == text) else {
                self.fault(layout::ENTRIES, What::Form { line: number });
                return Ok(None);
            };
            let due = lines.last().map_or(0, |last| last.index.saturating_add(1));
            let placed =
                due <= line.index && line.index < size && line.index.checked_add(1) == Some(line.sequence);
            if !placed {
                self.fault(
                    layout::ENTRIES,
                    What::Order {
                        line: number,
                        found: line.index,
                    },
                );
                return Ok(None);
            }
            lines.push(line);
        }
        self.report.leaves = lines.len() as u64;
        Ok(Some(lines))
    }

    fn payloads(&mut self, lines: &[Line]) -> Result<(), ReadError> {
        for line in lines {
            let path = layout::envelope(line.index);
            if let Some(bytes) = self.needed(&path)? {
                self.digest(path, line.payload, &bytes);
            }
        }
        Ok(())
    }

    fn digest(&mut self, path: PathBuf, expected: Digest, bytes: &[u8]) {
        let found = Digest::of(bytes);
        if found != expected {
            self.fault(path, What::Digest { expected, found });
        }
    }

    /// The tree of the checkpoint; none where leaves are missing or make another one.
    fn tree(&mut self, manifest: &Manifest, lines: &[Line], head: Head) -> Result<Option<Tree>, ReadError> {
        let stored = self.leaf_hashes(head.size)?;
        let own = || lines.iter().map(|line| (line.index, line.leaf().hash()));
        let (place, tree) = if manifest.complete {
            (layout::ENTRIES, Tree::of(own().map(|(_, hash)| hash)))
        } else {
            (layout::TILES, Tree::of(stored.iter().copied()))
        };
        let (whole, same) = (tree.size() == head.size, tree.root() == head.root);
        // All leaves are there and right: whatever differs in a tile is the tile's fault.
        if !(manifest.complete && whole && same) {
            let strange = |(index, hash): &(u64, TreeHash)| {
                let at = usize::try_from(*index).unwrap_or(usize::MAX);
                stored.get(at).is_some_and(|stored| stored != hash)
            };
            for (index, _) in own().filter(strange) {
                self.fault(layout::ENTRIES, What::Leaf { index });
            }
        }
        if !whole {
            let (expected, found) = (head.size, tree.size());
            self.fault(place, What::Count { expected, found });
        } else if !same {
            self.fault(place, What::Root { size: head.size });
        }
        Ok((whole && same).then_some(tree))
    }

    /// Hashes of leaves as the tiles have them, up to the first that is missing.
    fn leaf_hashes(&mut self, size: u64) -> Result<Vec<TreeHash>, ReadError> {
        let mut hashes = Vec::new();
        let lowest = tiles::between(0, size).into_iter();
        for tile in lowest.filter(|tile| tile.kind == Kind::Hashes(0)) {
            let path = Path::new(layout::TILES).join(tile.path());
            let Some(bytes) = self.folder.read(&path)? else {
                break;
            };
            let (chunks, rest) = bytes.as_chunks::<32>();
            hashes.extend(chunks.iter().copied().map(TreeHash::from_bytes));
            if chunks.len() as u64 != tile.width || !rest.is_empty() {
                break;
            }
        }
        Ok(hashes)
    }

    /// The root key: the one that is demanded, or else the export's own.
    fn root_key(&mut self) -> Result<Option<PublicKey>, ReadError> {
        let bytes = self.folder.read(Path::new(layout::ROOT))?;
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let own = text.and_then(|text| PublicKey::from_pem(&text).ok());
        let root = match &self.demands.root {
            None => own,
            Some(RootDemand::Key(key)) => Some(key.clone()),
            Some(RootDemand::Fingerprint(fingerprint)) => own.filter(|own| own.fingerprint() == *fingerprint),
        };
        self.report.root_pinned = self.demands.root.is_some();
        self.report.root_key = root.as_ref().map(PublicKey::fingerprint);
        if root.is_none() {
            self.fault(layout::ROOT, What::RootKey);
        }
        Ok(root)
    }

    fn study(&mut self, root: Option<&PublicKey>, lines: &[Line]) -> Result<Study, ReadError> {
        let folder = &self.folder;
        let studied = study(root, lines, |line| {
            let bytes = folder.read(&layout::envelope(line.index))?;
            Ok::<_, ReadError>(bytes.filter(|bytes| Digest::of(bytes) == line.payload))
        })?;
        match &studied.trust {
            Some(trust) => self.report.bundle = Some((trust.bundle().version, trust.bundle().demo)),
            None => self.fault(layout::BUNDLE, What::Bundle),
        }
        for (line, standing) in lines.iter().zip(&studied.standings) {
            if let Some(standing) = standing {
                self.report.count(line.index, standing);
            }
        }
        Ok(studied)
    }

    fn blobs(&mut self, studied: &Study) -> Result<(), ReadError> {
        for (digest, named) in &studied.blobs {
            let path = layout::blob(*digest);
            match self.folder.read(&path)? {
                Some(bytes) => {
                    self.report.blobs += 1;
                    self.digest(path, *digest, &bytes);
                }
                None if named.needed => self.fault(path, What::MissingBlob { by: named.by }),
                None => {}
            }
        }
        Ok(())
    }

    /// Compares every file with what it has to be, and finds those that have no business there.
    fn derived(&mut self, files: &Files, lines: &[Line], studied: &Study) -> Result<(), ReadError> {
        for (path, expected) in files {
            if let Some(found) = self.needed(path)?
                && found != *expected
            {
                self.fault(path, What::Differs);
            }
        }
        let fixed = [layout::CHECKPOINT, layout::MANIFEST, layout::ENTRIES].map(PathBuf::from);
        let envelopes = lines.iter().map(|line| layout::envelope(line.index));
        let blobs = studied.blobs.keys().map(|digest| layout::blob(*digest));
        let own: std::collections::BTreeSet<PathBuf> =
            fixed.into_iter().chain(envelopes).chain(blobs).collect();
        let strange = self
            .folder
            .paths()
            .filter(|path| !files.contains_key(*path) && !own.contains(*path));
        let strange: Vec<PathBuf> = strange.cloned().collect();
        for path in strange {
            self.fault(path, What::Foreign);
        }
        Ok(())
    }

    /// Whether the tree continues each older checkpoint.
    fn continues(&mut self, tree: &Tree) {
        for (path, text) in &self.demands.older {
            let what = match Head::open(text, &self.demands.key) {
                Err(error) => What::Note(error),
                Ok(old) => match tree.root_at(old.size) {
                    None => What::Shorter {
                        checkpoint: old.size,
                        held: tree.size(),
                    },
                    Some(root) if root != old.root => What::History { size: old.size },
                    Some(_) => {
                        self.report.continues.push(old.size);
                        continue;
                    }
                },
            };
            self.report.faults.push(Fault {
                path: path.clone(),
                what,
            });
        }
    }
}
