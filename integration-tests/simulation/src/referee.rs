//! What must never be, judged event by event over the log alone, by a fold of its own.

use std::collections::{BTreeMap, BTreeSet};

use attest::Trust;
use bus::judge::Known;
use bus::{Area, Fact, Judge, Series, Stored, Subject};
use domain::decision::Outcome;
use domain::fleet::Report;
use domain::rollout::{RolloutFinished, RolloutStarted, WaveBaked, WaveOpened};
use domain::{Action, Assignment, ClusterName, Decision, Digest, Mode, ReleaseKey, RolloutKey};
use planner::reducer::AssignmentView;
use wire::{fleet, policy, rollout};

use crate::fixture::{Fixture, Quality};
use crate::turns::Author;

/// A rollout as it stands on the log.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    /// How it began.
    pub(crate) started: RolloutStarted,
    /// Waves that were opened.
    pub(crate) opened: BTreeSet<String>,
    /// Waves that have baked.
    pub(crate) baked: BTreeSet<String>,
    /// How it ended.
    pub(crate) finished: Option<RolloutFinished>,
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
    allowed: BTreeSet<ReleaseKey>,
    /// Mode statements: where, and what.
    modes: Vec<(u64, wire::Scope, Mode)>,
    /// Texts of the policy: where, which number, which digest.
    texts: Vec<(u64, u64, Digest)>,
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
            allowed: BTreeSet::new(),
            modes: Vec::new(),
            texts: Vec::new(),
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
            (Area::Rollout, "mode") => self.mode(fact),
            (Area::Rollout, _) => self.rollout(fact),
            _ => Ok(()),
        }?;
        self.concurrency(fact)
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

    fn assignment(&mut self, fact: &Fact, author: Option<Author>) -> Result<(), Objection> {
        let as_of = self.reading(fact)?;
        let assignment: Assignment =
            wire::decode::<fleet::v1::Assignment, _>(&fact.statement).map_err(|error| unread(&error))?;
        let before = self.courses.get(&assignment.cluster);
        let next = AssignmentView::next(before, &assignment);
        let is_new = next.task == next.epoch;
        if assignment.action == Action::Upgrade {
            self.rests_on_an_allow(fact, (&assignment, as_of))?;
            if assignment.mode == Mode::Enforce {
                self.is_enforced(fact, (&assignment, as_of))?;
                if is_new && author.is_some_and(|author| !author.ledger_sure) {
                    return Err(format!(
                        "{} begins something while the ledger is not sure",
                        fact.subject
                    ));
                }
            }
        }
        self.courses.insert(assignment.cluster, next);
        Ok(())
    }

    fn rests_on_an_allow(
        &self,
        fact: &Fact,
        (assignment, as_of): (&Assignment, u64),
    ) -> Result<(), Objection> {
        let object = |what: &str| Err(format!("{} at {}: {what}", fact.subject, fact.sequence));
        let named = assignment.decision.subject.parse::<Subject>().ok();
        let found = named.and_then(|named| self.facts.get(&named));
        let Some(found) = found.filter(|found| found.digest() == assignment.decision.digest) else {
            return object("the decision that it names does not count");
        };
        let decision: Decision =
            wire::decode::<policy::v1::Decision, _>(&found.statement).map_err(|error| unread(&error))?;
        let until = decision
            .valid_until
            .filter(|_| decision.outcome == Outcome::Allow);
        let Some(until) = until else {
            return object("the decision that it names is no ALLOW");
        };
        if assignment.issued >= until || assignment.expires > until {
            return object("it outlives its ALLOW");
        }
        if decision.release != assignment.target || decision.baseline != assignment.baseline {
            return object("its ALLOW is about something else");
        }
        let newer = self.facts.values().filter(|other| {
            other.subject.series() == found.subject.series()
                && other.subject.n() > found.subject.n()
                && other.sequence <= as_of
        });
        match newer.last() {
            Some(newer) => object(&format!(
                "{} had replaced its ALLOW when it was made",
                newer.subject
            )),
            None => Ok(()),
        }
    }

    /// Whether a person's Enforce was in force at some moment between reading and landing.
    fn is_enforced(&self, fact: &Fact, (assignment, as_of): (&Assignment, u64)) -> Result<(), Objection> {
        let started = self.rollouts.iter().find(|(key, _)| *key == assignment.rollout);
        let wave = started.and_then(|(_, course)| {
            let waves = course.started.waves.iter();
            waves
                .clone()
                .find(|wave| wave.clusters.contains(&assignment.cluster))
        });
        let Some(wave) = wave else {
            return Err(format!(
                "{} is for a cluster outside of its rollout",
                fact.subject
            ));
        };
        let of_cluster = wire::Scope::Cluster(assignment.cluster.clone());
        let of_wave = wire::Scope::Wave(wave.name.clone());
        let at = |place: u64| {
            let said = |scope: &wire::Scope| {
                let mut found = self.modes.iter().rev();
                found.find(|(sequence, of, _)| *sequence <= place && of == scope)
            };
            let newest = said(&of_cluster).or_else(|| said(&of_wave));
            newest.is_some_and(|(_, _, mode)| *mode == Mode::Enforce)
        };
        let later = self.modes.iter().map(|(sequence, _, _)| *sequence);
        let mut places = std::iter::once(as_of).chain(later.filter(|place| *place > as_of));
        if places.any(at) {
            Ok(())
        } else {
            Err(format!("{} writes under Observe", fact.subject))
        }
    }

    fn report(&mut self, fact: &Fact) -> Result<(), Objection> {
        let report: Report =
            wire::decode::<fleet::v1::Report, _>(&fact.statement).map_err(|error| unread(&error))?;
        if let Some(course) = self.courses.get_mut(&report.cluster) {
            course.report(&report);
        }
        Ok(())
    }

    fn rollout(&mut self, fact: &Fact) -> Result<(), Objection> {
        let step = fact.subject.step();
        if step == "started" {
            let started: RolloutStarted = wire::decode::<rollout::v1::RolloutStarted, _>(&fact.statement)
                .map_err(|error| unread(&error))?;
            if let Some(active) = self.active() {
                let other = &active.started.rollout;
                return Err(format!("{} begins while {other} is not over", started.rollout));
            }
            if !self.allowed.contains(&started.release) {
                return Err(format!("{} begins, and nothing allows it", started.rollout));
            }
            let course = Course {
                started: started.clone(),
                opened: BTreeSet::new(),
                baked: BTreeSet::new(),
                finished: None,
            };
            self.rollouts.push((started.rollout, course));
        } else if step == "finished" {
            let finished: RolloutFinished = wire::decode::<rollout::v1::RolloutFinished, _>(&fact.statement)
                .map_err(|error| unread(&error))?;
            let course = self.course(&finished.rollout)?;
            course.finished = Some(finished);
        } else if step.starts_with("opened-") {
            let opened: WaveOpened = wire::decode::<rollout::v1::WaveOpened, _>(&fact.statement)
                .map_err(|error| unread(&error))?;
            let course = self.course(&opened.rollout)?;
            let before = course
                .started
                .waves
                .iter()
                .take_while(|wave| wave.name != opened.wave);
            if before.clone().any(|wave| !course.baked.contains(&wave.name)) {
                return Err(format!(
                    "{} opens before the waves before it have baked",
                    fact.subject
                ));
            }
            course.opened.insert(opened.wave);
            if course.opened.len() > course.baked.len() + 1 {
                return Err(format!("{}: more than one wave is open", fact.subject));
            }
        } else if step.starts_with("baked-") {
            let baked: WaveBaked =
                wire::decode::<rollout::v1::WaveBaked, _>(&fact.statement).map_err(|error| unread(&error))?;
            let course = self.course(&baked.rollout)?;
            if !course.opened.contains(&baked.wave) {
                return Err(format!("{} bakes before it is open", fact.subject));
            }
            course.baked.insert(baked.wave);
        }
        Ok(())
    }

    /// A rollout that may still take steps.
    fn course(&mut self, key: &RolloutKey) -> Result<&mut Course, Objection> {
        let found = self.rollouts.iter_mut().find(|(other, _)| other == key);
        match found {
            Some((_, course)) if course.finished.is_none() => Ok(course),
            Some(_) => Err(format!("{key} takes a step though it is over")),
            None => Err(format!("{key} takes a step though it has not begun")),
        }
    }

    /// Judges who is truly in work, as the agents themselves know it: between the acceptance of a task and its result,
    /// whatever the log says about that. A place that is held for an earlier rollout is held for each.
    ///
    /// # Errors
    /// More clusters of a wave than may be.
    pub(crate) fn at_work(&self, clusters: &BTreeSet<&ClusterName>) -> Result<(), Objection> {
        for (key, course) in &self.rollouts {
            for wave in &course.started.waves {
                let at_work = wave.clusters.iter().filter(|cluster| clusters.contains(cluster));
                let names: Vec<String> = at_work.map(ToString::to_string).collect();
                if names.len() > wave.max_concurrency as usize {
                    return Err(format!(
                        "the agents of {names:?} of wave {} of {key} are at work, {} may be",
                        wave.name, wave.max_concurrency
                    ));
                }
            }
        }
        Ok(())
    }

    /// As the hub counts places: who was asked holds one before its agent is heard.
    fn concurrency(&self, fact: &Fact) -> Result<(), Objection> {
        for (key, course) in &self.rollouts {
            for wave in &course.started.waves {
                let in_work = wave.clusters.iter().filter(|cluster| {
                    let task = self.courses.get(*cluster);
                    task.is_some_and(|task| task.rollout == *key && task.in_work(fact.time))
                });
                let names: Vec<String> = in_work.map(ToString::to_string).collect();
                if names.len() > wave.max_concurrency as usize {
                    return Err(format!(
                        "at {} ({}) {names:?} of wave {} are in work, {} may be",
                        fact.sequence, fact.subject, wave.name, wave.max_concurrency
                    ));
                }
            }
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
mod tests {
    use domain::rollout::{StrategyId, Superseding, WaveSnapshot};
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn agents_at_work_are_counted_whatever_the_log_says() {
        let names: [ClusterName; 3] = ["c1", "m1", "m2"].map(|name| name.parse().unwrap());
        let wave = |name: &str, clusters: &[ClusterName]| WaveSnapshot {
            name: name.to_owned(),
            policy: "default".to_owned(),
            clusters: clusters.to_vec(),
            max_concurrency: 1,
            bake: SignedDuration::ZERO,
            bake_clusters: 1,
            bake_reconciles: 0,
            failure_budget: 0,
            min_clusters: 1,
        };
        let rollout: RolloutKey = "flux-v2.9.4-1".parse().unwrap();
        let started = RolloutStarted {
            release: Fixture::get().releases[1].key.clone(),
            strategy: StrategyId {
                name: "s".to_owned(),
                digest: Digest::of(b"s"),
            },
            waves: vec![wave("canary", &names[..1]), wave("main", &names[1..])],
            failure_budget: None,
            unreachable_budget: None,
            superseding: Superseding::FinishRollout,
            rollout: rollout.clone(),
        };
        let course = Course {
            started,
            opened: BTreeSet::new(),
            baked: BTreeSet::new(),
            finished: None,
        };
        let mut referee = Referee::new();
        referee.rollouts.push((rollout, course));
        // One of each wave may be, all of one may not.
        assert_eq!(referee.at_work(&names[..2].iter().collect()), Ok(()));
        let objection = referee.at_work(&names[1..].iter().collect()).unwrap_err();
        assert!(objection.contains("wave main of flux-v2.9.4-1"), "{objection}");
    }
}
