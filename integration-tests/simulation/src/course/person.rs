//! A person who stops things and lets them go on, and waits for the answer that a stop is applied.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use domain::{Digest, StopScope, StopSetting};

use super::{Course, Failure};
use crate::bugs::Bug;
use crate::fixture::{CLUSTERS, Fixture, ZONE};
use crate::site::Begun;

/// A person.
#[derive(Debug, Default)]
pub(super) struct Person {
    /// What is wanted, until it is answered.
    wish: Option<Wish>,
    /// Stops that were answered as applied and are not lifted, each with its place on the log.
    answered: BTreeMap<StopScope, u64>,
    /// Answers so far.
    heard: u64,
    /// Wants nothing stopped any more.
    content: bool,
}

/// What is wanted. The same request is sent again where its answer was not heard.
#[derive(Debug)]
struct Wish {
    stop: StopSetting,
    /// The replica that was asked.
    asked: Option<usize>,
    /// Where it stands, as that replica said.
    stored: Option<u64>,
}

impl Person {
    /// Whether an answer is waited for.
    pub(super) const fn waits(&self) -> bool {
        self.wish.is_some()
    }

    /// Whether what is wanted is not stored yet.
    pub(super) fn asks(&self) -> bool {
        self.wish.as_ref().is_some_and(|wish| wish.stored.is_none())
    }

    /// Answers so far.
    pub(super) const fn heard(&self) -> u64 {
        self.heard
    }
}

impl Course {
    /// A person wants something stopped, or lifted; not while an answer is waited for.
    pub(super) fn wish(&mut self) {
        let in_force = self.referee.stops_in_force();
        if self.person.waits() {
            return;
        }
        let lifts = !in_force.is_empty() && self.dice.happens(600);
        let scope = if lifts {
            let chosen = usize::try_from(self.dice.below(in_force.len() as u64)).unwrap_or(0);
            in_force[chosen].clone()
        } else {
            self.scope()
        };
        self.ask(scope, !lifts);
    }

    /// Sometimes a person objects as soon as a cluster was asked to write; not at the end, where nobody wants anything.
    pub(super) fn object(&mut self) {
        let Some((cluster, rollout)) = self.referee.asked.take() else {
            return;
        };
        // Where a rule is taken out there is a reason to.
        let often = if self.plan.bug.is_some() { 800 } else { 300 };
        if self.person.waits() || self.person.content || !self.dice.happens(often) {
            return;
        }
        let scope = match self.dice.below(8) {
            0 => StopScope::Fleet,
            1 => StopScope::Version(rollout.version),
            2 | 3 => StopScope::Rollout(rollout),
            4 => self
                .sites
                .iter()
                .find(|site| site.name == cluster)
                .map_or(StopScope::Fleet, |site| StopScope::Wave(site.wave.to_owned())),
            _ => StopScope::Cluster(cluster),
        };
        self.ask(scope, true);
    }

    /// Nobody wants anything stopped from here on.
    pub(super) const fn content(&mut self) {
        self.person.content = true;
    }

    /// A person lifts the first of the stops that are in force.
    pub(super) fn lift(&mut self) {
        let first = self.referee.stops_in_force().into_iter().next();
        if let (Some(scope), false) = (first, self.person.waits()) {
            self.ask(scope, false);
        }
    }

    fn ask(&mut self, scope: StopScope, active: bool) {
        let what = if active { "stopped" } else { "lifted" };
        self.tell(|| format!("a person wants {scope} {what}"));
        let stop = StopSetting {
            scope,
            active,
            reason: "to see what happens".to_owned(),
            principal: "somebody".to_owned(),
            request_id: format!("stop-{}", self.moves),
        };
        self.person.wish = Some(Wish {
            stop,
            asked: None,
            stored: None,
        });
    }

    /// One scope of each kind.
    fn scope(&self) -> StopScope {
        let (cluster, wave) = CLUSTERS[usize::try_from(self.dice.below(4)).unwrap_or(0)];
        let releases = &Fixture::get().releases;
        let chosen = usize::try_from(self.dice.below(releases.len() as u64)).unwrap_or(0);
        match self.dice.below(6) {
            0 => StopScope::Fleet,
            1 => StopScope::Wave(wave.to_owned()),
            2 => StopScope::Label {
                key: ZONE.0.to_owned(),
                value: ZONE.1.to_owned(),
            },
            3 => StopScope::Cluster(cluster.parse().expect("a name")),
            4 => StopScope::Version(releases[chosen].key.version.clone()),
            _ => match self.referee.active() {
                Some(course) => StopScope::Rollout(course.started.rollout.clone()),
                None => StopScope::Fleet,
            },
        }
    }

    /// What this replica is asked for, if it is the one to be asked and has not been.
    pub(super) fn asked(&mut self, replica: usize) -> Option<StopSetting> {
        let acts = self.acts(replica);
        let wish = self.person.wish.as_mut()?;
        if !acts || wish.asked.is_some() {
            return None;
        }
        wish.asked = Some(replica);
        Some(wish.stop.clone())
    }

    /// A step of this replica is over: what it was asked for is stored, or was refused.
    pub(super) fn stored(&mut self, replica: usize) {
        let Some(wish) = self.person.wish.as_mut() else {
            return;
        };
        if wish.asked != Some(replica) || wish.stored.is_some() {
            return;
        }
        let mut stored = self.place.stored.lock().unwrap_or_else(PoisonError::into_inner);
        wish.stored = stored.take();
        if wish.stored.is_none() {
            self.person.wish = None;
        }
    }

    /// This replica gives no answer any more: another one is asked for the same.
    pub(super) fn unheard(&mut self, replica: usize) {
        let wish = self
            .person
            .wish
            .as_mut()
            .filter(|wish| wish.asked == Some(replica));
        if let Some(wish) = wish {
            (wish.asked, wish.stored) = (None, None);
        }
    }

    /// Hears whether what is wanted is applied; a lifted stop is none, as soon as that stands on the log.
    pub(super) fn hear(&mut self) {
        let in_force = self.referee.stops_in_force();
        self.person.answered.retain(|scope, _| in_force.contains(scope));
        let Some(wish) = &self.person.wish else { return };
        let (Some(replica), Some(stored)) = (wish.asked, wish.stored) else {
            return;
        };
        let running = self.slots[replica].running.as_ref();
        let applied = running.map_or(0, |running| running.part.applied());
        if applied < stored && self.plan.bug != Some(Bug::AnswersEarly) {
            return;
        }
        let stop = wish.stop.clone();
        self.person.wish = None;
        self.person.heard += 1;
        self.tell(|| format!("a person hears that it is so: {} {}", stop.scope, stop.active));
        if stop.active && self.referee.stops_in_force().contains(&stop.scope) {
            self.person.answered.insert(stop.scope, stored);
        }
    }

    /// No agent begins what was answered as stopped; whoever owns the bus may put an older assignment before it.
    pub(super) fn check_stops(&self, chosen: usize, begun: &Begun) -> Result<(), Failure> {
        let name = &self.sites[chosen].name;
        if self.put_back.get(name.as_str()) == Some(&Digest::of(&begun.dossier)) {
            return Ok(());
        }
        let touching = self
            .person
            .answered
            .iter()
            .find(|(scope, _)| self.referee.touches(scope, name, &begun.rollout));
        match touching {
            None => Ok(()),
            Some((scope, at)) => Err(Failure::Unsafe {
                at: self.moves,
                what: format!(
                    "{name} begins epoch {} of {} though the stop of {scope} at {at} was answered as applied",
                    begun.epoch, begun.rollout
                ),
            }),
        }
    }
}
