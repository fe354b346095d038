//! What `bus` promises, on a real nats-server: one case for each trap that was measured
//! (`reference/apis.md` section 2, `reference/messaging.md` section 1).
//!
//! Each case takes a server of its own or one that no other case uses at the same time: it deletes every
//! stream of ours first. Cases assert; they return nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "cases are tests: they assert"
)]

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use async_trait::async_trait;
use attest::bundle::{self, BundleKey, TrustBundle};
use attest::{Claim, Header, Role, SigningKey, Statement, Trust, claim};
use bus::streams::{self, Bucket, Settings};
use bus::{EventLog, JetStreamLog, Journal, Judge, Schema, Subject, View, connection};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio_util::sync::{CancellationToken, DropGuard};

mod agents;
mod logs;
mod series;
mod site;
mod stored;
mod workers;

pub use agents::{PERMISSIONS_CONFIG, an_agent_needs_no_more_than_its_permissions};
pub use site::{InMemory, LogCase, OnServers, Site};

/// A server that a case may kill.
#[async_trait]
pub trait Server: Send + Sync {
    /// `nats://host:port`, the same after a restart.
    fn url(&self) -> String;
    /// `http://host:port` of the monitoring.
    fn monitor_url(&self) -> String;
    /// Ends the server as kill -9 does.
    async fn kill(&mut self);
    /// Starts it again on the same folder and port.
    async fn restart(&mut self);
}

/// One case.
pub type Case = for<'a> fn(&'a mut dyn Server) -> BoxFuture<'a, ()>;

macro_rules! cases {
    ($list:ident: $case:ty, $what:literal; $($module:ident::$name:ident),* $(,)?) => {
        #[doc = $what]
        pub const $list: &[(&str, $case)] = &[$((stringify!($name), |place| Box::pin($module::$name(place)))),*];
    };
}

cases![LOG_CONTRACT: LogCase, "What every log keeps, the one in memory too: every case with its name.";
    logs::an_event_log_keeps_its_word,
    logs::of_two_writers_one_is_stored,
    logs::a_squatter_is_published_over_and_never_read,
    logs::a_later_publish_without_expectation_does_not_win,
    logs::an_abandoned_publish_that_lands_later_is_no_second_event,
    logs::a_journal_waits_through_a_kill,
    logs::a_tail_goes_on_after_a_kill,
    logs::a_view_goes_on_after_a_kill,
    logs::what_is_published_during_a_kill_is_stored_once,
    logs::a_replica_that_lags_is_asked_again,
    logs::a_stream_made_anew_is_seen_and_folded_anew,
    logs::what_is_too_large_is_refused_for_good,
    series::of_two_replicas_an_older_decision_never_wins,
    series::two_writers_of_a_series_lose_nothing,
];

cases![CLUSTER_CONTRACT: LogCase, "What one server and three could answer differently: every case with its name.";
    logs::an_event_log_keeps_its_word,
    logs::of_two_writers_one_is_stored,
    logs::what_is_published_during_a_kill_is_stored_once,
    logs::a_replica_that_lags_is_asked_again,
    logs::a_stream_made_anew_is_seen_and_folded_anew,
    series::two_writers_of_a_series_lose_nothing,
];

cases![CONTRACT: Case, "What one server keeps beside the log: every case with its name.";
    stored::migrate_makes_everything_once_and_only_grows_it,
    stored::another_configuration_is_refused,
    stored::nothing_can_be_deleted_or_purged,
    stored::a_full_stream_refuses_and_loses_nothing,
    stored::what_is_missing_is_none,
    stored::what_is_too_large_is_refused,
    stored::wrong_bytes_of_a_blob_are_put_right,
    stored::values_survive_a_kill,
    workers::what_was_done_is_done_once_though_delivered_twice,
    workers::delays_of_a_retry_grow,
    workers::what_is_delivered_too_often_is_counted_and_never_dropped,
    workers::a_panic_is_a_dead_letter_and_ends_nothing_else,
    workers::a_consumer_with_another_configuration_is_refused,
    workers::a_worker_goes_on_after_a_kill,
    workers::a_slow_handler_is_not_delivered_twice,
    agents::a_submission_is_answered,
    agents::a_submission_that_is_too_large_is_refused_by_the_hub_too,
    agents::a_flood_of_submissions_is_put_off,
];

/// Longer than any recovery that we allow.
const SOON: Duration = Duration::from_secs(30);
const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(SOON, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {SOON:?}: {what}"),
    }
}

async fn client(url: &str) -> Client {
    let settings = connection::Settings {
        url: url.to_owned(),
        name: "contract".to_owned(),
        ..connection::Settings::default()
    };
    bus::connect(&settings).await.expect("the server is there")
}

fn sizes() -> Settings {
    const MIB: i64 = 1024 * 1024;
    Settings {
        events_bytes: 64 * MIB,
        blobs_bytes: 64 * MIB,
        dead_letters_bytes: 8 * MIB,
        bucket_bytes: 16 * MIB,
        ..Settings::default()
    }
}

