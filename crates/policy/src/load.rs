//! Reading the YAML files that a person writes: policies here, strategies and fleets in `planner`.
//!
//! A file is read whole or refused: every key must be known and implemented, because a line that is
//! ignored is a rule that its author believes in. Every refusal says where (file, line, column), what was
//! found, what was expected, and what may have been meant.
//!
//! Deliberately not here: reading from disk (the caller has the text), and defaults of any kind of file.

use std::fmt;

use jiff::SignedDuration;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
pub use serde_saphyr::{Location, Spanned};

mod suggest;
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

/// What is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text is no YAML, or a value has the wrong type.
    #[error("can't read this: {found}")]
    Malformed {
        /// What the YAML reader found.
        found: String,
    },
    /// A key that no version of this format has.
    #[error("unknown key {key:?}{}", suggest::hint(expected, *nearest))]
    UnknownKey {
        /// The key.
        key: String,
        /// The keys that may stand here.
        expected: Vec<&'static str>,
        /// The one that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A key that must be there.
    #[error("key {key:?} is missing")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A key that stands twice in one mapping.
    #[error("key {key:?} stands here twice; keep one of the two")]
    RepeatedKey {
        /// The key.
        key: String,
    },
    /// A word out of a fixed set was expected.
    #[error("unknown value {found:?}{}", suggest::hint(expected, *nearest))]
    UnknownValue {
        /// What was found.
        found: String,
        /// The words that may stand here.
        expected: Vec<&'static str>,
        /// The one that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A value that can't be.
    #[error("{key}: found {found:?}; expected {expected}")]
    WrongValue {
        /// The key.
        key: &'static str,
        /// What was found.
        found: String,
        /// What may stand here.
        expected: &'static str,
    },
    /// The format has it, this version of fluxgate does not: refused, never ignored.
    #[error("{key} is not implemented yet and is never ignored; {instead}")]
    NotImplemented {
        /// The key.
        key: &'static str,
        /// What to write instead.
        instead: &'static str,
    },
    /// Two of a thing that must be unique.
    #[error("{what} {name:?} is there twice, first in line {first}; give one of the two another")]
    Doubled {
        /// What kind of thing.
        what: &'static str,
        /// Which one.
        name: String,
        /// Line of the first.
        first: u64,
    },
    /// A rule must be of exactly one kind.
    #[error("rule {rule:?} is of {found} kinds; expected exactly one of {}", expected.join(", "))]
    RuleKinds {
        /// Name of the rule.
        rule: String,
        /// How many kinds it has.
        found: usize,
        /// The kinds there are.
        expected: Vec<&'static str>,
    },
    /// A policy that does not look at signatures.
    #[error(
        "no signature rule: without one an unsigned release would be allowed; add \
         `- {{name: signed, signature: {{profile: flux, artifacts: All}}}}`"
    )]
    NoSignatureRule,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.problem)?;
        if !self.excerpt.is_empty() {
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
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        serde_saphyr::from_str_with_options(self.text, options).map_err(|error| {
            let error = error.without_snippet();
            self.error(error.location().unwrap_or(Location::UNKNOWN), problem_of(error))
        })
    }

    /// An error at a place in this file.
    #[must_use]
    pub fn error(&self, at: Location, problem: Problem) -> LoadError {
        let line = usize::try_from(at.line()).unwrap_or(0);
        let excerpt = line.checked_sub(1).and_then(|index| self.text.lines().nth(index));
        LoadError {
            file: self.file.into(),
            line: at.line(),
            column: at.column(),
            excerpt: excerpt.unwrap_or_default().into(),
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

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "not a domain enum: the reader's many errors are read by people alone"
)]
fn problem_of(error: &serde_saphyr::Error) -> Problem {
    use serde_saphyr::Error;
    match error {
        Error::SerdeUnknownField { field, expected, .. } => Problem::UnknownKey {
            key: field.clone(),
            expected: expected.clone(),
            nearest: suggest::nearest(field, expected),
        },
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => Problem::UnknownValue {
            found: variant.clone(),
            expected: expected.clone(),
            nearest: suggest::nearest(variant, expected),
        },
        Error::SerdeMissingField { field, .. } => Problem::MissingKey { key: field },
        Error::DuplicateMappingKey { key, .. } => Problem::RepeatedKey {
            key: key.clone().unwrap_or_default(),
        },
        other => Problem::Malformed {
            found: other.to_string(),
        },
    }
}
