//! Rollouts: one after the other, and each wave by wave.
//!
//! Each step is judged by what its author had read. Where two controllers act, or a step lands late, one may take a
//! step of a rollout that is over, or begin a second one; whoever has read both goes on with the first that is not
//! over, so the second waits, and what came after an end changes nothing.

use std::collections::BTreeSet;

use bus::Fact;
use domain::RolloutKey;
use domain::rollout::{RolloutFinished, RolloutStarted, WaveBaked, WaveOpened};
use wire::rollout;

use super::{Course, Objection, Referee, unread};
use crate::turns::Author;

impl Course {
    /// Whether it goes on, for whoever has read up to this place.
    fn goes_on_at(&self, place: u64) -> bool {
        self.begun_at <= place && self.over_at.is_none_or(|over| over > place)
    }
}

impl Referee {
    pub(super) fn rollout(&mut self, fact: &Fact, author: Option<Author>) -> Result<(), Objection> {
        match fact.subject.step() {
            "started" => self.started(fact, author),
            "finished" => self.finished(fact, author),
            step if step.starts_with("opened-") => self.opened(fact, author),
            step if step.starts_with("baked-") => self.baked(fact, author),
            _ => Ok(()),
        }
    }

    fn started(&mut self, fact: &Fact, author: Option<Author>) -> Result<(), Objection> {
        let started: RolloutStarted = wire::decode::<rollout::v1::RolloutStarted, _>(&fact.statement)
            .map_err(|error| unread(&error))?;
        if let Some(other) = author.and_then(|author| self.first_at(author.read)) {
            return Err(format!("{} begins while {other} is not over", started.rollout));
        }
        self.goes_on(fact, author, (&started.rollout, None))?;
        if !self.allowed.contains(&started.release) {
            return Err(format!("{} begins, and nothing allows it", started.rollout));
        }
        let course = Course {
            started: started.clone(),
            begun_at: fact.sequence,
            opened: BTreeSet::new(),
            baked: BTreeSet::new(),
            finished: None,
            over_at: None,
            recalled: false,
        };
        self.rollouts.push((started.rollout, course));
        Ok(())
    }

    fn finished(&mut self, fact: &Fact, author: Option<Author>) -> Result<(), Objection> {
        let finished: RolloutFinished = wire::decode::<rollout::v1::RolloutFinished, _>(&fact.statement)
            .map_err(|error| unread(&error))?;
        let recalled = self.is_recalled(author, &finished.rollout);
        let course = self.course(&finished.rollout, author)?;
        course.over_at = Some(fact.sequence);
        (course.finished, course.recalled) = (Some(finished), recalled);
        Ok(())
    }

    fn opened(&mut self, fact: &Fact, author: Option<Author>) -> Result<(), Objection> {
        let opened: WaveOpened =
            wire::decode::<rollout::v1::WaveOpened, _>(&fact.statement).map_err(|error| unread(&error))?;
        self.goes_on(fact, author, (&opened.rollout, Some(&opened.wave)))?;
        let course = self.course(&opened.rollout, author)?;
        let waves = course.started.waves.iter();
        let mut before = waves.take_while(|wave| wave.name != opened.wave);
        if before.any(|wave| !course.baked.contains(&wave.name)) {
            return Err(format!(
                "{} opens before the waves before it have baked",
                fact.subject
            ));
        }
        course.opened.insert(opened.wave);
        if course.opened.len() > course.baked.len() + 1 {
            return Err(format!("{}: more than one wave is open", fact.subject));
        }
        Ok(())
    }

    fn baked(&mut self, fact: &Fact, author: Option<Author>) -> Result<(), Objection> {
        let baked: WaveBaked =
            wire::decode::<rollout::v1::WaveBaked, _>(&fact.statement).map_err(|error| unread(&error))?;
        let course = self.course(&baked.rollout, author)?;
        if !course.opened.contains(&baked.wave) {
            return Err(format!("{} bakes before it is open", fact.subject));
        }
        course.baked.insert(baked.wave);
        Ok(())
    }

    /// The first rollout that goes on, for whoever has read up to this place: the one that counts.
    pub(super) fn first_at(&self, place: u64) -> Option<&RolloutKey> {
        let mut rollouts = self.rollouts.iter();
        let first = rollouts.find(|(_, course)| course.goes_on_at(place));
        first.map(|(key, _)| key)
    }

    /// A rollout that takes a step: it is the one that counts, as far as its author had read.
    fn course(&mut self, key: &RolloutKey, author: Option<Author>) -> Result<&mut Course, Objection> {
        let first = author.map(|author| self.first_at(author.read).cloned());
        let found = self.rollouts.iter_mut().find(|(other, _)| other == key);
        let Some((_, course)) = found else {
            return Err(format!("{key} takes a step though it has not begun"));
        };
        match first {
            Some(Some(first)) if first == *key => Ok(course),
            None => Ok(course),
            Some(first) => Err(format!(
                "{key} takes a step, and {first:?} is the one that counts"
            )),
        }
    }
}
