//! Carries commands out: asks, and hands messages to what makes text of them.

mod check;
mod describe;
mod enforce;
mod get;
mod keys;
mod migrate;
mod reconcile;
mod version;

use std::time::Duration;

use jiff::Timestamp;

use crate::cli::{Command, Global};
use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Screen;

pub use migrate::MigrateError;

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
        self.global.timeout.unsigned_abs()
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
        Command::Get(args) => in_time(context, get::run(args, context)).await,
        Command::Describe(args) => in_time(context, describe::run(args, context)).await,
        Command::Reconcile(args) => in_time(context, reconcile::run(args, context)).await,
        Command::Enforce(args) => in_time(context, enforce::run(args, context)).await,
        Command::Keys(args) => keys::run(args, context),
        Command::Dev(args) => crate::dev::run(args, context.screen)
            .await
            .map(|()| Exit::Done)
            .map_err(|error| Failure::Dev(Box::new(error))),
        Command::Migrate(args) => interruptible(migrate::run(args, context)).await,
        Command::Version => version::run(context),
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
        () = tokio::time::sleep(context.timeout()) => {
            Err(Failure::Deadline { url: context.global.server.clone(), timeout: context.global.timeout })
        }
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
    }
}
