//! Makes and reads key files. Nothing is ever overwritten, and `init` leaves either all files or none.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use attest::bundle::{self, BundleKey, TrustBundle};
use attest::keys::KeyError;
use attest::{ClaimError, PublicKey, Role, SigningKey};
use jiff::{SignedDuration, Timestamp};

use crate::exit::Exit;

/// File of the root's private key.
pub const ROOT_KEY: &str = "root.key";
/// File of the root's public key.
pub const ROOT_PUB: &str = "root.pub";
/// File of the first trust bundle.
pub const BUNDLE: &str = "bundle.json";

/// Services whose clock is a little behind must be able to use a new key.
const LEEWAY: SignedDuration = SignedDuration::from_mins(5);

/// The private key's file of a role.
#[must_use]
pub fn role_key(role: Role) -> String {
    format!("{role}.key")
}

/// Why keys could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Files that would be overwritten.
    #[error("making keys in {}: already there: {}", dir.display(), names.join(", "))]
    Exists {
        /// The folder.
        dir: PathBuf,
        /// The files.
        names: Vec<String>,
    },
    /// A file or folder can't be read or written.
    #[error("{what} {}", path.display())]
    File {
        /// What was done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file holds no key.
    #[error("reading a key from {}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Why it is none.
        source: KeyError,
    },
    /// A key could not be made.
    #[error("making a key")]
    Make(#[source] KeyError),
    /// The bundle could not be signed.
    #[error("signing the trust bundle")]
    Sign(#[source] ClaimError),
    /// The end of the keys' time is beyond what can be written.
    #[error("keys can't act for {0} days from now")]
    Days(u32),
}

impl KeysError {
    /// How the command ends.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Exists { .. } | Self::File { .. } | Self::NoKey { .. } | Self::Days(_) => Exit::Usage,
            Self::Make(_) | Self::Sign(_) => Exit::NoAnswer,
        }
    }

    /// Whether doing the same again can help.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        false
    }

    /// What to do next.
    #[must_use]
    pub const fn next_step(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "choose another folder; keys are never overwritten",
            Self::File { .. } => "check the path and who may write there",
            Self::NoKey { .. } => "give a P-256 key as PEM, as `fluxgate keys init` writes it",
            Self::Days(_) => "give fewer --days",
            Self::Make(_) | Self::Sign(_) => "check the system's source of randomness",
        }
    }
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// The root's public key.
    pub root: PublicKey,
    /// The roles' public keys.
    pub roles: Vec<(Role, PublicKey)>,
    /// Names of the files, in the order in which they were made.
    pub files: Vec<String>,
    /// Until when the roles' keys may act.
    pub not_after: Timestamp,
}

/// Makes a root key, a key for each role and the first bundle in `dir`, which is made where it is absent.
///
/// # Errors
/// If a file is there already, or can't be written: then nothing is left.
pub fn init(dir: &Path, days: u32, demo: bool, now: Timestamp) -> Result<Made, KeysError> {
    let names = file_names();
    refuse_existing(dir, &names)?;
    let (contents, made) = make(days, demo, now)?;
    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(|source| file_error("making", parent, source))?;
    let beside = tempfile::Builder::new()
        .prefix(".fluxgate-keys-")
        .tempdir_in(parent);
    let beside = beside.map_err(|source| file_error("making a folder in", parent, source))?;
    for (name, text) in &contents {
        write_new(&beside.path().join(name), text)?;
    }
    put(beside, dir, &names)?;
    Ok(made)
}

/// Makes an agent's private key in a file that does not exist, and answers its public half.
///
/// # Errors
/// If the file is there already, or can't be written.
pub fn agent(file: &Path) -> Result<PublicKey, KeysError> {
    let (key, pem) = SigningKey::generate().map_err(KeysError::Make)?;
    write_new(file, &pem)?;
    Ok(key.public().clone())
}

/// What a key file holds: a private key's public half, or a public key; and whether it was private.
///
/// # Errors
/// If the file can't be read or holds no key.
pub fn show(file: &Path) -> Result<(PublicKey, bool), KeysError> {
    let text = fs::read_to_string(file).map_err(|source| file_error("reading", file, source))?;
    match (SigningKey::from_pem(&text), PublicKey::from_pem(&text)) {
        (Ok(key), _) => Ok((key.public().clone(), true)),
        (Err(_), Ok(key)) => Ok((key, false)),
        (Err(private), Err(public)) => {
            // PEM of the right kind with a wrong key in it says more than "no PEM of that kind".
            let source = if private == KeyError::NotP256 {
                private
            } else {
                public
            };
            Err(KeysError::NoKey {
                path: file.to_owned(),
                source,
            })
        }
    }
}

fn file_names() -> Vec<String> {
    let roles = Role::ALL
        .into_iter()
        .flat_map(|role| [role_key(role), format!("{role}.pub")]);
    [ROOT_KEY, ROOT_PUB]
        .map(ToOwned::to_owned)
        .into_iter()
        .chain(roles)
        .chain([BUNDLE.to_owned()])
        .collect()
}

fn refuse_existing(dir: &Path, names: &[String]) -> Result<(), KeysError> {
    // A dangling link is a file as well: nobody may choose where a key is written.
    let there = |name: &&String| fs::symlink_metadata(dir.join(name)).is_ok();
    let names: Vec<String> = names.iter().filter(there).cloned().collect();
    if names.is_empty() {
        Ok(())
    } else {
        Err(KeysError::Exists {
            dir: dir.to_owned(),
            names,
        })
    }
}

/// Names and texts of all files.
type Contents = Vec<(String, String)>;

