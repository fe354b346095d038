use std::time::Duration;

use attest::{Role, SigningKey};
use domain::{ReleaseKey, Version};
use jiff::SignedDuration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::fixture::{Decision, Discovered, Facts, Mode, NOW, Text, World, bundle_key, hint, signed};
use crate::memory::MemoryLog;
use crate::subject;

struct Running {
    view: View,
    stop: CancellationToken,
    task: JoinHandle<Result<(), ViewError>>,
}

impl Running {
    async fn start(path: Option<&Path>, judge: Judge, log: &MemoryLog) -> Self {
        let view = View::open(path, judge).await.unwrap();
        let stop = CancellationToken::new();
        let (follower, log, token) = (view.clone(), Arc::new(log.clone()), stop.clone());
        let task = tokio::spawn(async move { follower.run(log, token).await });
        Self { view, stop, task }
    }

    async fn reached(&self, sequence: u64) {
        tokio::time::timeout(Duration::from_secs(20), self.view.reached(sequence))
            .await
            .unwrap();
    }

    /// The view was made anew, from a stream that is not longer than this.
    async fn made_anew_to(&self, sequence: u64) {
        let mut changes = self.view.changed();
        let again = changes.wait_for(|cursor| *cursor == sequence);
        tokio::time::timeout(Duration::from_secs(20), again)
            .await
            .unwrap()
            .unwrap();
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn release() -> ReleaseKey {
    ReleaseKey {
        version: Version::new(2, 9, 4),
        manifests: Digest::of(b"m"),
    }
}

fn decision(n: u64) -> Subject {
    subject::decision(&release(), "default", &"0123456789abcdef".parse().unwrap(), n)
}

fn says(outcome: &str) -> Decision {
    Decision {
        outcome: outcome.to_owned(),
    }
}

async fn outcome(view: &View, n: u64) -> Option<String> {
    let fact = view.get(&decision(n)).await.unwrap()?;
    Some(fact.claim::<Decision>().unwrap().outcome)
}

#[tokio::test]
async fn the_first_valid_event_is_the_value() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let name = decision(1);
    log.inject(name.to_string(), "squatter");
    log.inject(
        name.to_string(),
        signed(&name, &says("DENY"), &world.controller, 0),
    );
    log.inject(name.to_string(), signed(&name, &says("WAIT"), &world.policy, 0));
    log.inject(name.to_string(), signed(&name, &says("ALLOW"), &world.policy, 0));
    let last = log.inject("fluxgate.v1.nonsense", "");
    let running = Running::start(None, world.judge(), &log).await;
    running.reached(last).await;
    assert_eq!(outcome(&running.view, 1).await.as_deref(), Some("WAIT"));
    assert_eq!(running.view.get(&name).await.unwrap().unwrap().sequence, 3);
    assert_eq!(running.view.invalid_count().await.unwrap(), 3);
    let why = running.view.why_invalid(&name).await.unwrap().unwrap();
    assert!(why.contains("role policy"), "{why}");
    running.stop().await;
}

#[tokio::test]
async fn a_series_grows_only_link_by_link() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let put = |n, text: &str, as_of| {
        log.inject(
            decision(n).to_string(),
            signed(&decision(n), &says(text), &world.policy, as_of),
        )
    };
    put(2, "early", 0);
    put(1, "first", 0);
    put(3, "no second", 0);
    put(2, "second", 2);
    put(3, "read too little", 1);
    let last = put(3, "third", 4);
    let running = Running::start(None, world.judge(), &log).await;
    running.reached(last).await;
    let series = running.view.series(decision(1).series()).await.unwrap();
    let outcomes: Vec<String> = series
        .iter()
        .map(|fact| fact.claim::<Decision>().unwrap().outcome)
        .collect();
    assert_eq!(outcomes, ["first", "second", "third"]);
    let latest = running.view.latest(decision(1).series()).await.unwrap().unwrap();
    assert_eq!(latest.subject, decision(3));
    running.stop().await;
}

