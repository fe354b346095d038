//! Pause, freeze, hold, recall: one kind of statement, the verb follows from the scope.

use clap::{Args, Subcommand};
use domain::release::PRODUCT;
use domain::stop::ParseStopScopeError;
use domain::{StopKind, StopScope};

use super::Mutation;
use super::help;

/// Arguments of `rollout`.
#[derive(Debug, Args)]
pub struct RolloutArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: RolloutCommand,
}

/// The commands of `rollout`.
#[derive(Debug, Subcommand)]
pub enum RolloutCommand {
    /// Begin nothing more in a rollout
    #[command(long_about = help::ROLLOUT_PAUSE, after_help = help::ROLLOUT_PAUSE_MORE)]
    Pause {
        /// The rollout, like rollouts/flux-v2.9.4-1
        #[arg(value_name = "rollouts/ID", value_parser = rollout)]
        scope: StopScope,
        /// Why, and how.
        #[command(flatten)]
        act: Act,
    },
    /// Go on with a paused rollout
    #[command(after_help = help::ROLLOUT_RESUME_MORE)]
    Resume {
        /// The rollout, like rollouts/flux-v2.9.4-1
        #[arg(value_name = "rollouts/ID", value_parser = rollout)]
        scope: StopScope,
        /// Why, and how.
        #[command(flatten)]
        act: Act,
    },
    /// Try again after a rollout was halted
    #[command(long_about = help::ROLLOUT_RETRY, after_help = help::ROLLOUT_RETRY_MORE)]
    Retry {
        /// The halted rollout, like rollouts/flux-v2.9.4-1
        #[arg(value_name = "rollouts/ID", value_parser = rollout)]
        scope: StopScope,
        /// Why, and how.
        #[command(flatten)]
        act: Act,
    },
    /// Follow a rollout until it ends
    #[command(long_about = help::ROLLOUT_WATCH, after_help = help::ROLLOUT_WATCH_MORE)]
    Watch {
        /// The rollout, like rollouts/flux-v2.9.4-1
        #[arg(value_name = "rollouts/ID", value_parser = rollout)]
        scope: StopScope,
    },
}

/// Why a person does something, and how.
#[derive(Debug, Clone, Args)]
pub struct Act {
    /// Why: stands in the ledger, and wherever the stop is shown
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: String,
    /// Flags of everything that changes something.
    #[command(flatten)]
    pub mutation: Mutation,
}

/// `set` or `clear` with a scope of one kind.
macro_rules! stop_args {
    ($(#[$doc:meta])* $args:ident, $command:ident, $parser:ident, $placeholder:literal, $what:literal, $set:expr, $clear:expr) => {
        $(#[$doc])*
        #[derive(Debug, Args)]
        pub struct $args {
            /// What to do.
            #[command(subcommand)]
            pub command: $command,
        }

        /// Its commands.
        #[derive(Debug, Subcommand)]
        pub enum $command {
            /// Stop: begin nothing there
            #[command(after_help = $set)]
            Set {
                #[doc = $what]
                #[arg(value_name = $placeholder, value_parser = $parser)]
                scope: StopScope,
                /// Why, and how.
                #[command(flatten)]
                act: Act,
            },
            /// Lift the stop
            #[command(after_help = $clear)]
            Clear {
                #[doc = $what]
                #[arg(value_name = $placeholder, value_parser = $parser)]
                scope: StopScope,
                /// Why, and how.
                #[command(flatten)]
                act: Act,
            },
        }
    };
}

stop_args!(
    /// Arguments of `freeze`.
    FreezeArgs, FreezeCommand, freeze, "SCOPE", "fleet, waves/NAME or labels/KEY=VALUE",
    help::FREEZE_SET_MORE, help::FREEZE_CLEAR_MORE
);
stop_args!(
    /// Arguments of `hold`.
    HoldArgs, HoldCommand, hold, "clusters/NAME", "The cluster, like clusters/prod-eu-7",
    help::HOLD_SET_MORE, help::HOLD_CLEAR_MORE
);
stop_args!(
    /// Arguments of `recall`.
    RecallArgs, RecallCommand, recall, "releases/VERSION", "The version, like releases/v2.9.4",
    help::RECALL_SET_MORE, help::RECALL_CLEAR_MORE
);

fn reason(text: &str) -> Result<String, ParseScopeError> {
    match text.trim() {
        "" => Err(ParseScopeError::NoReason),
        text => Ok(text.to_owned()),
    }
}

/// Why a text is no scope for the verb.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseScopeError {
    /// An empty reason.
    #[error("say why, in a few words")]
    NoReason,
    /// No scope.
    #[error(
        "a rollout is written rollouts/flux-vX.Y.Z-N, a cluster clusters/NAME, a version releases/vX.Y.Z, and \
         a freeze goes over fleet, waves/NAME or labels/KEY=VALUE"
    )]
    Form(#[source] ParseStopScopeError),
    /// A scope of another verb.
    #[error("that is a scope of `fluxgate {verb}`")]
    Verb {
        /// The verb.
        verb: &'static str,
    },
}

