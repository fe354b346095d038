//! The folder of an export: which files there are, and their bytes.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why a folder can't be checked at all.
#[derive(Debug, thiserror::Error)]
#[error("reading {path}")]
pub struct ReadError {
    /// The file or folder.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// A folder.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    paths: BTreeSet<PathBuf>,
}

impl Folder {
    pub(super) fn open(dir: &Path) -> Result<Self, ReadError> {
        let mut folder = Self {
            dir: dir.to_owned(),
            paths: BTreeSet::new(),
        };
        let mut open = vec![PathBuf::new()];
        while let Some(below) = open.pop() {
            let path = if below.as_os_str().is_empty() {
                dir.to_owned()
            } else {
                dir.join(&below)
            };
            let failed = |source| ReadError {
                path: path.clone(),
                source,
            };
            for entry in fs::read_dir(&path).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let below = below.join(entry.file_name());
                // A link counts as a file: it is never followed to a folder elsewhere.
                if entry.file_type().map_err(failed)?.is_dir() {
                    open.push(below);
                } else {
                    folder.paths.insert(below);
                }
            }
        }
        Ok(folder)
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.paths.iter()
    }

    /// The bytes of a file; none where it is not there.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, ReadError> {
        if !self.paths.contains(path) {
            return Ok(None);
        }
        let path = self.dir.join(path);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(source) => Err(ReadError { path, source }),
        }
    }
}
