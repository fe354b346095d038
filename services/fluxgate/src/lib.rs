//! The command line of fluxgate: asks the hub's gRPC services, makes keys, prepares the bus.
//!
//! One command goes: `cli` (what was typed) -> `commands` (ask, or do) -> `table`, `describe` (text from
//! messages, pure) -> `output` (the only place that prints). stdout carries data alone; progress, hints and
//! errors go to stderr. Exit codes are in `exit`: 1 means "the answer is no" and nothing else, so that a
//! script never takes an outage for a rejection.

#![warn(missing_docs)]

pub mod bundle;
pub mod cli;
pub mod client;
pub mod commands;
mod describe;
pub mod dev;
pub mod exit;
pub mod failure;
pub mod keys;
mod lists;
mod names;
pub mod output;
mod status;
mod table;
mod watch;
mod waterfall;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use jiff::Timestamp;

use crate::cli::Cli;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Screen;

/// The `main` of the binary.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let [_, word, rest @ ..] = arguments.as_slice()
        && word == "__tether"
    {
        Screen::plain().note(&dev::tether(rest).to_string());
        return Exit::NoAnswer.into();
    }
    if let [_, word, rest @ ..] = arguments.as_slice()
        && word == "__complete"
    {
        Screen::plain().data(&commands::complete::answer(rest));
        return Exit::Done.into();
    }
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => {
            let screen = Screen::terminal(&cli.global);
            let executor = match tokio::runtime::Runtime::new() {
                Ok(executor) => executor,
                Err(source) => return conclude(&screen, &Err(Failure::Executor(source))),
            };
            let ended = executor.block_on(run(&cli, &screen, Timestamp::now()));
            // A task that does not end (a resolver's thread) must not hold the process.
            executor.shutdown_background();
            conclude(&screen, &ended)
        }
        Err(error) => refuse(&error, wants_json(&arguments)),
    }
}

/// Prints what was wrong with a command, or the help that was asked for.
fn refuse(error: &clap::Error, json: bool) -> ExitCode {
    let screen = Screen::plain();
    // `--help` and `--version` are answers, everything else is a mistake.
    if !error.use_stderr() {
        screen.data(error.render().ansi().to_string().trim_end());
        return Exit::Done.into();
    }
    let plain = error.render().to_string();
    let text = if json {
        let error = failure::usage(plain.trim_end().trim_start_matches("error: "));
        serde_json::to_string_pretty(&error).unwrap_or(plain)
    } else {
        error.render().ansi().to_string()
    };
    screen.note(text.trim_end());
    Exit::Usage.into()
}

/// Whether JSON was asked for, as far as that can be told from a command with a mistake in it.
fn wants_json(arguments: &[OsString]) -> bool {
    let json = |word: &OsString| word == "json";
    let flags = arguments.windows(2).any(|pair| match pair {
        [flag, value] => (flag == "-o" || flag == "--output") && json(value),
        _ => false,
    });
    let joined = arguments
        .iter()
        .any(|word| word == "-ojson" || word == "-o=json" || word == "--output=json");
    flags || joined || std::env::var_os("FLUXGATE_OUTPUT").is_some_and(|value| json(&value))
}

/// Carries out one command. `now` is what ages are counted from.
///
/// # Errors
/// If there is no answer, or the question was no proper one.
pub async fn run(cli: &Cli, screen: &Screen, now: Timestamp) -> Result<Exit, Failure> {
    commands::run(&cli.command, &Context::new(&cli.global, screen, now)).await
}

/// Prints why a command failed and says its exit code.
fn conclude(screen: &Screen, ended: &Result<Exit, Failure>) -> ExitCode {
    match ended {
        Ok(exit) => (*exit).into(),
        Err(failure) => {
            screen.failure(failure);
            failure.exit().into()
        }
    }
}

#[cfg(test)]
mod tests;
