//! `google.protobuf.Timestamp` with the JSON that the protobuf specification prescribes.
//!
//! The type of `pbjson-types` writes `+00:00` where ProtoJSON wants `Z`. Statements are signed over this
//! text, so it has to be the one that any other implementation writes as well.

use jiff::Timestamp as Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time (protobuf well-known type; wire-compatible with every other implementation).
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds counted forwards from `seconds`, 0 to 999,999,999.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// RFC 3339 in UTC, with 0, 3, 6 or 9 digits of a second and `Z` (protobuf, ProtoJSON mapping).
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = Time::new(self.seconds, self.nanos).map_err(serde::ser::Error::custom)?;
        let digits = match self.nanos {
            0 => 0,
            nanos if nanos % 1_000_000 == 0 => 3,
            nanos if nanos % 1_000 == 0 => 6,
            _ => 9,
        };
        serializer.collect_str(&format_args!("{time:.digits$}"))
    }
}

/// Any RFC 3339 text with an offset.
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let time: Time = String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)?;
        Ok(crate::time::timestamp(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_that_of_the_specification() {
        for (nanos, text) in [
            (0, "\"2026-01-02T03:04:05Z\""),
            (120_000_000, "\"2026-01-02T03:04:05.120Z\""),
            (120_000, "\"2026-01-02T03:04:05.000120Z\""),
            (1, "\"2026-01-02T03:04:05.000000001Z\""),
        ] {
            let time = Timestamp {
                seconds: 1_767_323_045,
                nanos,
            };
            assert_eq!(serde_json::to_string(&time).unwrap(), text);
            assert_eq!(serde_json::from_str::<Timestamp>(text).unwrap(), time);
        }
        let offset: Timestamp = serde_json::from_str("\"2026-01-02T04:04:05+01:00\"").unwrap();
        assert_eq!(
            offset,
            Timestamp {
                seconds: 1_767_323_045,
                nanos: 0
            }
        );
    }

    #[test]
    fn times_before_1970_count_their_fraction_forwards() {
        let time: Timestamp = serde_json::from_str("\"1969-12-31T23:59:59.500Z\"").unwrap();
        assert_eq!(
            time,
            Timestamp {
                seconds: -1,
                nanos: 500_000_000
            }
        );
        assert_eq!(
            serde_json::to_string(&time).unwrap(),
            "\"1969-12-31T23:59:59.500Z\""
        );
    }
}
