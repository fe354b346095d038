//! One stop for everything in a process, and how long the draining may take.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The time that a drain may take where nothing else is configured; fits into Kubernetes' 30 seconds of
/// grace together with the flush of telemetry.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(10);

/// A stop that everyone can wait for. Clones are the same stop; once requested it stays so.
#[derive(Debug, Clone)]
pub struct Shutdown {
    token: CancellationToken,
    drain: Duration,
}

impl Shutdown {
    /// A stop whose drains may take at most `drain`.
    #[must_use]
    pub fn new(drain: Duration) -> Self {
        Self {
            token: CancellationToken::new(),
            drain,
        }
    }

    /// Requests the stop on SIGTERM and SIGINT, from now on. A second signal changes nothing: every drain
    /// is capped.
    ///
    /// # Errors
    /// If the signal handlers cannot be installed.
    pub fn on_signals(&self) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = shutdown.requested() => return,
            }
            tracing::info!(
                drain_seconds = shutdown.drain.as_secs(),
                "signal received, draining"
            );
            shutdown.request();
        });
        Ok(())
    }

    /// Requests the stop.
    pub fn request(&self) {
        self.token.cancel();
    }

    /// Whether the stop has been requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until the stop is requested.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// A stop of a part: requested with this one, and by itself without touching this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
            drain: self.drain,
        }
    }

    /// How long a drain may take.
    #[must_use]
    pub const fn drain(&self) -> Duration {
        self.drain
    }

    /// The token itself, for libraries that want one.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Runs `work`, which has to end by itself after the stop; nothing if it has not ended when the drain's
    /// time is over, in which case it is dropped.
    pub async fn drained<F: Future>(&self, work: F) -> Option<F::Output> {
        let too_late = async {
            self.requested().await;
            tokio::time::sleep(self.drain).await;
        };
        tokio::select! {
            output = work => Some(output),
            () = too_late => None,
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new(DEFAULT_DRAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_stops_with_its_parent_and_not_the_other_way_round() {
        let parent = Shutdown::default();
        let (first, second) = (parent.child(), parent.child());
        first.request();
        assert!(first.is_requested() && !parent.is_requested() && !second.is_requested());
        parent.request();
        second.requested().await;
        assert!(second.is_requested());
    }

    #[tokio::test]
    async fn a_drain_is_capped() {
        let shutdown = Shutdown::new(Duration::from_millis(20));
        assert_eq!(shutdown.drained(async { 7 }).await, Some(7));
        shutdown.request();
        assert_eq!(shutdown.drained(std::future::pending::<()>()).await, None);
    }
}
