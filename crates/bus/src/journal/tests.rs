use std::sync::Mutex;

use domain::{Digest, ReleaseKey, Version};
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;

use super::*;
use crate::fixture::{Decision, Discovered, Facts, Mode, NOW, World, signed};
use crate::memory::{Failure, MemoryLog};
use crate::subject;

struct Service {
    journal: Journal,
    _running: DropGuard,
}

async fn service(world: &World, key: &Arc<SigningKey>, log: &MemoryLog) -> Service {
    let view = View::open(None, world.judge()).await.unwrap();
    let stop = CancellationToken::new();
    let log: Arc<dyn EventLog> = Arc::new(log.clone());
    let (follower, followed, token) = (view.clone(), Arc::clone(&log), stop.clone());
    tokio::spawn(async move { follower.run(followed, token).await });
    let journal = Journal::new(log, view, Arc::clone(key), Arc::new(|| NOW));
    Service {
        journal: journal.with_patience(Duration::from_secs(20)),
        _running: stop.drop_guard(),
    }
}

fn mode(text: &str) -> Mode {
    Mode {
        mode: text.to_owned(),
    }
}

fn started() -> Subject {
    subject::rollout_started(&"flux-v2.9.4-1".parse().unwrap())
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Started {
    by: String,
}

impl Claim for Started {
    const KIND: &'static str = "rollout-started";
}

fn by(name: &str) -> Started {
    Started { by: name.to_owned() }
}

#[tokio::test]
async fn once_is_written_once_and_both_go_on_with_it() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let one = service(&world, &world.controller, &log).await;
    let two = service(&world, &world.controller, &log).await;
    let (name, a, b) = (started(), by("one"), by("two"));
    let (first, second) = tokio::join!(one.journal.once(&name, &a, ""), two.journal.once(&name, &b, ""));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.fact(), second.fact());
    assert!(matches!(first, Written::Ours(_)) != matches!(second, Written::Ours(_)));
    assert_eq!(log.events().len(), 1);
}

#[tokio::test]
async fn a_squatter_is_published_over_with_an_alarm() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    log.inject(started().to_string(), "squatter");
    log.inject(
        started().to_string(),
        signed(&started(), &by("policy"), &world.policy, 0),
    );
    let service = service(&world, &world.controller, &log).await;
    let written = service.journal.once(&started(), &by("us"), "").await.unwrap();
    assert!(matches!(written, Written::Ours(ref fact) if fact.sequence == 3));
    assert_eq!(service.journal.alarms(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_no_second_event() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let service = service(&world, &world.controller, &log).await;
    log.fail_next([Failure::Lost, Failure::AnswerLost, Failure::Lost]);
    let written = service.journal.once(&started(), &by("us"), "").await.unwrap();
    assert!(matches!(written, Written::Ours(ref fact) if fact.sequence == 1));
    assert_eq!(log.events().len(), 1);
}

#[tokio::test]
async fn without_an_answer_the_outcome_is_unknown() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let service = service(&world, &world.controller, &log).await;
    let journal = service.journal.clone().with_patience(Duration::from_millis(100));
    log.fail_next([Failure::Lost; 50]);
    let error = journal.once(&started(), &by("us"), "").await.unwrap_err();
    assert!(matches!(error, JournalError::Unknown { .. }) && error.retryable());
}

#[tokio::test]
async fn what_would_not_count_is_not_published() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let service = service(&world, &world.policy, &log).await;
    let error = service
        .journal
        .once(&started(), &by("policy"), "")
        .await
        .unwrap_err();
    assert!(matches!(error, JournalError::Void { .. }) && !error.retryable());
    assert!(log.events().is_empty());
}

#[tokio::test]
async fn a_series_evaluates_again_when_somebody_was_faster() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let service = service(&world, &world.controller, &log).await;
    let series = subject::mode("fleet", 1);
    let series = series.series();
    // Between our evaluation and our publish somebody else writes the same number.
    let (other, raced) = (series.at(1), Mutex::new(false));
    let theirs = signed(&other, &mode("Observe"), &world.controller, 0);
    let seen = Mutex::new(Vec::new());
    let written = service.journal.series(series, "", |turn| {
        seen.lock().unwrap().push(turn.n);
        if !std::mem::replace(&mut *raced.lock().unwrap(), true) {
            log.inject(other.to_string(), theirs.clone());
        }
        Some(mode("Enforce"))
    });
    let written = written.await.unwrap().unwrap();
    assert!(matches!(written, Written::Ours(ref fact) if fact.subject == series.at(2)));
    assert_eq!(*seen.lock().unwrap(), [1, 2]);
}

