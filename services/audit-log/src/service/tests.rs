use std::collections::BTreeMap;

use bus::EventLog as _;
use jiff::SignedDuration;

use attest::Envelope;
use attest::statement::Statement;

use super::soundness::Problem;
use super::*;
use crate::ledger::Head;
use world::{World, monitoring, time};

mod world;

#[tokio::test]
async fn everything_is_confirmed_and_a_restart_goes_on() {
    let world = World::new();
    world.inject(300);
    let service = world.open().await;
    assert!(!service.state().is_sound());
    world.caught_up(&service, 300).await;
    drop(service);
    world.inject(5);
    let service = world.open().await;
    assert_eq!(service.state().held, 300);
    world.caught_up(&service, 305).await;
    assert_eq!(service.ledger().check().await.unwrap().faults, []);
}

#[tokio::test]
async fn the_status_is_signed_and_carries_the_checkpoint() {
    let world = World::new();
    world.inject(3);
    let service = world.open().await;
    world.caught_up(&service, 3).await;
    service.shared.report_once().await.unwrap();
    let envelope = Envelope::parse(&world.board.0.borrow()).unwrap();
    assert!(envelope.is_by(world.signer.public()));
    let statement = Statement::parse(envelope.payload()).unwrap();
    assert_eq!(statement.header().unwrap().subject, "ledger/status");
    assert!(wire::schema::well_formed(&statement));
    let status: LedgerStatus = statement.claim().unwrap();
    assert!(status.sound && status.problem.is_empty());
    assert_eq!((status.confirmed, status.tree_size), (3, 3));
    let head = Head::open(&status.checkpoint, service.ledger().verifier()).unwrap();
    assert_eq!((head.size, head.root.to_string()), (3, status.root_hash));
}

#[tokio::test]
async fn nothing_is_reported_before_the_stream_was_seen() {
    let world = World::new();
    let service = world.open().await;
    let status = service.shared.report_once().await.unwrap();
    assert!(!status.sound);
    assert!(world.board.0.borrow().is_empty());
}

#[tokio::test]
async fn an_empty_stream_is_sound() {
    let world = World::new();
    let service = world.open().await;
    world.caught_up(&service, 0).await;
    let status = service.shared.report_once().await.unwrap();
    assert!(status.sound && status.stream_create_time.is_some());
}

#[tokio::test]
async fn a_gap_is_not_sound_and_nothing_is_confirmed_beyond_it() {
    let world = World::new();
    world.inject(9);
    world.log.lies.lock().unwrap().left_out = vec![5];
    let service = world.open().await;
    let state = world
        .run_until(&service, |state| {
            state.held == 4 && matches!(state.following, Some(Problem::Gap { .. }))
        })
        .await;
    assert_eq!(
        state.following,
        Some(Problem::Gap {
            expected: 5,
            found: 6
        })
    );
    assert!(!state.is_sound());
    let status = service.status().await.unwrap();
    assert_eq!((status.confirmed, status.sound), (4, false));
    assert!(
        status.problem.contains("sequence 5 is missing"),
        "{}",
        status.problem
    );

    // The same after a restart; and once the stream tells all, the gap is closed.
    drop(service);
    let service = world.open().await;
    world
        .run_until(&service, |state| {
            matches!(state.following, Some(Problem::Gap { .. }))
        })
        .await;
    world.log.lies.lock().unwrap().left_out.clear();
    world.caught_up(&service, 9).await;
}

#[tokio::test]
async fn the_time_of_a_status_is_when_the_stream_last_answered() {
    let world = World::new();
    world.inject(3);
    let service = world.open().await;
    world.caught_up(&service, 3).await;
    let before = service.status().await.unwrap().report_time;
    world.log.lies.lock().unwrap().silent = true;
    service.shared.reread_once(0).await.unwrap();
    let status = service.status().await.unwrap();
    assert_eq!((status.report_time, status.sound), (before, true));
    world.log.lies.lock().unwrap().silent = false;
    service.shared.reread_once(0).await.unwrap();
    assert_ne!(service.status().await.unwrap().report_time, before);
}

#[tokio::test]
async fn a_recreated_stream_is_not_sound_and_appends_nothing() {
    let world = World::new();
    world.inject(3);
    let service = world.open().await;
    world.caught_up(&service, 3).await;
    world.log.honest.recreate(time("2030-01-01T00:00:00Z"));
    world.inject(6);
    let state = world.run_until(&service, |state| {
        let refused = matches!(state.following, Some(Problem::Recreated { .. }))
            && matches!(state.stream, Some(Problem::Recreated { .. }));
        refused || state.held > 3
    });
    assert_eq!(state.await.held, 3);
    assert_eq!(service.ledger().head().await.size, 3);
    drop(service);
    let service = world.open().await;
    let state = world.run_until(&service, |state| {
        matches!(state.following, Some(Problem::Recreated { .. })) || state.held > 3
    });
    assert_eq!(state.await.held, 3);
}

