//! A cluster with its agent: the real check of an assignment, a memory that survives, and a cluster that runs a
//! release by name. What the agent does around the check follows `agent::run`.

use std::collections::VecDeque;
use std::sync::Arc;

use agent::check::{AcceptedPolicy, Demands, Memory, Order, Refusal, check};
use attest::{Dossier, Role, SigningKey};
use bus::agent::SubmissionKind;
use bus::buckets::Values;
use bus::streams::Bucket;
use bytes::Bytes;
use domain::fleet::{HealthReport, ReportKind};
use domain::{ClusterName, Digest, Epoch, Health, Mode, Reason, RolloutKey};
use jiff::Timestamp;
use testkit::log::Dice;
use wire::fleet::v1;

mod voice;

use crate::bugs::Bug;
use crate::fixture::{Fixture, Release};
use crate::replica::{Place, Submission};

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Begun,
    Applied(Timestamp),
    Settled(Health),
}

/// A task that was begun: it stands in the cluster.
#[derive(Debug, Clone)]
struct Task {
    order: Order,
    phase: Phase,
}

/// What can happen to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Luck {
    /// An upgrade makes it sick so many times in a thousand.
    pub(crate) sick: u64,
    /// Its agent dies at a step so many times in a thousand.
    pub(crate) dies: u64,
    /// What it sends is lost so many times in a thousand, and as often sent twice.
    pub(crate) lost: u64,
}

/// A task as it was begun.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    /// The number of its assignment.
    pub(crate) epoch: Epoch,
    /// For which rollout.
    pub(crate) rollout: RolloutKey,
    /// What lay before the agent.
    pub(crate) dossier: Bytes,
}

/// A cluster with its agent.
pub(crate) struct Site {
    /// Its name.
    pub(crate) name: ClusterName,
    /// Its wave.
    pub(crate) wave: &'static str,
    /// The release that runs.
    pub(crate) live: &'static Release,
    /// What was begun last.
    task: Option<Task>,
    /// Whether it ever was sick, or said no.
    pub(crate) objected: bool,
    /// Its agent is not there.
    pub(crate) silent: bool,
    /// The epochs that were followed, in order, each with the highest that had been seen by then.
    pub(crate) followed: Vec<(Epoch, Epoch)>,
    /// What was begun since somebody looked.
    pub(crate) begun: Option<Begun>,
    /// What lay before it last of which the statements don't count, and why, since somebody looked.
    pub(crate) misled: Option<(Digest, String)>,
    /// The highest epoch that was refused.
    refused: Epoch,
    key: Arc<SigningKey>,
    demands: Demands,
    memory: Memory,
    handled: Option<Digest>,
    /// The assignment whose last word is said, but not heard yet.
    answering: Option<Digest>,
    outbox: VecDeque<Submission>,
    spoke: Timestamp,
    stated: Option<Digest>,
    health: (Epoch, Health),
    observations: u64,
}

impl Site {
    /// A cluster that runs the oldest release.
    #[must_use]
    pub(crate) fn new(name: &str, wave: &'static str) -> Self {
        let fixture = Fixture::get();
        let name: ClusterName = name.parse().expect("a name");
        let demands = Demands {
            cluster: name.clone(),
            root: fixture.root.public().clone(),
            lowest_bundle: 1,
            roles: [Role::Verifier, Role::Policy, Role::Controller].into(),
            policies: vec![AcceptedPolicy {
                name: "default".to_owned(),
                digest: None,
            }],
            max_mode: Mode::Enforce,
            accept_demo: true,
        };
        Self {
            wave,
            live: &fixture.releases[0],
            task: None,
            objected: false,
            silent: false,
            followed: Vec::new(),
            begun: None,
            misled: None,
            refused: Epoch(0),
            key: Arc::clone(&fixture.agents[&name]),
            demands,
            memory: Memory::default(),
            handled: None,
            answering: None,
            outbox: VecDeque::new(),
            spoke: Timestamp::UNIX_EPOCH,
            stated: None,
            health: (Epoch(0), Health::Healthy),
            observations: 0,
            name,
        }
    }

    /// Whether it has nothing left to do or to say.
    #[must_use]
    pub(crate) fn rests(&self) -> bool {
        !self.is_open() && self.outbox.is_empty()
    }

