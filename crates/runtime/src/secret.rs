//! Secrets come as files, never as configuration values or environment variables.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest secret: keys and credentials are far shorter.
const MAX_BYTES: u64 = 64 << 10;

/// The path of a file that holds a secret. The path may be shown, the content never is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SecretFile(PathBuf);

/// The bytes of a secret; `Debug` hides them, and nothing else prints them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("reading secret file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is longer than 64 KiB.
    #[error("secret file {path} is longer than 64 KiB; is it the right file?")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

impl SecretFile {
    /// Names a file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the file as it is now: rotated secrets are seen by reading again.
    ///
    /// # Errors
    /// If the file cannot be read or is longer than 64 KiB.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let failed = |source| SecretError::Read {
            path: self.0.clone(),
            source,
        };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&self.0).map_err(failed)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(SecretError::TooLarge { path: self.0.clone() });
        }
        Ok(Secret(bytes))
    }
}

impl SecretError {
    /// Whether reading again may succeed: a mounted secret may come later.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Read { .. } => true,
            Self::TooLarge { .. } => false,
        }
    }
}

impl Secret {
    /// The bytes. Look twice at where they go.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_from_its_file_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "hunter2").unwrap();
        let secret = SecretFile::new(&path).read().unwrap();
        assert_eq!(secret.expose(), b"hunter2");
        assert_eq!(format!("{secret:?}"), "[hidden]");
        std::fs::write(&path, vec![0; (64 << 10) + 1]).unwrap();
        assert!(matches!(
            SecretFile::new(&path).read(),
            Err(SecretError::TooLarge { .. })
        ));
        let missing = SecretFile::new(folder.path().join("none")).read().unwrap_err();
        assert!(missing.to_string().contains("none") && missing.retryable());
    }
}
