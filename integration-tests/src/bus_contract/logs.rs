//! The log, the journal and the view.

use std::collections::BTreeSet;

use bus::{Appended, Expect, LogError, Written};
use futures::future::join_all;

use super::*;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

pub(super) async fn an_event_log_keeps_its_word(site: &mut dyn Site) {
    let log = site.log().await;
    let (a, b) = (started(1), started(2));
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    assert_eq!(log.last_sequence().await.unwrap(), 0);
    assert_eq!(
        log.append(&a, bytes("1"), Some(TRACE), Expect::Absent)
            .await
            .unwrap(),
        Appended::Stored(1)
    );
    assert_eq!(
        log.append(&a, bytes("2"), None, Expect::Absent).await.unwrap(),
        Appended::Conflict
    );
    assert_eq!(
        log.append(&b, bytes("3"), None, Expect::Absent).await.unwrap(),
        Appended::Stored(2)
    );
    assert_eq!(
        log.append(&a, bytes("4"), None, Expect::Sequence(2))
            .await
            .unwrap(),
        Appended::Conflict
    );
    assert_eq!(
        log.append(&a, bytes("5"), None, Expect::Sequence(1))
            .await
            .unwrap(),
        Appended::Stored(3)
    );
    assert_eq!(log.last_sequence().await.unwrap(), 3);

    let name = a.to_string();
    let first = present(|| log.first_after(&name, 0)).await;
    assert_eq!((first.sequence, first.payload.as_ref()), (1, b"1".as_slice()));
    assert_eq!(
        (first.subject.as_str(), first.traceparent.as_deref()),
        (name.as_str(), Some(TRACE))
    );
    assert_eq!(present(|| log.get(1)).await, first);
    assert_eq!(present(|| log.first_after(&name, 1)).await.sequence, 3);
    assert_eq!(log.first_after(&name, 3).await.unwrap(), None);
    assert_eq!(log.get(4).await.unwrap(), None);
    assert_eq!(log.get(0).await.unwrap(), None);

    let tail = log.tail(2, Vec::new()).await.unwrap();
    let seen: Vec<u64> = soon(
        "a tail from the second event",
        tail.take(2).map(|event| event.unwrap().sequence).collect(),
    )
    .await;
    assert_eq!(seen, [2, 3]);
    let mut filtered = log.tail(1, vec![b.to_string()]).await.unwrap();
    let only = soon("a tail of one subject", filtered.next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(only, present(|| log.get(2)).await);

    let created = log.created().await.unwrap();
    assert_eq!(created, log.created().await.unwrap());
}

pub(super) async fn what_is_too_large_is_refused_for_good(site: &mut dyn Site) {
    let log = site.log().await;
    let append = async |size: usize| {
        log.append(&started(1), vec![0; size].into(), None, Expect::Absent)
            .await
    };
    let oversized = append(2 * 1024 * 1024).await;
    assert!(
        matches!(oversized, Err(error @ LogError::Oversized { size, .. }) if !error.retryable() && size == 2 * 1024 * 1024)
    );
    assert_eq!(log.last_sequence().await.unwrap(), 0, "nothing was stored");
    assert_eq!(append(512 * 1024).await.unwrap(), Appended::Stored(1));
}

pub(super) async fn of_two_writers_one_is_stored(site: &mut dyn Site) {
    let world = World::new();
    let one = world.service(site).await;
    let two = world.service(site).await;
    for ordinal in 1..=20 {
        let name = started(ordinal);
        let (ours, theirs) = (by("one"), by("two"));
        let (a, b) = tokio::join!(
            one.journal.once(&name, &ours, ""),
            two.journal.once(&name, &theirs, "")
        );
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.fact(), b.fact());
        assert!(matches!(a, Written::Ours(_)) != matches!(b, Written::Ours(_)));
        assert_eq!(count(one.log.as_ref(), &name).await, 1);
    }
    let name = started(100);
    let raced = (0..16).map(|n| one.log.append(&name, vec![n].into(), None, Expect::Absent));
    let answers: Vec<Appended> = join_all(raced).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        answers
            .iter()
            .filter(|answer| matches!(answer, Appended::Stored(_)))
            .count(),
        1
    );
}

