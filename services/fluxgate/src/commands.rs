//! Carries commands out: asks, and hands messages to what makes text of them.

mod audit;
mod check;
pub(crate) mod complete;
mod describe;
mod docs;
mod enforce;
mod get;
mod keys;
mod migrate;
mod mutation;
mod policy;
mod reconcile;
mod reverify;
mod status;
mod stops;
pub(crate) mod trace;
mod version;
mod wait;
mod watch;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cli::{Command, Global, RolloutArgs, RolloutCommand};
use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Screen;

pub use audit::{AuditArgs, AuditError};
pub use migrate::MigrateError;
pub use policy::PolicyError;

/// How long the hub may take where nobody said otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much later than its own deadline a call that never ends is given up: its own answer says more.
const GRACE: Duration = Duration::from_millis(500);

/// What every command is given.
#[derive(Debug)]
pub struct Context<'a> {
    /// Flags of every command.
    pub global: &'a Global,
    /// Where the answer goes.
    pub screen: &'a Screen,
    /// What ages are counted from.
    pub now: Timestamp,
}

impl<'a> Context<'a> {
    /// The context of one command.
    #[must_use]
    pub const fn new(global: &'a Global, screen: &'a Screen, now: Timestamp) -> Self {
        Self { global, screen, now }
    }

    fn timeout(&self) -> Duration {
        self.asked_timeout().unwrap_or(PATIENCE)
    }

    /// The time that was asked for, if one was.
    fn asked_timeout(&self) -> Option<Duration> {
        self.global.timeout.map(|time| time.unsigned_abs())
    }

    /// The time now; in tests always the same.
    fn clock(&self) -> Timestamp {
        if self.screen.is_captured() {
            self.now
        } else {
            Timestamp::now()
        }
    }

    /// The time was over.
    fn deadline(&self) -> Failure {
        self.deadline_of(self.timeout())
    }

    /// That time was over.
    fn deadline_of(&self, time: Duration) -> Failure {
        Failure::Deadline {
            url: self.global.server.clone(),
            timeout: SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX),
        }
    }

    async fn connect(&self) -> Result<Client, Failure> {
        Client::connect(&self.global.server, self.timeout()).await
    }
}

/// Carries out one command.
///
/// # Errors
/// If there is no answer, or the question was no proper one.
pub async fn run(command: &Command, context: &Context<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Check => in_time(context, check::run(context)).await,
        Command::Get(args) if args.watch => interruptible(watch::get(args, context)).await,
        Command::Get(args) => in_time(context, get::run(args, context)).await,
        Command::Describe(args) => in_time(context, describe::run(args, context)).await,
        Command::Reconcile(args) => in_time(context, reconcile::run(args, context)).await,
        Command::Enforce(args) => in_time(context, enforce::run(args, context)).await,
        Command::Status => in_time(context, status::run(context)).await,
        Command::Rollout(args) => rollout(args, context).await,
        Command::Freeze(args) => in_time(context, stops::freeze(args, context)).await,
        Command::Hold(args) => in_time(context, stops::hold(args, context)).await,
        Command::Recall(args) => in_time(context, stops::recall(args, context)).await,
        Command::Wait(args) => interruptible(wait::run(args, context)).await,
        Command::Explain(args) => docs::explain(args, context),
        Command::Completion { shell } => docs::completion(*shell, context),
        Command::Man { out } => docs::man(out, context),
        Command::Audit(args) => audit::run(args, context).await,
        Command::Trace(args) => in_time(context, trace::run(args, context)).await,
        Command::Keys(args) => keys::run(args, context),
        Command::Policy(args) => in_time(context, policy::run(args, context)).await,
        Command::Dev(args) => crate::dev::run(args, context.screen)
            .await
            .map(|()| Exit::Done)
            .map_err(|error| Failure::Dev(Box::new(error))),
        Command::Migrate(args) => interruptible(migrate::run(args, context)).await,
        Command::Version => version::run(context),
    }
}

async fn rollout(args: &RolloutArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    match &args.command {
        RolloutCommand::Watch { scope } => interruptible(watch::rollout(scope, context)).await,
        RolloutCommand::Pause { scope, act } => in_time(context, stops::set(scope, true, act, context)).await,
        RolloutCommand::Resume { scope, act } => {
            in_time(context, stops::set(scope, false, act, context)).await
        }
        RolloutCommand::Retry { scope, act } => in_time(context, stops::retry(scope, act, context)).await,
    }
}

/// The answer of a command that takes the time that it takes, unless somebody interrupts.
async fn interruptible(working: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    tokio::select! {
        answer = Box::pin(working) => answer,
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
    }
}

/// The answer of a command that asks the hub, unless the time is over or somebody interrupts.
async fn in_time(
    context: &Context<'_>,
    asking: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    tokio::select! {
        answer = Box::pin(asking) => answer,
        () = tokio::time::sleep(context.timeout().saturating_add(GRACE)) => Err(context.deadline()),
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
    }
}