fn make(days: u32, demo: bool, now: Timestamp) -> Result<(Contents, Made), KeysError> {
    let lifetime = SignedDuration::from_hours(i64::from(days).saturating_mul(24));
    let (Ok(not_before), Ok(not_after)) = (now.checked_sub(LEEWAY), now.checked_add(lifetime)) else {
        return Err(KeysError::Days(days));
    };
    let (root, pem) = SigningKey::generate().map_err(KeysError::Make)?;
    let mut contents = vec![
        (ROOT_KEY.to_owned(), pem),
        (ROOT_PUB.to_owned(), root.public().to_pem()),
    ];
    let (mut keys, mut roles) = (Vec::new(), Vec::new());
    for role in Role::ALL {
        let (key, pem) = SigningKey::generate().map_err(KeysError::Make)?;
        let public = key.public().clone();
        contents.push((role_key(role), pem));
        contents.push((format!("{role}.pub"), public.to_pem()));
        keys.push(BundleKey {
            role,
            public_key: public.to_pem(),
            not_before,
            not_after,
            retired_at: None,
            revoked_at: None,
        });
        roles.push((role, public));
    }
    let bundle = TrustBundle {
        version: 1,
        demo,
        keys,
    };
    let envelope = bundle::sign(&bundle, &root, now).map_err(KeysError::Sign)?;
    // An envelope is JSON, so UTF-8.
    contents.push((
        BUNDLE.to_owned(),
        String::from_utf8_lossy(&envelope.to_bytes()).into_owned(),
    ));
    let files = contents.iter().map(|(name, _)| name.clone()).collect();
    Ok((
        contents,
        Made {
            root: root.public().clone(),
            roles,
            files,
            not_after,
        },
    ))
}

pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), KeysError> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| file_error("writing", path, source))
}

/// Moves the files to where they belong: the whole folder in one step where that is possible, or one after
/// the other, never over a file that came in between, and back again if one fails.
fn put(beside: tempfile::TempDir, dir: &Path, names: &[String]) -> Result<(), KeysError> {
    if fs::rename(beside.path(), dir).is_ok() {
        // It has moved: there is nothing left to remove.
        let _moved = beside.keep();
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(|source| file_error("making", dir, source))?;
    let mut linked = Vec::new();
    for name in names {
        let target = dir.join(name);
        if let Err(source) = fs::hard_link(beside.path().join(name), &target) {
            for path in &linked {
                let _gone = fs::remove_file(path);
            }
            return Err(file_error("writing", &target, source));
        }
        linked.push(target);
    }
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| file_error("writing", dir, source))
}

fn file_error(what: &'static str, path: &Path, source: io::Error) -> KeysError {
    KeysError::File {
        what,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use attest::Trust;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-24T07:00:00Z".parse().unwrap()
    }

    fn count(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn keys_are_made_once_and_open_their_bundle() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/keys");
        let made = init(&dir, 365, true, now()).unwrap();
        assert_eq!((made.roles.len(), made.files.len()), (5, 13));
        for name in &made.files {
            let mode = fs::metadata(dir.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let trust = Trust::open(&made.root, 1, &fs::read(dir.join(BUNDLE)).unwrap()).unwrap();
        assert!(trust.bundle().demo);
        for (key, (role, public)) in trust.bundle().keys.iter().zip(&made.roles) {
            assert_eq!((key.role, &key.public_key), (*role, &public.to_pem()));
            assert_eq!(key.not_before.to_string(), "2026-11-24T06:55:00Z");
            assert_eq!(key.not_after.to_string(), "2027-11-24T07:00:00Z");
            assert_eq!(show(&dir.join(role_key(*role))).unwrap(), (public.clone(), true));
            assert_eq!(
                show(&dir.join(format!("{role}.pub"))).unwrap(),
                (public.clone(), false)
            );
        }
        let before = fs::read(dir.join(ROOT_KEY)).unwrap();
        let error = init(&dir, 365, true, now()).unwrap_err();
        assert!(
            matches!(&error, KeysError::Exists { names, .. } if names.len() == 13),
            "{error}"
        );
        assert_eq!(error.exit(), Exit::Usage);
        assert_eq!((fs::read(dir.join(ROOT_KEY)).unwrap(), count(&dir)), (before, 13));
        assert_eq!(
            count(&folder.path().join("a")),
            1,
            "nothing is left beside the keys"
        );
    }

    #[test]
    fn one_file_that_exists_keeps_all_from_being_made() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("keys");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("policy.key"), "mine").unwrap();
        let error = init(&dir, 1, false, now()).unwrap_err();
        assert!(
            error.to_string().ends_with("already there: policy.key"),
            "{error}"
        );
        assert_eq!((count(&dir), count(folder.path())), (1, 1));
        assert_eq!(fs::read_to_string(dir.join("policy.key")).unwrap(), "mine");
    }

    #[test]
    fn keys_can_lie_beside_other_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("fleet.yaml"), "").unwrap();
        init(folder.path(), 1, false, now()).unwrap();
        assert_eq!(count(folder.path()), 14);
    }

    #[test]
    fn a_link_to_nowhere_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, folder.path().join(ROOT_KEY)).unwrap();
        assert!(matches!(
            init(folder.path(), 1, false, now()),
            Err(KeysError::Exists { .. })
        ));
        assert!(!elsewhere.exists());
    }

    #[test]
    fn an_agents_key_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prod.key");
        let public = agent(&file).unwrap();
        assert_eq!(show(&file).unwrap(), (public, true));
        assert!(matches!(agent(&file), Err(KeysError::File { .. })));
    }

    #[test]
    fn what_is_no_key_is_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        assert!(matches!(show(&file), Err(KeysError::File { .. })));
        fs::write(&file, "x").unwrap();
        assert!(matches!(show(&file), Err(KeysError::NoKey { .. })));
    }
}
