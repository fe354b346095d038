//! The state folder: what is missing is made, what is there is used.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use audit_log::NoteKey;
use jiff::Timestamp;

use super::{DevConfig, DevError};
use crate::keys;

/// Keys of a hub on one machine act for a year.
const KEY_DAYS: u32 = 365;

/// Name in the ledger's checkpoints, unless the ledger was begun anew.
pub(super) const ORIGIN: &str = "fluxgate.dev/ledger";

/// File beside a ledger with its name, where `audit rebuild` made it.
pub const ORIGIN_FILE: &str = "origin";

const EMPTY_FLEET: &str = "\
# The clusters of this fleet. Each agent prints its agentKey at its first start.
apiVersion: fleet.fluxgate.dev/v1alpha1
kind: Fleet
clusters: []
#  - name: prod-eu-7
#    labels: {fluxgate.dev/wave: canary}
#    agentKey: SHA256:...
#    maxMode: Observe
#    images: {registry: ghcr.io}
";

/// Everything that a hub on one machine finds on its disk.
#[derive(Debug)]
pub(super) struct State {
    pub(super) folder: PathBuf,
    pub(super) keys: PathBuf,
    pub(super) fleet: PathBuf,
    pub(super) strategy: PathBuf,
    pub(super) policies: Vec<PathBuf>,
    pub(super) trust_root: PathBuf,
    /// Held as long as the process lives.
    _lock: File,
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> DevError {
    let path = path.to_owned();
    move |source| DevError::File { path, source }
}

impl State {
    /// Opens the folder for this process alone.
    ///
    /// # Errors
    /// If another process has it, or something can't be read or made.
    pub(super) fn open(folder: &Path, config: &DevConfig, now: Timestamp) -> Result<Self, DevError> {
        fs::create_dir_all(folder).map_err(failed(folder))?;
        let folder = folder.canonicalize().map_err(failed(folder))?;
        let lock = lock(&folder)?;
        let keys = folder.join("keys");
        if !keys.join("root.pub").exists() {
            keys::init(&keys, KEY_DAYS, true, now).map_err(DevError::Keys)?;
        }
        let made = |configured: &Option<PathBuf>, name: &str, text: &str| match configured {
            Some(path) => Ok(path.clone()),
            None => default_file(&folder.join(name), text),
        };
        let policy = include_str!("../../../../deploy/policy-default.yaml");
        let policies = if config.policies.is_empty() {
            vec![default_file(&folder.join("policy.yaml"), policy)?]
        } else {
            config.policies.clone()
        };
        let strategy = include_str!("../../../../deploy/strategy-default.yaml");
        let trust_root = config
            .trust_root
            .clone()
            .unwrap_or_else(|| folder.join("trusted_root.json"));
        if !trust_root.exists() {
            return Err(DevError::NoTrustRoot(trust_root));
        }
        Ok(Self {
            fleet: made(&config.fleet, "fleet.yaml", EMPTY_FLEET)?,
            strategy: made(&config.strategy, "strategy.yaml", strategy)?,
            policies,
            trust_root,
            keys,
            folder,
            _lock: lock,
        })
    }
}

impl State {
    /// Name of the ledger: its own where `audit rebuild` gave it one.
    pub(super) fn origin(&self) -> Result<String, DevError> {
        let path = self.folder.join("ledger").join(ORIGIN_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(ORIGIN.to_owned()),
            Err(error) => Err(failed(&path)(error)),
        }
    }

    /// The file of the key that signs the ledger's checkpoints; made at the first start.
    pub(super) fn note_key(&self) -> Result<PathBuf, DevError> {
        let path = self.keys.join("ledger-note.key");
        note_key(&path)?;
        Ok(path)
    }
}

fn lock(folder: &Path) -> Result<File, DevError> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(failed(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(DevError::InUse(folder.to_owned())),
        Err(fs::TryLockError::Error(source)) => Err(DevError::File { path, source }),
    }
}

fn default_file(path: &Path, text: &str) -> Result<PathBuf, DevError> {
    match File::create_new(path) {
        Ok(_) => fs::write(path, text).map_err(failed(path))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(path)(error)),
    }
    Ok(path.to_owned())
}

fn note_key(path: &Path) -> Result<NoteKey, DevError> {
    match fs::read_to_string(path) {
        Ok(text) => NoteKey::from_pem(ORIGIN, &text).map_err(DevError::NoteKey),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let (key, text) = NoteKey::generate(ORIGIN).map_err(DevError::NoteKey)?;
            keys::write_new(path, &text).map_err(DevError::Keys)?;
            Ok(key)
        }
        Err(error) => Err(failed(path)(error)),
    }
}
