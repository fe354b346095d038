//! Reading the YAML files that a person writes: policies here, strategies and fleets in `planner`.
//!
//! A file is read whole or refused: every key must be known and implemented, because a line that is
//! ignored is a rule that its author believes in. Every refusal says where (file, line, column), what was
//! found, what was expected, and what may have been meant.
//!
//! Deliberately not here: reading from disk (the caller has the text), and defaults of any kind of file.

use std::fmt;

use domain::Digest;
use jiff::SignedDuration;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
pub use serde_saphyr::{Location, Spanned};

pub use problem::Problem;

mod problem;
mod reader;
pub mod schema;
#[cfg(test)]
mod tests;

/// A value that is written in the file but means nothing to this version: only its place is kept.
pub type Refused = Option<Spanned<serde::de::IgnoredAny>>;

/// Why a file was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct LoadError {
    /// Name of the file, as the caller gave it.
    pub file: Box<str>,
    /// Line, from 1; 0 where the place is unknown.
    pub line: u64,
    /// Column, from 1; 0 where the place is unknown.
    pub column: u64,
    /// The line itself.
    pub excerpt: Box<str>,
    /// What is wrong there.
    pub problem: Problem,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.problem)?;
        let shown = u64::try_from(self.excerpt.chars().count()).unwrap_or(u64::MAX);
        if !self.excerpt.is_empty() && self.column <= shown.saturating_add(1) {
            let before = usize::try_from(self.column.saturating_sub(1)).unwrap_or(0);
            write!(f, "\n  {}\n  {:before$}^", self.excerpt, "")?;
        }
        Ok(())
    }
}

impl LoadError {
    /// Always false: the file must change first.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        false
    }
}

/// What a file says about itself, whatever kind of file it is.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// The format and its version.
    pub api_version: Spanned<String>,
    /// The kind.
    pub kind: Spanned<String>,
}

/// A file under its name, so that whatever is wrong in it can be pointed at.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    file: &'a str,
    text: &'a str,
}

