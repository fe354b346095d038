//! Replicas and clusters, moved: steps, turns, deaths.

use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;

use super::{Course, Failure, HANGS, LOOK_AGAIN, REPLICAS};
use crate::fixture::Quality;
use crate::replica::{Errand, Kind, Running, Submission};
use crate::site::Luck;
use crate::turns::{Told, Verdict};

impl Course {
    /// Some replica: starts, begins a step, or has its turn.
    pub(super) async fn replica(&mut self, dies: u64) -> Result<(), Failure> {
        let chosen = usize::try_from(self.dice.below(REPLICAS.len() as u64)).unwrap_or(0);
        self.one_replica(chosen, dies).await
    }

    /// This replica.
    pub(super) async fn one_replica(&mut self, chosen: usize, dies: u64) -> Result<(), Failure> {
        if self.slots[chosen].running.is_none() {
            return self.boot(chosen).await;
        }
        if self.is_outdated(chosen) && self.dice.happens(100) {
            self.renew(chosen);
            return Ok(());
        }
        if let Some(ask) = self.slots[chosen].waits.take() {
            let verdict = match (self.dice.happens(dies), self.dice.happens(500)) {
                (false, _) => Verdict::Go,
                (true, false) => Verdict::DieBefore,
                (true, true) => Verdict::DieAfter,
            };
            self.tell(|| format!("{:?} {chosen}: {} ({verdict:?})", REPLICAS[chosen], ask.what));
            self.read_on(chosen).await;
            ask.answer(verdict);
            return self.listen(chosen).await;
        }
        self.begin(chosen).await
    }

    /// While a replica waits, its view may move on.
    async fn read_on(&self, chosen: usize) {
        if !self.dice.happens(200) {
            return;
        }
        let slot = &self.slots[chosen];
        slot.way.show(self.place.log.events().len() as u64);
        if let Some(running) = &slot.running {
            running.follow().await;
        }
    }

    pub(super) async fn boot(&mut self, chosen: usize) -> Result<(), Failure> {
        let policy = match self.dice.happens(500) {
            true => "policy-2.yaml",
            false => "policy-1.yaml",
        };
        self.tell(|| format!("{:?} {chosen} starts with {policy}", REPLICAS[chosen]));
        let slot = &mut self.slots[chosen];
        slot.way = Arc::new(self.first.replica());
        let shown = self.dice.below(self.place.log.events().len() as u64 + 1);
        slot.way.show(shown);
        slot.looked = (0, Timestamp::UNIX_EPOCH);
        let told = self.told.clone();
        let started = Running::start(
            (chosen, slot.kind),
            &self.place,
            Arc::clone(&slot.way),
            (told, policy),
        );
        slot.running = Some(started.await?);
        Ok(())
    }

    pub(super) async fn begin(&mut self, chosen: usize) -> Result<(), Failure> {
        let last = self.place.log.events().len() as u64;
        // Mostly what is there has arrived; sometimes the tail lags, and to one that was deposed little comes.
        let behind = match (self.dice.happens(250), self.dice.happens(600)) {
            (_, true) if self.deposed == Some(chosen) => last,
            (true, _) => self.dice.below(12),
            (false, _) => 0,
        };
        let errand = self.errand(chosen);
        let (length, when) = self.slots[chosen].looked;
        let due = length != last
            || self.now().duration_since(when) >= LOOK_AGAIN
            || !matches!(errand, Errand::Look);
        if !due || (self.slots[chosen].kind == Kind::Controller && !self.acts(chosen)) {
            return Ok(());
        }
        self.slots[chosen].looked = (last.saturating_sub(behind), self.now());
        self.false_status().await?;
        let (place, slot) = (Arc::clone(&self.place), &mut self.slots[chosen]);
        slot.way.show(last.saturating_sub(behind));
        let Some(running) = &slot.running else {
            return Ok(());
        };
        running.follow().await;
        let (part, told) = (running.part.clone(), self.told.clone());
        slot.step = Some(tokio::spawn(async move {
            part.step(place, errand).await;
            let _over = told.send(Told::Done(chosen));
        }));
        self.listen(chosen).await
    }

    /// What this replica is moved for.
    fn errand(&mut self, chosen: usize) -> Errand {
        if let Some(stop) = self.asked(chosen) {
            return Errand::Stop(stop);
        }
        self.submission(chosen).map_or(Errand::Look, Errand::Serve)
    }

    /// What an agent sent, if this replica is to serve one now; in any order.
    pub(super) fn submission(&mut self, chosen: usize) -> Option<Submission> {
        let serves = self.acts(chosen) && self.dice.happens(700);
        let mut inbox = self.place.inbox();
        let waiting = inbox.waiting.len() as u64;
        if !serves || waiting == 0 {
            return None;
        }
        let place = usize::try_from(self.dice.below(waiting)).unwrap_or(0);
        inbox.waiting.remove(place)
    }

