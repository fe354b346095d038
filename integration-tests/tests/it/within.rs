//! Waiting for a state of the world, with a deadline.

use std::time::{Duration, Instant};

use anyhow::bail;

const DEADLINE: Duration = Duration::from_secs(30);

/// Asks `look` until it answers `Ok(Some)`; fails with the last answer's `what` after 30 s.
pub(crate) async fn eventually<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("not within {} s: {what}", DEADLINE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
