//! A replica of a service: the real policy-engine and rollout-controller, moved by hand, and a verifier that takes
//! the same steps as signature-verifier without a registry.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use attest::{Role, SigningKey};
use bus::agent::SubmissionKind;
use bus::blobs::Blobs;
use bus::buckets::Values;
use bus::streams::Bucket;
use bus::{EventLog, Journal, View};
use bytes::Bytes;
use domain::{ClusterName, Digest, StopSetting};
use hub::Hub;
use policy_engine::Engine;
use rollout_controller::Controller;
use runtime::{Clock, Shutdown};
use testkit::log::{Dice, Faulty, MemoryBlobs, MemoryLog, MemoryValues};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::bugs::{Bug, Careless};
use crate::fixture::{Fixture, KeyEnd};
use crate::turns::{Book, Shown, Told, Turns};
use crate::verifier::Verifier;

/// Longer than any course takes: what is not answered is tried again.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Time is virtual, but the journal's pauses are not.
const PAUSE: Duration = Duration::from_micros(50);

/// What a replica does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// signature-verifier.
    Verifier,
    /// policy-engine.
    Policy,
    /// rollout-controller.
    Controller,
}

impl Kind {
    /// For what it speaks.
    pub(crate) const fn role(self) -> Role {
        match self {
            Self::Verifier => Role::Verifier,
            Self::Policy => Role::Policy,
            Self::Controller => Role::Controller,
        }
    }
}

/// What lies outside of all replicas and survives their deaths.
#[derive(Debug)]
pub(crate) struct Place {
    /// The log.
    pub(crate) log: MemoryLog,
    /// What all ways to it share.
    pub(crate) book: Arc<Book>,
    /// The time.
    pub(crate) clock: Clock,
    /// Chance.
    pub(crate) dice: Dice,
    /// What agents read.
    pub(crate) assignments: MemoryValues,
    /// Signs of life.
    pub(crate) heartbeats: MemoryValues,
    /// The true status of the ledger.
    pub(crate) status: MemoryValues,
    /// The status that careless replicas see.
    pub(crate) false_status: MemoryValues,
    /// Bytes by digest.
    pub(crate) blobs: MemoryBlobs,
    /// A client of a server that is not there: what is sent by it is lost, as a wake may be.
    pub(crate) client: async_nats::Client,
    /// What agents have sent.
    pub(crate) inbox: Mutex<Inbox>,
    /// Where the stop stands that a person asked for last; none where it was refused.
    pub(crate) stored: Mutex<Option<u64>>,
    /// The key that has come to its end, if one has.
    pub(crate) ended: Mutex<Option<KeyEnd>>,
    /// The rule that is taken out.
    pub(crate) bug: Option<Bug>,
}

/// What a replica is moved for.
#[derive(Debug)]
pub(crate) enum Errand {
    /// To look at everything.
    Look,
    /// To store what an agent sent.
    Serve(Submission),
    /// To store what a person wants stopped or lifted.
    Stop(StopSetting),
}

/// What agents have sent and what they were answered.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// Not served yet.
    pub(crate) waiting: VecDeque<Submission>,
    /// Served: whether it is stored (or never will be), by digest of the envelope.
    pub(crate) answered: BTreeMap<Digest, bool>,
}

/// An envelope of an agent.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    /// The cluster.
    pub(crate) cluster: ClusterName,
    /// What it is.
    pub(crate) kind: SubmissionKind,
    /// The number of the assignment that it answers.
    pub(crate) epoch: u64,
    /// The envelope.
    pub(crate) envelope: Bytes,
}

impl Place {
    /// The key that a role has now.
    pub(crate) fn key(&self, role: Role) -> &'static Arc<SigningKey> {
        let ended = *self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        match ended.filter(|end| end.role == role) {
            Some(_) => &Fixture::get().successors[&role],
            None => Fixture::get().key(role),
        }
    }

    /// What agents have sent.
    pub(crate) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What runs in a replica.
#[derive(Clone)]
pub(crate) enum Part {
    /// signature-verifier.
    Verifier(Arc<Verifier>),
    /// policy-engine.
    Policy(Arc<Engine>),
    /// rollout-controller, with the journal by which it stores what agents send.
    Controller(Arc<Controller>, Journal),
}

/// A replica that runs.
pub(crate) struct Running {
    /// Its view.
    pub(crate) view: View,
    /// Its part.
    pub(crate) part: Part,
    /// Its way to the log.
    pub(crate) way: Arc<Faulty>,
    /// What it signs with.
    key: Arc<SigningKey>,
    _following: DropGuard,
}

impl Running {
    /// Starts a replica that remembers nothing.
    pub(crate) async fn start(
        (replica, kind): (usize, Kind),
        place: &Arc<Place>,
        way: Arc<Faulty>,
        (told, policy): (mpsc::UnboundedSender<Told>, &str),
    ) -> anyhow::Result<Self> {
        let fixture = Fixture::get();
        let careless = place.bug.filter(|bug| affects(*bug, kind));
        let log = Careless::way(careless, &way, &place.log);
        let view = View::open(None, fixture.judge()).await?;
        let token = CancellationToken::new();
        let followed = Arc::new(Shown {
            log: Arc::clone(&log),
            shown: Arc::clone(&way),
        });
        let (follower, stop) = (view.clone(), token.clone());
        tokio::spawn(async move { follower.run(followed, stop).await });
        let turns: Arc<dyn EventLog> = Arc::new(Turns {
            log,
            shown: Arc::clone(&way),
            replica,
            told,
            book: Arc::clone(&place.book),
            ledger_sure: AtomicBool::new(false),
            read: AtomicU64::new(0),
            dice: place.dice.clone(),
        });
        let hub = hub(place, kind, &view, turns, careless);
        let key = Arc::clone(&hub.key);
        let part = part(kind, hub, policy)?;
        Ok(Self {
            view,
            part,
            way,
            key,
            _following: token.drop_guard(),
        })
    }

