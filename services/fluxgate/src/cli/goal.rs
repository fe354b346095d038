//! What `wait` waits for.

use std::fmt;
use std::str::FromStr;

use clap::Args;

use super::{Kind, Wanted};

/// Arguments of `wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// What to look at, like rollouts/ID, clusters/NAME, releases/VERSION or decisions/ID
    #[arg(value_name = "TYPE/NAME")]
    pub what: Wanted,
    /// Until when: state= (rollouts), health= or version= (clusters), outcome= (releases, decisions)
    #[arg(long = "for", value_name = "FIELD=VALUE")]
    pub goal: Goal,
}

/// A field and the value that it is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    /// The field.
    pub field: Field,
    /// The value, as it is shown.
    pub value: String,
}

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// State of a rollout.
    State,
    /// Health of a cluster.
    Health,
    /// Flux version that a cluster runs.
    Version,
    /// Worst outcome of a release's decisions, or a decision's.
    Outcome,
}

impl Field {
    const ALL: [Self; 4] = [Self::State, Self::Health, Self::Version, Self::Outcome];

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Health => "health",
            Self::Version => "version",
            Self::Outcome => "outcome",
        }
    }

    /// The values; none where any text may stand.
    const fn values(self) -> &'static [&'static str] {
        match self {
            Self::State => &["RUNNING", "PAUSED", "COMPLETED", "HALTED", "SUPERSEDED"],
            Self::Health => &["HEALTHY", "UNHEALTHY", "INCONCLUSIVE", "UNKNOWN"],
            Self::Version => &[],
            Self::Outcome => &["ALLOW", "WAIT", "NEEDS_APPROVAL", "DENY"],
        }
    }

    /// Whether resources of this kind have it.
    #[must_use]
    pub const fn is_of(self, kind: Kind) -> bool {
        match kind {
            Kind::Rollouts => matches!(self, Self::State),
            Kind::Clusters => matches!(self, Self::Health | Self::Version),
            Kind::Releases | Kind::Decisions => matches!(self, Self::Outcome),
            Kind::Policies | Kind::Entries | Kind::Stops => false,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.field.word(), self.value)
    }
}

/// Why a text is nothing to wait for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseGoalError {
    /// No field of that name.
    #[error(
        "write state=COMPLETED (rollouts), health=HEALTHY or version=v2.9.4 (clusters), outcome=ALLOW (releases, \
         decisions){meant}"
    )]
    Field {
        /// What was probably meant.
        meant: String,
    },
    /// A value that the field never has.
    #[error("{} is one of {}{meant}", .field.word(), .field.values().join(", "))]
    Value {
        /// The field.
        field: Field,
        /// What was probably meant.
        meant: String,
    },
    /// Not a version.
    #[error("a version is written like v2.9.4")]
    Version(#[source] domain::version::ParseVersionError),
}

impl FromStr for Goal {
    type Err = ParseGoalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (word, value) = text.split_once('=').unwrap_or((text, ""));
        let known = Field::ALL.into_iter().find(|field| field.word() == word);
        let Some(field) = known.filter(|_| text.contains('=')) else {
            let words = Field::ALL.map(Field::word);
            let meant = crate::words::meant(word, words.into_iter());
            return Err(ParseGoalError::Field { meant });
        };
        if field == Field::Version {
            let version: domain::Version = value.parse().map_err(ParseGoalError::Version)?;
            return Ok(Self {
                field,
                value: version.to_string(),
            });
        }
        let value = value.to_uppercase();
        if field.values().contains(&value.as_str()) {
            Ok(Self { field, value })
        } else {
            let meant = crate::words::meant(&value, field.values().iter().copied());
            Err(ParseGoalError::Value { field, meant })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_fields_with_values_that_they_can_have() {
        let read = |text: &str| text.parse::<Goal>();
        assert_eq!(read("state=completed").unwrap().to_string(), "state=COMPLETED");
        assert_eq!(read("version=v2.9.4").unwrap().value, "v2.9.4");
        assert!(matches!(read("version=latest"), Err(ParseGoalError::Version(_))));
        for (text, meant) in [
            ("stat=COMPLETED", "did you mean state?"),
            ("state=COMPLETE", "did you mean COMPLETED?"),
            ("outcome=ALOW", "did you mean ALLOW?"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(meant), "{text}: {error}");
        }
        assert!(read("state").is_err());
    }
}