#[tokio::test]
async fn a_series_stays_where_the_answer_is_the_same() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let service = service(&world, &world.controller, &log).await;
    let name = subject::mode("fleet", 1);
    let evaluate = |turn: Turn<'_>| {
        let same = turn
            .newest
            .is_some_and(|fact| fact.claim::<Mode>().unwrap().mode == "Enforce");
        (!same).then(|| mode("Enforce"))
    };
    let first = service
        .journal
        .series(name.series(), "", evaluate)
        .await
        .unwrap()
        .unwrap();
    let second = service
        .journal
        .series(name.series(), "", evaluate)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(first, Written::Ours(_)));
    assert_eq!(second, Written::Theirs(first.into_fact()));
    assert_eq!(log.events().len(), 1);
    let nothing = |_: Turn<'_>| None::<Mode>;
    assert_eq!(
        service
            .journal
            .series(subject::mode("x", 1).series(), "", nothing)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_series_is_evaluated_over_everything_that_the_stream_has_or_not_at_all() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let name = subject::mode("fleet", 1);
    log.inject(
        name.to_string(),
        signed(&name, &mode("Observe"), &world.controller, 0),
    );
    let view = View::open(None, world.judge()).await.unwrap();
    let log: Arc<dyn EventLog> = Arc::new(log);
    let (key, now) = (Arc::clone(&world.controller), Arc::new(|| NOW));
    let journal = Journal::new(Arc::clone(&log), view.clone(), key, now);
    let seen = Mutex::new(Vec::new());
    let evaluate = |turn: Turn<'_>| {
        seen.lock().unwrap().push((turn.n, turn.as_of));
        None::<Mode>
    };
    // Nobody folds for this view yet: to it the series has not begun.
    let hasty = journal.clone().with_patience(Duration::from_millis(50));
    let error = hasty.series(name.series(), "", evaluate).await.unwrap_err();
    assert!(matches!(error, JournalError::Unknown { .. }), "{error}");
    assert!(seen.lock().unwrap().is_empty());

    let stop = CancellationToken::new();
    let (follower, token) = (view.clone(), stop.clone());
    tokio::spawn(async move { follower.run(log, token).await });
    let _running = stop.drop_guard();
    let newest = journal.series(name.series(), "", evaluate).await.unwrap();
    assert!(matches!(newest, Some(Written::Theirs(ref fact)) if fact.subject == name));
    assert_eq!(*seen.lock().unwrap(), [(2, 1)]);
}

#[tokio::test]
async fn a_series_goes_over_a_squatter_on_its_next_number() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let service = service(&world, &world.policy, &log).await;
    let release = ReleaseKey {
        version: Version::new(2, 9, 4),
        manifests: Digest::of(b"m"),
    };
    let name = subject::decision(&release, "default", &"0123456789abcdef".parse().unwrap(), 1);
    for n in [1, 2] {
        log.inject(name.series().at(n).to_string(), "squatter");
        let claim = |_: Turn<'_>| {
            Some(Decision {
                outcome: "WAIT".to_owned(),
            })
        };
        let written = service
            .journal
            .series(name.series(), "", claim)
            .await
            .unwrap()
            .unwrap();
        assert!(matches!(written, Written::Ours(ref fact) if fact.subject.n() == n));
    }
    let newest = service
        .journal
        .view()
        .latest(name.series())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(newest.statement.header().unwrap().as_of, 3);
}

#[tokio::test]
async fn an_agents_envelope_is_the_next_once_and_never_older() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let service = service(&world, &world.controller, &log).await;
    let journal = &service.journal;
    journal
        .once(&subject::member(&world.cluster, 1), &world.member(), "")
        .await
        .unwrap();
    let facts = subject::facts(&world.cluster, 1);
    let envelope = |seconds| {
        world.by_agent(
            seconds,
            &Facts {
                version: "v2.9.3".to_owned(),
            },
        )
    };
    let first = envelope(5);
    let written = journal
        .publish_next(facts.series(), first.clone(), None)
        .await
        .unwrap();
    assert_eq!(written.fact().subject.n(), 1);
    let again = journal.publish_next(facts.series(), first, None).await.unwrap();
    assert_eq!(again.fact(), written.fact());
    let next = journal
        .publish_next(facts.series(), envelope(6), None)
        .await
        .unwrap();
    assert_eq!(next.fact().subject.n(), 2);
    let error = journal
        .publish_next(facts.series(), envelope(4), None)
        .await
        .unwrap_err();
    let JournalError::Void { source, .. } = error else {
        panic!("{error}")
    };
    assert!(matches!(*source, Invalid::TimeNotRising));
    assert_eq!(log.events().len(), 3);
}

