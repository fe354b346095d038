//! `policy`: what can be typed.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use jiff::Timestamp;

use super::help;

/// Arguments of `policy`.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: PolicyCommand,
}

/// The commands of `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Look whether policy, strategy and fleet files are well; asks no server
    #[command(long_about = help::POLICY_LINT, after_help = help::POLICY_LINT_MORE)]
    Lint(LintArgs),
    /// Ask a policy about what a decision rested on
    #[command(long_about = help::POLICY_EVAL, after_help = help::POLICY_EVAL_MORE)]
    Eval(EvalArgs),
    /// Make a decision again from its stored inputs, and compare it byte for byte
    #[command(long_about = help::POLICY_REPLAY, after_help = help::POLICY_REPLAY_MORE)]
    Replay(ReplayArgs),
    /// Print the JSON Schema of a kind of file
    #[command(long_about = help::POLICY_SCHEMA, after_help = help::POLICY_SCHEMA_MORE)]
    Schema {
        /// The kind of file
        #[arg(value_name = "KIND")]
        kind: SchemaKind,
    },
}

/// Arguments of `policy lint`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("files").required(true).multiple(true).args(["file", "fleet", "strategy"]))]
pub struct LintArgs {
    /// Policies, strategies and fleets; what a file is, it says itself
    #[arg(value_name = "FILE")]
    pub file: Vec<PathBuf>,
    /// A fleet to hold against the strategy: shows which cluster is in which wave
    #[arg(long, value_name = "FILE", requires = "strategy")]
    pub fleet: Option<PathBuf>,
    /// The strategy that the fleet is held against
    #[arg(long, value_name = "FILE", requires = "fleet")]
    pub strategy: Option<PathBuf>,
}

/// Arguments of `policy eval`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("on").required(true).args(["decision", "inputs"]))]
pub struct EvalArgs {
    /// The policy
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub policy: PathBuf,
    /// The decision whose inputs the policy is asked about, like decisions/0123456789abcdef
    #[arg(value_name = "DECISION")]
    pub decision: Option<String>,
    /// A stored input document in place of a decision of the hub
    #[arg(long, value_name = "FILE")]
    pub inputs: Option<PathBuf>,
    /// Another time than the decision's, like 2026-12-24T09:00:00Z
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
}

/// Arguments of `policy replay`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("of").required(true).multiple(true).args(["name", "inputs"]))]
pub struct ReplayArgs {
    /// The decision, like decisions/0123456789abcdef: the hub has its inputs
    #[arg(value_name = "DECISION", conflicts_with_all = ["inputs", "decision"])]
    pub name: Option<String>,
    /// The stored input document, in place of the hub's
    #[arg(long, value_name = "FILE", requires = "decision")]
    pub inputs: Option<PathBuf>,
    /// The decision's envelope (DSSE, JSON)
    #[arg(long, value_name = "FILE", requires = "inputs")]
    pub decision: Option<PathBuf>,
}

/// A kind of file that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaKind {
    /// A policy (YAML).
    Policy,
    /// A strategy (YAML).
    Strategy,
    /// A fleet (YAML).
    Fleet,
    /// The file of `cluster-agent` (TOML).
    Agent,
    /// The file of `fluxgate dev` (TOML).
    Dev,
    /// The file of `release-watcher` (TOML).
    ReleaseWatcher,
    /// The file of `signature-verifier` (TOML).
    SignatureVerifier,
    /// The file of `policy-engine` (TOML).
    PolicyEngine,
    /// The file of `rollout-controller` (TOML).
    RolloutController,
    /// The file of `audit-log` (TOML).
    AuditLog,
}
