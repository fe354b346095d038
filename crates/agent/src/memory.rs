//! What an agent remembers across restarts: the highest epoch and bundle that it has seen. Without it
//! somebody could put back an assignment that this agent has already seen replaced.

use std::path::{Path, PathBuf};

use domain::{Digest, Epoch};
use serde::{Deserialize, Serialize};

use crate::check::Memory;

/// Why the memory can't be used. An agent without memory does not work.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The file can't be read or written.
    #[error("using {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("reading {path}; delete it if it is damaged: an older assignment could then be accepted once")]
    Form {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    epoch: u64,
    assignment: Option<Digest>,
    answered: bool,
    bundle: u64,
    task: Option<Digest>,
}

/// The file of the memory.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
}

impl File {
    /// In a folder, which is made where it is missing.
    ///
    /// # Errors
    /// If the folder can't be made.
    pub fn open(folder: &Path) -> Result<Self, MemoryError> {
        let failed = |source| MemoryError::File {
            path: folder.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        Ok(Self {
            path: folder.join("memory.json"),
        })
    }

    /// What is remembered; nothing at the first start.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn load(&self) -> Result<Memory, MemoryError> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Memory::default()),
            Err(source) => {
                return Err(MemoryError::File {
                    path: self.path.clone(),
                    source,
                });
            }
        };
        let form: Form = serde_json::from_str(&text).map_err(|source| MemoryError::Form {
            path: self.path.clone(),
            source,
        })?;
        Ok(Memory {
            epoch: Epoch(form.epoch),
            assignment: form.assignment,
            answered: form.answered,
            bundle: form.bundle,
            task: form.task,
        })
    }

    /// Remembers, on disk before it returns.
    ///
    /// # Errors
    /// If the file can't be written: then nothing may follow.
    pub fn store(&self, memory: &Memory) -> Result<(), MemoryError> {
        let form = Form {
            epoch: memory.epoch.0,
            assignment: memory.assignment,
            answered: memory.answered,
            bundle: memory.bundle,
            task: memory.task,
        };
        let failed = |source| MemoryError::File {
            path: self.path.clone(),
            source,
        };
        let text = serde_json::to_vec(&form).map_err(|source| MemoryError::Form {
            path: self.path.clone(),
            source,
        })?;
        let new = self.path.with_extension("new");
        write(&new, &text)
            .and_then(|()| std::fs::rename(&new, &self.path))
            .and_then(|()| sync_folder(&self.path))
            .map_err(failed)
    }
}

/// A new name is on disk when its folder is.
fn sync_folder(file: &Path) -> std::io::Result<()> {
    match file.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_remembered() {
        let folder = std::env::temp_dir().join(format!("fluxgate-memory-{}", std::process::id()));
        let file = File::open(&folder).unwrap();
        assert_eq!(file.load().unwrap(), Memory::default());
        let memory = Memory {
            epoch: Epoch(7),
            assignment: Some(Digest::of(b"a")),
            answered: true,
            bundle: 2,
            task: Some(Digest::of(b"t")),
        };
        file.store(&memory).unwrap();
        assert_eq!(File::open(&folder).unwrap().load().unwrap(), memory);
        std::fs::write(folder.join("memory.json"), "{").unwrap();
        assert!(matches!(file.load(), Err(MemoryError::Form { .. })));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