pub(super) async fn a_squatter_is_published_over_and_never_read(site: &mut dyn Site) {
    let world = World::new();
    let (name, stranger) = (started(1), World::new());
    site.publish_raw(&name, "squatter".into()).await;
    site.publish_raw(&name, stranger.signed(&name, &by("stranger")))
        .await;
    let service = world.service(site).await;
    let written = service.journal.once(&name, &by("us"), "").await.unwrap();
    assert!(
        matches!(&written, Written::Ours(fact) if fact.sequence == 3),
        "{written:?}"
    );
    assert_eq!(service.journal.alarms(), 1);
    site.publish_raw(&name, stranger.signed(&name, &by("again")))
        .await;
    let reader = world.service(site).await;
    soon("folding", reader.view.reached(4)).await;
    assert_eq!(
        reader.view.get(&name).await.unwrap().unwrap(),
        written.into_fact()
    );
}

pub(super) async fn a_later_publish_without_expectation_does_not_win(site: &mut dyn Site) {
    let world = World::new();
    let service = world.service(site).await;
    let name = started(1);
    service.journal.once(&name, &by("first"), "").await.unwrap();
    let later = site.publish_raw(&name, world.signed(&name, &by("later"))).await;
    soon("folding", service.view.reached(later)).await;
    let written = service.journal.once(&name, &by("third"), "").await.unwrap();
    assert!(matches!(&written, Written::Theirs(_)));
    assert_eq!(written.fact().claim::<Started>().unwrap(), by("first"));
    assert_eq!(count(service.log.as_ref(), &name).await, 2);
}

pub(super) async fn an_abandoned_publish_that_lands_later_is_no_second_event(site: &mut dyn Site) {
    let world = World::new();
    let service = world.service(site).await;
    let name = started(1);
    service
        .journal
        .once(&started(9), &by("connected"), "")
        .await
        .unwrap();
    site.kill().await;
    let payload = world.signed(&name, &by("abandoned"));
    let abandoned = service.log.append(&name, payload, None, Expect::Absent).await;
    assert!(matches!(abandoned, Err(error) if error.retryable()));
    site.restart().await;
    let written = service.journal.once(&name, &by("again"), "").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(count(service.log.as_ref(), &name).await, 1);
    let fresh_reader = world.service(site).await;
    soon("folding", fresh_reader.view.reached(written.fact().sequence)).await;
    assert_eq!(
        fresh_reader.view.get(&name).await.unwrap().unwrap(),
        written.into_fact()
    );
}

