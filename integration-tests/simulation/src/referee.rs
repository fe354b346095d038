//! What must never be, judged event by event over the log alone, by a fold of its own.

use std::collections::{BTreeMap, BTreeSet};

use attest::Trust;
use bus::judge::Known;
use bus::{Area, Fact, Judge, Series, Stored, Subject};
use domain::decision::Outcome;
use domain::rollout::{RolloutFinished, RolloutStarted};
use domain::{ClusterName, Decision, Digest, Mode, ReleaseKey, RolloutKey};
use planner::reducer::AssignmentView;
use wire::{policy, rollout};

use crate::fixture::{Fixture, Quality};
use crate::turns::Author;

mod assignments;
mod keys;
mod rollouts;
mod stops;

use keys::Ended;
use stops::Stops;

/// A rollout as it stands on the log.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    /// How it began.
    pub(crate) started: RolloutStarted,
    /// Where.
    pub(crate) begun_at: u64,
    /// Waves that were opened.
    pub(crate) opened: BTreeSet<String>,
    /// Waves that have baked.
    pub(crate) baked: BTreeSet<String>,
    /// How it ended.
    pub(crate) finished: Option<RolloutFinished>,
    /// Where.
    pub(crate) over_at: Option<u64>,
    /// Whether its version was recalled then.
    pub(crate) recalled: bool,
}

/// Folds the log and objects.
pub(crate) struct Referee {
    judge: Judge,
    trust: Trust,
    /// For each subject the first valid event.
    pub(crate) facts: BTreeMap<Subject, Fact>,
    newest: BTreeMap<Series, Subject>,
    /// Up to where it has read.
    pub(crate) read: u64,
    /// The rollouts, in the order of their beginning.
    pub(crate) rollouts: Vec<(RolloutKey, Course)>,
    courses: BTreeMap<ClusterName, AssignmentView>,
    /// How each course stood, from this place on.
    stood: BTreeMap<ClusterName, Vec<(u64, AssignmentView)>>,
    allowed: BTreeSet<ReleaseKey>,
    /// Mode statements: where, and what.
    modes: Vec<(u64, wire::Scope, Mode)>,
    /// Texts of the policy: where, which number, which digest.
    texts: Vec<(u64, u64, Digest)>,
    stops: Stops,
    ended: Vec<Ended>,
    /// The cluster that was asked to write last, and for which rollout.
    pub(crate) asked: Option<(ClusterName, RolloutKey)>,
}

/// What must not be.
pub(crate) type Objection = String;

impl Default for Referee {
    fn default() -> Self {
        Self::new()
    }
}

impl Referee {
    /// Before the first event.
    #[must_use]
    pub(crate) fn new() -> Self {
        let fixture = Fixture::get();
        Self {
            judge: fixture.judge(),
            trust: fixture.trust(),
            facts: BTreeMap::new(),
            newest: BTreeMap::new(),
            read: 0,
            rollouts: Vec::new(),
            courses: BTreeMap::new(),
            stood: BTreeMap::new(),
            allowed: BTreeSet::new(),
            modes: Vec::new(),
            texts: Vec::new(),
            stops: Stops::default(),
            ended: Vec::new(),
            asked: None,
        }
    }

    /// Reads the next event; who published it, where a replica did.
    ///
    /// # Errors
    /// What must not be.
    pub(crate) fn read(&mut self, event: &Stored, author: Option<Author>) -> Result<(), Objection> {
        self.read = event.sequence;
        let Ok((subject, rule)) = Judge::name(&event.subject) else {
            return Ok(());
        };
        if let Some(standing) = self.facts.get(&subject) {
            return match author {
                Some(author) if standing.envelope != event.payload => Err(format!(
                    "replica {} published over the valid event of {subject}",
                    author.replica
                )),
                Some(_) | None => Ok(()),
            };
        }
        let needs = Judge::needs(&subject, &rule);
        let known = Known {
            predecessor: needs
                .predecessor
                .and_then(|needed| self.facts.get(&needed).cloned()),
            member: needs.member.and_then(|series| self.latest(&series).cloned()),
        };
        let Ok(statement) = self.judge.decide(&self.trust, (&subject, &rule), event, &known) else {
            return Ok(());
        };
        let fact = Fact {
            subject: subject.clone(),
            sequence: event.sequence,
            time: event.time,
            traceparent: event.traceparent.clone(),
            envelope: event.payload.clone(),
            statement,
        };
        if let Some(ended) = self.ended.iter().find(|ended| ended.speaks(&fact)) {
            return Err(format!(
                "{subject} at {} counts, by a key that ended at {}",
                fact.sequence, ended.at
            ));
        }
        self.newest.insert(subject.series().clone(), subject.clone());
        self.facts.insert(subject, fact.clone());
        self.fold(&fact, author)
    }

