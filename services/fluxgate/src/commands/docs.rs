//! `explain`, `completion`, `man`: what the binary says about itself. No server is asked.

use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;
use domain::Reason;
use serde_json::json;

use super::Context;
use crate::cli::{Cli, CompletedShell, ExplainArgs, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Sign;
use crate::table::Table;
use crate::words;

/// The name of the binary in scripts and pages.
const NAME: &str = "fluxgate";

pub(super) fn explain(args: &ExplainArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let screen = context.screen;
    let Some(code) = &args.code else {
        all(context)?;
        return Ok(Exit::Done);
    };
    let wanted = code.trim().replace('-', "_").to_uppercase();
    let Ok(reason) = wanted.parse::<Reason>() else {
        let codes = Reason::all().map(Reason::code);
        return Err(Failure::Code {
            code: code.clone(),
            meant: words::meant(&wanted, codes),
        });
    };
    match screen.format() {
        Format::Json => screen.json(&as_json(reason))?,
        Format::Table | Format::Wide => screen.data(words::page(reason).trim_end()),
    }
    Ok(Exit::Done)
}

fn as_json(reason: Reason) -> serde_json::Value {
    json!({ "code": reason.code(), "meaning": reason.meaning(), "nextStep": reason.next_step() })
}

fn all(context: &Context<'_>) -> Result<(), Failure> {
    let screen = context.screen;
    match screen.format() {
        Format::Json => {
            let items: Vec<_> = Reason::all().map(as_json).collect();
            screen.json(&json!({ "items": items, "nextPageToken": "" }))
        }
        Format::Table | Format::Wide => {
            let mut table = Table::new(&["CODE", "MEANING"]);
            for reason in Reason::all() {
                table.row([reason.code().to_owned(), reason.meaning().to_owned()]);
            }
            screen.data(&table.render(screen.header(), ""));
            Ok(())
        }
    }
}

pub(super) fn completion(shell: CompletedShell, context: &Context<'_>) -> Result<Exit, Failure> {
    let shell = match shell {
        CompletedShell::Bash => Shell::Bash,
        CompletedShell::Zsh => Shell::Zsh,
        CompletedShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
    context.screen.data(String::from_utf8_lossy(&script).trim_end());
    Ok(Exit::Done)
}

pub(super) fn man(out: &Path, context: &Context<'_>) -> Result<Exit, Failure> {
    let writing = |source| Failure::Write {
        path: out.to_owned(),
        source,
    };
    std::fs::create_dir_all(out).map_err(writing)?;
    clap_mangen::generate_to(Cli::command(), out).map_err(writing)?;
    let page = out.join(format!("{NAME}.1"));
    let text = format!("man pages were written: `man {}`", page.display());
    context.screen.hint(Sign::Good, &text);
    Ok(Exit::Done)
}