fn rollout(text: &str) -> Result<StopScope, ParseScopeError> {
    scope(text, StopKind::Pause)
}

fn freeze(text: &str) -> Result<StopScope, ParseScopeError> {
    scope(text, StopKind::Freeze)
}

fn hold(text: &str) -> Result<StopScope, ParseScopeError> {
    scope(text, StopKind::Hold)
}

fn recall(text: &str) -> Result<StopScope, ParseScopeError> {
    scope(text, StopKind::Recall)
}

/// Reads a scope as people type it, in the collections of `get`.
fn scope(text: &str, wanted: StopKind) -> Result<StopScope, ParseScopeError> {
    let named = text.split_once('/').map(|(collection, name)| match collection {
        "waves" | "wave" => format!("wave/{name}"),
        "labels" | "label" => format!("label/{name}"),
        "clusters" | "cluster" => format!("cluster/{name}"),
        "rollouts" | "rollout" => format!("rollout/{name}"),
        "releases" | "release" => {
            let version = name.strip_prefix(PRODUCT).and_then(|rest| rest.strip_prefix('/'));
            format!("version/{}", version.unwrap_or(name))
        }
        other => format!("{other}/{name}"),
    });
    let scope: StopScope = named
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(ParseScopeError::Form)?;
    if scope.kind() == wanted {
        Ok(scope)
    } else {
        Err(ParseScopeError::Verb {
            verb: match scope.kind() {
                StopKind::Pause => "rollout pause",
                StopKind::Freeze => "freeze set",
                StopKind::Hold => "hold set",
                StopKind::Recall => "recall set",
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_typed_like_resources() {
        let read = |text: &str, kind: StopKind| scope(text, kind).map(|scope| scope.to_string());
        for (text, kind, found) in [
            ("fleet", StopKind::Freeze, "fleet"),
            ("waves/canary", StopKind::Freeze, "wave/canary"),
            ("labels/a/b=c", StopKind::Freeze, "label/a/b=c"),
            ("clusters/prod", StopKind::Hold, "cluster/prod"),
            ("rollout/flux-v2.9.4-1", StopKind::Pause, "rollout/flux-v2.9.4-1"),
            ("releases/flux/v2.9.4", StopKind::Recall, "version/v2.9.4"),
            ("releases/v2.9.4", StopKind::Recall, "version/v2.9.4"),
        ] {
            assert_eq!(read(text, kind).as_deref(), Ok(found), "{text}");
        }
    }

    #[test]
    fn a_scope_of_another_verb_names_that_verb() {
        let verb = |text: &str, kind: StopKind| match scope(text, kind) {
            Err(ParseScopeError::Verb { verb }) => Some(verb),
            Ok(_) | Err(_) => None,
        };
        assert_eq!(verb("clusters/prod", StopKind::Freeze), Some("hold set"));
        assert_eq!(verb("fleet", StopKind::Hold), Some("freeze set"));
        assert_eq!(verb("releases/v2.9.4", StopKind::Pause), Some("recall set"));
        for text in ["releases/v2.9.4@sha256:00", "canary", "", "pods/x"] {
            assert!(
                matches!(scope(text, StopKind::Recall), Err(ParseScopeError::Form(_))),
                "{text}"
            );
        }
        assert_eq!(reason("  "), Err(ParseScopeError::NoReason));
    }
}