impl<'a> Document<'a> {
    /// A file with its text.
    #[must_use]
    pub const fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text }
    }

    /// Reads the text as one document.
    ///
    /// # Errors
    /// If it is no YAML, has an unknown, missing or repeated key, or a value of the wrong type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, LoadError> {
        reader::read(self.text).map_err(|(at, problem)| self.error(at, problem))
    }

    /// The digest of the text: what names a version of the file.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }

    /// What kind of file this says it is; nothing else in it is looked at.
    ///
    /// # Errors
    /// If it is no YAML, or does not say so.
    pub fn head(&self) -> Result<Head, LoadError> {
        self.read()
    }

    /// An error at a place in this file.
    #[must_use]
    pub fn error(&self, at: Location, problem: Problem) -> LoadError {
        let line = usize::try_from(at.line()).unwrap_or(0);
        let excerpt = line.checked_sub(1).and_then(|index| self.text.lines().nth(index));
        let excerpt = shown(excerpt.unwrap_or_default());
        LoadError {
            file: self.file.into(),
            line: at.line(),
            column: at.column(),
            excerpt: excerpt.into(),
            problem,
        }
    }

    /// Refuses a value.
    #[must_use]
    pub fn wrong(&self, key: &'static str, found: &Spanned<String>, expected: &'static str) -> LoadError {
        self.error(
            found.referenced,
            Problem::WrongValue {
                key,
                found: found.value.clone(),
                expected,
            },
        )
    }

    /// Refuses a key that is not implemented, if it is there.
    ///
    /// # Errors
    /// If it is there.
    pub fn refuse(&self, key: &'static str, value: &Refused, instead: &'static str) -> Result<(), LoadError> {
        match value {
            Some(found) => Err(self.error(found.referenced, Problem::NotImplemented { key, instead })),
            None => Ok(()),
        }
    }

    /// Checks a value that can be only one thing, like `apiVersion`.
    ///
    /// # Errors
    /// If it is another.
    pub fn exactly(
        &self,
        key: &'static str,
        found: &Spanned<String>,
        expected: &'static str,
    ) -> Result<(), LoadError> {
        if found.value == expected {
            Ok(())
        } else {
            Err(self.wrong(key, found, expected))
        }
    }

    /// Checks a name: 1 to 63 of `a-z`, `0-9`, `-`, beginning and ending with a letter or digit, as
    /// names stand in subjects and on command lines.
    ///
    /// # Errors
    /// If it is none.
    pub fn name(&self, key: &'static str, found: &Spanned<String>) -> Result<String, LoadError> {
        let text = found.value.as_str();
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let good = (1..=63).contains(&text.len())
            && text.bytes().all(inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        let expected = "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit";
        if good {
            Ok(text.to_owned())
        } else {
            Err(self.wrong(key, found, expected))
        }
    }

    /// Checks a label as Kubernetes does: a name of 1 to 63 letters, digits, `-`, `_` and `.`, with a DNS name
    /// and a slash in front where wanted, and a value of the same letters or none.
    ///
    /// # Errors
    /// If it is none.
    pub fn label(&self, name: &str, value: &Spanned<String>) -> Result<(), LoadError> {
        let part = |text: &str| {
            let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
            let bytes = text.as_bytes();
            (1..=63).contains(&bytes.len())
                && edge(bytes.first())
                && edge(bytes.last())
                && bytes
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
        };
        let prefix = |text: &str| {
            text.len() <= 253
                && text.split('.').all(part)
                && text.bytes().all(|b| !b.is_ascii_uppercase() && b != b'_')
        };
        let good = match name.split_once('/') {
            Some((front, rest)) => prefix(front) && part(rest),
            None => part(name),
        };
        if !good {
            let problem = Problem::WrongValue {
                key: "label",
                found: name.to_owned(),
                expected: "a name like region or fluxgate.dev/wave, as Kubernetes takes it",
            };
            return Err(self.error(value.referenced, problem));
        }
        if value.value.is_empty() || part(&value.value) {
            return Ok(());
        }
        let expected = "a label's value: at most 63 letters, digits, -, _ and ., as Kubernetes takes it";
        Err(self.wrong("label", value, expected))
    }

    /// The first of these errors in the file's order.
    #[must_use]
    pub fn first(&self, findings: Vec<LoadError>) -> LoadError {
        let first = in_order(findings).into_iter().next();
        // Whoever found nothing found no error; a place in no line says so if it ever happens.
        first.unwrap_or_else(|| self.error(Location::UNKNOWN, Problem::MissingKey { key: "kind" }))
    }

    /// Reads a duration: a whole number and one of `s`, `m`, `h`, `d` (24 hours), like `72h`.
    ///
    /// # Errors
    /// If it is none, or longer than ten years, which is a slip of the pen.
    pub fn duration(&self, key: &'static str, found: &Spanned<String>) -> Result<SignedDuration, LoadError> {
        const LONGEST: i64 = 3653 * 86_400;
        let seconds = found.value.char_indices().next_back().and_then(|(end, unit)| {
            let unit = match unit {
                's' => 1,
                'm' => 60,
                'h' => 3600,
                'd' => 86_400,
                _ => return None,
            };
            let digits = found.value.get(..end)?;
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain
                .then(|| digits.parse::<i64>().ok()?.checked_mul(unit))
                .flatten()
        });
        match seconds {
            Some(seconds) if seconds <= LONGEST => Ok(SignedDuration::from_secs(seconds)),
            Some(_) | None => Err(self.wrong(
                key,
                found,
                "a whole number with s, m, h or d behind it, like 72h or 14d",
            )),
        }
    }
}

/// Errors in the order in which a reader of the file meets them.
#[must_use]
pub fn in_order(mut findings: Vec<LoadError>) -> Vec<LoadError> {
    findings.sort_by_key(|error| (error.line, error.column));
    findings
}

/// Longest line that is shown.
const MAX_EXCERPT: usize = 400;

/// A line as it may be shown: as many characters as there are, none of which moves the cursor.
fn shown(line: &str) -> String {
    let plain = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    line.chars().take(MAX_EXCERPT).map(plain).collect()
}

/// Reads an optional key so that an empty value is not the same as no key: `provenance:` with nothing
/// behind it must be refused, not skipped. For `#[serde(default, deserialize_with = ...)]`.
///
/// # Errors
/// If the value can't be read.
pub fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
