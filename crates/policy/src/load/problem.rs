//! What can be wrong in a file.

use domain::spelling::nearest;

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
    #[error("unknown key {key:?}{}", hint(expected, *nearest))]
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
    #[error("unknown value {found:?}{}", hint(expected, *nearest))]
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
    /// A cluster is in two waves.
    #[error("cluster {cluster:?} is in wave {first:?} and in wave {second:?}; take one of the labels away")]
    Overlap {
        /// The cluster.
        cluster: String,
        /// The earlier wave.
        first: String,
        /// The later one.
        second: String,
    },
    /// A cluster is in no wave, and the strategy does not say that such clusters are left alone.
    #[error(
        "cluster {cluster:?} is in no wave; label it, or write `unlabelled: Ignore` into the strategy to leave \
         such clusters alone"
    )]
    InNoWave {
        /// The cluster.
        cluster: String,
    },
    /// A wave has fewer clusters than it demands.
    #[error(
        "wave {wave:?} wants at least {wanted} clusters and has {found}; label more, or lower its minClusters or bake.clusters"
    )]
    TooFew {
        /// The wave.
        wave: String,
        /// How many clusters it has.
        found: u32,
        /// How many it must have.
        wanted: u32,
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

impl Problem {
    /// A word that is none of the known ones.
    #[must_use]
    pub fn unknown_value(found: &str, expected: &[&'static str]) -> Self {
        Self::UnknownValue {
            found: found.to_owned(),
            expected: expected.to_vec(),
            nearest: nearest(found, expected.iter().copied()),
        }
    }

    /// A word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "MALFORMED",
            Self::UnknownKey { .. } => "UNKNOWN_KEY",
            Self::MissingKey { .. } => "MISSING_KEY",
            Self::RepeatedKey { .. } => "REPEATED_KEY",
            Self::UnknownValue { .. } => "UNKNOWN_VALUE",
            Self::WrongValue { .. } => "WRONG_VALUE",
            Self::NotImplemented { .. } => "NOT_IMPLEMENTED",
            Self::Doubled { .. } => "DOUBLED",
            Self::Overlap { .. } => "OVERLAP",
            Self::InNoWave { .. } => "IN_NO_WAVE",
            Self::TooFew { .. } => "TOO_FEW",
            Self::RuleKinds { .. } => "RULE_KINDS",
            Self::NoSignatureRule => "NO_SIGNATURE_RULE",
        }
    }
}

/// The known words, and the one that was probably meant.
fn hint(expected: &[&'static str], nearest: Option<&'static str>) -> String {
    let meant = nearest
        .map(|word| format!("; did you mean {word:?}?"))
        .unwrap_or_default();
    if expected.is_empty() {
        return format!("; nothing may stand here{meant}");
    }
    format!("; expected {}{meant}", expected.join(", "))
}
