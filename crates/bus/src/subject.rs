//! Names on the bus: `fluxgate.v1.<area>.<workflow>.<step>.<n>`.
//!
//! A subject can only be made from a key (`names`) or read back from its text, and consists of tokens of
//! `[a-z0-9_-]` alone: no NATS wildcard, space or empty token can ever come out of a key. Who may write what
//! under which name is one table (`rules`).

use std::fmt;
use std::str::FromStr;

use domain::Digest;

mod names;
mod rules;

pub use names::*;
pub use rules::{Author, Order, Rule, rule};

/// What every subject of the event stream begins with.
pub const PREFIX: &str = "fluxgate.v1";

/// A slug is cut here; the digest behind it tells keys apart.
const MAX_SLUG: usize = 80;

/// The third token of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Releases that were noticed.
    Release,
    /// What signature-verifier says.
    Verification,
    /// What sbom-scanner says.
    Scan,
    /// Policies, approvals, decisions.
    Policy,
    /// Clusters and what they are told.
    Cluster,
    /// Rollouts, stops and modes.
    Rollout,
    /// The trust bundle.
    Trust,
}

impl Area {
    /// Every area.
    pub const ALL: [Self; 7] = [
        Self::Release,
        Self::Verification,
        Self::Scan,
        Self::Policy,
        Self::Cluster,
        Self::Rollout,
        Self::Trust,
    ];

    /// The token.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Verification => "verification",
            Self::Scan => "scan",
            Self::Policy => "policy",
            Self::Cluster => "cluster",
            Self::Rollout => "rollout",
            Self::Trust => "trust",
        }
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A subject without its number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    area: Area,
    workflow: String,
    step: String,
}

impl Series {
    /// The area.
    #[must_use]
    pub const fn area(&self) -> Area {
        self.area
    }

    /// Slug and digest of the key.
    #[must_use]
    pub fn workflow(&self) -> &str {
        &self.workflow
    }

    /// The step.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.step
    }

    /// The subject with this number.
    #[must_use]
    pub fn at(&self, n: u64) -> Subject {
        Subject {
            series: self.clone(),
            n,
        }
    }
}

/// A name on the event stream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    series: Series,
    n: u64,
}

impl Subject {
    /// The name without key and number, like `fluxgate.v1.policy.{key}.decision`: what spans are named by.
    #[must_use]
    pub fn template(&self) -> String {
        format!("fluxgate.v1.{}.{{key}}.{}", self.series.area, self.series.step)
    }

    /// The area.
    #[must_use]
    pub const fn area(&self) -> Area {
        self.series.area
    }

    /// Slug and digest of the key.
    #[must_use]
    pub fn workflow(&self) -> &str {
        &self.series.workflow
    }

    /// The step.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.series.step
    }

    /// The number: 1, attempt, place in a series, epoch or version.
    #[must_use]
    pub const fn n(&self) -> u64 {
        self.n
    }

    /// Everything but the number.
    #[must_use]
    pub const fn series(&self) -> &Series {
        &self.series
    }

    /// The same subject with the number before; `None` for the first.
    #[must_use]
    pub fn previous(&self) -> Option<Self> {
        (self.n > 1).then(|| self.series.at(self.n - 1))
    }

    /// Another step of the same workflow.
    fn beside(&self, step: &str, n: u64) -> Self {
        let series = Series {
            area: self.area(),
            workflow: self.workflow().to_owned(),
            step: step.to_owned(),
        };
        Self { series, n }
    }

    /// The summary of the attempt before this one, which opens this one; `None` for the first attempt.
    #[must_use]
    pub fn summary_before(&self) -> Option<Self> {
        (self.n > 1).then(|| self.beside("summary", self.n - 1))
    }

    /// The assignment that a report with this epoch answers.
    #[must_use]
    pub fn assignment_reported(&self) -> Self {
        self.beside("assignment", self.n)
    }

    /// The membership of the cluster that the subject is about.
    #[must_use]
    pub fn membership(&self) -> Series {
        self.beside("member", 1).series
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}.{}.{}.{}", self.area, self.workflow, self.step)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.series, self.n)
    }
}

/// Why a text is no subject of the event stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("subject {text:?} is not {PREFIX}.<area>.<workflow>.<step>.<n>")]
pub struct ParseSubjectError {
    /// What was read.
    pub text: String,
}

impl FromStr for Subject {
    type Err = ParseSubjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseSubjectError {
            text: text.to_owned(),
        })
    }
}

fn parse(text: &str) -> Option<Subject> {
    let rest = text.strip_prefix(PREFIX)?.strip_prefix('.')?;
    let mut tokens = rest.split('.');
    let (area, workflow, step, n) = (tokens.next()?, tokens.next()?, tokens.next()?, tokens.next()?);
    let area = Area::ALL.into_iter().find(|known| known.name() == area)?;
    let number: i64 = n.parse().ok()?;
    // One spelling for each number: no sign, no leading zero. It fits SQLite's integer.
    let canonical = number > 0 && number.to_string() == n;
    if tokens.next().is_some() || !is_token(workflow) || !is_token(step) || !canonical {
        return None;
    }
    let series = Series {
        area,
        workflow: workflow.to_owned(),
        step: step.to_owned(),
    };
    Some(Subject {
        series,
        n: u64::try_from(number).ok()?,
    })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= 200 && text.chars().all(|c| is_plain(c) || c == '_')
}

const fn is_plain(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

fn slug(text: &str) -> String {
    text.chars()
        .take(MAX_SLUG)
        .map(|c| if is_plain(c) { c } else { '_' })
        .collect()
}

fn short_digest(text: &str) -> String {
    let mut hex = Digest::of(text.as_bytes()).hex();
    hex.truncate(12);
    hex
}

/// The workflow token of a canonical key: its readable slug, `-`, 12 hex digits of its SHA-256.
#[must_use]
pub fn workflow(canonical: &str) -> String {
    format!("{}-{}", slug(canonical), short_digest(canonical))
}

/// A name inside a step: itself where it is plain, else slug and digest.
fn step_part(name: &str) -> String {
    let plain = !name.is_empty() && name.len() <= MAX_SLUG && name.chars().all(is_plain);
    if plain { name.to_owned() } else { workflow(name) }
}

/// The id of a decision in the API: the first 16 hex digits of SHA-256 of its subject.
#[must_use]
pub fn decision_id(subject: &Subject) -> String {
    let mut hex = Digest::of(subject.to_string().as_bytes()).hex();
    hex.truncate(16);
    hex
}

#[cfg(test)]
mod tests;