    /// Whether a task is begun and not settled.
    #[must_use]
    pub(crate) fn is_open(&self) -> bool {
        let phase = self.task.as_ref().map(|task| task.phase);
        matches!(phase, Some(Phase::Begun | Phase::Applied(_)))
    }

    /// The agent dies and starts again: what is neither on its disk nor in its cluster is lost.
    pub(crate) fn restart(&mut self) {
        self.handled = None;
        self.answering = None;
        self.outbox.clear();
        self.stated = None;
        let Some(task) = self.task.clone() else { return };
        // What was said about it may not have been heard.
        self.report(&task.order, ReportKind::Accepted);
        if task.phase != Phase::Begun {
            self.report(&task.order, ReportKind::Applied);
        }
        if let Phase::Settled(health) = task.phase {
            self.report(&task.order, ReportKind::Finished(health));
        }
    }

    /// One round of the agent.
    pub(crate) async fn round(&mut self, place: &Place, (dice, luck): (&Dice, Luck)) {
        if self.silent {
            return;
        }
        let now = place.clock.now();
        self.spoke = self.spoke.max(now);
        self.send(place, (dice, luck));
        self.carry_on(now, (dice, luck));
        self.state();
        self.consider(place, now).await;
        self.beat(place).await;
        if dice.happens(luck.dies) {
            self.restart();
        }
    }

    /// Sends the first of what is to be said, again and again until it is answered.
    fn send(&mut self, place: &Place, (dice, luck): (&Dice, Luck)) {
        let mut inbox = place.inbox();
        while let Some(first) = self.outbox.front() {
            let answered = inbox.answered.get(&Digest::of(&first.envelope));
            if answered == Some(&true) {
                self.outbox.pop_front();
                continue;
            }
            let waits = inbox.waiting.iter().any(|other| other.envelope == first.envelope);
            let times = match (waits, dice.happens(luck.lost), dice.happens(luck.lost)) {
                (true, _, _) | (false, true, _) => 0,
                (false, false, false) => 1,
                (false, false, true) => 2,
            };
            for _ in 0..times {
                inbox.waiting.push_back(first.clone());
            }
            return;
        }
        // An assignment whose last word was heard is never carried out later, not even after a restart.
        if let Some(answered) = self.answering.take() {
            self.memory.answered |= self.memory.assignment == Some(answered);
        }
    }

    /// Writes what was begun, and judges it.
    fn carry_on(&mut self, now: Timestamp, (dice, luck): (&Dice, Luck)) {
        let Some(task) = self.task.clone() else { return };
        let order = task.order;
        match task.phase {
            Phase::Begun => {
                let target = Fixture::get().release(&order.assignment.target);
                self.live = target.expect("a release of the fixture");
                let sick = dice.happens(luck.sick);
                if sick {
                    self.health.1 = Health::Unhealthy;
                }
                // It may die between the writing and the record of it: then it writes again.
                if dice.happens(luck.dies) {
                    return self.restart();
                }
                self.report(&order, ReportKind::Applied);
                self.task = Some(Task {
                    phase: Phase::Applied(now),
                    order,
                });
            }
            Phase::Applied(since) if now.duration_since(since) >= order.assignment.stable_for => {
                let health = self.health.1;
                self.health = (order.assignment.epoch, health);
                self.objected |= health != Health::Healthy;
                self.report(&order, ReportKind::Finished(health));
                let report = HealthReport {
                    cluster: self.name.clone(),
                    observed: self.spoke,
                    epoch: order.assignment.epoch,
                    health,
                    symptoms: vec![],
                };
                self.say(SubmissionKind::Health, Epoch(0), &v1::HealthReport::from(&report));
                self.task = Some(Task {
                    phase: Phase::Settled(health),
                    order,
                });
                self.memory.task = None;
            }
            Phase::Applied(_) | Phase::Settled(_) => {}
        }
    }

