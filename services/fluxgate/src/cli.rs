//! What can be typed.

mod global;
mod goal;
mod help;
mod policy;
mod resource;
mod stops;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

pub use global::{Color, Format, Global, Mutation};
pub use goal::{Field, Goal, WaitArgs};
pub use policy::{EvalArgs, LintArgs, PolicyArgs, PolicyCommand, ReplayArgs, SchemaKind};
pub use resource::{Described, Kind, Reconciled, Wanted};
pub use stops::{
    Act, FreezeArgs, FreezeCommand, HoldArgs, HoldCommand, RecallArgs, RecallCommand, RolloutArgs,
    RolloutCommand,
};

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

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What needs you now, and what everything waits for
    #[command(long_about = help::STATUS, after_help = help::STATUS_MORE)]
    Status,
    /// Look whether fluxgate itself is well
    #[command(long_about = help::CHECK, after_help = help::CHECK_MORE)]
    Check,
    /// List releases, decisions, policies, rollouts, clusters, stops or entries
    #[command(long_about = help::GET, after_help = help::GET_MORE)]
    Get(GetArgs),
    /// Tell the whole story of one resource
    #[command(long_about = help::DESCRIBE, after_help = help::DESCRIBE_MORE)]
    Describe(DescribeArgs),
    /// Look for new releases now, or verify one again
    #[command(long_about = help::RECONCILE, after_help = help::RECONCILE_MORE)]
    Reconcile(ReconcileArgs),
    /// Allow fluxgate to write, or take that back
    #[command(long_about = help::ENFORCE, after_help = help::ENFORCE_MORE)]
    Enforce(EnforceArgs),
    /// Pause, resume, retry or follow a rollout
    #[command(long_about = help::ROLLOUT, after_help = help::ROLLOUT_MORE)]
    Rollout(RolloutArgs),
    /// Begin nothing in the fleet, a wave or clusters with a label
    #[command(long_about = help::FREEZE, after_help = help::FREEZE_MORE)]
    Freeze(FreezeArgs),
    /// Begin nothing in a cluster
    #[command(long_about = help::HOLD, after_help = help::HOLD_MORE)]
    Hold(HoldArgs),
    /// Begin nothing with a version
    #[command(long_about = help::RECALL, after_help = help::RECALL_MORE)]
    Recall(RecallArgs),
    /// Wait until something is so
    #[command(long_about = help::WAIT, after_help = help::WAIT_MORE)]
    Wait(WaitArgs),
    /// Say what a reason code means and what to do
    #[command(long_about = help::EXPLAIN, after_help = help::EXPLAIN_MORE)]
    Explain(ExplainArgs),
    /// List, show, export and check what the ledger holds
    #[command(long_about = help::AUDIT, after_help = help::AUDIT_MORE)]
    Audit(crate::commands::AuditArgs),
    /// Draw what happened to a release, from the ledger's statements alone
    #[command(long_about = crate::commands::trace::LONG, after_help = crate::commands::trace::MORE)]
    Trace(crate::commands::trace::TraceArgs),
    /// Make and show keys
    #[command(long_about = help::KEYS, after_help = help::KEYS_MORE)]
    Keys(KeysArgs),
    /// Check policy, strategy and fleet files, and make decisions again
    #[command(long_about = help::POLICY, after_help = help::POLICY_MORE)]
    Policy(PolicyArgs),
    /// Run a hub on this machine: NATS, keys and all services in one process
    #[command(long_about = help::DEV, after_help = help::DEV_MORE)]
    Dev(crate::dev::DevArgs),
    /// Make the streams on NATS, and put the trust bundle there
    #[command(long_about = help::MIGRATE, after_help = help::MIGRATE_MORE)]
    Migrate(MigrateArgs),
    /// Print the completion script of a shell
    #[command(long_about = help::COMPLETION, after_help = help::COMPLETION_MORE)]
    Completion {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: CompletedShell,
    },
    /// Write the man pages
    #[command(long_about = help::MAN, after_help = help::MAN_MORE)]
    Man {
        /// Folder for the pages; it is made if it is missing
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Show version and API
    #[command(long_about = help::VERSION, after_help = help::VERSION_MORE)]
    Version,
}

/// Arguments of `get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// What to list: releases, decisions, policies, rollouts, clusters, stops or entries; TYPE/NAME for one
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
    /// Lifted stops, too
    #[arg(long)]
    pub lifted: bool,
    /// Go on and show each change (rollouts, clusters)
    #[arg(short, long)]
    pub watch: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The code, like TAG_MOVED; none lists all
    #[arg(value_name = "REASON_CODE")]
    pub code: Option<String>,
}

/// A shell that completion scripts are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompletedShell {
    /// GNU Bash.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
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
    /// What to bring up to date: releases, or one of them like releases/v2.9.4
    #[arg(value_name = "releases[/VERSION]")]
    pub what: Reconciled,
    /// Flags of everything that changes something.
    #[command(flatten)]
    pub mutation: Mutation,
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
    /// Flags of everything that changes something.
    #[command(flatten)]
    pub mutation: Mutation,
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
    #[command(long_about = help::KEYS_SHOW, after_help = help::KEYS_SHOW_MORE)]
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
    fn sizes_have_units() {
        assert_eq!(size("2GiB"), Ok(2 * 1024 * 1024 * 1024));
        assert_eq!(size("512"), Ok(512));
        assert!(
            ["", "0", "-1MiB", "2GB", "9223372036854775807KiB"]
                .into_iter()
                .all(|text| size(text).is_err())
        );
    }
}
