//! Streams, blobs and buckets.

use async_nats::jetstream::stream::Config;
use bus::blobs::{BlobError, Blobs};
use bus::buckets::BucketError;
use bus::streams::{Change, Finding, MAX_BLOB, MAX_VALUE, StreamsError};
use domain::Digest;

use super::*;

pub(super) async fn migrate_makes_everything_once_and_only_grows_it(server: &mut dyn Server) {
    let client = client(&server.url()).await;
    empty(&client).await;
    let missing = streams::verify(&client, &sizes()).await.unwrap();
    assert_eq!(
        missing
            .iter()
            .filter(|finding| matches!(finding, Finding::Missing(_)))
            .count(),
        6
    );
    let made = streams::migrate(&client, &sizes()).await.unwrap();
    assert_eq!(
        made.iter()
            .filter(|change| matches!(change, Change::Created(_)))
            .count(),
        6
    );
    assert_eq!(streams::migrate(&client, &sizes()).await.unwrap(), []);
    let monitored = Settings {
        monitor_url: Some(server.monitor_url()),
        ..sizes()
    };
    assert_eq!(streams::verify(&client, &monitored).await.unwrap(), []);

    let larger = Settings {
        events_bytes: sizes().events_bytes * 2,
        ..sizes()
    };
    let grown = streams::migrate(&client, &larger).await.unwrap();
    let [Change::Changed(difference)] = grown.as_slice() else {
        panic!("{grown:?}")
    };
    assert_eq!(
        (difference.stream.as_str(), difference.field.as_str()),
        (streams::EVENTS, "max_bytes")
    );
    assert_eq!(streams::migrate(&client, &larger).await.unwrap(), []);
    let shrunk = streams::migrate(&client, &sizes()).await;
    assert!(
        matches!(shrunk, Err(StreamsError::Differs { ref field, .. }) if field == "max_bytes"),
        "{shrunk:?}"
    );
}

