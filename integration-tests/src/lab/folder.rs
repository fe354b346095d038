//! The lab's temp folder. A lab that was killed cannot remove its folder, so each holds a lock while it lives and
//! the next lab removes those whose lock is free, except kept ones.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::Error;

const PREFIX: &str = "fluxgate-lab-";
const LOCK: &str = "lab.lock";
/// Its presence says that someone wants to read the logs.
const KEPT: &str = "kept";

/// A folder that goes away with its last owner, unless kept.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    keep: AtomicBool,
    /// Held locked as long as the folder is in use.
    _lock: File,
}

impl Folder {
    /// A new, locked folder under `$FLUXGATE_LAB_DIR` or the system's temp folder.
    pub(crate) fn create() -> Result<Self, Error> {
        let parent = std::env::var_os("FLUXGATE_LAB_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        fs::create_dir_all(&parent).map_err(|source| failed("creating", &parent, source))?;
        remove_abandoned(&parent);
        // Under another name until it is locked: a sweep by another process must not see it unlocked.
        let unnamed = tempfile::Builder::new()
            .prefix(".fluxgate-lab-new-")
            .tempdir_in(&parent);
        let unnamed = unnamed
            .map_err(|source| failed("creating a folder in", &parent, source))?
            .keep();
        let lock_path = unnamed.join(LOCK);
        let lock = File::create(&lock_path).map_err(|source| failed("creating", &lock_path, source))?;
        lock.lock()
            .map_err(|source| failed("locking", &lock_path, source))?;
        let unique = unnamed
            .to_string_lossy()
            .rsplit('-')
            .next()
            .unwrap_or_default()
            .to_owned();
        let path = parent.join(format!("{PREFIX}{}-{unique}", std::process::id()));
        fs::rename(&unnamed, &path).map_err(|source| failed("renaming", &unnamed, source))?;
        Ok(Self {
            path,
            keep: AtomicBool::new(false),
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// From now on the folder stays, for someone to read the logs.
    pub(crate) fn keep(&self) {
        self.keep.store(true, Ordering::Relaxed);
    }

    pub(crate) fn new_child(&self, name: &str) -> Result<PathBuf, Error> {
        let names = std::iter::once(name.to_owned()).chain((2..1000).map(|n| format!("{name}-{n}")));
        let mut refused = None;
        for path in names.map(|name| self.path.join(name)) {
            match fs::create_dir(&path) {
                Ok(()) => return Ok(path),
                Err(source) if source.kind() == std::io::ErrorKind::AlreadyExists => refused = Some(source),
                Err(source) => return Err(failed("creating", &path, source)),
            }
        }
        let source = refused.unwrap_or_else(|| std::io::ErrorKind::AlreadyExists.into());
        Err(failed("creating", &self.path.join(name), source))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let kept = self.keep.load(Ordering::Relaxed) || std::thread::panicking();
        // Nothing to be done about a failure in a Drop; the next lab sweeps what is left.
        let _result = if kept {
            fs::write(self.path.join(KEPT), "")
        } else {
            fs::remove_dir_all(&self.path)
        };
    }
}

/// Removes what labs that were killed have left in `parent`. Failures are left to the next sweep: another process
/// may be sweeping at the same time.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if !ours || path.join(KEPT).exists() {
            continue;
        }
        let Ok(lock) = File::open(path.join(LOCK)) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            let _result = fs::remove_dir_all(&path);
        }
    }
}

/// An [`Error::File`].
pub(crate) fn failed(operation: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::File {
        operation,
        path: path.to_owned(),
        source,
    }
}