    /// Waits until the replica that moves stands still.
    pub(super) async fn listen(&mut self, chosen: usize) -> Result<(), Failure> {
        let told = tokio::time::timeout(HANGS, self.heard.recv()).await;
        let told = told.with_context(|| format!("{:?} {chosen} hangs", REPLICAS[chosen]))?;
        match told.context("nobody can tell anything any more")? {
            Told::Waits(ask) => {
                let replica = ask.replica;
                self.slots[replica].waits = Some(ask);
            }
            Told::Done(replica) => {
                let step = self.slots[replica].step.take();
                if let Some(step) = step {
                    step.await.context("a replica panicked")?;
                }
                self.stored(replica);
            }
            Told::Died(replica) => self.bury(replica),
        }
        Ok(())
    }

    pub(super) fn bury(&mut self, replica: usize) {
        self.deaths += 1;
        self.stop(replica);
        self.slots[replica].running = None;
        if replica == self.leader {
            self.leader = 9 - self.leader;
            self.deposed = None;
        } else if self.deposed == Some(replica) {
            self.deposed = None;
        }
    }

    /// Whether a controller acts: it holds the lease, or takes itself for its holder.
    pub(super) fn acts(&self, replica: usize) -> bool {
        replica == self.leader || self.deposed == Some(replica)
    }

    pub(super) fn stop(&mut self, replica: usize) {
        let slot = &mut self.slots[replica];
        slot.waits = None;
        if let Some(step) = slot.step.take() {
            step.abort();
        }
        self.unheard(replica);
    }

    /// An operator restarts a policy-engine, it may be with another file.
    pub(super) fn restart_engine(&mut self) {
        let chosen = 2 + usize::from(self.dice.happens(500));
        self.tell(|| format!("Policy {chosen} is restarted"));
        self.bury(chosen);
    }

    /// The lease is lost, and the other one acts. Whatever its holder was doing is dropped; or it has not noticed yet,
    /// and both act.
    pub(super) fn change_leader(&mut self) {
        let old = self.leader;
        if self.deposed.is_some() {
            return;
        }
        self.leader = 9 - old;
        if self.dice.happens(500) {
            self.tell(|| format!("Controller {old} loses its lease"));
            self.stop(old);
        } else {
            self.tell(|| format!("Controller {old} loses its lease, and does not notice"));
            self.deposed = Some(old);
        }
    }

    /// A controller notices that it has lost its lease.
    pub(super) fn notice(&mut self) {
        if let Some(old) = self.deposed.take() {
            self.tell(|| format!("Controller {old} notices that it has lost its lease"));
            self.stop(old);
        }
    }

    pub(super) async fn site(&mut self, luck: Luck) -> Result<(), Failure> {
        let chosen = usize::try_from(self.dice.below(self.sites.len() as u64)).unwrap_or(0);
        let (place, dice) = (Arc::clone(&self.place), self.dice.clone());
        let site = &mut self.sites[chosen];
        let before = (site.live.key.version.clone(), site.is_open(), site.followed.len());
        site.round(&place, (&dice, luck)).await;
        let after = (site.live.key.version.clone(), site.is_open(), site.followed.len());
        if before != after {
            let name = site.name.clone();
            self.tell(|| format!("{name} runs {}, open {}, followed {}", after.0, after.1, after.2));
        }
        if let Some(begun) = self.sites[chosen].begun.take() {
            self.check_stops(chosen, &begun)?;
            self.check_keys(chosen, &begun)?;
        }
        self.check_misled(chosen)?;
        self.check_site(chosen)
    }

    pub(super) fn check_site(&self, chosen: usize) -> Result<(), Failure> {
        let object = |what: String| Err(Failure::Unsafe { at: self.moves, what });
        let site = &self.sites[chosen];
        if let Some((epoch, highest)) = site.followed.last().filter(|(epoch, highest)| epoch < highest) {
            return object(format!(
                "{} follows epoch {epoch} after epoch {highest}",
                site.name
            ));
        }
        let live = site.live;
        if live.quality != Quality::Old && !self.referee.was_allowed(&live.key) {
            return object(format!(
                "{} runs {}, which nothing ever allowed",
                site.name, live.key
            ));
        }
        let open: Vec<&str> = self
            .sites
            .iter()
            .filter(|other| other.wave == site.wave && other.is_open())
            .map(|other| other.name.as_str())
            .collect();
        if open.len() > 1 {
            return object(format!("{open:?} of wave {} are in work at once", site.wave));
        }
        Ok(())
    }
}
