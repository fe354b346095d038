//! A cluster with its agent: the real check of an assignment, a memory that survives, and a cluster that runs a
//! release by name. What the agent does around the check follows `agent::run`.

use std::collections::VecDeque;
use std::sync::Arc;

use agent::check::{AcceptedPolicy, Demands, Memory, Order, Refusal, check};
use attest::{Claim, Header, Role, SigningKey, claim};
use bus::agent::SubmissionKind;
use bus::buckets::Values;
use bus::streams::Bucket;
use bytes::Bytes;
use domain::fleet::{ComponentFacts, HealthReport, Heartbeat, Report, ReportKind};
use domain::{ClusterFacts, ClusterName, Digest, Epoch, Health, Installer, Mode, Reason};
use jiff::{SignedDuration, Timestamp};
use testkit::log::Dice;
use wire::fleet::v1;

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

    /// Says what runs, where that is news; not while a task is open.
    fn state(&mut self) {
        let runs = self.live.key.manifests;
        if self.is_open() || self.stated == Some(runs) {
            return;
        }
        self.stated = Some(runs);
        let facts = self.facts();
        self.say(SubmissionKind::Facts, Epoch(0), &v1::ClusterFacts::from(&facts));
    }

    fn facts(&self) -> ClusterFacts {
        let component = |image: &domain::ImageContents| ComponentFacts {
            image: image.image.clone(),
            image_ids: [image.index].into(),
        };
        let images = self.live.contents.images.iter();
        ClusterFacts {
            cluster: self.name.clone(),
            observed: self.spoke,
            kubernetes: "v1.36.3".to_owned(),
            installer: Installer::FluxCli,
            components: images.map(|(name, image)| (*name, component(image))).collect(),
            crds: [].into(),
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
        match check(&entry.value, &self.demands, &self.memory, now) {
            Ok(order) => {
                let epoch = order.assignment.epoch;
                if self.follow(order) {
                    let highest = self
                        .followed
                        .last()
                        .map_or(epoch, |(_, highest)| epoch.max(*highest));
                    self.followed.push((epoch, highest.max(self.refused)));
                    self.handled = Some(name);
                }
            }
            Err(refusal) => self.refuse(name, &refusal),
        }
    }

    fn refuse(&mut self, dossier: Digest, refusal: &Refusal) {
        let seen = |digest| self.memory.assignment == Some(digest);
        match refusal.genuine {
            Some((_, digest)) if seen(digest) && self.memory.answered => self.handled = Some(dossier),
            Some((epoch, digest)) if refusal.reason != Reason::EpochOld => {
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
    fn follow(&mut self, order: Order) -> bool {
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
            self.task = Some(Task {
                order,
                phase: Phase::Begun,
            });
        }
        true
    }

    async fn beat(&mut self, place: &Place) {
        self.observations += 1;
        let heartbeat = Heartbeat {
            cluster: self.name.clone(),
            sent: self.next_time(),
            epoch: self.health.0,
            health: self.health.1,
            observations: self.observations,
            alarm: None,
            reconciles: self.observations,
        };
        let envelope = self.signed(&v1::Heartbeat::from(&heartbeat));
        let heartbeats = Values::in_memory(place.heartbeats.clone(), Bucket::Heartbeats);
        heartbeats
            .put(self.name.as_str(), envelope)
            .await
            .expect("a bucket in memory");
    }

    fn report(&mut self, order: &Order, kind: ReportKind) {
        self.report_on((order.assignment.epoch, order.digest), kind);
    }

    fn report_on(&mut self, (epoch, assignment): (Epoch, Digest), kind: ReportKind) {
        let place = match kind {
            ReportKind::Accepted => SubmissionKind::Accepted,
            ReportKind::Refused(_) => SubmissionKind::Refused,
            ReportKind::Applied => SubmissionKind::Applied,
            ReportKind::WouldUpgrade | ReportKind::Finished(_) => SubmissionKind::Result,
        };
        let report = Report {
            cluster: self.name.clone(),
            sent: self.next_time(),
            epoch,
            assignment,
            kind,
            detail: String::new(),
        };
        self.say(place, epoch, &v1::Report::from(&report));
    }

    fn say<C: Claim>(&mut self, kind: SubmissionKind, epoch: Epoch, claim: &C) {
        let envelope = self.signed(claim);
        self.outbox.push_back(Submission {
            cluster: self.name.clone(),
            kind,
            epoch: epoch.0,
            envelope,
        });
    }

    fn signed<C: Claim>(&mut self, claim: &C) -> Bytes {
        let time = self.next_time();
        let header = Header::of_agent(&self.name, self.key.public(), time, "");
        let envelope = claim::sign(&header, claim, &self.key).expect("signing");
        envelope.to_bytes().into()
    }

    /// Later than everything said before.
    fn next_time(&mut self) -> Timestamp {
        self.spoke += SignedDuration::from_millis(1);
        self.spoke
    }
}
