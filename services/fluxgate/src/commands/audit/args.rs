//! What can be typed behind `audit`, with its help.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args, Subcommand};
use jiff::{SignedDuration, Timestamp};

const LIST: &str = "\
Lists what stands in the ledger, oldest first: every statement that was ever on the event log, whether it counts \
or not. All filters that are given must match.";

const LIST_MORE: &str = "\
Examples:
  fluxgate audit list --release v2.9.4
  fluxgate audit list --cluster prod-eu-7 --since 7d
  fluxgate audit list --kind decision -o json | jq '.items[].summary'";

const SHOW: &str = "\
Shows one entry whole: the statement, who signed it, the leaf and its proof in the newest checkpoint. The proof \
is checked here; with --key against the ledger's key that you have from elsewhere.";

const SHOW_MORE: &str = "\
Examples:
  fluxgate audit show 17                    the number that `audit list` and answers print
  fluxgate audit show --index 16            the same by the index of its leaf in the tree
  fluxgate audit show fluxgate.v1.trust.bundle.bundle.1
  fluxgate audit show 17 -o json | jq .statement";

const EXPORT: &str = "\
Writes a folder that an outsider can check without fluxgate: statements, blobs, the Merkle tree, the signed \
checkpoint, public keys, and a README with the commands for jq, openssl and cosign. Without a filter the whole \
ledger is exported; with one, what it lets through and what is needed to judge it, proven in the whole tree.";

const EXPORT_MORE: &str = "\
Examples:
  fluxgate audit export --out ./export
  fluxgate audit export --out ./v2.9.4 --release v2.9.4
  fluxgate audit export --out ./quarter --since 90d";

const VERIFY: &str = "\
Checks an export, offline. Everything is computed again: hashes of leaves, the root, the checkpoint's signature, \
each statement's signature by the trust bundle, the bundle by the root key, blobs, and that no file was changed, \
added or removed. Exits with 1 and says what and where if anything is not as it has to be.

Take the two keys from where you know them to be right, not from the export.";

const VERIFY_MORE: &str = "\
Examples:
  fluxgate audit verify ./export --key ledger.vkey --root root.pub
  fluxgate audit verify ./export --key ledger.vkey --root SHA256:4qP1...
  fluxgate audit verify ./export --key ledger.vkey --checkpoint ./last-year/checkpoint";

const REBUILD: &str = "\
Begins the ledger anew from what the stream holds, after the old one was lost or the stream was made anew. The \
new ledger has a new name, and is compared with the checkpoints and exports of the old one that others hold. \
audit-log must not be running on the folder. Exits with 1, and makes no ledger, if the stream does not hold what \
a checkpoint covers, unless that is accepted.";

const REBUILD_MORE: &str = "\
Examples:
  fluxgate audit rebuild --nats nats://127.0.0.1:4222 --ledger ./ledger --note-key ./note.key \\
    --origin fluxgate.example.com/fleet-2 --key ledger.vkey --checkpoint ./export/checkpoint

Then set `origin` in audit-log's file to the new name and start it; `fluxgate dev` reads the name itself.";

const RESTORE: &str = "\
Fills a new, empty event stream from an export: every statement under its old subject, at its old sequence. The \
export is checked first, with the same keys as for `audit verify`. It may be interrupted and started again: what \
stands on the stream already is compared, never written over. Until `audit rebuild` the ledger does not confirm \
the new stream, and no new upgrade starts (LEDGER_UNCONFIRMED).";

const RESTORE_MORE: &str = "\
Examples:
  fluxgate migrate --nats nats://127.0.0.1:4222
  fluxgate audit restore ./export --nats nats://127.0.0.1:4222 --key ledger.vkey --root root.pub
  fluxgate audit rebuild ...";

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AuditCommand,
}

/// The commands of `audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List entries of the ledger
    #[command(long_about = LIST, after_help = LIST_MORE)]
    List(ListArgs),
    /// Show one entry with its proof
    #[command(long_about = SHOW, after_help = SHOW_MORE)]
    Show(ShowArgs),
    /// Write a folder that an outsider can check without fluxgate
    #[command(long_about = EXPORT, after_help = EXPORT_MORE)]
    Export(ExportArgs),
    /// Check an export, offline
    #[command(long_about = VERIFY, after_help = VERIFY_MORE)]
    Verify(VerifyArgs),
    /// Begin the ledger anew from the stream
    #[command(long_about = REBUILD, after_help = REBUILD_MORE)]
    Rebuild(RebuildArgs),
    /// Fill a new stream from an export
    #[command(long_about = RESTORE, after_help = RESTORE_MORE)]
    Restore(RestoreArgs),
}

/// Arguments of `audit list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only what is about this release, like v2.9.4
    #[arg(long, value_name = "RELEASE")]
    pub release: Option<String>,
    /// Only what is about this cluster
    #[arg(long, value_name = "CLUSTER")]
    pub cluster: Option<String>,
    /// Only this decision and what rests on it
    #[arg(long, value_name = "DECISION")]
    pub decision: Option<String>,
    /// Only what has this trace id
    #[arg(long, value_name = "TRACE_ID")]
    pub trace: Option<String>,
    /// Only this kind of statement, like decision
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Only what was stored at this time or later, like 2026-11-24T12:00:00Z, or so long ago, like 90d
    #[arg(long, value_name = "TIME")]
    pub since: Option<When>,
    /// Only what was stored before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
}

