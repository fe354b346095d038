//! Finding leaves, and proving what was found.

use super::*;

#[tokio::test]
async fn rows_of_an_older_index_are_described_again() {
    let place = Place::new();
    let ledger = of_size(&place, 300).await;
    let head = ledger.head().await;
    sqlx::query("UPDATE leaves SET described = 0 WHERE sequence > 10")
        .execute(&ledger.writer)
        .await
        .unwrap();
    let describe = |subject: &str, payload: &[u8]| About {
        kind: "health".to_owned(),
        span_id: "00f067aa0ba902b7".to_owned(),
        made: Some(created()),
        summary: format!("{subject}: {}", String::from_utf8_lossy(payload)),
        blobs: vec![domain::Digest::of(b"named")],
        ..About::default()
    };
    assert_eq!(ledger.index_again(describe).await.unwrap(), 290);
    assert_eq!(ledger.index_again(describe).await.unwrap(), 0);
    let filter = Filter {
        kind: Some("health".to_owned()),
        ..Filter::default()
    };
    let found = ledger.entries(&filter, 0, 1000).await.unwrap();
    assert_eq!((found.len(), found[0].sequence), (290, 11));
    assert_eq!(found[0].summary, "fluxgate.v1.cluster.c.health.11: payload 11");
    assert_eq!(
        (found[0].span_id.as_str(), found[0].made),
        ("00f067aa0ba902b7", Some(created()))
    );
    assert_eq!(ledger.missing_blobs(0, 9).await.unwrap()[0].sequence, 11);
    // No leaf has changed.
    assert_eq!(ledger.head().await, head);
    assert_eq!(ledger.check().await.unwrap().faults, []);
}

#[tokio::test]
async fn an_entry_is_proven_in_the_newest_checkpoint() {
    let place = Place::new();
    let ledger = of_size(&place, 300).await;
    let twice = Event {
        subject: event(7).subject,
        ..event(301)
    };
    ledger.append(created(), &[twice]).await.unwrap();
    let entry = ledger.entry(6).await.unwrap().unwrap();
    let proven = ledger.prove(entry).await.unwrap();
    assert_eq!(
        (proven.leaf.sequence, proven.payload.as_ref()),
        (7, b"payload 7".as_slice())
    );
    assert_eq!(proven.later, [300]);
    let head = Head::open(&proven.checkpoint, ledger.verifier()).unwrap();
    assert_eq!((head, head.size), (proven.head, 301));
    assert!(verify_inclusion(
        proven.leaf.hash(),
        6,
        (head.size, head.root),
        &proven.proof
    ));
    assert_eq!(ledger.entry(301).await.unwrap(), None);
    assert_eq!(
        ledger.leaf_hashes(6, 2).await.unwrap(),
        [proven.leaf.hash(), {
            ledger.leaf(8).await.unwrap().unwrap().hash()
        }]
    );
}

#[tokio::test]
async fn entries_are_found_by_the_time_that_the_stream_says() {
    let place = Place::new();
    let ledger = place.open().await.unwrap();
    let times = [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.5Z",
        "2026-01-01T00:00:01Z",
    ];
    let all = (1..).zip(times).map(|(sequence, time)| Event {
        store_time: time.parse().unwrap(),
        ..event(sequence)
    });
    ledger.append(created(), &all.collect::<Vec<_>>()).await.unwrap();
    let count = async |since: Option<&str>, until: Option<&str>| {
        let filter = Filter {
            since: since.map(|time| time.parse().unwrap()),
            until: until.map(|time| time.parse().unwrap()),
            ..Filter::default()
        };
        let found = ledger.entries(&filter, 0, 9).await.unwrap().len();
        assert_eq!(ledger.count(&filter, 3).await.unwrap(), found as u64);
        found
    };
    assert_eq!(count(None, None).await, 3);
    assert_eq!(count(Some("2026-01-01T00:00:00.1Z"), None).await, 2);
    assert_eq!(
        count(Some("2026-01-01T00:00:00Z"), Some("2026-01-01T00:00:01Z")).await,
        2
    );
    assert_eq!(count(Some("2026-01-01T01:00:01+01:00"), None).await, 1);
    let always = Filter {
        since: Some("2027-01-01T00:00:00Z".parse().unwrap()),
        always: &[""],
        ..Filter::default()
    };
    assert_eq!(ledger.count(&always, 3).await.unwrap(), 3);
    assert!(!always.is_empty());
}

#[tokio::test]
async fn what_agents_answer_is_found_with_the_release() {
    let place = Place::new();
    let ledger = place.open().await.unwrap();
    let release = ReleaseKey {
        version: Version::new(2, 9, 4),
        manifests: domain::Digest::of(b"m"),
    };
    let about = |sequence, kind: &str, release: &str, trace: &str| Event {
        about: About {
            kind: kind.to_owned(),
            release: release.to_owned(),
            trace_id: trace.to_owned(),
            ..About::default()
        },
        ..event(sequence)
    };
    let all = [
        about(1, "decision", &release.to_string(), "a"),
        about(2, "rollout-started", &release.to_string(), "b"),
        about(3, "report", "", "b"),
        about(4, "report", "", "c"),
        about(5, "report", "", ""),
        // The trace of the release itself: whatever else names it is no step of a rollout.
        about(6, "report", "", "a"),
    ];
    ledger.append(created(), &all).await.unwrap();
    let filter = Filter {
        release: Some(ReleaseFilter::Version(release.version)),
        ..Filter::default()
    };
    let found = ledger.entries(&filter, 0, 9).await.unwrap();
    let sequences: Vec<u64> = found.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
}