#[tokio::test]
async fn lists_answer_what_readers_ask() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    for (policy, n) in [("a", 1), ("b", 1), ("a", 2)] {
        let name = subject::policy_text(policy, n);
        let text = Text {
            text: format!("{policy}{n}"),
        };
        log.inject(name.to_string(), signed(&name, &text, &world.policy, 0));
    }
    let discovered = subject::release_discovered(&release());
    let last = log.inject(
        discovered.to_string(),
        hint(
            &discovered,
            &Discovered {
                tag: "v2.9.4".to_owned(),
            },
        ),
    );
    let running = Running::start(None, world.judge(), &log).await;
    running.reached(last).await;
    let view = &running.view;
    let sequences = |facts: Vec<Fact>| facts.iter().map(|fact| fact.sequence).collect::<Vec<_>>();
    assert_eq!(sequences(view.list(Area::Policy, "text").await.unwrap()), [2, 3]);
    assert_eq!(
        sequences(view.all_of(Area::Policy, "text").await.unwrap()),
        [1, 2, 3]
    );
    assert_eq!(sequences(view.after(1, 2).await.unwrap()), [2, 3]);
    let workflow = discovered.workflow();
    assert_eq!(
        sequences(view.steps(Area::Release, workflow, "disc").await.unwrap()),
        [4]
    );
    assert_eq!(
        sequences(view.steps(Area::Release, workflow, "").await.unwrap()),
        [4]
    );
    assert!(view.steps(Area::Release, workflow, "x").await.unwrap().is_empty());
    assert_eq!(view.at(4).await.unwrap().unwrap().subject, discovered);
    running.stop().await;
}

#[tokio::test]
async fn goes_on_from_its_cursor() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("view.db");
    let first = log.inject(
        decision(1).to_string(),
        signed(&decision(1), &says("WAIT"), &world.policy, 0),
    );
    let running = Running::start(Some(&path), world.judge(), &log).await;
    running.reached(first).await;
    running.stop().await;
    let second = log.inject(
        decision(2).to_string(),
        signed(&decision(2), &says("ALLOW"), &world.policy, 1),
    );
    let running = Running::start(Some(&path), world.judge(), &log).await;
    assert_eq!(running.view.cursor(), first);
    running.reached(second).await;
    assert_eq!(outcome(&running.view, 1).await.as_deref(), Some("WAIT"));
    assert_eq!(outcome(&running.view, 2).await.as_deref(), Some("ALLOW"));
    running.stop().await;
}

#[tokio::test]
async fn another_stream_is_seen_and_folded_anew() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    log.inject("fluxgate.v1.nonsense", "");
    let last = log.inject(
        decision(1).to_string(),
        signed(&decision(1), &says("old"), &world.policy, 0),
    );
    let running = Running::start(None, world.judge(), &log).await;
    running.reached(last).await;
    log.recreate(NOW + SignedDuration::from_secs(60));
    log.inject(
        decision(1).to_string(),
        signed(&decision(1), &says("new"), &world.policy, 0),
    );
    running.made_anew_to(1).await;
    assert_eq!(outcome(&running.view, 1).await.as_deref(), Some("new"));
    running.stop().await;
}

#[tokio::test]
async fn a_bundle_that_revokes_judges_everything_again() {
    let (mut world, log) = (World::new(), MemoryLog::new(NOW));
    log.inject(
        decision(1).to_string(),
        signed(&decision(1), &says("good"), &world.policy, 0),
    );
    log.inject(
        decision(2).to_string(),
        signed(&decision(2), &says("stolen key"), &world.policy, 0),
    );
    let judge = world.judge();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("view.db");
    let running = Running::start(Some(&path), judge.clone(), &log).await;
    running.reached(2).await;
    assert_eq!(outcome(&running.view, 2).await.as_deref(), Some("stolen key"));

    let fresh = SigningKey::generate().unwrap().0;
    world.bundle.version = 2;
    world.bundle.keys[1].revoked_at = Some(1);
    world.bundle.keys.push(bundle_key(Role::Policy, &fresh));
    log.inject(subject::trust_bundle(2).to_string(), world.bundle_envelope());
    let last = log.inject(
        decision(2).to_string(),
        signed(&decision(2), &says("fresh key"), &fresh, 0),
    );
    running.reached(last).await;
    assert_eq!(running.view.trust().bundle().version, 2);
    assert_eq!(outcome(&running.view, 1).await.as_deref(), Some("good"));
    assert_eq!(outcome(&running.view, 2).await.as_deref(), Some("fresh key"));
    assert!(
        running
            .view
            .get(&subject::trust_bundle(2))
            .await
            .unwrap()
            .is_some()
    );
    running.stop().await;

    // The highest bundle seen is remembered, whatever the configuration pins.
    let view = View::open(Some(&path), judge).await.unwrap();
    assert_eq!(view.trust().bundle().version, 2);
}