/// Deletes every stream of ours.
async fn empty(client: &Client) {
    let context = async_nats::jetstream::new(client.clone());
    for definition in streams::definitions(&sizes()) {
        let _absent = context.delete_stream(&definition.name).await;
    }
}

/// A client of a server with fresh streams.
async fn fresh(server: &dyn Server) -> Client {
    let client = client(&server.url()).await;
    empty(&client).await;
    streams::migrate(&client, &sizes())
        .await
        .expect("migrating an empty server");
    client
}

/// Publishes as somebody who follows none of our rules.
async fn publish_raw(client: &Client, subject: &Subject, payload: impl Into<Bytes>) -> u64 {
    let context = async_nats::jetstream::new(client.clone());
    let sent = context
        .publish(subject.to_string(), payload.into())
        .await
        .expect("publishing");
    sent.await.expect("an acknowledgement").sequence
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Started {
    by: String,
}

impl Claim for Started {
    const KIND: &'static str = "rollout-started";
}

fn by(name: &str) -> Started {
    Started { by: name.to_owned() }
}

fn started(ordinal: u32) -> Subject {
    bus::subject::rollout_started(&domain::RolloutKey {
        version: domain::Version::new(2, 9, 4),
        ordinal,
    })
}

/// Keys of a deployment.
struct World {
    root: SigningKey,
    controller: Arc<SigningKey>,
}

impl World {
    fn new() -> Self {
        let generate = || SigningKey::generate().expect("a key").0;
        Self {
            root: generate(),
            controller: Arc::new(generate()),
        }
    }

    fn judge(&self) -> Judge {
        let hour = SignedDuration::from_hours(1);
        let key = BundleKey {
            role: Role::Controller,
            public_key: self.controller.public().to_pem(),
            not_before: NOW - hour,
            not_after: NOW + hour,
            retired_at: None,
            revoked_at: None,
        };
        let bundle = TrustBundle {
            version: 1,
            demo: true,
            keys: vec![key],
        };
        let envelope = bundle::sign(&bundle, &self.root, NOW)
            .expect("signing")
            .to_bytes();
        let trust = Trust::open(self.root.public(), 1, &envelope).expect("a bundle of ours");
        let schema = Schema {
            well_formed: |_: &Statement| true,
            agent_key: |_: &Statement| None,
            report_epoch: |_: &Statement| None,
        };
        Judge::new(schema, trust)
    }

    fn signed<C: Claim>(&self, subject: &Subject, claim: &C) -> Bytes {
        self.signed_as_of(subject, claim, 0)
    }

    fn signed_as_of<C: Claim>(&self, subject: &Subject, claim: &C, as_of: u64) -> Bytes {
        let header = Header::published(subject.to_string(), NOW, "").as_of(as_of);
        claim::sign(&header, claim, &self.controller)
            .expect("signing")
            .to_bytes()
            .into()
    }

    /// A service with its own connection, view and journal.
    async fn service(&self, site: &dyn Site) -> Service {
        self.service_on(site.log().await).await
    }

    async fn service_on(&self, log: Arc<dyn EventLog>) -> Service {
        let view = View::open(None, self.judge()).await.expect("a view");
        let stop = CancellationToken::new();
        let (follower, followed, token) = (view.clone(), Arc::clone(&log), stop.clone());
        tokio::spawn(async move { follower.run(followed, token).await });
        let journal = Journal::new(
            Arc::clone(&log),
            view.clone(),
            Arc::clone(&self.controller),
            Arc::new(|| NOW),
        );
        Service {
            log,
            view,
            journal,
            _running: stop.drop_guard(),
        }
    }
}

struct Service {
    log: Arc<dyn EventLog>,
    view: View,
    journal: Journal,
    _running: DropGuard,
}

/// How many messages stand under a subject, as the stream's leader knows them.
async fn count(log: &dyn EventLog, subject: &Subject) -> usize {
    let last = log.last_sequence().await.expect("reading");
    if last == 0 {
        return 0;
    }
    let tail = log.tail(1, Vec::new()).await.expect("a tail");
    let read = tail
        .filter_map(|event| async { event.ok() })
        .take(usize::try_from(last).expect("a small log"));
    let name = subject.to_string();
    let matching = read.filter(|event| std::future::ready(event.subject == name));
    soon("every event", matching.count()).await
}

/// What a read finds that may be answered by a replica that lags.
async fn present<F>(read: impl Fn() -> F) -> bus::Stored
where
    F: Future<Output = Result<Option<bus::Stored>, bus::LogError>>,
{
    soon("a replica that has it", async {
        loop {
            if let Some(found) = read().await.expect("reading") {
                break found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

fn assignments(client: &Client) -> bus::buckets::Values {
    bus::buckets::Values::new(client, Bucket::Assignments)
}
