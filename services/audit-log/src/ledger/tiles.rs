//! The files that outsiders read (c2sp.org/tlog-tiles): `checkpoint`, `tile/<L>/<N>[.p/<W>]`,
//! `tile/entries/<N>[.p/<W>]`.
//!
//! A tile of level L holds up to 256 hashes of subtrees of 2^(8 L) leaves. `<N>` is written in groups of
//! three digits, all but the last with an `x` in front (`x001/x234/067`). A tile that is not full has
//! `.p/<W>` behind its name. Each file is written beside its place, synced and renamed; the checkpoint
//! comes last. Partial tiles are removed when the full one is there, which the format allows.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{Leaf, LedgerError};

/// Height of a tile.
pub const HEIGHT: u32 = 8;
/// Hashes or entries in a full tile.
pub const WIDTH: u64 = 1 << HEIGHT;

/// What is in a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Hashes of this tile level.
    Hashes(u32),
    /// Entries, each behind its length.
    Entries,
}

/// A tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// What is in it.
    pub kind: Kind,
    /// Its number in its level, from 0.
    pub number: u64,
    /// Hashes or entries in it, 1 to [`WIDTH`].
    pub width: u64,
}

impl Tile {
    /// Path below the folder of the log.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let path = self.full_path();
        if self.width == WIDTH {
            path
        } else {
            partials_of(&path).join(self.width.to_string())
        }
    }

    fn full_path(&self) -> PathBuf {
        let mut path = PathBuf::from("tile");
        match self.kind {
            Kind::Hashes(level) => path.push(level.to_string()),
            Kind::Entries => path.push("entries"),
        }
        let mut groups = vec![format!("{:03}", self.number % 1000)];
        let mut rest = self.number / 1000;
        while rest > 0 {
            groups.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        path.extend(groups.iter().rev());
        path
    }
}

/// Folder of the partial tiles of a full one: its name and `.p`.
fn partials_of(full: &Path) -> PathBuf {
    let mut name = full.as_os_str().to_owned();
    name.push(".p");
    PathBuf::from(name)
}

/// The tiles that a log of `new` leaves has and the one of `old` leaves had not.
#[must_use]
pub fn between(old: u64, new: u64) -> Vec<Tile> {
    let mut tiles = level_between(Kind::Entries, old, new);
    for level in 0.. {
        let (old, new) = (shifted(old, level), shifted(new, level));
        if new == 0 {
            break;
        }
        tiles.extend(level_between(Kind::Hashes(level), old, new));
    }
    tiles
}

/// How many complete subtrees of a tile level `leaves` leaves have.
fn shifted(leaves: u64, level: u32) -> u64 {
    leaves.checked_shr(level * HEIGHT).unwrap_or(0)
}

fn level_between(kind: Kind, old: u64, new: u64) -> Vec<Tile> {
    if new <= old {
        return Vec::new();
    }
    let tile = |number| Tile {
        kind,
        number,
        width: WIDTH.min(new - number * WIDTH),
    };
    (old / WIDTH..new.div_ceil(WIDTH)).map(tile).collect()
}

/// Entries, each behind its length in 16 bits, big-endian.
///
/// # Errors
/// If an entry is longer than that; no subject of NATS makes one.
pub fn frame<'a>(leaves: impl IntoIterator<Item = &'a Leaf>) -> Result<Vec<u8>, LedgerError> {
    let mut bytes = Vec::new();
    for leaf in leaves {
        let record = leaf.record();
        let Ok(length) = u16::try_from(record.len()) else {
            return Err(LedgerError::Malformed("a subject above 64 KiB"));
        };
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&record);
    }
    Ok(bytes)
}

/// The checkpoint on disk, if there is one.
pub(super) fn read_checkpoint(folder: &Path) -> Result<Option<String>, LedgerError> {
    let path = folder.join("checkpoint");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LedgerError::File { path, source }),
    }
}

/// Writes tiles, then the checkpoint.
pub(super) async fn write(
    folder: PathBuf,
    tiles: Vec<(Tile, Vec<u8>)>,
    checkpoint: String,
) -> Result<(), LedgerError> {
    let path = folder.clone();
    let write = move || {
        for (tile, bytes) in &tiles {
            replace(&folder.join(tile.path()), bytes)?;
            if tile.width == WIDTH {
                remove_partials(&folder.join(partials_of(&tile.full_path())))?;
            }
        }
        replace(&folder.join("checkpoint"), checkpoint.as_bytes())
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(result) => result,
        Err(error) => Err(LedgerError::File {
            path,
            source: io::Error::other(error),
        }),
    }
}

fn remove_partials(path: &Path) -> Result<(), LedgerError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(LedgerError::File {
            path: path.to_owned(),
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a file so that a reader, and a crash, see the old bytes or the new ones.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
    let replacing = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let temporary = path.with_extension("tmp");
        let mut file = fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        fs::File::open(folder)?.sync_all()
    };
    replacing().map_err(|source| LedgerError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(old: u64, new: u64) -> Vec<String> {
        between(old, new)
            .iter()
            .map(|tile| tile.path().to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn paths_are_those_of_the_format() {
        let path = |number, width| {
            Tile {
                kind: Kind::Hashes(1),
                number,
                width,
            }
            .path()
        };
        assert_eq!(path(1_234_067, 256), Path::new("tile/1/x001/x234/067"));
        assert_eq!(path(7, 256), Path::new("tile/1/007"));
        assert_eq!(path(7, 3), Path::new("tile/1/007.p/3"));
        assert_eq!(path(1000, 3), Path::new("tile/1/x001/000.p/3"));
        let entries = Tile {
            kind: Kind::Entries,
            number: 0,
            width: 5,
        };
        assert_eq!(entries.path(), Path::new("tile/entries/000.p/5"));
    }

    #[test]
    fn what_is_new_is_written_and_nothing_else() {
        assert!(paths(0, 0).is_empty());
        assert!(paths(9, 9).is_empty());
        assert_eq!(paths(0, 2), ["tile/entries/000.p/2", "tile/0/000.p/2"]);
        assert_eq!(
            paths(255, 256),
            ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
        );
        assert_eq!(paths(256, 257), ["tile/entries/001.p/1", "tile/0/001.p/1"]);
        assert_eq!(
            paths(250, 513),
            [
                "tile/entries/000",
                "tile/entries/001",
                "tile/entries/002.p/1",
                "tile/0/000",
                "tile/0/001",
                "tile/0/002.p/1",
                "tile/1/000.p/2",
            ]
        );
        assert!(paths(65_535, 65_536).ends_with(&["tile/1/000".to_owned(), "tile/2/000.p/1".to_owned()]));
    }
}
