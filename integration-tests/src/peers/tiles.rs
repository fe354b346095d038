//! `fsck` of Tessera over tiles that our ledger wrote.
//!
//! It ends with 0 whatever it finds: what counts is its line of success, under a time limit.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit_log::ledger::{About, Event, Ledger, NoteKey};
use bytes::Bytes;
use jiff::Timestamp;

use super::PeersError;
use super::cosign::run;

/// A bad entry can make it wait for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// Characters of a failure that are shown: it may hold whole tiles.
const SHOWN: usize = 100;

/// Name of the ledger's key and origin of the log.
const ORIGIN: &str = "ledger.fluxgate.demo/peers";

/// Two full tiles and a part of a third, so that there is a second level too.
pub const LEAVES: u64 = 600;

/// A ledger on disk, as audit-log writes it.
#[derive(Debug)]
pub struct Written {
    /// The folder with checkpoint and tiles.
    pub folder: PathBuf,
    /// File with the verifier key.
    pub key: PathBuf,
    /// Leaves.
    pub size: u64,
}

/// What `fsck` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// That the tiles are a log of this size.
    Sound {
        /// How many leaves.
        size: u64,
    },
    /// Anything else: its line of failure, else its last, shortened.
    Unsound(String),
}

fn file(path: &Path) -> impl Fn(std::io::Error) -> PeersError {
    let path = path.to_owned();
    move |source| PeersError::File {
        path: path.clone(),
        source,
    }
}

/// Writes a ledger below this folder, in two goes, so that partial tiles were there and went.
///
/// # Errors
/// If it can't be written.
pub async fn write(folder: &Path, now: Timestamp) -> Result<Written, PeersError> {
    let (key, _pem) = NoteKey::generate(ORIGIN)?;
    let ledger = Ledger::open(folder, key).await?;
    for range in [1..=LEAVES / 2, LEAVES / 2 + 1..=LEAVES] {
        let events: Vec<Event> = range.map(|sequence| event(sequence, now)).collect();
        ledger.append(now, &events).await?;
        ledger.publish().await?;
    }
    let path = folder.join("ledger.pub");
    std::fs::write(&path, ledger.verifier().to_string()).map_err(file(&path))?;
    Ok(Written {
        folder: ledger.folder().to_owned(),
        key: path,
        size: LEAVES,
    })
}

fn event(sequence: u64, store_time: Timestamp) -> Event {
    Event {
        sequence,
        subject: format!("fluxgate.v1.cluster.prod-1.health.{sequence}"),
        payload: Bytes::from(format!("payload {sequence}")),
        store_time,
        about: About::default(),
    }
}

/// Changes one byte of a full tile of entries.
///
/// # Errors
/// If there is none.
pub fn spoil(written: &Written) -> Result<(), PeersError> {
    let path = written.folder.join("tile/entries/000");
    let mut bytes = std::fs::read(&path).map_err(file(&path))?;
    if let Some(byte) = bytes.get_mut(100) {
        *byte ^= 1;
    }
    std::fs::write(&path, bytes).map_err(file(&path))
}

/// Asks `fsck` about a ledger on disk.
///
/// # Errors
/// If it can't be run. That it does not end is an answer.
pub async fn check(program: &Path, written: &Written) -> Result<Checked, PeersError> {
    let mut url = OsString::from("--storage_url=file://");
    url.push(&written.folder);
    url.push("/");
    let mut key = OsString::from("--public_key=");
    key.push(&written.key);
    let arguments = [url, key, "--ui=false".into(), "-N=4".into()];
    let output = match run(program, &arguments, &written.folder, PATIENCE).await {
        Ok(output) => output,
        Err(PeersError::Late { seconds, .. }) => {
            return Ok(Checked::Unsound(format!("no answer within {seconds} s")));
        }
        Err(error) => return Err(error),
    };
    Ok(read(&String::from_utf8_lossy(&output.stderr), written.size))
}

/// Sound is what it says to be sound and of the size that was written.
fn read(text: &str, size: u64) -> Checked {
    let success = format!("Successfully fsck'd log with size {size} and root ");
    if text.lines().any(|line| line.contains(&success)) {
        return Checked::Sound { size };
    }
    let failure = text.lines().find(|line| line.contains("fsck failed"));
    let line = failure.or_else(|| text.lines().rfind(|line| !line.trim().is_empty()));
    let line = line.map(|line| line.split_once("] ").map_or(line, |(_, said)| said));
    Checked::Unsound(line.unwrap_or("no word").chars().take(SHOWN).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_of_success_for_the_whole_log_counts() {
        let good = "I1124 fsck.go:161] Successfully fsck'd log with size 600 and root abc= (00)";
        assert_eq!(read(good, 600), Checked::Sound { size: 600 });
        assert!(matches!(read(good, 601), Checked::Unsound(_)));
        let bad = "I1124 fsck.go:91] Fsck: checking log of size 600\nE1124 main.go:88] fsck failed: no\n";
        assert_eq!(read(bad, 600), Checked::Unsound("fsck failed: no".to_owned()));
        let dump = format!(
            "E1124 main.go:88] fsck failed: {}\n{}\n",
            "0f".repeat(500),
            "1e".repeat(500)
        );
        let Checked::Unsound(shown) = read(&dump, 600) else {
            panic!("it failed")
        };
        assert_eq!(shown.len(), SHOWN);
        assert_eq!(read("", 1), Checked::Unsound("no word".to_owned()));
    }
}