    /// The newest of a series.
    #[must_use]
    pub(crate) fn latest(&self, series: &Series) -> Option<&Fact> {
        self.facts.get(self.newest.get(series)?)
    }

    /// The rollout that is not over.
    #[must_use]
    pub(crate) fn active(&self) -> Option<&Course> {
        let open = |(_, course): &&(RolloutKey, Course)| course.finished.is_none();
        self.rollouts.iter().find(open).map(|(_, course)| course)
    }

    /// Whether anything has ever allowed the release.
    #[must_use]
    pub(crate) fn was_allowed(&self, release: &ReleaseKey) -> bool {
        self.allowed.contains(release)
    }

    fn fold(&mut self, fact: &Fact, author: Option<Author>) -> Result<(), Objection> {
        match (fact.subject.area(), fact.subject.step()) {
            (Area::Policy, "text") => self.text(fact),
            (Area::Policy, "decision") => self.decision(fact, author),
            (Area::Cluster, "assignment") => self.assignment(fact, author),
            (Area::Cluster, "accepted" | "refused" | "applied" | "result") => self.report(fact),
            (Area::Cluster, "member") => self.member(fact),
            (Area::Trust, _) => self.bundle(fact),
            (Area::Rollout, "mode") => self.mode(fact),
            (Area::Rollout, "stop") => self.stop(fact),
            (Area::Rollout, _) => self.rollout(fact, author),
            _ => Ok(()),
        }
    }

    fn text(&mut self, fact: &Fact) -> Result<(), Objection> {
        let document: wire::PolicyDocument =
            wire::decode::<policy::v1::PolicyText, _>(&fact.statement).map_err(|error| unread(&error))?;
        self.texts
            .push((fact.sequence, fact.subject.n(), document.policy.digest));
        Ok(())
    }

    fn mode(&mut self, fact: &Fact) -> Result<(), Objection> {
        let setting: wire::ModeSetting =
            wire::decode::<rollout::v1::ModeSet, _>(&fact.statement).map_err(|error| unread(&error))?;
        self.modes.push((fact.sequence, setting.scope, setting.mode));
        Ok(())
    }

    /// The reading on which an informed event rests: not less than that of the one before, and before itself.
    fn reading(&self, fact: &Fact) -> Result<u64, Objection> {
        let own = as_of(fact)?;
        let before = fact.subject.previous().and_then(|before| self.facts.get(&before));
        let lowest = before.map(as_of).transpose()?.unwrap_or(0);
        if own < lowest || own >= fact.sequence {
            return Err(format!(
                "{} at {} rests on {own}, the one before on {lowest}",
                fact.subject, fact.sequence
            ));
        }
        Ok(own)
    }

    fn decision(&mut self, fact: &Fact, author: Option<Author>) -> Result<(), Objection> {
        let as_of = self.reading(fact)?;
        let decision: Decision =
            wire::decode::<policy::v1::Decision, _>(&fact.statement).map_err(|error| unread(&error))?;
        let newest = self.texts.iter().rfind(|(sequence, _, _)| *sequence <= as_of);
        let known = newest.map_or(0, |(_, n, _)| *n);
        let under = self
            .texts
            .iter()
            .rfind(|(_, _, digest)| *digest == decision.policy.digest)
            .map_or(0, |(_, n, _)| *n);
        if under < known || under == 0 {
            return Err(format!(
                "{} at {} rests on {as_of}, where text {known} of the policy stood, and was made under text {under}",
                fact.subject, fact.sequence
            ));
        }
        if decision.outcome != Outcome::Allow {
            return Ok(());
        }
        self.allowed.insert(decision.release.clone());
        let quality = Fixture::get()
            .release(&decision.release)
            .map(|release| release.quality);
        match quality {
            Some(Quality::Good | Quality::Old) => {}
            Some(Quality::Unsigned | Quality::Moved) | None => {
                return Err(format!("{} is allowed, and is {quality:?}", decision.release));
            }
        }
        if author.is_some_and(|author| !author.ledger_sure) {
            return Err(format!(
                "{} is an ALLOW made while the ledger was not sure",
                fact.subject
            ));
        }
        Ok(())
    }
}

fn as_of(fact: &Fact) -> Result<u64, Objection> {
    let header = fact.statement.header();
    header
        .map(|header| header.as_of)
        .map_err(|error| format!("{}: {error}", fact.subject))
}

fn unread(error: &wire::ReadError) -> Objection {
    format!("a valid event can't be read: {error}")
}

#[cfg(test)]
mod tests;
