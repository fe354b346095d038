use std::fs;

use domain::{ReleaseKey, Version};

use super::merkle::{verify_consistency, verify_inclusion};
use super::query::{Filter, ReleaseFilter};
use super::*;

mod faults;
mod index;

const NAME: &str = "ledger.example/fleet";

fn created() -> Timestamp {
    "2026-01-01T00:00:00.123456789Z".parse().unwrap()
}

fn event(sequence: u64) -> Event {
    Event {
        sequence,
        subject: format!("fluxgate.v1.cluster.c.health.{sequence}"),
        payload: Bytes::from(format!("payload {sequence}")),
        store_time: created(),
        about: About::default(),
    }
}

fn events(range: std::ops::RangeInclusive<u64>) -> Vec<Event> {
    range.map(event).collect()
}

struct Place {
    folder: tempfile::TempDir,
    key: String,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            key: NoteKey::generate(NAME).unwrap().1,
        }
    }

    async fn open(&self) -> Result<Ledger, LedgerError> {
        Ledger::open(self.folder.path(), NoteKey::from_pem(NAME, &self.key).unwrap()).await
    }

    fn file(&self, path: &str) -> Vec<u8> {
        fs::read(self.folder.path().join("tlog").join(path)).unwrap()
    }
}

async fn of_size(place: &Place, size: u64) -> Ledger {
    let ledger = place.open().await.unwrap();
    ledger.append(created(), &events(1..=size)).await.unwrap();
    ledger.publish().await.unwrap();
    assert_eq!(ledger.check().await.unwrap().faults, []);
    ledger
}

#[tokio::test]
async fn an_empty_ledger_has_the_empty_root() {
    let place = Place::new();
    let ledger = place.open().await.unwrap();
    let (head, note) = ledger.publish().await.unwrap();
    assert_eq!(
        head,
        Head {
            size: 0,
            root: TreeHash::empty()
        }
    );
    assert_eq!(Head::open(&note, ledger.verifier()), Ok(head));
    assert_eq!(ledger.check().await.unwrap().faults, []);
    assert_eq!(ledger.stream_created().await.unwrap(), None);
}

#[tokio::test]
async fn a_restart_goes_on_at_the_cursor() {
    let place = Place::new();
    let first = of_size(&place, 300).await;
    let old = first.head().await;
    drop(first);
    let ledger = place.open().await.unwrap();
    assert_eq!(ledger.head().await, old);
    assert_eq!(ledger.stream_created().await.unwrap(), Some(created()));
    assert_eq!(ledger.append(created(), &events(301..=310)).await.unwrap(), 10);
    let (new, _) = ledger.publish().await.unwrap();
    let proof = ledger.consistency_proof(300, 310).await.unwrap();
    assert!(verify_consistency(
        (old.size, old.root),
        (new.size, new.root),
        &proof
    ));
    let proof = ledger.inclusion_proof(305, 310).await.unwrap();
    let leaf = ledger.leaf(306).await.unwrap().unwrap();
    assert!(verify_inclusion(leaf.hash(), 305, (new.size, new.root), &proof));
    assert_eq!(ledger.check().await.unwrap().faults, []);
}

#[tokio::test]
async fn what_is_appended_twice_is_there_once() {
    let place = Place::new();
    let ledger = of_size(&place, 5).await;
    let head = ledger.head().await;
    assert_eq!(ledger.append(created(), &events(1..=5)).await.unwrap(), 0);
    assert_eq!(ledger.head().await, head);
    assert_eq!(ledger.append(created(), &events(3..=6)).await.unwrap(), 1);
}

#[tokio::test]
async fn gaps_changes_and_other_streams_append_nothing() {
    let place = Place::new();
    let ledger = of_size(&place, 5).await;
    let head = ledger.head().await;
    let gap = [event(6), event(8)];
    let error = ledger.append(created(), &gap).await.unwrap_err();
    assert!(matches!(
        error,
        LedgerError::Gap {
            expected: 7,
            found: 8
        }
    ));
    let changed = [Event {
        payload: Bytes::from_static(b"x"),
        ..event(5)
    }];
    let error = ledger.append(created(), &changed).await.unwrap_err();
    assert!(matches!(error, LedgerError::Changed { sequence: 5 }));
    let moved = [Event {
        subject: "fluxgate.v1.x".to_owned(),
        ..event(5)
    }];
    assert!(ledger.append(created(), &moved).await.is_err());
    let error = ledger
        .append(Timestamp::UNIX_EPOCH, &events(6..=6))
        .await
        .unwrap_err();
    assert!(matches!(error, LedgerError::Recreated { .. }) && !error.retryable());
    assert_eq!(ledger.head().await, head);
    assert_eq!(ledger.check().await.unwrap().faults, []);
}

#[tokio::test]
async fn the_first_leaf_is_sequence_one() {
    let place = Place::new();
    let ledger = place.open().await.unwrap();
    let error = ledger.append(created(), &events(2..=2)).await.unwrap_err();
    assert!(matches!(
        error,
        LedgerError::Gap {
            expected: 1,
            found: 2
        }
    ));
}