#[tokio::test]
async fn an_agent_is_judged_by_the_membership_before_it() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let facts = |n, seconds| {
        let name = subject::facts(&world.cluster, n);
        log.inject(
            name.to_string(),
            world.by_agent(
                seconds,
                &Facts {
                    version: "v2.9.3".to_owned(),
                },
            ),
        )
    };
    facts(1, 1);
    let member = subject::member(&world.cluster, 1);
    log.inject(
        member.to_string(),
        signed(&member, &world.member(), &world.controller, 0),
    );
    facts(1, 2);
    facts(2, 2);
    let last = facts(2, 3);
    let running = Running::start(None, world.judge(), &log).await;
    running.reached(last).await;
    let series = running
        .view
        .series(subject::facts(&world.cluster, 1).series())
        .await
        .unwrap();
    let sequences: Vec<u64> = series.iter().map(|fact| fact.sequence).collect();
    assert_eq!(sequences, [3, 5]);
    running.stop().await;
}

#[tokio::test]
async fn a_bare_view_examines_what_would_be_next() {
    let world = World::new();
    let view = View::open(None, world.judge()).await.unwrap();
    let name = subject::mode("fleet", 1);
    let mode = Mode {
        mode: "Enforce".to_owned(),
    };
    let good = signed(&name, &mode, &world.controller, 0);
    assert!(view.examine(&name, &good).await.unwrap().is_ok());
    let second = subject::mode("fleet", 2);
    let orphan = signed(&second, &mode, &world.controller, 0);
    assert!(matches!(
        view.examine(&second, &orphan).await.unwrap(),
        Err(Invalid::NoPredecessor(_))
    ));
}

#[tokio::test]
async fn an_agent_whose_key_was_changed_speaks_with_the_new_one_from_there_on() {
    let (mut world, log) = (World::new(), MemoryLog::new(NOW));
    let member = |world: &World, n| {
        let name = subject::member(&world.cluster, n);
        log.inject(
            name.to_string(),
            signed(&name, &world.member(), &world.controller, 0),
        )
    };
    let facts = |world: &World, n, seconds| {
        let name = subject::facts(&world.cluster, n);
        let said = Facts {
            version: "v2.9.3".to_owned(),
        };
        log.inject(name.to_string(), world.by_agent(seconds, &said))
    };
    member(&world, 1);
    let first = facts(&world, 1, 1);
    let old = std::mem::replace(&mut world.agent, SigningKey::generate().unwrap().0);
    member(&world, 2);
    let new = std::mem::replace(&mut world.agent, old);
    facts(&world, 2, 2);
    world.agent = new;
    let last = facts(&world, 2, 3);
    let running = Running::start(None, world.judge(), &log).await;
    running.reached(last).await;
    let series = subject::facts(&world.cluster, 1);
    let series = running.view.series(series.series()).await.unwrap();
    let sequences: Vec<u64> = series.iter().map(|fact| fact.sequence).collect();
    assert_eq!(sequences, [first, last], "what the old key said before stays");
    running.stop().await;
}

