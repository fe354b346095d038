//! What can be typed.

mod help;
mod resource;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;

pub use resource::{Described, Kind, Reconciled, Wanted};

/// Keeps Flux up to date on a fleet of clusters.
#[derive(Debug, Parser)]
#[command(name = "fluxgate", version, about = help::ROOT, after_help = help::ROOT_MORE, after_long_help = help::EXIT_CODES)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Address of the hub's gRPC services
    #[arg(
        long,
        global = true,
        env = "FLUXGATE_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:7878"
    )]
    pub server: String,
    /// How the answer is written; `wide` adds columns, `json` is for programs
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
    /// Leave out the first line of tables
    #[arg(long, global = true)]
    pub no_header: bool,
    /// Give up asking the hub after this time, like 30s or 2m
    #[arg(long, global = true, value_name = "TIME", default_value = "30s", value_parser = timeout)]
    pub timeout: SignedDuration,
    /// No progress and no hints; errors are still printed
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Whether to use colour; `auto` is on a terminal and without NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Plain letters in place of the signs for good, bad and warning
    #[arg(long, global = true)]
    pub ascii: bool,
}

fn timeout(text: &str) -> Result<SignedDuration, String> {
    match text.parse::<SignedDuration>() {
        Ok(time) if time.is_positive() => Ok(time),
        Ok(_) | Err(_) => Err("a time is a number and a unit, like 30s or 2m".to_owned()),
    }
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns that fit on a screen.
    Table,
    /// All columns.
    Wide,
    /// JSON.
    Json,
}

/// Whether to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look whether everything is well
    #[command(long_about = help::CHECK, after_help = help::CHECK_MORE)]
    Check,
    /// List releases, decisions, policies, rollouts, clusters or entries
    #[command(long_about = help::GET, after_help = help::GET_MORE)]
    Get(GetArgs),
    /// Tell the whole story of one resource
    #[command(long_about = help::DESCRIBE, after_help = help::DESCRIBE_MORE)]
    Describe(DescribeArgs),
    /// Look for new releases now
    #[command(long_about = help::RECONCILE, after_help = help::RECONCILE_MORE)]
    Reconcile(ReconcileArgs),
    /// Allow fluxgate to write, or take that back
    #[command(long_about = help::ENFORCE, after_help = help::ENFORCE_MORE)]
    Enforce(EnforceArgs),
    /// Make and show keys
    #[command(long_about = help::KEYS, after_help = help::KEYS_MORE)]
    Keys(KeysArgs),
    /// Run a hub on this machine: NATS, keys and all services in one process
    #[command(long_about = help::DEV, after_help = help::DEV_MORE)]
    Dev(crate::dev::DevArgs),
    /// Make the streams on NATS, and put the trust bundle there
    #[command(long_about = help::MIGRATE, after_help = help::MIGRATE_MORE)]
    Migrate(MigrateArgs),
    /// Show version and API
    #[command(long_about = help::VERSION)]
    Version,
}

/// Arguments of `get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// What to list: releases, decisions, policies, rollouts, clusters or entries; TYPE/NAME for one
    #[arg(value_name = "TYPE[/NAME]")]
    pub wanted: Wanted,
    /// One of them
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Only what is about this release (decisions, entries), like v2.9.4
    #[arg(long, value_name = "RELEASE")]
    pub release: Option<String>,
    /// Only entries about this cluster
    #[arg(long, value_name = "CLUSTER")]
    pub cluster: Option<String>,
    /// Only entries about this decision
    #[arg(long, value_name = "DECISION")]
    pub decision: Option<String>,
    /// Only entries with this trace id
    #[arg(long, value_name = "TRACE_ID")]
    pub trace: Option<String>,
}

/// Arguments of `describe`.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// What to tell about, like releases/v2.9.4, decisions/ID, rollouts/ID or clusters/NAME
    #[arg(value_name = "TYPE/NAME")]
    pub what: Described,
}

/// Arguments of `reconcile`.
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// What to bring up to date
    #[arg(value_name = "TYPE")]
    pub what: Reconciled,
    /// Look, but announce nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `enforce`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("scope").required(true).args(["wave", "cluster"]))]
pub struct EnforceArgs {
    /// Every cluster of this wave, also those to come
    #[arg(long, value_name = "WAVE")]
    pub wave: Option<String>,
    /// This cluster
    #[arg(long, value_name = "CLUSTER")]
    pub cluster: Option<String>,
    /// Take the permission back: look and report, write nothing
    #[arg(long)]
    pub observe: bool,
    /// Check the request and show whom it would touch; store nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// The commands of `keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make the root key, the roles' keys and a trust bundle
    #[command(long_about = help::KEYS_INIT, after_help = help::KEYS_INIT_MORE)]
    Init {
        /// Folder for the keys; no file in it is overwritten
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// How many days the roles' keys may act
        #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
        /// Mark the keys as made for a demo: everything decided under them is marked, too
        #[arg(long)]
        demo: bool,
    },
    /// Show the fingerprint of a key
    #[command(long_about = help::KEYS_SHOW)]
    Show {
        /// A private or public key (PEM)
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Make an agent's key
    #[command(long_about = help::KEYS_AGENT, after_help = help::KEYS_AGENT_MORE)]
    Agent {
        /// File for the private key; it must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Arguments of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// The NATS server; several with commas
    #[arg(long, value_name = "URL", env = "FLUXGATE_NATS")]
    pub nats: String,
    /// File with NATS credentials (.creds)
    #[arg(long, value_name = "FILE")]
    pub creds: Option<PathBuf>,
    /// File with the certificate authority of the NATS server (PEM)
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Address of the server's monitoring, to learn whether every write is synced to disk
    #[arg(long, value_name = "URL")]
    pub monitor: Option<String>,
    /// Trust bundle to put on the bus; the same one again changes nothing
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// Copies of each stream: 1 on one machine, 3 in production
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub replicas: u8,
    /// Size of the event stream, which refuses everything when it is full: like 2GiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_bytes: Option<i64>,
    /// Compare, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

fn size(text: &str) -> Result<i64, String> {
    let units = [
        ("KiB", 1024),
        ("MiB", 1024 * 1024),
        ("GiB", 1024 * 1024 * 1024),
        ("", 1),
    ];
    let found = units
        .into_iter()
        .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)));
    let size = found.and_then(|(number, bytes)| number.trim().parse::<i64>().ok()?.checked_mul(bytes));
    size.filter(|size| *size > 0)
        .ok_or_else(|| "a size is a number, with KiB, MiB or GiB behind it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(size("2GiB"), Ok(2 * 1024 * 1024 * 1024));
        assert_eq!(size("512"), Ok(512));
        assert!(
            ["", "0", "-1MiB", "2GB", "9223372036854775807KiB"]
                .into_iter()
                .all(|text| size(text).is_err())
        );
        assert_eq!(timeout("2m"), Ok(SignedDuration::from_mins(2)));
        assert!(
            ["", "30", "0s", "-1s"]
                .into_iter()
                .all(|text| timeout(text).is_err())
        );
    }
}