/// Arguments of `audit show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Sequence of the event, as `audit list` shows it, or the subject
    #[arg(value_name = "SEQUENCE|SUBJECT", required_unless_present = "index")]
    pub entry: Option<Entry>,
    /// Index of the leaf in the tree, from 0, as exports count
    #[arg(long, value_name = "INDEX", conflicts_with = "entry")]
    pub index: Option<u64>,
    /// File with the ledger's key; without it the ledger's own word is taken
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// An entry by sequence or subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Sequence of its event.
    Sequence(u64),
    /// Its subject.
    Subject(String),
}

impl FromStr for Entry {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix("entries/").unwrap_or(text);
        match bare.parse() {
            Ok(sequence) => Ok(Self::Sequence(sequence)),
            Err(_) if bare.contains('.') => Ok(Self::Subject(bare.to_owned())),
            Err(_) => Err("give a number, or a subject like fluxgate.v1.trust.bundle.bundle.1"),
        }
    }
}

/// Arguments of `audit export`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("chosen").args(["release", "since"]))]
pub struct ExportArgs {
    /// The folder to make; nothing may be there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Only what is about this release, like v2.9.4, and its rollouts
    #[arg(long, value_name = "RELEASE")]
    pub release: Option<String>,
    /// Only what was stored at this time or later, like 2026-11-24T12:00:00Z, or so long ago, like 90d
    #[arg(long, value_name = "TIME")]
    pub since: Option<When>,
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The folder of the export
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// File with the ledger's key (keys/ledger.vkey of an export that you know to be right)
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The root key as a file (PEM) or by its fingerprint, SHA256:...
    #[arg(long, value_name = "FILE|FINGERPRINT")]
    pub root: Option<Root>,
    /// File with an older checkpoint that the ledger has to continue; may be given several times
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Vec<PathBuf>,
}

/// A root key as it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// By its fingerprint.
    Fingerprint(String),
    /// In a file.
    File(PathBuf),
}

impl FromStr for Root {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text.starts_with("SHA256:") {
            Self::Fingerprint(text.to_owned())
        } else {
            Self::File(text.into())
        })
    }
}

/// Where the stream is.
#[derive(Debug, Args)]
pub struct BusArgs {
    /// The NATS server; several with commas
    #[arg(long, value_name = "URL", env = "FLUXGATE_NATS")]
    pub nats: String,
    /// File with NATS credentials (.creds)
    #[arg(long, value_name = "FILE")]
    pub creds: Option<PathBuf>,
    /// File with the certificate authority of the NATS server (PEM)
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// Arguments of `audit rebuild`.
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// Where the stream is.
    #[command(flatten)]
    pub bus: BusArgs,
    /// Folder of the ledger to make (`service.ledger` of audit-log); nothing may be there
    #[arg(long, value_name = "DIR")]
    pub ledger: PathBuf,
    /// The ledger's private key (`service.note_key` of audit-log)
    #[arg(long, value_name = "FILE")]
    pub note_key: PathBuf,
    /// Name of the new ledger, another one than the old one's
    #[arg(long, value_name = "NAME")]
    pub origin: String,
    /// File with a checkpoint of the old ledger; may be given several times
    #[arg(long, value_name = "FILE", requires = "key")]
    pub checkpoint: Vec<PathBuf>,
    /// Folder of an export of the old ledger: says which leaves differ
    #[arg(long, value_name = "DIR", requires = "key")]
    pub export: Option<PathBuf>,
    /// File with the old ledger's key
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Make the ledger even if the stream does not hold what the old one did
    #[arg(long)]
    pub accept_differences: bool,
}

/// Arguments of `audit restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The folder of the export
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Where the stream is.
    #[command(flatten)]
    pub bus: BusArgs,
    /// File with the ledger's key
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The root key as a file (PEM) or by its fingerprint, SHA256:...
    #[arg(long, value_name = "FILE|FINGERPRINT")]
    pub root: Option<Root>,
    /// Restore from an export that lacks leaves: fillers of kind `lost` keep their numbers
    #[arg(long)]
    pub allow_lost: bool,
}

/// A time, or how long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A time.
    At(Timestamp),
    /// So long ago.
    Ago(SignedDuration),
}

impl When {
    /// The time.
    pub(super) fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for When {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self::At(time));
        }
        let days = text.strip_suffix('d').and_then(|days| days.parse::<u16>().ok());
        let ago = match days {
            Some(days) => Some(SignedDuration::from_hours(i64::from(days) * 24)),
            None => text.parse::<SignedDuration>().ok(),
        };
        match ago {
            Some(ago) if ago.is_positive() => Ok(Self::Ago(ago)),
            Some(_) | None => Err("a time is like 2026-11-24T12:00:00Z, or so long ago, like 90d or 2h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_both_ways() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let time = |text: &str| text.parse::<When>().map(|when| when.from(now).to_string());
        assert_eq!(time("90d").unwrap(), "2026-08-26T12:00:00Z");
        assert_eq!(time("2h").unwrap(), "2026-11-24T10:00:00Z");
        assert_eq!(time("2026-01-01T00:00:00Z").unwrap(), "2026-01-01T00:00:00Z");
        for bad in ["", "d", "-1h", "90", "yesterday", "2026-01-01"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn entries_have_a_sequence_or_a_subject() {
        assert_eq!("17".parse(), Ok(Entry::Sequence(17)));
        assert_eq!("entries/17".parse(), Ok(Entry::Sequence(17)));
        let subject = "fluxgate.v1.trust.bundle.bundle.1";
        assert_eq!(subject.parse(), Ok(Entry::Subject(subject.to_owned())));
        assert!("decision".parse::<Entry>().is_err());
    }
}
