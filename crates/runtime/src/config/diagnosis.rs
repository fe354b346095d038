//! From an error of the `config` crate, which names neither line nor variable, to one that does.

use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::{ConfigError, PREFIX, Sources};

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
            message: error.to_string(),
        };
    }
    let in_file = sources.file.zip(toml::from_str::<T>(sources.text).err());
    match in_file {
        Some((path, error)) => file(path, sources.text, &error),
        None => ConfigError::Whole {
            message: error.to_string(),
        },
    }
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
        message: error.message().to_owned(),
        excerpt: excerpt(text, line, column),
    }
}

fn place(text: &str, span: Range<usize>) -> (usize, usize) {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

fn excerpt(text: &str, line: usize, column: usize) -> String {
    let content = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let margin = line.to_string();
    format!(
        "{margin} | {content}\n{} | {}^",
        " ".repeat(margin.len()),
        " ".repeat(column.saturating_sub(1))
    )
}