#[tokio::test]
async fn a_stream_recreated_while_it_is_followed_appends_nothing() {
    let world = World::new();
    world.inject(3);
    let service = world.open().await;
    let shutdown = Shutdown::default();
    let (running, stop) = (service.clone(), shutdown.clone());
    let running = tokio::spawn(async move { running.run(stop).await });
    let mut changes = service.shared.soundness.changes();
    changes.wait_for(State::is_sound).await.unwrap();
    world.log.honest.recreate(time("2030-01-01T00:00:00Z"));
    world.inject(6);
    let recreated =
        |state: &State| matches!(state.following, Some(Problem::Recreated { .. })) || state.held > 3;
    let seen = changes.wait_for(recreated).await.unwrap().held;
    assert_eq!(seen, 3);
    shutdown.request();
    running.await.unwrap();
    assert_eq!(service.ledger().head().await.size, 3);
}

#[tokio::test]
async fn a_stream_recreated_before_its_first_event_is_followed_as_what_it_is() {
    let world = World::new();
    let service = world.open().await;
    let shutdown = Shutdown::default();
    let (running, stop) = (service.clone(), shutdown.clone());
    let running = tokio::spawn(async move { running.run(stop).await });
    let mut changes = service.shared.soundness.changes();
    changes.wait_for(State::is_sound).await.unwrap();
    let created = time("2030-01-01T00:00:00Z");
    world.log.honest.recreate(created);
    world.inject(3);
    changes.wait_for(|state| state.held == 3).await.unwrap();
    shutdown.request();
    running.await.unwrap();
    let followed = service.ledger().stream_created().await.unwrap();
    assert_eq!(followed, Some(created));
}

#[tokio::test]
async fn a_shortened_stream_is_not_sound() {
    let world = World::new();
    world.inject(3);
    let service = world.open().await;
    world.caught_up(&service, 3).await;
    // A backup that was put back: the same creation time, fewer events.
    let created = world.log.created().await.unwrap();
    world.log.honest.recreate(created);
    world.inject(1);
    let state = world.run_until(&service, |state| state.stream.is_some()).await;
    assert_eq!(state.stream, Some(Problem::Shortened { held: 3, last: 1 }));
}

#[tokio::test]
async fn a_payload_that_changed_in_the_stream_is_not_sound_until_it_is_right_again() {
    let world = World::new();
    world.inject(9);
    let service = world.open().await;
    world.caught_up(&service, 9).await;
    world
        .log
        .lies
        .lock()
        .unwrap()
        .changed
        .insert(7, Some(Bytes::from_static(b"other")));
    let state = world.run_until(&service, |state| !state.is_sound()).await;
    assert!(
        state.text().contains("sequence 7 is not what the ledger holds"),
        "{}",
        state.text()
    );

    // It is not forgotten by a restart.
    drop(service);
    let service = world.open().await;
    assert_eq!(service.state().disputed.len(), 1);
    world.run_until(&service, |state| state.following.is_none()).await;
    assert!(!service.state().is_sound());
    world.log.lies.lock().unwrap().changed.clear();
    world.caught_up(&service, 9).await;
    assert_eq!(service.ledger().disputes().await.unwrap(), []);
}