#[tokio::test]
async fn tiles_hold_hashes_and_framed_entries() {
    let place = Place::new();
    let ledger = of_size(&place, 255).await;
    assert_eq!(place.file("tile/0/000.p/255").len(), 255 * 32);
    ledger.append(created(), &events(256..=258)).await.unwrap();
    let (head, note) = ledger.publish().await.unwrap();
    assert_eq!(place.file("checkpoint"), note.as_bytes());
    assert_eq!(place.file("tile/0/000").len(), 256 * 32);
    assert_eq!(place.file("tile/0/001.p/2").len(), 2 * 32);
    let above = place.file("tile/1/000.p/1");
    assert_eq!(above, ledger.root_at(256).await.unwrap().as_bytes());
    assert!(!place.folder.path().join("tlog/tile/0/000.p").exists());
    assert!(!place.folder.path().join("tlog/tile/entries/000.p").exists());

    // As an outsider: the entries alone make the root of the checkpoint.
    let mut tree = Frontier::default();
    for path in ["tile/entries/000", "tile/entries/001.p/2"] {
        let bytes = place.file(path);
        let mut rest = bytes.as_slice();
        while let Some((length, tail)) = rest.split_first_chunk::<2>() {
            let (entry, tail) = tail.split_at(usize::from(u16::from_be_bytes(*length)));
            tree.push(TreeHash::of_leaf(entry), |_, _| {});
            rest = tail;
        }
    }
    assert_eq!((tree.size(), tree.root()), (head.size, head.root));
    assert_eq!(ledger.check().await.unwrap().faults, []);
}

#[tokio::test]
async fn blobs_are_kept_under_their_digest_alone() {
    let place = Place::new();
    let ledger = place.open().await.unwrap();
    let digest = Digest::of(b"blob");
    let about = About {
        blobs: vec![digest, digest],
        ..About::default()
    };
    ledger
        .append(created(), &[Event { about, ..event(1) }])
        .await
        .unwrap();
    let missing = ledger.missing_blobs(0, 10).await.unwrap();
    assert_eq!(missing.len(), 1);
    assert_eq!((missing[0].digest, missing[0].sequence), (digest, 1));
    assert!(ledger.put_blob(digest, b"other").await.is_err());
    ledger.put_blob(digest, b"blob").await.unwrap();
    assert_eq!(ledger.missing_blobs(0, 10).await.unwrap(), []);
    assert_eq!(ledger.blob(digest).await.unwrap().unwrap(), "blob");
}

#[tokio::test]
async fn entries_are_found_by_what_they_are_about() {
    let place = Place::new();
    let ledger = place.open().await.unwrap();
    let key = |bytes: &[u8]| ReleaseKey {
        version: Version::new(2, 9, 4),
        manifests: Digest::of(bytes),
    };
    let about = |n: u64| match n {
        1 => About {
            kind: "decision".into(),
            release: key(b"a").to_string(),
            decision: "decisions/1".into(),
            ..About::default()
        },
        2 => About {
            kind: "rollout-started".into(),
            release: key(b"a").to_string(),
            rollout: "flux-v2.9.4-1".into(),
            ..About::default()
        },
        3 => About {
            kind: "wave-opened".into(),
            rollout: "flux-v2.9.4-1".into(),
            ..About::default()
        },
        4 => About {
            kind: "decision".into(),
            release: key(b"b").to_string(),
            trace_id: "0a".repeat(16),
            ..About::default()
        },
        _ => About {
            cluster: "c1".into(),
            ..About::default()
        },
    };
    let events: Vec<Event> = (1..=6)
        .map(|n| Event {
            about: about(n),
            ..event(n)
        })
        .collect();
    ledger.append(created(), &events).await.unwrap();
    let find = async |filter: Filter, from, limit| -> Vec<u64> {
        ledger
            .entries(&filter, from, limit)
            .await
            .unwrap()
            .iter()
            .map(|entry| entry.sequence)
            .collect()
    };
    assert_eq!(find(Filter::default(), 0, 2).await, [1, 2]);
    assert_eq!(find(Filter::default(), 4, 10).await, [5, 6]);
    let release = |release| Filter {
        release: Some(release),
        ..Filter::default()
    };
    assert_eq!(
        find(release(ReleaseFilter::Key(key(b"a"))), 0, 9).await,
        [1, 2, 3]
    );
    assert_eq!(
        find(release(ReleaseFilter::Version(Version::new(2, 9, 4))), 0, 9).await,
        [1, 2, 3, 4]
    );
    assert_eq!(
        find(release(ReleaseFilter::Version(Version::new(2, 9, 40))), 0, 9).await,
        [0; 0]
    );
    let cluster = Filter {
        cluster: Some("c1".into()),
        ..Filter::default()
    };
    assert_eq!(find(cluster, 0, 9).await, [5, 6]);
    let decision = Filter {
        decision: Some("decisions/1".into()),
        ..Filter::default()
    };
    assert_eq!(find(decision, 0, 9).await, [1]);
    let trace = Filter {
        trace_id: Some("0a".repeat(16)),
        ..Filter::default()
    };
    assert_eq!(find(trace, 0, 9).await, [4]);
}
