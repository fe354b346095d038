//! The heartbeat, in a task of its own: an API server that takes minutes to answer does not silence the agent. What
//! it says is what the loop saw last; where that is old, it says that the cluster can't be judged.

use std::time::Duration;

use domain::fleet::{Alarm, Heartbeat};
use domain::{ClusterName, Epoch, Health};
use runtime::{Clock, Shutdown};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::speak::Herald;

/// A look that is older says nothing about how the cluster is: the hub counts a heartbeat for five minutes.
const STALE: Duration = Duration::from_secs(120);

/// What the loop knows.
#[derive(Debug, Clone)]
pub(super) struct Beat {
    pub(super) epoch: Epoch,
    pub(super) health: Health,
    pub(super) observations: u64,
    pub(super) reconciles: u64,
    pub(super) alarm: Option<Alarm>,
    /// When the cluster was last seen.
    pub(super) looked: Option<Instant>,
}

impl Beat {
    /// Whether the hub should hear of it at once.
    fn is_news(&self, before: &Self) -> bool {
        (self.epoch, self.health, &self.alarm) != (before.epoch, before.health, &before.alarm)
    }

    /// How the cluster is, as far as the last look can still say it.
    fn health(&self, now: Instant) -> Health {
        let fresh = |looked: Instant| now.saturating_duration_since(looked) <= STALE;
        if self.looked.is_some_and(fresh) {
            self.health
        } else {
            Health::Inconclusive
        }
    }
}

/// The task that beats. It ends when dropped.
#[derive(Debug)]
pub(super) struct Pulse {
    beats: watch::Sender<Beat>,
    task: JoinHandle<()>,
}

impl Pulse {
    pub(super) fn start(
        herald: Herald,
        (cluster, clock): (ClusterName, Clock),
        every: Duration,
        shutdown: Shutdown,
    ) -> Self {
        let first = Beat {
            epoch: Epoch(0),
            health: Health::Inconclusive,
            observations: 0,
            reconciles: 0,
            alarm: None,
            looked: None,
        };
        let (beats, mut heard) = watch::channel(first);
        let task = tokio::spawn(async move {
            while !shutdown.is_requested() {
                let beat = heard.borrow_and_update().clone();
                let heartbeat = Heartbeat {
                    cluster: cluster.clone(),
                    sent: clock.now(),
                    epoch: beat.epoch,
                    health: beat.health(Instant::now()),
                    observations: beat.observations,
                    reconciles: beat.reconciles,
                    alarm: beat.alarm,
                };
                herald.heartbeat(&heartbeat).await;
                tokio::select! {
                    () = shutdown.requested() => {}
                    changed = heard.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(every) => {}
                }
            }
        });
        Self { beats, task }
    }

    /// Takes what the loop knows now. The hub hears of it at once where it is news.
    pub(super) fn know(&self, beat: Beat) {
        self.beats.send_if_modified(|known| {
            let news = beat.is_news(known);
            *known = beat;
            news
        });
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_old_look_is_no_health() {
        let now = Instant::now();
        let beat = |looked| Beat {
            epoch: Epoch(1),
            health: Health::Healthy,
            observations: 1,
            reconciles: 0,
            alarm: None,
            looked,
        };
        assert_eq!(beat(None).health(now), Health::Inconclusive);
        assert_eq!(beat(Some(now)).health(now + STALE), Health::Healthy);
        let late = now + STALE + Duration::from_secs(1);
        assert_eq!(beat(Some(now)).health(late), Health::Inconclusive);
        assert!(!beat(Some(now)).is_news(&beat(None)));
    }
}
