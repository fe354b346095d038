//! The course of one seed: who moves next, and what goes wrong.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use bus::buckets::Values;
use bus::streams::Bucket;
use bytes::Bytes;
use domain::rollout::RolloutEnd;
use jiff::{SignedDuration, Timestamp};
use runtime::Clock;
use testkit::log::{Dice, Faults, Faulty, MemoryLog};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::bugs::Bug;
use crate::fixture::{BEGINNING, CLUSTERS, Fixture, Quality};
use crate::referee::Referee;
use crate::replica::{Inbox, Kind, Place, Running};
use crate::site::{Luck, Site};
use crate::turns::{Ask, Book, Told};

mod outside;
mod replicas;

/// Two replicas of each.
const REPLICAS: [Kind; 6] = [
    Kind::Verifier,
    Kind::Verifier,
    Kind::Policy,
    Kind::Policy,
    Kind::Controller,
    Kind::Controller,
];

/// Without a change a replica looks this often. The real ones look more often; here it only takes time.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(120);

/// A replica that does not come to its next turn within this (real) time hangs.
const HANGS: Duration = Duration::from_secs(60);

/// What goes wrong on the log in a storm.
const FAULTS: Faults = Faults {
    lost: 40,
    answer_lost: 40,
    late: 30,
    duplicated: 15,
    lagging: 200,
};

const UNLUCKY: Luck = Luck {
    sick: 250,
    dies: 20,
    lost: 150,
};
const LUCKY: Luck = Luck {
    sick: 0,
    dies: 0,
    lost: 0,
};

/// How a course is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Moves during which everything can go wrong.
    pub storm: u64,
    /// Moves within which everything has to end when nothing goes wrong any more.
    pub calm: u64,
    /// The rule that is taken out.
    pub bug: Option<Bug>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            storm: 900,
            calm: 4000,
            bug: None,
        }
    }
}

/// Why a course is not as it must be.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something happened that must never be.
    #[error("move {at}: {what}")]
    Unsafe {
        /// The move.
        at: u64,
        /// What.
        what: String,
    },
    /// Nothing went wrong any more, and not everything came to its end.
    #[error("after {moves} moves without any fault: {what}")]
    Unfinished {
        /// How many.
        moves: u64,
        /// What is left.
        what: String,
    },
    /// The simulation itself failed.
    #[error("the simulation failed")]
    Harness(#[from] anyhow::Error),
}

/// What a course came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Events on the log.
    pub events: u64,
    /// Decisions on it, each of them the same when made again from its stored inputs.
    pub decisions: usize,
    /// How each rollout ended.
    pub ends: Vec<RolloutEnd>,
    /// Replicas that died.
    pub deaths: u64,
    /// Moves.
    pub moves: u64,
}

/// A replica's slot.
struct Slot {
    kind: Kind,
    way: Arc<Faulty>,
    running: Option<Running>,
    step: Option<JoinHandle<()>>,
    waits: Option<Ask>,
    /// How long the log was, and when it was, as the last step began.
    looked: (u64, Timestamp),
}

/// One seed's world.
struct Course {
    plan: Plan,
    dice: Dice,
    hand: &'static AtomicI64,
    place: Arc<Place>,
    first: Faulty,
    slots: Vec<Slot>,
    /// The controller that holds the lease.
    leader: usize,
    sites: Vec<Site>,
    referee: Referee,
    told: mpsc::UnboundedSender<Told>,
    heard: mpsc::UnboundedReceiver<Told>,
    moves: u64,
    /// Releases that were discovered.
    discovered: usize,
    ledger_sound: bool,
    transcript: Vec<String>,
    deaths: u64,
    /// Dossiers that lay before agents once, to be put back by somebody.
    old: Vec<(String, Bytes)>,
}

/// A course that was played.
#[derive(Debug)]
pub struct Played {
    /// What it came to.
    pub result: Result<Report, Failure>,
    /// Every move that was more than looking, to its end.
    pub transcript: Vec<String>,
}

/// Plays the course of a seed.
pub async fn play(seed: u64, plan: Plan) -> Played {
    match Course::new(seed, plan).await {
        Ok(mut course) => Played {
            result: course.run().await,
            transcript: course.transcript,
        },
        Err(error) => Played {
            result: Err(Failure::Harness(error)),
            transcript: Vec::new(),
        },
    }
}

impl Course {
    async fn new(seed: u64, plan: Plan) -> anyhow::Result<Self> {
        let dice = Dice::new(seed);
        let hand: &'static AtomicI64 = Box::leak(Box::new(AtomicI64::new(BEGINNING.as_millisecond())));
        let clock = Clock::by_hand(hand);
        let log = MemoryLog::new(BEGINNING);
        let first = Faulty::new(log.clone(), dice.clone(), Faults::default());
        let client = async_nats::ConnectOptions::new().retry_on_initial_connect();
        let status = testkit::log::MemoryValues::default();
        let book = Book::new(Values::in_memory(status.clone(), Bucket::Status), clock);
        let place = Place {
            log,
            book: Arc::new(book),
            clock,
            assignments: Default::default(),
            heartbeats: Default::default(),
            status,
            false_status: Default::default(),
            blobs: Default::default(),
            client: client.connect("127.0.0.1:9").await?,
            inbox: Mutex::new(Inbox::default()),
            bug: plan.bug,
        };
        let (told, heard) = mpsc::unbounded_channel();
        let slot = |kind| Slot {
            kind,
            way: Arc::new(first.replica()),
            running: None,
            step: None,
            waits: None,
            looked: (0, Timestamp::UNIX_EPOCH),
        };
        Ok(Self {
            plan,
            dice,
            hand,
            place: Arc::new(place),
            slots: REPLICAS.into_iter().map(slot).collect(),
            first,
            leader: 4,
            sites: CLUSTERS
                .iter()
                .map(|(name, wave)| Site::new(name, wave))
                .collect(),
            referee: Referee::new(),
            told,
            heard,
            moves: 0,
            discovered: 1,
            ledger_sound: true,
            transcript: Vec::new(),
            deaths: 0,
            old: Vec::new(),
        })
    }