#[tokio::test]
async fn a_hint_and_its_trace_are_read_back() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let service = service(&world, &world.controller, &log).await;
    let release = ReleaseKey {
        version: Version::new(2, 9, 4),
        manifests: Digest::of(b"m"),
    };
    let trace = domain::trace::TraceId::of_release(&release).traceparent();
    let name = subject::release_discovered(&release);
    let claim = Discovered {
        tag: "v2.9.4".to_owned(),
    };
    let written = service.journal.publish_hint(&name, &claim, &trace).await.unwrap();
    assert_eq!(written.fact().traceparent.as_deref(), Some(trace.as_str()));
    assert_eq!(written.fact().claim::<Discovered>().unwrap(), claim);
}

fn decision_series() -> Subject {
    let release = ReleaseKey {
        version: Version::new(2, 9, 4),
        manifests: Digest::of(b"m"),
    };
    subject::decision(&release, "default", &"0123456789abcdef".parse().unwrap(), 1)
}

fn decide(outcome: &str) -> Decision {
    Decision {
        outcome: outcome.to_owned(),
    }
}

#[tokio::test]
async fn a_slow_evaluator_never_overwrites_a_newer_decision() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let slow = service(&world, &world.policy, &log).await;
    let fast = service(&world, &world.policy, &log).await;
    let name = decision_series();
    // The slow one begins to read; then the world changes, and the fast one decides by what it is now.
    let read = slow.journal.view().cursor();
    let changed = log.inject("fluxgate.v1.anything", "evidence against it");
    fast.journal.view().reached(changed).await;
    let deny = fast
        .journal
        .series_as_of(name.series(), "", changed, |_| Some(decide("DENY")));
    let deny = deny.await.unwrap().unwrap();
    assert!(matches!(deny, Written::Ours(_)));
    assert_eq!(deny.fact().statement.header().unwrap().as_of, changed);
    let allow = slow
        .journal
        .series_as_of(name.series(), "", read, |_| Some(decide("ALLOW")));
    assert_eq!(allow.await.unwrap(), Some(Written::Theirs(deny.into_fact())));
    assert_eq!(log.events().len(), 2);
}

#[tokio::test]
async fn a_slow_evaluator_that_loses_the_race_for_a_number_publishes_nothing() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let service = service(&world, &world.policy, &log).await;
    let name = decision_series();
    let first = log.inject(name.to_string(), signed(&name, &decide("WAIT"), &world.policy, 0));
    let theirs = signed(&name.series().at(2), &decide("DENY"), &world.policy, first);
    let turns = Mutex::new(0);
    let written = service.journal.series_as_of(name.series(), "", 0, |_| {
        // Between this evaluation and its publish somebody who read more writes the same number.
        *turns.lock().unwrap() += 1;
        log.inject(name.series().at(2).to_string(), theirs.clone());
        Some(decide("ALLOW"))
    });
    let written = written.await.unwrap().unwrap();
    assert!(matches!(written, Written::Theirs(ref fact) if fact.envelope == theirs));
    assert_eq!(*turns.lock().unwrap(), 1);
    assert_eq!(log.events().len(), 2);
}

#[tokio::test]
async fn a_newer_reading_goes_over_an_older_one() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let service = service(&world, &world.policy, &log).await;
    let name = decision_series();
    for (n, as_of) in [(1, 0), (2, 0), (3, 2)] {
        let evaluate = |turn: Turn<'_>| {
            assert_eq!((turn.n, turn.as_of), (n, as_of));
            Some(decide("WAIT"))
        };
        let written = service
            .journal
            .series_as_of(name.series(), "", as_of, evaluate)
            .await
            .unwrap()
            .unwrap();
        assert!(matches!(written, Written::Ours(ref fact) if fact.subject.n() == n));
    }
}

