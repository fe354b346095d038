//! The one place where the time of day is read; whatever decides gets `now` as an argument.

use jiff::{SignedDuration, Timestamp};

/// The system's clock, or one that runs beside it by a fixed offset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clock {
    offset: SignedDuration,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self {
            offset: SignedDuration::ZERO,
        }
    }

    /// A clock that is ahead of the system's by `offset` (behind it where negative): for tests and demos
    /// that have to be in a maintenance window, or 80 hours after a release.
    #[must_use]
    pub const fn offset(offset: SignedDuration) -> Self {
        Self { offset }
    }

    /// The time now; at the ends of jiff's range it stands still.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now();
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
}
