//! How soon something that failed is tried again: at once, then ever later, never later than half a minute.

use std::time::Duration;

use tokio::time::Instant;

/// No try is put off for longer: an API server that is back is used soon.
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// The tries of one thing.
#[derive(Debug, Default)]
pub(super) struct Pace {
    failures: u32,
    next: Option<Instant>,
}

impl Pace {
    /// Whether it may be tried now.
    pub(super) fn is_due(&self) -> bool {
        self.next.is_none_or(|next| next <= Instant::now())
    }

    /// When it is to be tried again, where it has failed.
    pub(super) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// It failed: the next try is put off, by `first` and then by twice as much each time.
    pub(super) fn failed(&mut self, first: Duration) {
        let pause = first.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        self.next = Instant::now().checked_add(pause.min(LONGEST.max(first)));
    }

    /// It succeeded, or is another thing now.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tries_grow_rare_and_begin_anew() {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        assert!(pace.is_due());
        let mut pauses = Vec::new();
        for _ in 0..40 {
            pace.failed(Duration::from_secs(2));
            assert!(!pace.is_due());
            pauses.push(pace.next().unwrap().duration_since(begun).as_secs());
        }
        assert_eq!(&pauses[..6], [2, 4, 8, 16, 30, 30]);
        assert_eq!(pauses.last(), Some(&30));
        pace.reset();
        assert!(pace.is_due());
    }
}
