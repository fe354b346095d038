//! Waiting for a state of the world, with a deadline.

use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(100);

/// Asks `look` until it answers `Ok(Some)`, for at most 30 s.
pub(crate) async fn eventually<T>(
    what: &str,
    look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    within(30, what, look).await
}

/// Asks `look` until it answers `Ok(Some)`. An error is no answer either: parts may be on their way; the last
/// one is told when the time is over.
pub(crate) async fn within<T>(
    seconds: u64,
    what: &str,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        let seen = match look().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if Instant::now() > deadline {
            let late = anyhow::anyhow!("not within {seconds} s: {what}");
            return Err(seen.map_or(late, |error| {
                error.context(format!("not within {seconds} s: {what}"))
            }));
        }
        tokio::time::sleep(POLL).await;
    }
}