#[tokio::test]
async fn a_sequence_that_the_stream_lost_is_not_sound() {
    let world = World::new();
    world.inject(9);
    let service = world.open().await;
    world.caught_up(&service, 9).await;
    world.log.lies.lock().unwrap().changed.insert(2, None);
    let state = world.run_until(&service, |state| !state.is_sound()).await;
    assert_eq!(state.disputed.keys().copied().collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn every_sequence_is_read_again_in_turn() {
    let world = World::new();
    world.inject(600);
    let service = world.open().await;
    world.caught_up(&service, 600).await;
    world.log.lies.lock().unwrap().changed.insert(590, None);
    let next = service.shared.reread_once(0).await.unwrap();
    let next = service.shared.reread_once(next).await.unwrap();
    assert!(service.state().is_sound());
    service.shared.reread_once(next).await.unwrap();
    assert!(service.state().disputed.contains_key(&590));
}

#[tokio::test]
async fn events_that_do_not_arrive_are_not_sound() {
    let world = World {
        lag: Duration::from_millis(20),
        ..World::new()
    };
    world.inject(3);
    let service = world.open().await;
    world.caught_up(&service, 3).await;
    world.log.lies.lock().unwrap().left_out = vec![4];
    world.inject(1);
    let state = world.run_until(&service, |state| state.stream.is_some()).await;
    assert_eq!(state.stream, Some(Problem::Behind { held: 3, last: 4 }));
    world.log.lies.lock().unwrap().left_out.clear();
    world.caught_up(&service, 4).await;
}

#[tokio::test]
async fn pages_walk_the_whole_ledger() {
    use crate::grpc::Api;
    use wire::audit::v1::audit_service_server::AuditService as _;
    use wire::audit::v1::{GetLedgerStatusRequest, ListEntriesRequest};

    let world = World::new();
    world.inject(7);
    let service = world.open().await;
    world.caught_up(&service, 7).await;
    let api = Api::new(service);
    let (mut sequences, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListEntriesRequest {
            page_size: 3,
            page_token,
            ..Default::default()
        };
        let page = api
            .list_entries(tonic::Request::new(request))
            .await
            .unwrap()
            .into_inner();
        assert!(page.entries.len() <= 3);
        sequences.extend(page.entries.iter().map(|entry| entry.sequence));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6, 7]);
    let status = api
        .get_ledger_status(tonic::Request::new(GetLedgerStatusRequest {}))
        .await
        .unwrap();
    assert_eq!(status.into_inner().confirmed, 7);
    let bad = ListEntriesRequest {
        page_token: "x".to_owned(),
        ..Default::default()
    };
    let refused = api.list_entries(tonic::Request::new(bad)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
}

fn names_blob(blob: &[u8]) -> Bytes {
    use domain::{Decision, Outcome, ReleaseKey, Version, decision::PolicyId};
    let decision = Decision {
        release: ReleaseKey {
            version: Version::new(2, 9, 4),
            manifests: Digest::of(b"m"),
        },
        policy: PolicyId {
            name: "default".to_owned(),
            digest: Digest::of(b"p"),
        },
        baseline: "0123456789abcdef".parse().unwrap(),
        outcome: Outcome::Wait,
        rules: Vec::new(),
        inputs: Digest::of(blob),
        decided: Timestamp::UNIX_EPOCH,
        valid_until: None,
        wait_until: None,
        as_of: 1,
        supersedes: None,
        demo: false,
    };
    let header = attest::Header::published("s", Timestamp::UNIX_EPOCH, "");
    let claim = wire::policy::v1::Decision::from(&decision);
    attest::claim::statement(&header, &claim)
        .unwrap()
        .to_bytes()
        .into()
}

#[tokio::test]
async fn named_blobs_are_copied_and_missing_ones_are_a_late_note() {
    let world = World {
        clock: Clock::offset(SignedDuration::from_mins(11)),
        ..World::new()
    };
    let (here, gone) = (Digest::of(b"here"), Digest::of(b"gone"));
    world
        .blobs
        .0
        .lock()
        .unwrap()
        .insert(here, Bytes::from_static(b"here"));
    world.log.honest.inject("s", names_blob(b"here"));
    world.log.honest.inject("s", names_blob(b"gone"));
    let service = world.open().await;
    let late = |state: &State| state.held == 2 && state.is_sound() && !state.late_blobs.is_empty();
    let state = world.run_until(&service, late).await;
    assert_eq!(
        state.text(),
        format!("note: blob {gone} is named and still missing")
    );
    assert_eq!(service.ledger().blob(here).await.unwrap().unwrap(), "here");

    // Other bytes are not taken.
    world
        .blobs
        .0
        .lock()
        .unwrap()
        .insert(gone, Bytes::from_static(b"other"));
    service.shared.copy_once(0).await.unwrap();
    assert_eq!(service.ledger().blob(gone).await.unwrap(), None);
    world
        .blobs
        .0
        .lock()
        .unwrap()
        .insert(gone, Bytes::from_static(b"gone"));
    service.shared.copy_once(0).await.unwrap();
    assert_eq!(service.ledger().missing_blobs(0, 9).await.unwrap(), []);
    assert_eq!(service.state().text(), "");
}

#[test]
fn durability_counts_as_missing_until_it_is_known() {
    let mut state = Soundness::new(0, BTreeMap::new(), true).now();
    (state.following, state.stream) = (None, None);
    assert!(!state.is_sound());
    assert!(state.text().contains("could not be found out"));
}

#[tokio::test]
async fn a_server_that_does_not_sync_each_write_is_not_sound_until_it_does() {
    let (say, says) = tokio::sync::watch::channel(r#"{"config":{"sync_interval":120000000000}}"#);
    let world = World {
        monitoring_url: Some(monitoring(says).await),
        ..World::new()
    };
    world.inject(3);
    let service = world.open().await;
    let asked = |state: &State| {
        let unknown = state.durability == Some(Problem::DurabilityUnknown);
        state.held == 3 && (&state.following, &state.stream) == (&None, &None) && !unknown
    };
    let state = world.run_until(&service, asked).await;
    assert_eq!(state.durability, Some(Problem::NotDurable));
    assert!(!state.is_sound());
    assert!(!service.status().await.unwrap().sound);
    say.send_replace(r#"{"config":{"sync_always":true}}"#);
    world.caught_up(&service, 3).await;
}

#[tokio::test]
async fn payloads_that_are_no_statements_are_leaves() {
    let world = World::new();
    world
        .log
        .honest
        .inject("fluxgate.v1.not a subject", Bytes::from_static(b"\xff\x00"));
    world.log.honest.inject("", Bytes::new());
    let service = world.open().await;
    world.caught_up(&service, 2).await;
    let entries = service
        .ledger()
        .entries(&crate::ledger::query::Filter::default(), 0, 9)
        .await
        .unwrap();
    assert!(
        entries
            .iter()
            .all(|entry| entry.kind.is_empty() && entry.summary.is_empty())
    );
}
