//! One durable step, beside the bare publish that is in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use attest::bundle::{self, BundleKey, TrustBundle};
use attest::{Role, SigningKey, Trust};
use bus::{EventLog, Expect, JetStreamLog, Journal, Judge, View, subject};
use domain::rollout::WaveOpened;
use domain::{RolloutKey, Version};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use wire::rollout::v1;

use super::{BenchError, Times};
use crate::lab::Lab;
use crate::lab::nats::Nats;

pub(super) async fn run(lab: &Lab, size: usize, write: fn(&str)) -> Result<(), BenchError> {
    let nats = Nats::start(lab).await?;
    let settings = bus::connection::Settings {
        url: nats.url(),
        name: "bench".to_owned(),
        ..bus::connection::Settings::default()
    };
    let client = bus::connect(&settings).await?;
    bus::streams::migrate(&client, &bus::streams::Settings::default()).await?;
    let log: Arc<dyn EventLog> = Arc::new(JetStreamLog::new(&client));
    let (bare, step) = measure(&log, size).await?;
    for (what, mut times) in [("bare publish, fsynced", bare), ("durable step", step)] {
        write(&format!("  {what:<24} {}", times.line()));
    }
    Ok(())
}

/// Bare publishes and durable steps in turn, so that both meet the same disk.
pub(super) async fn measure(log: &Arc<dyn EventLog>, size: usize) -> Result<(Times, Times), BenchError> {
    let (judge, key) = judge()?;
    let view = View::open(None, judge).await?;
    let stop = CancellationToken::new();
    let (follower, followed, token) = (view.clone(), Arc::clone(log), stop.clone());
    tokio::spawn(async move { follower.run(followed, token).await });
    let _running = stop.drop_guard();
    let journal = Journal::new(Arc::clone(log), view, key, Arc::new(Timestamp::now));
    let (mut bare, mut step) = (Times::default(), Times::default());
    let payload = bytes::Bytes::from(vec![b'x'; 1500]);
    for n in 0..u32::try_from(size).unwrap_or(u32::MAX) {
        let begun = Instant::now();
        let name = subject::rollout_opened(&rollout(n + 1), "bare");
        log.append(&name, payload.clone(), None, Expect::Absent).await?;
        bare.push(begun.elapsed());
        step.push(publish(&journal, rollout(n + 1)).await?);
    }
    Ok((bare, step))
}

async fn publish(journal: &Journal, rollout: RolloutKey) -> Result<Duration, BenchError> {
    let name = subject::rollout_opened(&rollout, "canary");
    let opened = WaveOpened {
        rollout,
        wave: "canary".to_owned(),
        detail: String::new(),
    };
    let begun = Instant::now();
    journal.once(&name, &v1::WaveOpened::from(&opened), "").await?;
    Ok(begun.elapsed())
}

fn rollout(ordinal: u32) -> RolloutKey {
    RolloutKey {
        version: Version::new(2, 9, 4),
        ordinal,
    }
}

/// A judge that knows one controller, with its key.
pub(super) fn judge() -> Result<(Judge, Arc<SigningKey>), BenchError> {
    let now = Timestamp::now();
    let (root, _pem) = SigningKey::generate()?;
    let (controller, _pem) = SigningKey::generate()?;
    let key = BundleKey {
        role: Role::Controller,
        public_key: controller.public().to_pem(),
        not_before: now - SignedDuration::from_hours(1),
        not_after: now + SignedDuration::from_hours(1),
        retired_at: None,
        revoked_at: None,
    };
    let bundle = TrustBundle {
        version: 1,
        demo: true,
        keys: vec![key],
    };
    let envelope = bundle::sign(&bundle, &root, now)?.to_bytes();
    let trust = Trust::open(root.public(), 1, &envelope)?;
    Ok((Judge::new(hub::SCHEMA, trust), Arc::new(controller)))
}