pub(super) async fn a_journal_waits_through_a_kill(site: &mut dyn Site) {
    let world = World::new();
    let service = world.service(site).await;
    service
        .journal
        .once(&started(1), &by("before"), "")
        .await
        .unwrap();
    site.kill().await;
    let journal = service.journal.clone();
    let writing = tokio::spawn(async move { journal.once(&started(2), &by("during"), "").await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    site.restart().await;
    let written = soon("a definite answer", writing).await.unwrap().unwrap();
    assert!(matches!(written, Written::Ours(_)));
    assert_eq!(count(service.log.as_ref(), &started(2)).await, 1);
}

/// Two writers of the same names, while the server (of three the one that leads) dies.
pub(super) async fn what_is_published_during_a_kill_is_stored_once(site: &mut dyn Site) {
    const NAMES: std::ops::RangeInclusive<u32> = 1..=30;
    let world = World::new();
    let write = |journal: Journal, name: &'static str| {
        tokio::spawn(async move {
            let mut written = Vec::new();
            for ordinal in NAMES {
                let settled = journal.once(&started(ordinal), &by(name), "").await.unwrap();
                written.push(settled.into_fact());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            written
        })
    };
    let (one, two) = (world.service(site).await, world.service(site).await);
    let writers = [
        write(one.journal.clone(), "one"),
        write(two.journal.clone(), "two"),
    ];
    tokio::time::sleep(Duration::from_millis(100)).await;
    site.kill().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    site.restart().await;
    let [first, second] = soon("definite answers", join_all(writers))
        .await
        .try_into()
        .unwrap();
    assert_eq!(first.unwrap(), second.unwrap());
    for ordinal in NAMES {
        assert_eq!(count(one.log.as_ref(), &started(ordinal)).await, 1, "{ordinal}");
    }
}

/// Somebody squats on a name; what answers where the squatter stands may have nothing of it yet.
pub(super) async fn a_replica_that_lags_is_asked_again(site: &mut dyn Site) {
    let world = World::new();
    let service = world.service(site).await;
    for ordinal in 1..=15 {
        let name = started(ordinal);
        let squatter = site.publish_raw(&name, "squatter".into()).await;
        site.lag(2);
        let written = soon("a definite answer", service.journal.once(&name, &by("us"), ""))
            .await
            .unwrap();
        assert!(
            matches!(&written, Written::Ours(fact) if fact.sequence == squatter + 1),
            "{written:?}"
        );
        assert_eq!(service.journal.alarms(), u64::from(ordinal));
    }
}

pub(super) async fn a_tail_goes_on_after_a_kill(site: &mut dyn Site) {
    let log = site.log().await;
    let tail = log.tail(1, Vec::new()).await.unwrap();
    let seen = tokio::spawn(
        tail.filter_map(|event| async { event.ok() })
            .take(30)
            .collect::<Vec<_>>(),
    );
    for ordinal in 1..=10 {
        site.publish_raw(&started(ordinal), "x".into()).await;
    }
    for round in 0..2 {
        site.kill().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        site.restart().await;
        for ordinal in 1..=10 {
            let name = started(100 + round * 100 + ordinal);
            // Until the client has noticed, a publish goes nowhere.
            let mut expect = log
                .append(&name, Bytes::from_static(b"x"), None, Expect::Absent)
                .await;
            while expect.is_err() {
                expect = log
                    .append(&name, Bytes::from_static(b"x"), None, Expect::Absent)
                    .await;
            }
        }
    }
    let begun = std::time::Instant::now();
    let seen: Vec<u64> = soon("thirty events", seen)
        .await
        .unwrap()
        .iter()
        .map(|event| event.sequence)
        .collect();
    assert_eq!(seen, (1..=30).collect::<Vec<u64>>());
    tracing::info!(after = ?begun.elapsed(), "the tail had everything");
}

pub(super) async fn a_view_goes_on_after_a_kill(site: &mut dyn Site) {
    let world = World::new();
    let (writer, reader) = (world.service(site).await, world.service(site).await);
    let mut sequences = BTreeSet::new();
    for ordinal in 1..=3 {
        let written = writer
            .journal
            .once(&started(ordinal), &by("us"), "")
            .await
            .unwrap();
        let sequence = written.fact().sequence;
        soon("folding", reader.view.reached(sequence)).await;
        assert_eq!(
            reader.view.get(&started(ordinal)).await.unwrap().as_ref(),
            Some(written.fact())
        );
        sequences.insert(sequence);
        site.kill().await;
        site.restart().await;
    }
    assert_eq!(sequences.len(), 3);
}

pub(super) async fn a_stream_made_anew_is_seen_and_folded_anew(site: &mut dyn Site) {
    let world = World::new();
    let service = world.service(site).await;
    for ordinal in 1..=5 {
        service
            .journal
            .once(&started(ordinal), &by("old"), "")
            .await
            .unwrap();
    }
    let created = service.log.created().await.unwrap();
    // `deny_purge` does not keep a user who may call it from this.
    site.make_anew().await;
    assert_ne!(service.log.created().await.unwrap(), created);
    site.publish_raw(&started(1), world.signed(&started(1), &by("new")))
        .await;
    let mut changes = service.view.changed();
    soon(
        "the cursor of the new stream",
        changes.wait_for(|cursor| *cursor == 1),
    )
    .await
    .unwrap();
    let fact = service.view.get(&started(1)).await.unwrap().unwrap();
    assert_eq!(fact.claim::<Started>().unwrap(), by("new"));
    assert_eq!(service.view.get(&started(2)).await.unwrap(), None);
}
