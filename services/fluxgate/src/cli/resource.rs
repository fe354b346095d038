//! `TYPE`, `TYPE/NAME`: what commands are about.

use std::fmt;
use std::str::FromStr;

/// A kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Releases that were seen.
    Releases,
    /// Decisions.
    Decisions,
    /// Policies in force.
    Policies,
    /// Rollouts.
    Rollouts,
    /// Clusters of the fleet.
    Clusters,
    /// Entries of the ledger.
    Entries,
    /// Stops in force.
    Stops,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Releases,
        Self::Decisions,
        Self::Policies,
        Self::Rollouts,
        Self::Clusters,
        Self::Entries,
        Self::Stops,
    ];

    /// The word for many.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Releases => "releases",
            Self::Decisions => "decisions",
            Self::Policies => "policies",
            Self::Rollouts => "rollouts",
            Self::Clusters => "clusters",
            Self::Entries => "entries",
            Self::Stops => "stops",
        }
    }

    /// The word for one.
    #[must_use]
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Releases => "release",
            Self::Decisions => "decision",
            Self::Policies => "policy",
            Self::Rollouts => "rollout",
            Self::Clusters => "cluster",
            Self::Entries => "entry",
            Self::Stops => "stop",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| text == kind.plural() || text == kind.singular())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.plural())
    }
}

/// Why a text names no resource that the command is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseResourceError {
    /// No such type.
    #[error("the types are releases, decisions, policies, rollouts, clusters, entries, stops{meant}")]
    Kind {
        /// What was probably meant.
        meant: String,
    },
    /// A name is missing.
    #[error("a name is missing: write TYPE/NAME, like releases/v2.9.4; `fluxgate get TYPE` lists them")]
    Name,
    /// Nothing to describe.
    #[error("can be described: releases, decisions, rollouts, clusters; see the others with `fluxgate get`")]
    Described,
    /// Nothing to reconcile.
    #[error("can be reconciled: `releases`, to look for new ones, and releases/VERSION, to verify it again")]
    Reconciled,
}

fn split(text: &str) -> Result<(Kind, Option<&str>), ParseResourceError> {
    let (kind, name) = text
        .split_once('/')
        .map_or((text, None), |(kind, name)| (kind, Some(name)));
    let kind = Kind::parse(kind).ok_or_else(|| ParseResourceError::Kind {
        meant: crate::words::meant(kind, Kind::ALL.into_iter().map(Kind::plural)),
    })?;
    match name {
        Some("") => Err(ParseResourceError::Name),
        name => Ok((kind, name)),
    }
}

/// What `get` is asked for: a kind, or one of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The kind.
    pub kind: Kind,
    /// The name behind the slash.
    pub name: Option<String>,
}

impl FromStr for Wanted {
    type Err = ParseResourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, name) = split(text)?;
        Ok(Self {
            kind,
            name: name.map(ToOwned::to_owned),
        })
    }
}

/// What `describe` is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Described {
    /// A release by name.
    Release(String),
    /// A decision by id.
    Decision(String),
    /// A rollout by id.
    Rollout(String),
    /// A cluster by name.
    Cluster(String),
}

impl FromStr for Described {
    type Err = ParseResourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, name) = split(text)?;
        let name = || name.map(ToOwned::to_owned).ok_or(ParseResourceError::Name);
        match kind {
            Kind::Releases => Ok(Self::Release(name()?)),
            Kind::Decisions => Ok(Self::Decision(name()?)),
            Kind::Rollouts => Ok(Self::Rollout(name()?)),
            Kind::Clusters => Ok(Self::Cluster(name()?)),
            Kind::Policies | Kind::Entries | Kind::Stops => Err(ParseResourceError::Described),
        }
    }
}

/// What `reconcile` is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconciled {
    /// The releases.
    Releases,
    /// A release by name.
    Release(String),
}

impl FromStr for Reconciled {
    type Err = ParseResourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match split(text) {
            Ok((Kind::Releases, None)) => Ok(Self::Releases),
            Ok((Kind::Releases, Some(name))) => Ok(Self::Release(name.to_owned())),
            Ok(_) | Err(_) => Err(ParseResourceError::Reconciled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_many_words_and_names_with_slashes_are_understood() {
        let one = Wanted {
            kind: Kind::Releases,
            name: Some("flux/v2.9.4".to_owned()),
        };
        assert_eq!("release/flux/v2.9.4".parse(), Ok(one));
        assert_eq!(
            "policy".parse(),
            Ok(Wanted {
                kind: Kind::Policies,
                name: None
            })
        );
        assert_eq!("clusters/prod".parse(), Ok(Described::Cluster("prod".to_owned())));
        assert_eq!("releases".parse(), Ok(Reconciled::Releases));
        assert_eq!(
            "release/v2.9.4".parse(),
            Ok(Reconciled::Release("v2.9.4".to_owned()))
        );
    }

    #[test]
    fn what_a_command_is_not_about_is_refused() {
        assert!(
            matches!("pods".parse::<Wanted>(), Err(ParseResourceError::Kind { meant }) if meant.is_empty())
        );
        let near = "cluster-s".parse::<Wanted>().unwrap_err().to_string();
        assert!(near.ends_with("; did you mean clusters?"), "{near}");
        assert_eq!("releases/".parse::<Wanted>(), Err(ParseResourceError::Name));
        assert_eq!("releases".parse::<Described>(), Err(ParseResourceError::Name));
        assert_eq!(
            "entries/1".parse::<Described>(),
            Err(ParseResourceError::Described)
        );
        for text in ["clusters", "clusters/prod", "pods", "releases/"] {
            assert_eq!(
                text.parse::<Reconciled>(),
                Err(ParseResourceError::Reconciled),
                "{text}"
            );
        }
    }
}
