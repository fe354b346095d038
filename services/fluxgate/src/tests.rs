//! Whole commands against a hub in this process that always says the same.

mod api;
mod audit;
mod commands;
mod data;
mod fake;
mod golden;
mod policy;
mod promises;
mod reasons;
mod shells;
mod trace;
mod verbs;
mod watches;

use clap::Parser as _;
use jiff::Timestamp;

use crate::cli::Cli;
use crate::output::Screen;

use fake::Hub;

/// What every age is counted from.
fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// What a command printed and how it ended.
#[derive(Debug)]
struct Ran {
    stdout: String,
    stderr: String,
    exit: u8,
}

/// Runs a command as a person types it.
async fn run(server: &str, arguments: &str) -> Ran {
    let all = ["fluxgate", "--server", server]
        .into_iter()
        .chain(arguments.split_whitespace());
    let cli = Cli::try_parse_from(all).unwrap_or_else(|error| panic!("{error}"));
    let screen = Screen::captured(&cli.global);
    let ended = crate::run(&cli, &screen, now()).await;
    let exit = match &ended {
        Ok(exit) => *exit,
        Err(failure) => {
            screen.failure(failure);
            failure.exit()
        }
    };
    let (stdout, stderr) = screen.kept();
    let named = |text: String| text.replace(server, "http://SERVER");
    Ran {
        stdout: named(stdout),
        stderr: without_traces(&named(stderr)),
        exit: exit.code(),
    }
}

/// The text with each trace id, which is a new one for each call, as a word.
fn without_traces(text: &str) -> String {
    let mut text = text.to_owned();
    for mark in ["trace id: ", "\"traceId\": \""] {
        let mut from = 0;
        while let Some(found) = text[from..].find(mark) {
            let begin = from + found + mark.len();
            let end = begin + text[begin..].bytes().take_while(u8::is_ascii_hexdigit).count();
            if end - begin == 32 {
                text.replace_range(begin..end, "TRACE");
            }
            from = begin;
        }
    }
    text
}

/// A transcript: what was typed, what came out on both streams, the exit code.
async fn transcript(hub: Hub, commands: &[&str]) -> String {
    let server = hub.start().await;
    let mut text = String::new();
    for command in commands {
        let ran = run(&server, command).await;
        text.push_str(&format!("$ fluxgate {command}\n{}", ran.stdout));
        for line in ran.stderr.lines() {
            text.push_str(&format!("2| {line}\n"));
        }
        text.push_str(&format!("exit {}\n\n", ran.exit));
    }
    text
}
