//! Times and durations. Both sides belong to other crates, so these are functions.

use jiff::{SignedDuration, Timestamp};

use crate::WireError;

/// 0001-01-01T00:00:00Z, the earliest time of `google.protobuf.Timestamp`; the latest is that of jiff.
const EARLIEST_SECOND: i64 = -62_135_596_800;
const NANOS: std::ops::Range<i32> = 0..1_000_000_000;

/// A time as a message has it.
#[must_use]
pub fn timestamp(time: Timestamp) -> crate::protobuf::Timestamp {
    // jiff gives both parts the same sign, protobuf counts the fraction forwards.
    let (mut seconds, mut nanos) = (time.as_second(), time.subsec_nanosecond());
    if nanos < 0 {
        seconds -= 1;
        nanos += NANOS.end;
    }
    crate::protobuf::Timestamp { seconds, nanos }
}

/// A time as an optional field has it.
#[must_use]
pub fn optional_timestamp(time: Option<Timestamp>) -> Option<crate::protobuf::Timestamp> {
    time.map(timestamp)
}

/// A time that must be there.
///
/// # Errors
/// If it is absent, not normalised or outside of the years 1 to 9999.
pub fn read(field: &'static str, value: Option<crate::protobuf::Timestamp>) -> Result<Timestamp, WireError> {
    read_optional(field, value)?.ok_or(WireError::Missing { field })
}

/// A time where it is there.
///
/// # Errors
/// If it is not normalised or outside of the years 1 to 9999.
pub fn read_optional(
    field: &'static str,
    value: Option<crate::protobuf::Timestamp>,
) -> Result<Option<Timestamp>, WireError> {
    let Some(crate::protobuf::Timestamp { seconds, nanos }) = value else {
        return Ok(None);
    };
    let time = Timestamp::new(seconds, nanos).ok();
    match time.filter(|_| seconds >= EARLIEST_SECOND && NANOS.contains(&nanos)) {
        Some(time) => Ok(Some(time)),
        None => Err(WireError::Time { field }),
    }
}

/// A duration as a message has it.
#[must_use]
pub fn duration(duration: SignedDuration) -> pbjson_types::Duration {
    pbjson_types::Duration {
        seconds: duration.as_secs(),
        nanos: duration.subsec_nanos(),
    }
}

/// A duration that must be there.
///
/// # Errors
/// If it is absent, negative or not normalised.
pub fn read_duration(
    field: &'static str,
    value: Option<pbjson_types::Duration>,
) -> Result<SignedDuration, WireError> {
    let pbjson_types::Duration { seconds, nanos } = value.ok_or(WireError::Missing { field })?;
    if seconds >= 0 && NANOS.contains(&nanos) {
        Ok(SignedDuration::new(seconds, nanos))
    } else {
        Err(WireError::Duration { field })
    }
}
