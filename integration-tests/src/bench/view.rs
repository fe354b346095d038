//! Events that a service's view folds: each judged (signature, role, subject, order) and written to SQLite.

use std::sync::Arc;
use std::time::Instant;

use attest::{Header, claim};
use bus::{EventLog, Expect, View, subject};
use domain::rollout::WaveOpened;
use domain::{RolloutKey, Version};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use wire::rollout::v1;

use super::step::judge;
use super::{BenchError, milliseconds};

pub(super) async fn run(size: usize, write: fn(&str)) -> Result<(), BenchError> {
    let (judge, key) = judge()?;
    let log: Arc<dyn EventLog> = Arc::new(bus::memory::MemoryLog::new(Timestamp::now()));
    for ordinal in 1..=u32::try_from(size).unwrap_or(u32::MAX) {
        let rollout = RolloutKey {
            version: Version::new(2, 9, 4),
            ordinal,
        };
        let name = subject::rollout_opened(&rollout, "canary");
        let opened = WaveOpened {
            rollout,
            wave: "canary".to_owned(),
            detail: String::new(),
        };
        let header = Header::published(name.to_string(), Timestamp::now(), "");
        let envelope = claim::sign(&header, &v1::WaveOpened::from(&opened), &key)?;
        log.append(&name, envelope.to_bytes().into(), None, Expect::Absent)
            .await?;
    }
    let folder = std::env::temp_dir().join(format!("fluxgate-bench-{}", std::process::id()));
    for (what, path) in [("in memory", None), ("on disk", Some(folder.as_path()))] {
        if let Some(path) = path {
            std::fs::create_dir_all(path).map_err(|source| BenchError::File {
                path: path.display().to_string(),
                source,
            })?;
        }
        let file = path.map(|folder| folder.join("view.db"));
        let view = View::open(file.as_deref(), judge.clone()).await?;
        let stop = CancellationToken::new();
        let (follower, followed, token) = (view.clone(), Arc::clone(&log), stop.clone());
        let begun = Instant::now();
        tokio::spawn(async move { follower.run(followed, token).await });
        view.reached(log.last_sequence().await?).await;
        let took = begun.elapsed();
        stop.cancel();
        let rate = size as f64 / took.as_secs_f64();
        write(&format!(
            "  view {what:<10} {size} events in {}: {rate:.0} events/s",
            milliseconds(took)
        ));
    }
    let _gone = std::fs::remove_dir_all(&folder);
    Ok(())
}