    /// Reads the assignment and does what follows from it.
    async fn consider(&mut self, place: &Place, now: Timestamp) {
        let assignments = Values::in_memory(place.assignments.clone(), Bucket::Assignments);
        let Ok(Some(entry)) = assignments.get(self.name.as_str()).await else {
            return;
        };
        let name = Digest::of(&entry.value);
        if self.handled == Some(name) {
            return;
        }
        if place.bug == Some(Bug::ForgetsEpochs) {
            self.memory = Memory {
                task: self.memory.task,
                ..Memory::default()
            };
        }
        let read = self.reading(place, &entry.value);
        match check(&read, &self.demands, &self.memory, now) {
            Ok(order) => {
                let epoch = order.assignment.epoch;
                if self.follow(&entry.value, order) {
                    let highest = self
                        .followed
                        .last()
                        .map_or(epoch, |(_, highest)| epoch.max(*highest));
                    self.followed.push((epoch, highest.max(self.refused)));
                    self.handled = Some(name);
                }
            }
            Err(refusal) => {
                self.misled(&entry.value, &refusal);
                self.refuse(name, &refusal);
            }
        }
    }

    /// What lies there, as the agent takes it.
    fn reading(&self, place: &Place, dossier: &Bytes) -> Bytes {
        let first = std::str::from_utf8(&Fixture::get().bundle).expect("a bundle is text");
        match (place.bug, Dossier::parse(dossier)) {
            (Some(Bug::KeepsTheFirstBundle), Ok(parsed)) => {
                let parsed = Dossier {
                    bundle: first.to_owned(),
                    ..parsed
                };
                parsed.to_bytes().into()
            }
            (_, _) => dossier.clone(),
        }
    }

    /// Notes what it can't act upon because of its signatures. What it has seen before lies there for no reason but
    /// that nothing came after it.
    fn misled(&mut self, dossier: &Bytes, refusal: &Refusal) {
        let assignment = Dossier::parse(dossier).map(|parsed| Digest::of(parsed.assignment.as_bytes()));
        let seen = assignment.is_ok_and(|digest| self.memory.assignment == Some(digest));
        if !seen
            && matches!(
                refusal.reason,
                Reason::StatementInvalid | Reason::StatementMissing
            )
        {
            let why = format!("{}: {}", refusal.reason, refusal.detail);
            self.misled = Some((Digest::of(dossier), why));
        }
    }

    fn refuse(&mut self, dossier: Digest, refusal: &Refusal) {
        let seen = |digest| self.memory.assignment == Some(digest);
        match refusal.genuine {
            Some((_, digest)) if seen(digest) && self.memory.answered => self.handled = Some(dossier),
            // While a task is open only a stop is answered, as by `agent::run`.
            Some((epoch, digest))
                if refusal.reason == Reason::Stopped
                    || (refusal.reason != Reason::EpochOld && !self.is_open()) =>
            {
                self.memory = self.memory.having_seen(epoch, digest, 0);
                self.refused = self.refused.max(epoch);
                self.answering = Some(digest);
                self.objected |= refusal.reason != Reason::Stopped;
                self.report_on((epoch, digest), ReportKind::Refused(refusal.reason));
                self.handled = Some(dossier);
            }
            // Somebody else's writing: an alarm in the heartbeat.
            Some(_) | None => {}
        }
    }

    /// Whether the order needs no more looking at.
    fn follow(&mut self, dossier: &Bytes, order: Order) -> bool {
        let seen = self
            .memory
            .having_seen(order.assignment.epoch, order.digest, order.bundle);
        if self.is_open()
            && let Some(task) = &mut self.task
        {
            let same = task.order.assignment.rollout == order.assignment.rollout
                && task.order.assignment.target == order.assignment.target;
            if order.mode != Mode::Enforce || !same {
                return false;
            }
            self.memory = Memory {
                task: seen.assignment,
                ..seen
            };
            task.order = order;
            return true;
        }
        self.memory = seen;
        if self.memory.answered {
            return true;
        }
        if !order.baseline.describes(&self.facts()) {
            self.answering = Some(order.digest);
            self.objected = true;
            self.report(&order, ReportKind::Refused(Reason::BaselineMoved));
        } else if order.mode == Mode::Observe {
            self.answering = Some(order.digest);
            self.report(&order, ReportKind::WouldUpgrade);
        } else {
            self.memory.task = Some(order.digest);
            self.report(&order, ReportKind::Accepted);
            self.begun = Some(Begun {
                epoch: order.assignment.epoch,
                rollout: order.assignment.rollout.clone(),
                dossier: dossier.clone(),
            });
            self.task = Some(Task {
                order,
                phase: Phase::Begun,
            });
        }
        true
    }
}