    /// Whether its role has another key by now.
    pub(crate) fn is_outdated(&self, place: &Place, kind: Kind) -> bool {
        !Arc::ptr_eq(&self.key, place.key(kind.role()))
    }

    /// Waits until the view is where it is shown.
    pub(crate) async fn follow(&self) {
        self.view.reached(self.way.shown()).await;
    }
}

/// Whether replicas of this kind have the bug.
const fn affects(bug: Bug, kind: Kind) -> bool {
    match bug {
        Bug::IgnoresExpectation => true,
        Bug::ReadsTheLast => matches!(kind, Kind::Controller | Kind::Policy),
        Bug::IgnoresAsOf => matches!(kind, Kind::Policy),
        Bug::IgnoresLedger => matches!(kind, Kind::Controller | Kind::Policy),
        Bug::IgnoresStops => matches!(kind, Kind::Controller),
        Bug::ForgetsEpochs | Bug::AnswersEarly | Bug::KeepsTheFirstBundle => false,
    }
}

fn hub(place: &Place, kind: Kind, view: &View, log: Arc<dyn EventLog>, careless: Option<Bug>) -> Hub {
    let key = Arc::clone(place.key(kind.role()));
    let clock = place.clock;
    let journal = Journal::new(
        Arc::clone(&log),
        view.clone(),
        Arc::clone(&key),
        Arc::new(move || clock.now()),
    );
    let status = if careless == Some(Bug::IgnoresLedger) {
        &place.false_status
    } else {
        &place.status
    };
    Hub {
        client: place.client.clone(),
        journal: journal.with_patience(PATIENCE).with_first_pause(PAUSE),
        blobs: Blobs::in_memory(place.blobs.clone()),
        assignments: Values::in_memory(place.assignments.clone(), Bucket::Assignments),
        heartbeats: Values::in_memory(place.heartbeats.clone(), Bucket::Heartbeats),
        status: Values::in_memory(status.clone(), Bucket::Status),
        view: view.clone(),
        log,
        key,
        clock,
        shutdown: Shutdown::new(Duration::from_secs(1)),
    }
}

fn part(kind: Kind, hub: Hub, policy: &str) -> anyhow::Result<Part> {
    let files = &Fixture::get().files;
    Ok(match kind {
        Kind::Verifier => Part::Verifier(Arc::new(Verifier::new(hub))),
        Kind::Policy => {
            let settings = policy_engine::Settings {
                trust_root: files.path("trusted_root.json"),
                policies: vec![files.path(policy)],
            };
            Part::Policy(Arc::new(Engine::open(hub, settings)?))
        }
        Kind::Controller => {
            let settings = rollout_controller::Settings {
                fleet: files.path("fleet.yaml"),
                strategy: files.path("strategy.yaml"),
            };
            let journal = hub.journal.clone();
            Part::Controller(Arc::new(Controller::open(hub, settings)?), journal)
        }
    })
}

impl Part {
    /// One step; agents and persons are served by a controller.
    pub(crate) async fn step(self, place: Arc<Place>, errand: Errand) {
        match (self, errand) {
            (Self::Verifier(verifier), _) => verifier.run().await,
            (Self::Policy(engine), _) => engine.run().await,
            (Self::Controller(controller, _), Errand::Look) => controller.look().await,
            (Self::Controller(_, journal), Errand::Serve(submission)) => {
                serve(&journal, &place, submission).await;
            }
            (Self::Controller(controller, _), Errand::Stop(stop)) => {
                let stored = controller.store_stop(stop).await;
                *place.stored.lock().unwrap_or_else(PoisonError::into_inner) = stored;
            }
        }
    }

    /// Up to which event a controller has applied every stop.
    pub(crate) fn applied(&self) -> u64 {
        match self {
            Self::Verifier(_) | Self::Policy(_) => 0,
            Self::Controller(controller, _) => controller.applied(),
        }
    }
}

/// Stores what an agent sent, as rollout-controller does with what it finds authentic.
async fn serve(journal: &Journal, place: &Place, submission: Submission) {
    let Submission {
        cluster,
        kind,
        epoch,
        envelope,
    } = submission;
    let digest = Digest::of(&envelope);
    let member = bus::subject::member(&cluster, 1);
    // Whoever is no member yet is told to come again.
    if !matches!(journal.view().latest(member.series()).await, Ok(Some(_))) {
        return;
    }
    let epoch = domain::Epoch(epoch);
    let name = match kind {
        SubmissionKind::Facts => bus::subject::facts(&cluster, 1),
        SubmissionKind::Health | SubmissionKind::Heartbeat => bus::subject::health(&cluster, 1),
        SubmissionKind::Accepted => bus::subject::accepted(&cluster, epoch),
        SubmissionKind::Refused => bus::subject::refused(&cluster, epoch),
        SubmissionKind::Applied => bus::subject::applied(&cluster, epoch),
        SubmissionKind::Result => bus::subject::result(&cluster, epoch),
    };
    let written = match kind {
        SubmissionKind::Facts | SubmissionKind::Health => {
            journal.publish_next(name.series(), envelope, None).await
        }
        _ => journal.publish_envelope(&name, envelope, None).await,
    };
    let settled = match &written {
        Ok(_) => true,
        Err(error) => !error.retryable(),
    };
    place.inbox().answered.insert(digest, settled);
}
