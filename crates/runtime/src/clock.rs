//! The one place where the time of day is read; whatever decides gets `now` as an argument.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// The system's clock, one that runs beside it by a fixed offset, or one that is moved by hand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    offset: SignedDuration,
    hand: Option<&'static AtomicI64>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self {
            offset: SignedDuration::ZERO,
            hand: None,
        }
    }

    /// A clock that is ahead of the system's by `offset` (behind it where negative): for tests and demos
    /// that have to be in a maintenance window, or 80 hours after a release.
    #[must_use]
    pub const fn offset(offset: SignedDuration) -> Self {
        Self { offset, hand: None }
    }

    /// A clock that stands where the hand does, in milliseconds since 1970: for simulations.
    #[must_use]
    pub const fn by_hand(hand: &'static AtomicI64) -> Self {
        Self {
            offset: SignedDuration::ZERO,
            hand: Some(hand),
        }
    }

    /// The time now; at the ends of jiff's range it stands still.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = match self.hand {
            Some(hand) => Timestamp::from_millisecond(hand.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX),
            None => Timestamp::now(),
        };
        match now.checked_add(self.offset) {
            Ok(shifted) => shifted,
            Err(_) if self.offset.is_negative() => Timestamp::MIN,
            Err(_) => Timestamp::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_shifts_the_time() {
        let shifted = Clock::offset(SignedDuration::from_hours(80)).now();
        let ahead = shifted.duration_since(Clock::system().now());
        assert!((79..=80).contains(&ahead.as_hours()), "{ahead}");
        assert_eq!(Clock::offset(SignedDuration::MIN).now(), Timestamp::MIN);
        assert_eq!(Clock::offset(SignedDuration::MAX).now(), Timestamp::MAX);
    }

    #[test]
    fn a_clock_by_hand_moves_only_when_it_is_moved() {
        static HAND: AtomicI64 = AtomicI64::new(1_790_000_000_000);
        let clock = Clock::by_hand(&HAND);
        assert_eq!(clock.now(), clock.now());
        let before = clock.now();
        HAND.fetch_add(1500, Ordering::SeqCst);
        assert_eq!(clock.now(), before + SignedDuration::from_millis(1500));
    }
}
