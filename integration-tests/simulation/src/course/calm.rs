//! The end of a course: nothing goes wrong any more, and everything has to come to its end.

use anyhow::Context as _;
use domain::rollout::RolloutEnd;
use testkit::log::Faults;

use super::{Course, Failure, LUCKY};
use crate::fixture::{Fixture, Quality};

impl Course {
    /// Nothing goes wrong any more; everything has to come to its end.
    pub(super) async fn calm(&mut self) -> Result<(), Failure> {
        self.first.set_faults(Faults::default());
        self.first.settle().await;
        self.ledger_sound = true;
        for site in &mut self.sites {
            site.silent = false;
        }
        while self.discovered < Fixture::get().releases.len() {
            self.discover();
        }
        self.operate(true);
        self.content();
        self.notice();
        for replica in 0..self.slots.len() {
            if self.is_outdated(replica) {
                self.renew(replica);
            }
        }
        for moves in 0..self.plan.calm {
            self.lift();
            match self.dice.below(1000) {
                0..=649 => self.replica(0).await?,
                650..=879 => self.site(LUCKY).await?,
                880..=939 => self.pass(10 + self.dice.below(50)),
                _ => self.audit().await?,
            }
            self.after_a_move().await?;
            if moves % 20 == 19 && self.left().is_none() {
                return Ok(());
            }
        }
        match self.left() {
            None => Ok(()),
            Some(what) => Err(Failure::Unfinished {
                moves: self.plan.calm,
                what,
            }),
        }
    }

    /// What is not at its end.
    fn left(&self) -> Option<String> {
        if let Some(active) = self.referee.active() {
            return Some(format!("{} is not over", active.started.rollout));
        }
        if let Some(scope) = self.referee.stops_in_force().first() {
            return Some(format!("the stop of {scope} is not lifted"));
        }
        if let Some(site) = self.sites.iter().find(|site| !site.rests()) {
            return Some(format!("cluster {} has something left to do", site.name));
        }
        let target = Fixture::get()
            .releases
            .iter()
            .rfind(|release| release.quality == Quality::Good)?;
        let behind = self.sites.iter().find(|site| site.live.key != target.key)?;
        // Where a cluster objected, or a person recalled the version, the rollout is halted, and that is its end.
        let tried = self
            .referee
            .rollouts
            .iter()
            .rev()
            .find(|(_, c)| c.started.release == target.key);
        let Some(tried) = tried.map(|(_, course)| course) else {
            return Some(format!(
                "{} is not upgraded, and no rollout has been",
                behind.name
            ));
        };
        let objected = self.sites.iter().any(|site| site.objected);
        match tried.finished.as_ref() {
            Some(finished) if finished.end == RolloutEnd::Halted && (objected || tried.recalled) => None,
            Some(finished) => Some(format!(
                "{} is not upgraded, and the end was {}",
                behind.name, finished.end
            )),
            None => Some(format!("{} is not over", tried.started.rollout)),
        }
    }

    pub(super) fn ends(&self) -> Vec<RolloutEnd> {
        let finished = self
            .referee
            .rollouts
            .iter()
            .filter_map(|(_, course)| course.finished.as_ref());
        finished.map(|finished| finished.end).collect()
    }

    /// Every replica's view, wherever it began, holds what the referee found.
    pub(super) async fn all_agree(&mut self) -> Result<(), Failure> {
        let last = self.place.log.events().len() as u64;
        let mut expected: Vec<_> = self
            .referee
            .facts
            .values()
            .map(|fact| (fact.sequence, fact.envelope.clone()))
            .collect();
        expected.sort_by_key(|(sequence, _)| *sequence);
        for (replica, slot) in self.slots.iter().enumerate() {
            let Some(running) = &slot.running else { continue };
            slot.way.show(last);
            running.follow().await;
            let facts = running.view.after(0, u32::MAX).await.context("reading a view")?;
            let found: Vec<_> = facts
                .into_iter()
                .map(|fact| (fact.sequence, fact.envelope))
                .collect();
            if found != expected {
                let what = format!(
                    "the view of {:?} {replica} holds something else than the log",
                    slot.kind
                );
                return Err(Failure::Unsafe { at: self.moves, what });
            }
        }
        Ok(())
    }
}
