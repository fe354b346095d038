//! Assignments: what each rests on, and how many clusters are in work.

use std::collections::BTreeSet;

use bus::{Fact, Subject};
use domain::decision::Outcome;
use domain::fleet::Report;
use domain::{Action, Assignment, ClusterName, Decision, Mode};
use planner::reducer::AssignmentView;
use wire::{fleet, policy};

use super::{Objection, Referee, unread};
use crate::turns::Author;

impl Referee {
    pub(super) fn assignment(&mut self, fact: &Fact, author: Option<Author>) -> Result<(), Objection> {
        let as_of = self.reading(fact)?;
        let assignment: Assignment =
            wire::decode::<fleet::v1::Assignment, _>(&fact.statement).map_err(|error| unread(&error))?;
        let before = self.courses.get(&assignment.cluster);
        let next = AssignmentView::next(before, &assignment);
        let is_new = next.task == next.epoch;
        if assignment.action == Action::Upgrade {
            self.rests_on_an_allow(fact, (&assignment, as_of))?;
            if !next.reports.accepted {
                self.not_stopped(fact, (&assignment, as_of))?;
            }
            self.is_for_the_first(fact, (&assignment, as_of))?;
            if assignment.mode == Mode::Enforce {
                self.has_a_place(fact, (&assignment, as_of))?;
                self.asked = Some((assignment.cluster.clone(), assignment.rollout.clone()));
                self.is_enforced(fact, (&assignment, as_of))?;
                if is_new && author.is_some_and(|author| !author.ledger_sure) {
                    return Err(format!(
                        "{} begins something while the ledger is not sure",
                        fact.subject
                    ));
                }
            }
        }
        self.courses.insert(assignment.cluster.clone(), next);
        self.keep(fact.sequence, &assignment.cluster);
        Ok(())
    }

    /// Keeps how a course stands from here on.
    fn keep(&mut self, sequence: u64, cluster: &ClusterName) {
        if let Some(course) = self.courses.get(cluster) {
            let stood = self.stood.entry(cluster.clone()).or_default();
            stood.push((sequence, course.clone()));
        }
    }

    /// It is for the rollout that counts where it was decided.
    fn is_for_the_first(
        &self,
        fact: &Fact,
        (assignment, as_of): (&Assignment, u64),
    ) -> Result<(), Objection> {
        let first = self.first_at(as_of);
        if first == Some(&assignment.rollout) {
            return Ok(());
        }
        Err(format!(
            "{} at {} is for {}, and where it was decided {first:?} was the one that counts",
            fact.subject, fact.sequence, assignment.rollout
        ))
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

    pub(super) fn report(&mut self, fact: &Fact) -> Result<(), Objection> {
        let report: Report =
            wire::decode::<fleet::v1::Report, _>(&fact.statement).map_err(|error| unread(&error))?;
        if let Some(course) = self.courses.get_mut(&report.cluster) {
            course.report(&report);
        }
        self.keep(fact.sequence, &report.cluster);
        Ok(())
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

    /// As the hub counts places: who was asked holds one before its agent is heard. Counted where it was decided, so
    /// that of two controllers each is judged by what it had read.
    fn has_a_place(&self, fact: &Fact, (assignment, as_of): (&Assignment, u64)) -> Result<(), Objection> {
        let rollout = &assignment.rollout;
        let held = |cluster: &&ClusterName| {
            let stood = self.stood.get(*cluster).into_iter().flatten();
            let course = stood.rev().find(|(sequence, _)| *sequence <= as_of);
            course.is_some_and(|(_, task)| task.rollout == *rollout && task.in_work(assignment.issued))
        };
        let rollouts = self.rollouts.iter().filter(|(key, _)| key == rollout);
        let mut waves = rollouts.flat_map(|(_, course)| &course.started.waves);
        let Some(wave) = waves.find(|wave| wave.clusters.contains(&assignment.cluster)) else {
            return Ok(());
        };
        let mut names: BTreeSet<&ClusterName> = wave.clusters.iter().filter(held).collect();
        names.insert(&assignment.cluster);
        if names.len() <= wave.max_concurrency as usize {
            return Ok(());
        }
        let names: Vec<String> = names.into_iter().map(ToString::to_string).collect();
        Err(format!(
            "at {} ({}) {names:?} of wave {} are in work, {} may be",
            fact.sequence, fact.subject, wave.name, wave.max_concurrency
        ))
    }
}