#[tokio::test]
async fn what_a_retired_key_said_before_stays_and_what_it_says_later_does_not_count() {
    let (mut world, log) = (World::new(), MemoryLog::new(NOW));
    let decide = |n, text: &str, key: &SigningKey| {
        log.inject(decision(n).to_string(), signed(&decision(n), &says(text), key, 0))
    };
    decide(1, "before", &world.policy);
    let judge = world.judge();
    let next = SigningKey::generate().unwrap().0;
    world.bundle.version = 2;
    world.bundle.keys[1].retired_at = Some(2);
    world.bundle.keys.push(bundle_key(Role::Policy, &next));
    log.inject(subject::trust_bundle(2).to_string(), world.bundle_envelope());
    decide(2, "after", &world.policy);
    let last = decide(2, "by the next key", &next);
    let running = Running::start(None, judge, &log).await;
    running.reached(last).await;
    assert_eq!(outcome(&running.view, 1).await.as_deref(), Some("before"));
    assert_eq!(
        outcome(&running.view, 2).await.as_deref(),
        Some("by the next key")
    );
    running.stop().await;
}

#[tokio::test]
async fn views_that_began_at_different_times_hold_the_same() {
    let (mut world, log) = (World::new(), MemoryLog::new(NOW));
    let judge = world.judge();
    let early = Running::start(None, judge.clone(), &log).await;
    log.inject(decision(1).to_string(), "squatter");
    for n in 1..=3 {
        log.inject(
            decision(n).to_string(),
            signed(&decision(n), &says("WAIT"), &world.policy, 0),
        );
        log.inject(
            decision(n).to_string(),
            signed(&decision(n), &says("ALLOW"), &world.policy, 0),
        );
    }
    early.reached(7).await;
    world.bundle.version = 2;
    world.bundle.keys[1].revoked_at = Some(4);
    let last = log.inject(subject::trust_bundle(2).to_string(), world.bundle_envelope());
    early.reached(last).await;
    let late = Running::start(None, judge, &log).await;
    late.reached(last).await;
    let all = async |running: &Running| running.view.after(0, 100).await.unwrap();
    assert_eq!(all(&early).await, all(&late).await);
    assert_eq!(all(&late).await.len(), 3, "two decisions and the bundle");
    early.stop().await;
    late.stop().await;
}

#[tokio::test]
async fn the_newest_of_each_workflow_is_read_once_and_again_where_the_view_was_made_anew() {
    let (world, log) = (World::new(), MemoryLog::new(NOW));
    let other = |n| {
        let key = ReleaseKey {
            version: Version::new(2, 9, 5),
            manifests: Digest::of(b"other"),
        };
        subject::decision(&key, "default", &"0123456789abcdef".parse().unwrap(), n)
    };
    let write = |name: &Subject, outcome: &str| {
        log.inject(name.to_string(), signed(name, &says(outcome), &world.policy, 0))
    };
    write(&other(1), "ALLOW");
    write(&decision(1), "WAIT");
    let last = write(&decision(2), "DENY");
    let running = Running::start(None, world.judge(), &log).await;
    running.reached(last).await;
    // What does not read as wanted is left out, and hides what stood before it.
    let newest = Newest::new(Area::Policy, "decision", |fact: &Fact| {
        let outcome = fact.claim::<Decision>().ok()?.outcome;
        (outcome != "unreadable").then_some(outcome)
    });
    let read = async || {
        let all = newest.of(&running.view).await.unwrap();
        all.iter().map(|outcome| outcome.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(read().await, ["ALLOW", "DENY"]);
    let before = newest.of(&running.view).await.unwrap();
    assert!(Arc::ptr_eq(&before, &newest.of(&running.view).await.unwrap()));
    let last = write(&other(2), "WAIT");
    running.reached(last).await;
    assert_eq!(read().await, ["DENY", "WAIT"]);
    let last = write(&decision(3), "unreadable");
    running.reached(last).await;
    assert_eq!(read().await, ["WAIT"]);

    let making = running.view.making().await.unwrap();
    log.recreate(NOW + SignedDuration::from_secs(60));
    write(&decision(1), "of another stream");
    running.made_anew_to(1).await;
    assert!(running.view.making().await.unwrap() > making);
    assert_eq!(read().await, ["of another stream"]);
    running.stop().await;
}
