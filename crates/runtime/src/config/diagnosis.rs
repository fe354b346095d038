//! From an error of the `config` crate, which names neither line nor variable, to one that does.

use std::ops::Range;
use std::path::Path;

use domain::spelling::nearest;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, Invalid, PREFIX, Place, Sources};

/// Finds who is to blame: the variable without which all is well, else the place in the file that `toml`
/// names when it reads the file alone, else nobody in particular.
pub(super) fn diagnose<T: DeserializeOwned>(
    sources: &Sources<'_>,
    error: &::config::ConfigError,
) -> ConfigError {
    if let Some(variable) = culprit::<T>(sources) {
        let key = variable
            .strip_prefix(PREFIX)
            .unwrap_or(&variable)
            .trim_start_matches('_');
        let key = key.to_lowercase().replace("__", ".");
        return ConfigError::Environment {
            variable,
            key,
            message: suggesting(&error.to_string()),
        };
    }
    let in_file = sources.file.zip(toml::from_str::<T>(sources.text).err());
    match in_file {
        Some((path, error)) => file(path, sources.text, &error),
        None => ConfigError::Whole {
            message: suggesting(&error.to_string()),
        },
    }
}

/// What the file alone says wrongly, though the whole could be read. A key that it lacks may stand in the
/// environment.
pub(super) fn wrong_type<T: DeserializeOwned>(sources: &Sources<'_>) -> Option<ConfigError> {
    let (path, error) = sources.file.zip(toml::from_str::<T>(sources.text).err())?;
    (!error.message().starts_with("missing field")).then(|| file(path, sources.text, &error))
}

fn culprit<T: DeserializeOwned>(sources: &Sources<'_>) -> Option<String> {
    let mut names: Vec<_> = sources.variables.keys().collect();
    names.sort();
    let to_blame = |name: &&&String| {
        let mut others = sources.variables.clone();
        others.remove(name.as_str());
        sources.build::<T>(&others).is_ok()
    };
    names.iter().find(to_blame).map(|name| (*name).clone())
}

fn file(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let (line, column) = place(text, error.span().unwrap_or(0..0));
    ConfigError::File {
        path: path.to_owned(),
        line,
        column,
        message: suggesting(error.message()),
        excerpt: excerpt(text, line, column),
    }
}

fn place(text: &str, span: Range<usize>) -> (usize, usize) {
    let before = text.get(..span.start).unwrap_or(text);
    // A byte order mark is no column.
    let before = before.strip_prefix('\u{feff}').unwrap_or(before);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

fn excerpt(text: &str, line: usize, column: usize) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let content = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let margin = line.to_string();
    format!(
        "{margin} | {content}\n{} | {}^",
        " ".repeat(margin.len()),
        " ".repeat(column.saturating_sub(1))
    )
}

/// The message of serde about an unknown word, with the known word that was probably meant.
fn suggesting(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message.contains("unknown field `") || message.contains("unknown variant `");
    let meant = quoted
        .next()
        .filter(|_| unknown)
        .and_then(|written| nearest(written, quoted));
    match meant {
        Some(word) => format!("{message}; did you mean `{word}`?"),
        None => message.to_owned(),
    }
}

/// Who set a key whose value cannot stand: the environment goes over the file.
pub(super) fn place_of(sources: &Sources<'_>, invalid: &Invalid) -> Place {
    let variable = format!("{PREFIX}__{}", invalid.key.to_uppercase().replace('.', "__"));
    if sources.variables.contains_key(&variable) {
        return Place::Variable(variable);
    }
    let span = || {
        let table = DeTable::parse(sources.text).ok()?;
        let keys: Vec<&str> = invalid.key.split('.').collect();
        find(table.get_ref(), &keys, &invalid.found)
    };
    match (sources.file, span()) {
        (Some(path), Some(span)) => {
            let (line, column) = place(sources.text, span);
            Place::File {
                path: path.to_owned(),
                line,
                column,
            }
        }
        _ => Place::Nowhere,
    }
}

/// Where the value of a key stands. Below a list, the entry is meant whose value is the one that was found.
fn find(table: &DeTable<'_>, keys: &[&str], found: &str) -> Option<Range<usize>> {
    let (key, rest) = keys.split_first()?;
    let value = table.get(*key)?;
    if rest.is_empty() {
        return Some(entry(value, found).unwrap_or_else(|| value.span()));
    }
    match value.get_ref() {
        DeValue::Table(table) => find(table, rest, found),
        DeValue::Array(entries) => {
            let tables = || entries.iter().filter_map(|entry| entry.get_ref().as_table());
            let says = |table: &&DeTable<'_>| holds(table, rest, found);
            tables()
                .find(says)
                .or_else(|| tables().next())
                .and_then(|table| find(table, rest, found))
        }
        _ => None,
    }
}

/// The entry of a list that is what was found.
fn entry(value: &Spanned<DeValue<'_>>, found: &str) -> Option<Range<usize>> {
    let entries = value.get_ref().as_array()?;
    let same = |entry: &&Spanned<DeValue<'_>>| entry.get_ref().as_str() == Some(unquoted(found));
    entries.iter().find(same).map(Spanned::span)
}

fn holds(table: &DeTable<'_>, keys: &[&str], found: &str) -> bool {
    match keys {
        [key] => table
            .get(*key)
            .is_some_and(|value| value.get_ref().as_str() == Some(unquoted(found))),
        _ => false,
    }
}

fn unquoted(text: &str) -> &str {
    text.trim_matches('"')
}