/// `get_or_create_stream` answers Ok with whatever is there.
pub(super) async fn another_configuration_is_refused(server: &mut dyn Server) {
    let client = client(&server.url()).await;
    empty(&client).await;
    let context = async_nats::jetstream::new(client.clone());
    let wrong = streams::definitions(&sizes())
        .into_iter()
        .map(|definition| Config {
            max_age: Duration::from_secs(3600),
            deny_delete: false,
            ..definition
        });
    let wrong = wrong.into_iter().next().expect("the event stream");
    let old = context
        .create_stream(wrong.clone())
        .await
        .unwrap()
        .cached_info()
        .created;
    let error = streams::migrate(&client, &sizes()).await.unwrap_err();
    let StreamsError::Differs {
        stream,
        field,
        expected,
        found,
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!((stream.as_str(), field.as_str()), (streams::EVENTS, "max_age"));
    assert_eq!((expected.as_str(), found.as_str()), ("0", "3600000000000"));
    let findings = streams::verify(&client, &sizes()).await.unwrap();
    let differing = findings
        .iter()
        .filter(|finding| matches!(finding, Finding::Differs(_)))
        .count();
    assert_eq!(differing, 2, "{findings:?}");
    let now = context
        .get_stream(streams::EVENTS)
        .await
        .unwrap()
        .cached_info()
        .created;
    assert_eq!(old, now, "it was neither deleted nor changed");
}

pub(super) async fn nothing_can_be_deleted_or_purged(server: &mut dyn Server) {
    let client = fresh(server).await;
    publish_raw(&client, &started(1), "x").await;
    let context = async_nats::jetstream::new(client.clone());
    let stream = context.get_stream(streams::EVENTS).await.unwrap();
    assert!(stream.delete_message(1).await.is_err());
    assert!(stream.purge().await.is_err());
    assert!(stream.purge().filter(started(1).to_string()).await.is_err());
    let mut loose = stream.cached_info().config.clone();
    loose.deny_delete = false;
    assert!(context.update_stream(loose).await.is_err());
    assert!(JetStreamLog::new(&client).get(1).await.unwrap().is_some());
}

pub(super) async fn a_full_stream_refuses_and_loses_nothing(server: &mut dyn Server) {
    let client = client(&server.url()).await;
    empty(&client).await;
    let small = Settings {
        events_bytes: 64 * 1024,
        ..sizes()
    };
    streams::migrate(&client, &small).await.unwrap();
    let log = JetStreamLog::new(&client);
    let append = async |ordinal| {
        log.append(
            &started(ordinal),
            vec![0; 16 * 1024].into(),
            None,
            bus::Expect::Absent,
        )
        .await
    };
    let mut stored = 0;
    let refused = loop {
        match append(stored + 1).await {
            Ok(_) if stored < 9 => stored += 1,
            ended => break ended,
        }
    };
    assert!(
        matches!(refused, Err(ref error) if error.retryable()),
        "{refused:?}"
    );
    assert!((1..9).contains(&stored), "{stored}");
    assert_eq!(log.last_sequence().await.unwrap(), u64::from(stored));
    for sequence in 1..=u64::from(stored) {
        assert!(log.get(sequence).await.unwrap().is_some(), "{sequence}");
    }
}

pub(super) async fn what_is_missing_is_none(server: &mut dyn Server) {
    let client = fresh(server).await;
    let log = JetStreamLog::new(&client);
    assert_eq!(log.first_after(&started(1).to_string(), 0).await.unwrap(), None);
    assert_eq!(log.get(7).await.unwrap(), None);
    assert_eq!(
        Blobs::new(&client).get(Digest::of(b"nothing")).await.unwrap(),
        None
    );
    assert_eq!(assignments(&client).get("edge-1").await.unwrap(), None);
    assert_eq!(assignments(&client).list().await.unwrap(), []);
    empty(&client).await;
    assert!(matches!(log.get(1).await, Err(error) if error.retryable()));
}

pub(super) async fn what_is_too_large_is_refused(server: &mut dyn Server) {
    let client = fresh(server).await;
    let blobs = Blobs::new(&client);
    let largest = vec![7; MAX_BLOB];
    let digest = blobs.put(&largest).await.unwrap();
    assert_eq!(blobs.get(digest).await.unwrap(), Some(largest));
    let refused = blobs.put(&vec![7; MAX_BLOB + 1]).await;
    assert!(matches!(refused, Err(BlobError::Oversized { size }) if size == MAX_BLOB + 1));
    let values = assignments(&client);
    values.put("edge-1", vec![7; MAX_VALUE].into()).await.unwrap();
    let refused = values.put("edge-1", vec![7; MAX_VALUE + 1].into()).await;
    assert!(matches!(refused, Err(BucketError::Oversized { .. })));
    // The server says so too, to those who do not ask us.
    let context = async_nats::jetstream::new(client);
    let raw = context
        .publish(
            Bucket::Assignments.subject("edge-1"),
            vec![7; 2 * MAX_VALUE].into(),
        )
        .await
        .unwrap();
    assert!(raw.await.is_err());
}

pub(super) async fn wrong_bytes_of_a_blob_are_put_right(server: &mut dyn Server) {
    let client = fresh(server).await;
    let blobs = Blobs::new(&client);
    let digest = blobs.put(b"right").await.unwrap();
    let context = async_nats::jetstream::new(client.clone());
    let info = async || {
        context
            .get_stream(streams::BLOBS)
            .await
            .unwrap()
            .cached_info()
            .state
            .clone()
    };
    assert_eq!(blobs.put(b"right").await.unwrap(), digest);
    assert_eq!(info().await.last_sequence, 1, "the same bytes are stored once");
    context
        .publish(Blobs::subject(digest), "wrong".into())
        .await
        .unwrap()
        .await
        .unwrap();
    assert_eq!(blobs.get(digest).await.unwrap(), None);
    blobs.put(b"right").await.unwrap();
    assert_eq!(
        blobs.get(digest).await.unwrap().as_deref(),
        Some(b"right".as_slice())
    );
    assert_eq!(info().await.messages, 1);
}

pub(super) async fn values_survive_a_kill(server: &mut dyn Server) {
    let client = fresh(server).await;
    let values = assignments(&client);
    let revision = values.update("edge-1", "one".into(), 0).await.unwrap();
    assert!(matches!(
        values.update("edge-1", "zero".into(), 0).await,
        Err(BucketError::Conflict { .. })
    ));
    values.put("edge-2", "two".into()).await.unwrap();
    server.kill().await;
    assert!(matches!(values.get("edge-1").await, Err(error) if error.retryable()));
    server.restart().await;
    let entry = soon("the value", async {
        loop {
            if let Ok(found) = values.get("edge-1").await {
                break found.unwrap();
            }
        }
    });
    let entry = entry.await;
    assert_eq!(
        (entry.value.as_ref(), entry.revision),
        (b"one".as_slice(), revision)
    );
    values.update("edge-1", "three".into(), revision).await.unwrap();
    let keys: Vec<String> = values
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.key)
        .collect();
    assert_eq!(keys, ["edge-1", "edge-2"]);
    values.delete("edge-1").await.unwrap();
    assert_eq!(values.get("edge-1").await.unwrap(), None);
    assert!(matches!(
        values.put("edge.>", Bytes::new()).await,
        Err(BucketError::Key { .. })
    ));
}
