//! Every way in which a ledger can be changed behind its back is found.

use super::*;
use crate::ledger::check::Fault;

async fn sql(ledger: &Ledger, text: &'static str) {
    assert!(
        sqlx::query(text)
            .execute(&ledger.writer)
            .await
            .unwrap()
            .rows_affected()
            > 0
    );
}

#[tokio::test]
async fn a_flipped_byte_in_a_payload_is_found() {
    let place = Place::new();
    let ledger = of_size(&place, 9).await;
    sql(
        &ledger,
        "UPDATE payloads SET bytes = CAST('payload X' AS BLOB) WHERE bytes = CAST('payload 4' AS BLOB)",
    )
    .await;
    assert_eq!(
        ledger.check().await.unwrap().faults,
        [Fault::Payload { sequence: 4 }]
    );
    let leaf = ledger.leaf(4).await.unwrap().unwrap();
    assert!(!ledger.is_intact(&leaf).await.unwrap());
    let other = ledger.leaf(5).await.unwrap().unwrap();
    assert!(ledger.is_intact(&other).await.unwrap());
}

#[tokio::test]
async fn a_changed_subject_is_found() {
    let place = Place::new();
    let ledger = of_size(&place, 9).await;
    sql(&ledger, "UPDATE leaves SET subject = 'x' WHERE sequence = 3").await;
    let faults = ledger.check().await.unwrap().faults;
    assert!(faults.contains(&Fault::Node(NodeId {
        level: 0,
        position: 2
    })));
    assert!(faults.contains(&Fault::Root { size: 9 }));
    assert!(faults.contains(&Fault::Tile("tile/entries/000.p/9".into())));
}

#[tokio::test]
async fn a_changed_node_is_found() {
    let place = Place::new();
    let ledger = of_size(&place, 9).await;
    sql(
        &ledger,
        "UPDATE hashes SET hash = zeroblob(32) WHERE level = 2 AND position = 1",
    )
    .await;
    let faults = ledger.check().await.unwrap().faults;
    assert_eq!(
        faults,
        [Fault::Node(NodeId {
            level: 2,
            position: 1
        })]
    );
}

#[tokio::test]
async fn a_removed_leaf_is_found() {
    let place = Place::new();
    let ledger = of_size(&place, 9).await;
    sql(&ledger, "DELETE FROM leaves WHERE sequence = 4").await;
    let faults = ledger.check().await.unwrap().faults;
    assert!(faults.contains(&Fault::Order {
        index: 3,
        found_index: 4,
        found_sequence: 5
    }));
    assert!(faults.contains(&Fault::Shorter {
        checkpoint: 9,
        held: 8
    }));
    drop(ledger);
    assert!(matches!(place.open().await, Err(LedgerError::Malformed(_))));
}

#[tokio::test]
async fn two_swapped_leaves_are_found() {
    let place = Place::new();
    let ledger = of_size(&place, 9).await;
    sql(&ledger, "UPDATE leaves SET leaf_index = 100 WHERE leaf_index = 3").await;
    sql(&ledger, "UPDATE leaves SET leaf_index = 3 WHERE leaf_index = 4").await;
    sql(&ledger, "UPDATE leaves SET leaf_index = 4 WHERE leaf_index = 100").await;
    let faults = ledger.check().await.unwrap().faults;
    assert!(faults.contains(&Fault::Order {
        index: 3,
        found_index: 3,
        found_sequence: 5
    }));
    assert!(faults.contains(&Fault::Root { size: 9 }));
}

#[tokio::test]
async fn swapped_contents_of_two_leaves_are_found() {
    let place = Place::new();
    let ledger = of_size(&place, 9).await;
    sql(
        &ledger,
        "UPDATE leaves SET subject = (SELECT b.subject FROM leaves b WHERE b.sequence = 9 - leaves.sequence), \
         payload = (SELECT b.payload FROM leaves b WHERE b.sequence = 9 - leaves.sequence) \
         WHERE sequence IN (4, 5)",
    )
    .await;
    let faults = ledger.check().await.unwrap().faults;
    assert!(faults.contains(&Fault::Root { size: 9 }));
}

#[tokio::test]
async fn a_flipped_byte_in_a_tile_or_checkpoint_is_found() {
    let place = Place::new();
    let ledger = of_size(&place, 9).await;
    let path = place.folder.path().join("tlog/tile/0/000.p/9");
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(
        ledger.check().await.unwrap().faults,
        [Fault::Tile("tile/0/000.p/9".into())]
    );

    let path = place.folder.path().join("tlog/checkpoint");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\n9\n", "\n8\n", 1)).unwrap();
    let faults = ledger.check().await.unwrap().faults;
    assert_eq!(faults, [Fault::Checkpoint(note::NoteError::Signature)]);
    drop(ledger);
    assert!(matches!(place.open().await, Err(LedgerError::Checkpoint(_))));
}

#[tokio::test]
async fn a_database_that_is_older_than_its_checkpoint_does_not_open() {
    let place = Place::new();
    drop(of_size(&place, 9).await);
    let checkpoint = place.file("checkpoint");
    let older = Place {
        folder: tempfile::tempdir().unwrap(),
        key: place.key.clone(),
    };
    drop(of_size(&older, 8).await);
    fs::write(older.folder.path().join("tlog/checkpoint"), &checkpoint).unwrap();
    let error = older.open().await.unwrap_err();
    assert!(matches!(
        error,
        LedgerError::OlderThanCheckpoint {
            checkpoint: 9,
            held: 8
        }
    ));

    let other = Place {
        folder: tempfile::tempdir().unwrap(),
        key: place.key.clone(),
    };
    let ledger = other.open().await.unwrap();
    ledger.append(created(), &events(1..=8)).await.unwrap();
    let last = Event {
        payload: Bytes::from_static(b"other"),
        ..event(9)
    };
    ledger.append(created(), &[last]).await.unwrap();
    drop(ledger);
    fs::write(other.folder.path().join("tlog/checkpoint"), checkpoint).unwrap();
    assert!(matches!(
        other.open().await,
        Err(LedgerError::NotTheCheckpoint { size: 9 })
    ));
}
