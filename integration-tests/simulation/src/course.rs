//! The course of one seed: who moves next, and what goes wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus::buckets::Values;
use bus::streams::Bucket;
use bytes::Bytes;
use domain::Digest;
use domain::rollout::RolloutEnd;
use jiff::{SignedDuration, Timestamp};
use runtime::Clock;
use testkit::log::{Dice, Faults, Faulty, MemoryLog};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::bugs::Bug;
use crate::fixture::{BEGINNING, CLUSTERS};
use crate::referee::Referee;
use crate::replica::{Inbox, Kind, Place, Running};
use crate::site::{Luck, Site};
use crate::turns::{Ask, Book, Told};

mod calm;
mod keys;
mod lying;
mod outside;
mod person;
mod replicas;

use keys::Rotation;
use person::Person;

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
    /// Stops and ends of stops that a person heard to be applied.
    pub applied: u64,
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
    /// Another one that has lost it, and acts on: it has not noticed.
    deposed: Option<usize>,
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
    /// Those that somebody has put back, by digest, where they lie.
    put_back: BTreeMap<String, Digest>,
    /// What lies before each agent, and the numbers of its bundle and of its assignment.
    lying: BTreeMap<String, (Digest, (u64, u64))>,
    person: Person,
    /// The newest bundle under which an agent has begun something.
    bundles: BTreeMap<String, u64>,
    /// A key's end that is to come.
    rotation: Option<Rotation>,
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
            dice: dice.clone(),
            assignments: Default::default(),
            heartbeats: Default::default(),
            status,
            false_status: Default::default(),
            blobs: Default::default(),
            client: client.connect("127.0.0.1:9").await?,
            inbox: Mutex::new(Inbox::default()),
            stored: Mutex::default(),
            ended: Mutex::default(),
            bug: plan.bug,
        };
        let rotation = Rotation::planned(&dice, plan.bug);
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
            deposed: None,
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
            put_back: BTreeMap::new(),
            lying: BTreeMap::new(),
            person: Person::default(),
            bundles: BTreeMap::new(),
            rotation,
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
            applied: self.person.heard(),
            moves: self.moves,
        })
    }

    /// Moves; in a storm everything can go wrong.
    async fn go(&mut self, moves: u64, storm: bool) -> Result<(), Failure> {
        let (dies, luck) = if storm { (25, UNLUCKY) } else { (0, LUCKY) };
        for _ in 0..moves {
            match self.dice.below(1000) {
                // Who asks is served at once, mostly.
                0..=399 if self.person.asks() => self.one_replica(self.leader, dies).await?,
                0..=549 => self.replica(dies).await?,
                550..=809 => self.site(luck).await?,
                810..=869 => self.pass(5 + self.dice.below(60)),
                870..=919 => self.audit().await?,
                920..=934 => self.operate(false),
                935..=942 => self.wish(),
                943..=949 => self.discover(),
                950..=974 if storm => self.meddle().await?,
                975..=984 if storm => self.weather(),
                985..=988 if storm => self.ledger_sound = !self.ledger_sound,
                989..=992 if storm => self.restart_engine(),
                993..=996 if storm => self.change_leader(),
                997..=999 if storm => self.notice(),
                _ => self.site(luck).await?,
            }
            self.after_a_move().await?;
        }
        Ok(())
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
            let author = self.place.book.author(&event.subject, &event.payload);
            let judged = self.referee.read(event, author);
            judged.map_err(|what| Failure::Unsafe { at: self.moves, what })?;
        }
        self.rotate();
        self.object();
        self.hear();
        let open = self.sites.iter().filter(|site| site.is_open());
        let judged = self.referee.at_work(&open.map(|site| &site.name).collect());
        judged.map_err(|what| Failure::Unsafe { at: self.moves, what })?;
        self.look_at_dossiers().await
    }
}
