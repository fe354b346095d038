//! Every `fluxgate ...` that a person reads somewhere can be typed: README, docs, help texts, reason codes.

use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use crate::cli::Cli;

/// Words that stand for something, and something that they may stand for.
const PLACEHOLDERS: [(&str, &str); 15] = [
    ("releases/flux/VERSION", "releases/flux/v2.9.4"),
    ("releases/VERSION", "releases/v2.9.4"),
    ("rollouts/ID", "rollouts/flux-v2.9.4-1"),
    ("TYPE/NAME", "clusters/prod"),
    ("TYPE", "clusters"),
    ("REASON_CODE", "TAG_MOVED"),
    ("SCOPE", "fleet"),
    ("KIND", "policy"),
    ("SHELL", "bash"),
    ("DIR", "dir"),
    ("ID", "0123456789abcdef"),
    ("NAME", "prod"),
    ("W", "canary"),
    ("C", "prod"),
    ("COMMAND", "get"),
];

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The words of a command as a shell makes them, up to a comment, a pipe or a redirection.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => (quote, begun) = (Some(c), true),
            (None, '#' | '|' | '>' | '&' | ';') if !begun || c != '#' => break,
            (None, c) if c.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (_, c) => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// Whether a line can be typed; what is wrong with it otherwise. A verb alone, as texts name it, needs no
/// arguments.
fn check(line: &str) -> Result<(), String> {
    let words: Vec<String> = words(line)
        .into_iter()
        .filter(|word| word != "...")
        .map(|word| {
            let known = PLACEHOLDERS.iter().find(|(placeholder, _)| *placeholder == word);
            let ends = PLACEHOLDERS.iter().find_map(|(placeholder, value)| {
                let before = word.strip_suffix(placeholder)?.strip_suffix('/')?;
                Some(format!("{before}/{value}"))
            });
            known
                .map(|(_, value)| (*value).to_owned())
                .or(ends)
                .unwrap_or(word)
        })
        .collect();
    let rest = words.get(1..).unwrap_or_default();
    // `fluxgate rollout pause`, `fluxgate dev --config`: named, not typed.
    let named = rest.len() <= 2
        && rest
            .iter()
            .all(|word| word.chars().all(|c| c.is_ascii_lowercase()));
    let flag = rest.last().is_some_and(|word| word.starts_with("--"));
    match Cli::try_parse_from(&words) {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(()),
            ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                if named =>
            {
                Ok(())
            }
            ErrorKind::InvalidValue if flag => Ok(()),
            _ => Err(error.render().to_string()),
        },
    }
}

/// The text with each line that ends with a backslash and the one behind it as one.
fn joined(text: &str) -> String {
    let parts = text.split("\\\n").map(str::trim_end);
    let parts = parts
        .enumerate()
        .map(|(index, part)| if index == 0 { part } else { part.trim_start() });
    parts.collect::<Vec<_>>().join(" ")
}

/// The command lines of a page: in blocks of code, and between backticks.
fn lines(page: &str) -> Vec<String> {
    let (mut found, mut block) = (Vec::new(), false);
    for line in joined(page).lines() {
        if line.trim_start().starts_with("```") {
            block = !block;
        } else if block {
            let typed = line.trim_start().trim_start_matches("$ ");
            if typed.starts_with("fluxgate ") {
                found.push(typed.to_owned());
            }
        } else {
            let spans = line.split('`').skip(1).step_by(2);
            found.extend(
                spans
                    .filter(|span| span.starts_with("fluxgate "))
                    .map(ToOwned::to_owned),
            );
        }
    }
    found
}

#[test]
fn every_command_line_of_the_docs_can_be_typed() {
    let mut files = vec![
        repository().join("README.md"),
        repository().join("CONTRIBUTING.md"),
    ];
    pages(&repository().join("docs"), &mut files);
    let (mut wrong, mut count) = (Vec::new(), 0);
    for file in files {
        // Decisions tell of what was, and is not typed any more.
        let history = file.components().any(|part| part.as_os_str() == "adr");
        for line in lines(&fs::read_to_string(&file).unwrap_or_default()) {
            count += 1;
            if let Err(error) = check(&line)
                && !history
            {
                wrong.push(format!("{}: `{line}`\n{error}", file.display()));
            }
        }
    }
    assert!(count > 20, "{count} lines were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_command_line_of_the_help_can_be_typed() {
    let mut wrong = Vec::new();
    let mut commands = vec![Cli::command()];
    let mut count = 0;
    while let Some(mut command) = commands.pop() {
        commands.extend(command.get_subcommands().cloned());
        // As wide as it is, so that no line is broken.
        command = command.term_width(0);
        let help = joined(&command.render_long_help().to_string());
        for line in help.lines().filter_map(|line| line.strip_prefix("  fluxgate ")) {
            // Behind two spaces stands what it does.
            let line = format!("fluxgate {line}");
            let typed = line.split("  ").next().unwrap_or(&line);
            count += 1;
            if let Err(error) = check(typed) {
                wrong.push(format!("{}: {typed}\n{error}", command.get_name()));
            }
        }
    }
    assert!(count > 40, "{count} lines were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_command_shows_how_it_is_used() {
    let mut commands = vec![Cli::command()];
    let mut without = Vec::new();
    while let Some(mut command) = commands.pop() {
        commands.extend(command.get_subcommands().cloned());
        let help = command.render_long_help().to_string();
        if !help.contains("Examples:\n  fluxgate ") {
            without.push(command.get_name().to_owned());
        }
    }
    assert!(without.is_empty(), "without an example: {without:?}");
}

#[test]
fn every_next_step_can_be_typed() {
    for reason in domain::Reason::all() {
        for line in lines(reason.next_step()) {
            assert_eq!(check(&line), Ok(()), "{reason}: {line}");
        }
    }
}

#[test]
fn a_line_that_can_not_be_typed_is_found() {
    assert!(check("fluxgate get pods").is_err());
    assert!(check("fluxgate freeze set fleet").is_err(), "no reason");
    assert!(check("fluxgate sing").is_err());
    assert_eq!(check("fluxgate rollout pause"), Ok(()), "named");
    assert_eq!(check("fluxgate get releases | jq '.items # x'   # all"), Ok(()));
    assert_eq!(joined("  a \\\n    b\nc"), "  a b\nc");
    assert_eq!(words("a \"b c\" d#e 'f' # g"), ["a", "b c", "d#e", "f"]);
    assert_eq!(
        lines("say `fluxgate get x`, or\n```sh\n$ fluxgate y\n```\n"),
        ["fluxgate get x", "fluxgate y"]
    );
}