#[tokio::test]
async fn what_a_key_said_that_does_not_act_any_more_is_said_again_by_one_that_does() {
    let (mut world, log) = (World::new(), MemoryLog::new(NOW));
    let next = Arc::new(SigningKey::generate().unwrap().0);
    let mut key = crate::fixture::bundle_key(Role::Policy, &next);
    world.bundle.keys.push(key.clone());
    let (name, claim) = (decision_series(), |_: Turn<'_>| Some(decide("ALLOW")));
    let before = service(&world, &world.policy, &log).await;
    let written = before.journal.series_as_of(name.series(), "", 0, claim).await;
    let fact = written.unwrap().unwrap().into_fact();
    let orphaned = async |world: &World, by: &Arc<SigningKey>| {
        let service = service(world, by, &log).await;
        service.journal.is_orphaned(&fact, Role::Policy)
    };
    assert!(!orphaned(&world, &next).await);
    // The key was retired behind the event: it counts, but is not acted upon.
    world.bundle.keys[1].retired_at = Some(9);
    assert!(orphaned(&world, &next).await);
    // Nobody says it again whose own key does not act.
    assert!(!orphaned(&world, &world.policy).await);
    key.not_after = NOW - jiff::SignedDuration::from_secs(1);
    *world.bundle.keys.last_mut().unwrap() = key;
    assert!(!orphaned(&world, &next).await);
}

/// A log on which somebody writes between two operations of ours.
struct Meddled {
    log: MemoryLog,
    /// What is stored right before the next read.
    next: Mutex<Option<(Subject, Bytes)>>,
}

#[async_trait::async_trait]
impl EventLog for Meddled {
    async fn append(
        &self,
        subject: &Subject,
        payload: Bytes,
        traceparent: Option<&str>,
        expect: Expect,
    ) -> Result<Appended, LogError> {
        self.log.append(subject, payload, traceparent, expect).await
    }

    async fn first_after(&self, subject: &str, after: u64) -> Result<Option<crate::Stored>, LogError> {
        if let Some((subject, payload)) = self.next.lock().unwrap().take() {
            self.log.inject(subject.to_string(), payload);
        }
        self.log.first_after(subject, after).await
    }

    async fn get(&self, sequence: u64) -> Result<Option<crate::Stored>, LogError> {
        self.log.get(sequence).await
    }

    async fn last_sequence(&self) -> Result<u64, LogError> {
        self.log.last_sequence().await
    }

    async fn created(&self) -> Result<Timestamp, LogError> {
        self.log.created().await
    }

    async fn tail(&self, from: u64, filters: Vec<String>) -> Result<crate::log::Tail, LogError> {
        self.log.tail(from, filters).await
    }
}

#[tokio::test]
async fn what_came_after_the_last_look_is_judged_before_ours_goes_over_it() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    log.inject(started().to_string(), "squatter");
    let theirs = signed(&started(), &by("them"), &world.controller, 0);
    let meddled: Arc<dyn EventLog> = Arc::new(Meddled {
        log: log.clone(),
        next: Mutex::new(Some((started(), theirs.clone()))),
    });
    let view = View::open(None, world.judge()).await.unwrap();
    let stop = CancellationToken::new();
    let (follower, followed, token) = (view.clone(), Arc::clone(&meddled), stop.clone());
    tokio::spawn(async move { follower.run(followed, token).await });
    let _running = stop.drop_guard();
    let journal = Journal::new(meddled, view, Arc::clone(&world.controller), Arc::new(|| NOW));
    // Between our look and our second try somebody of our own role was faster.
    let written = journal.once(&started(), &by("us"), "").await.unwrap();
    assert!(matches!(written, Written::Theirs(ref fact) if fact.envelope == theirs));
    assert_eq!(log.events().len(), 2);
}

#[tokio::test]
async fn a_replica_that_lags_is_asked_again() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let service = service(&world, &world.controller, &log).await;
    log.inject(started().to_string(), "squatter");
    log.lag(3);
    let written = service.journal.once(&started(), &by("us"), "").await.unwrap();
    assert!(matches!(written, Written::Ours(ref fact) if fact.sequence == 2));
    assert_eq!(service.journal.alarms(), 1);
}

#[tokio::test]
async fn a_publish_that_lands_late_is_no_second_event() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let service = service(&world, &world.controller, &log).await;
    log.fail_next([Failure::Late]);
    let written = service.journal.once(&started(), &by("us"), "").await.unwrap();
    assert!(matches!(written, Written::Ours(ref fact) if fact.sequence == 1));
    assert_eq!(log.land(), 0);
    assert_eq!(log.events().len(), 1);
}