    async fn run(&mut self) -> Result<Report, Failure> {
        // The storm begins at any stage.
        let quiet = self.dice.below(self.plan.storm);
        self.audit().await?;
        self.go(quiet, false).await?;
        self.first.set_faults(FAULTS);
        self.go(self.plan.storm, true).await?;
        self.calm().await?;
        self.all_agree().await?;
        let blobs = bus::blobs::Blobs::in_memory(self.place.blobs.clone());
        let replayed = crate::replay::all(&self.referee.facts, &blobs).await;
        let decisions = replayed.map_err(|what| Failure::Unsafe { at: self.moves, what })?;
        Ok(Report {
            events: self.referee.read,
            decisions,
            ends: self.ends(),
            deaths: self.deaths,
            moves: self.moves,
        })
    }

    /// Moves; in a storm everything can go wrong.
    async fn go(&mut self, moves: u64, storm: bool) -> Result<(), Failure> {
        let (dies, luck) = if storm { (25, UNLUCKY) } else { (0, LUCKY) };
        for _ in 0..moves {
            match self.dice.below(1000) {
                0..=549 => self.replica(dies).await?,
                550..=809 => self.site(luck).await?,
                810..=869 => self.pass(5 + self.dice.below(60)),
                870..=919 => self.audit().await?,
                920..=939 => self.operate(false),
                940..=949 => self.discover(),
                950..=974 if storm => self.meddle().await?,
                975..=984 if storm => self.weather(),
                985..=992 if storm => self.ledger_sound = !self.ledger_sound,
                993..=995 if storm => self.restart_engine(),
                996..=999 if storm => self.change_leader(),
                _ => self.site(luck).await?,
            }
            self.after_a_move().await?;
        }
        Ok(())
    }

    /// Nothing goes wrong any more; everything has to come to its end.
    async fn calm(&mut self) -> Result<(), Failure> {
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
        for moves in 0..self.plan.calm {
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
        if let Some(site) = self.sites.iter().find(|site| !site.rests()) {
            return Some(format!("cluster {} has something left to do", site.name));
        }
        let target = Fixture::get()
            .releases
            .iter()
            .rfind(|release| release.quality == Quality::Good)?;
        let behind = self.sites.iter().find(|site| site.live.key != target.key)?;
        // Where a cluster objected the rollout is halted, and that is its end.
        let tried = self
            .referee
            .rollouts
            .iter()
            .rev()
            .find(|(_, c)| c.started.release == target.key);
        match tried.and_then(|(_, course)| course.finished.as_ref()) {
            Some(finished)
                if finished.end == RolloutEnd::Halted && self.sites.iter().any(|site| site.objected) =>
            {
                None
            }
            Some(finished) => Some(format!(
                "{} is not upgraded, and the end was {}",
                behind.name, finished.end
            )),
            None => Some(format!(
                "{} is not upgraded, and no rollout has been",
                behind.name
            )),
        }
    }

    fn ends(&self) -> Vec<RolloutEnd> {
        let finished = self
            .referee
            .rollouts
            .iter()
            .filter_map(|(_, course)| course.finished.as_ref());
        finished.map(|finished| finished.end).collect()
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        let line = format!("{:>5} {}", self.moves, line());
        self.transcript.push(line);
    }

    fn now(&self) -> Timestamp {
        self.place.clock.now()
    }

    fn pass(&mut self, seconds: u64) {
        let milliseconds = i64::try_from(seconds * 1000).unwrap_or(0);
        self.hand.fetch_add(milliseconds, Ordering::SeqCst);
        let now = self.now();
        self.place.log.set_time(now);
        for values in [
            &self.place.assignments,
            &self.place.heartbeats,
            &self.place.status,
        ] {
            values.set_time(now);
        }
    }

    /// Time goes on, and everything new is judged.
    async fn after_a_move(&mut self) -> Result<(), Failure> {
        self.moves += 1;
        self.hand.fetch_add(
            i64::try_from(self.dice.below(1500)).unwrap_or(0),
            Ordering::SeqCst,
        );
        self.pass(0);
        let events = self.place.log.events();
        let read = usize::try_from(self.referee.read).unwrap_or(usize::MAX);
        for event in events.iter().skip(read) {
            self.tell(|| format!("      {} {}", event.sequence, event.subject));
            let author = self.place.book.author(&event.payload);
            let judged = self.referee.read(event, author);
            judged.map_err(|what| Failure::Unsafe { at: self.moves, what })?;
        }
        let open = self.sites.iter().filter(|site| site.is_open());
        let judged = self.referee.at_work(&open.map(|site| &site.name).collect());
        judged.map_err(|what| Failure::Unsafe { at: self.moves, what })?;
        self.keep_old().await
    }

    async fn keep_old(&mut self) -> Result<(), Failure> {
        let bucket = Values::in_memory(self.place.assignments.clone(), Bucket::Assignments);
        for site in &self.sites {
            let name = site.name.as_str();
            let Some(entry) = bucket.get(name).await.context("a bucket in memory")? else {
                continue;
            };
            let known = self
                .old
                .iter()
                .any(|(cluster, dossier)| cluster == name && *dossier == entry.value);
            if !known {
                self.old.push((name.to_owned(), entry.value));
            }
        }
        Ok(())
    }

    /// Every replica's view, wherever it began, holds what the referee found.
    async fn all_agree(&mut self) -> Result<(), Failure> {
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
