//! From ReleaseDiscovered to the Decision, by the times that the stream gave its events, against the durable publishes
//! that lie between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::{EventLog, JetStreamLog};
use domain::Version;
use jiff::Timestamp;
use testkit::factory::ReleaseSpec;
use wire::audit::v1::Entry;

use super::agents::{Common, Simulated, root_key, start};
use super::fleet::{known, write_fleet};
use super::{BenchError, Times, milliseconds, step};
use crate::lab::Lab;
use crate::stage::{Hub, Service, Stage, until};

/// What the cluster runs: everything above it is decided about.
const OLDEST: Version = Version::new(2, 0, 1);
/// The whole way, then its parts: fetching and verifying the manifests and naming every image; verifying the images;
/// deciding on evidence that is at hand.
const STEPS: [(&str, &str); 4] = [
    ("release-discovered", "decision"),
    ("release-discovered", "release-contents"),
    ("release-contents", "role-summary"),
    ("role-summary", "decision"),
];
/// Bare publishes beside the pipeline.
const PUBLISHES: usize = 200;

pub(super) async fn run(lab: &Lab, write: fn(&str)) -> Result<(), BenchError> {
    let mut stage = Stage::build(lab, &[]).await?;
    let running = stage.publish(&ReleaseSpec::good(OLDEST)).await?;
    let clusters = vec![Simulated::new("bench")?];
    write_fleet(&stage, &clusters)?;
    stage.files.range = format!(">{}", OLDEST.to_string().trim_start_matches('v'));
    let hub = stage.start_hub_apart(&Service::ALL).await?;
    let settings = bus::connection::Settings {
        url: stage.nats.url(),
        name: "bench".to_owned(),
        ..bus::connection::Settings::default()
    };
    let client = bus::connect(&settings).await?;
    let common = Arc::new(Common {
        client: client.clone(),
        root: root_key(&stage.files.keys)?,
        running,
    });
    let _agents = start(&common, clusters);
    known(&hub, "bench").await?;
    let above = flux::tables::releases().filter(|version| *version > OLDEST);
    let mut count = 0;
    for version in above {
        stage.publish(&ReleaseSpec::good(version)).await?;
        count += 1;
        let begun = Instant::now();
        hub.reconcile().await?;
        decided(&hub, count).await?;
        tracing::debug!(took = ?begun.elapsed(), "a release was decided about");
    }
    let log: Arc<dyn EventLog> = Arc::new(JetStreamLog::new(&client));
    let (mut bare, _step) = step::measure(&log, PUBLISHES).await?;
    tell(&hub, &mut bare, write).await
}

async fn decided(hub: &Hub, count: usize) -> Result<(), BenchError> {
    let all = until(("a decision about each release", 120), async || {
        let found = hub.decisions("").await?.len();
        Ok(if found >= count {
            Ok(())
        } else {
            Err(format!("{found} of {count}"))
        })
    });
    Ok(all.await?)
}

/// Reads the ledger, and says what lies between discovery and decision.
async fn tell(hub: &Hub, bare: &mut Times, write: fn(&str)) -> Result<(), BenchError> {
    let mut by_trace: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    let mut token = String::new();
    loop {
        let page = hub.entries(&token).await?;
        for entry in page.entries {
            by_trace.entry(entry.trace_id.clone()).or_default().push(entry);
        }
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let (mut took, mut publishes) = (STEPS.map(|_| Times::default()), 0);
    for entries in by_trace.values() {
        let at = |kind: &str| entries.iter().find(|entry| entry.kind == kind).and_then(time);
        for (times, (from, to)) in took.iter_mut().zip(STEPS) {
            if let (Some(from), Some(to)) = (at(from), at(to)) {
                times.push(Duration::try_from(to.duration_since(from)).unwrap_or_default());
            }
        }
        if let Some(decided) = at("decision") {
            let before = entries
                .iter()
                .filter(|entry| time(entry).is_some_and(|time| time <= decided));
            publishes += before.count().saturating_sub(1);
        }
    }
    let releases = took.first().map_or(1, |whole| whole.0.len().max(1));
    let each = publishes as f64 / releases as f64;
    for (times, (from, to)) in took.iter_mut().zip(STEPS) {
        write(&format!("  {from:<18} -> {to:<16} {}", times.line()));
    }
    write(&format!("  {:<38} {}", "bare publish, fsynced", bare.line()));
    let whole = took
        .first_mut()
        .map(|times| times.percentile(50))
        .unwrap_or_default();
    let ratio = whole.as_secs_f64() / bare.percentile(50).as_secs_f64().max(1e-9);
    write(&format!(
        "  {each:.1} durable publishes lie between; p50 is {ratio:.1} bare publishes ({} each)",
        milliseconds(bare.percentile(50))
    ));
    Ok(())
}

fn time(entry: &Entry) -> Option<Timestamp> {
    let time = entry.store_time.as_ref()?;
    Timestamp::new(time.seconds, time.nanos).ok()
}
