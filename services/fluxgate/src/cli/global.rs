//! Flags of every command, and of everything that changes something.

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use jiff::SignedDuration;

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Address of the hub's gRPC services
    #[arg(
        long,
        global = true,
        env = "FLUXGATE_SERVER",
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:7878"
    )]
    pub server: String,
    /// How the answer is written; `wide` adds columns, `json` is for programs
    #[arg(
        short,
        long,
        global = true,
        env = "FLUXGATE_OUTPUT",
        hide_env_values = true,
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub output: Format,
    /// Leave out the first line of tables
    #[arg(long, global = true, env = "FLUXGATE_NO_HEADER", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub no_header: bool,
    /// Give up asking the hub after this time, like 30s or 2m [default: 30s; `wait`: 30m; a watch: never]
    #[arg(long, global = true, env = "FLUXGATE_TIMEOUT", hide_env_values = true, value_name = "TIME", value_parser = timeout)]
    pub timeout: Option<SignedDuration>,
    /// No progress, no hints, no summaries; errors are still printed
    #[arg(short, long, global = true, env = "FLUXGATE_QUIET", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub quiet: bool,
    /// More on stderr, like the id of each request
    #[arg(short, long, global = true, env = "FLUXGATE_VERBOSE", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub verbose: bool,
    /// Whether to use colour; `auto` is on a terminal and without NO_COLOR
    #[arg(
        long,
        global = true,
        env = "FLUXGATE_COLOR",
        hide_env_values = true,
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub color: Color,
    /// Plain letters in place of the signs for good, bad and warning
    #[arg(long, global = true, env = "FLUXGATE_ASCII", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub ascii: bool,
    /// Never ask anything; what needs a yes then needs --yes
    #[arg(long, global = true, env = "FLUXGATE_NO_INPUT", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub no_input: bool,
    /// Answer every question with yes
    #[arg(short = 'y', long, global = true, env = "FLUXGATE_YES", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub yes: bool,
}

/// Flags of everything that changes something.
#[derive(Debug, Clone, Args)]
pub struct Mutation {
    /// Check everything and show what it would touch; store nothing
    #[arg(long)]
    pub dry_run: bool,
    /// UUID of the request: the same one again is answered the same and stored once [default: a new one]
    #[arg(long, value_name = "UUID", value_parser = request_id)]
    pub request_id: Option<uuid::Uuid>,
}

fn request_id(text: &str) -> Result<uuid::Uuid, String> {
    match text.parse::<uuid::Uuid>() {
        Ok(id) if id.get_version_num() == 4 => Ok(id),
        Ok(_) | Err(_) => Err("a request id is a random UUID, like `uuidgen -r` makes".to_owned()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(timeout("2m"), Ok(SignedDuration::from_mins(2)));
        assert!(
            ["", "30", "0s", "-1s"]
                .into_iter()
                .all(|text| timeout(text).is_err())
        );
    }

    #[test]
    fn request_ids_are_random() {
        assert!(request_id("6d2f2f0e-8a0e-4a3b-9a53-2f4dfe5f7c11").is_ok());
        assert!(request_id("6d2f2f0e-8a0e-1a3b-9a53-2f4dfe5f7c11").is_err() && request_id("1").is_err());
    }
}
