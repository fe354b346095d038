//! The YAML reader, how strict it is, and its errors in our words.

use domain::spelling::nearest;
use serde::de::DeserializeOwned;
use serde_saphyr::{Error, Location, Options};

use super::Problem;

/// Deeper than any file of ours; what goes beyond it is an attack or a slip of the pen.
const MAX_DEPTH: usize = 32;
/// Aliases are of use for labels that repeat; a file with more of them is an alias bomb.
const MAX_ALIASES: usize = 1_000;
/// A fleet of 10,000 clusters has about 150,000 nodes.
const MAX_NODES: usize = 1_000_000;

/// Reads a text as one document.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, (Location, Problem)> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let error = error.without_snippet();
        let at = error.location().unwrap_or(Location::UNKNOWN);
        (at, problem_of(error, text))
    })
}

fn options() -> Options {
    let budget = serde_saphyr::budget! {
        max_depth: MAX_DEPTH,
        max_aliases: MAX_ALIASES,
        max_nodes: MAX_NODES,
    };
    serde_saphyr::options! {
        budget: budget,
        strict_booleans: true,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        with_snippet: false,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "not a domain enum: the reader's many errors are read by people alone"
)]
fn problem_of(error: &Error, text: &str) -> Problem {
    match error {
        Error::SerdeUnknownField { field, expected, .. } => Problem::UnknownKey {
            key: field.clone(),
            expected: expected.clone(),
            nearest: nearest(field, expected.iter().copied()),
        },
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => Problem::unknown_value(variant, expected),
        Error::SerdeMissingField { field, .. } => Problem::MissingKey { key: field },
        Error::DuplicateMappingKey { key, .. } => Problem::RepeatedKey {
            key: key.clone().unwrap_or_default(),
        },
        other => Problem::Malformed {
            found: in_our_words(other, text),
        },
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "not a domain enum: the reader's many errors are read by people alone"
)]
fn in_our_words(error: &Error, text: &str) -> String {
    let words = match error {
        Error::Eof { .. } if is_empty(text) => {
            "the file is empty; expected apiVersion, kind and what they name"
        }
        Error::Eof { .. } => "the file ends in the middle of something",
        Error::MultipleDocuments { .. } => {
            "a second document begins here; a file holds one, so make two files of it"
        }
        Error::NullIntoString { .. } => "nothing stands here; expected a text",
        Error::InvalidBooleanStrict { .. } => "expected true or false",
        Error::MergeKeyNotAllowed { .. } => "merge keys (<<) are not read; write the keys out",
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "more aliases, depth or entries than any such file needs; write it out plainly"
        }
        Error::Unexpected { expected, .. } => {
            return format!("this has the wrong type; expected {}", kind(expected));
        }
        Error::InvalidScalar { ty, .. } if ty.starts_with(['u', 'i']) => "expected a whole number",
        Error::AliasError { error, .. } => return in_our_words(error.without_snippet(), text),
        other => {
            let said = other.to_string();
            let said = said
                .rsplit_once(" at line ")
                .map_or(said.as_str(), |(said, _)| said);
            if said.contains("tabs disallowed") {
                return "a tab stands here; YAML is indented with blanks".to_owned();
            }
            return said.to_owned();
        }
    };
    words.to_owned()
}

/// What the reader expected, without its jargon.
fn kind(expected: &str) -> &str {
    match expected {
        "mapping start" => "keys with values",
        "sequence start" => "a list",
        "string scalar" => "a text",
        other => other,
    }
}

fn is_empty(text: &str) -> bool {
    text.lines()
        .map(|line| line.trim_start_matches('\u{feff}').trim())
        .all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}
