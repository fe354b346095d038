//! Trace ids that can be computed from what they are about (W3C Trace Context, `trace-id`).

use std::fmt;

use crate::{Digest, ReleaseKey, RolloutKey, release::PRODUCT};

/// A W3C trace id, written as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub [u8; 16]);

/// A W3C span (parent) id, written as 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    /// The trace of a release, from its discovery to its decisions.
    #[must_use]
    pub fn of_release(release: &ReleaseKey) -> Self {
        let canonical = format!(
            "fluxgate/release/v1\n{PRODUCT}\n{}\n{}",
            release.version, release.manifests
        );
        Self(first(&Digest::of(canonical.as_bytes())))
    }

    /// The trace of a rollout, from its start to its end.
    #[must_use]
    pub fn of_rollout(rollout: &RolloutKey) -> Self {
        Self(first(&Digest::of(
            format!("fluxgate/rollout/v1\n{rollout}").as_bytes(),
        )))
    }

    /// The id of the trace's root span, derived so that a root sent twice is one span.
    #[must_use]
    pub fn root_span(&self) -> SpanId {
        SpanId(first(&Digest::of(
            format!("fluxgate/root-span/v1\n{self}").as_bytes(),
        )))
    }

    /// A `traceparent` header (W3C Trace Context, version 00) with this trace and its root span, sampled.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{self}-{}-01", self.root_span())
    }
}

fn first<const N: usize>(digest: &Digest) -> [u8; N] {
    let mut id = [0; N];
    for (to, from) in id.iter_mut().zip(digest.as_bytes()) {
        *to = *from;
    }
    id
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;

    #[test]
    fn ids_are_derived_and_differ() {
        let release = ReleaseKey {
            version: Version::new(2, 9, 4),
            manifests: Digest::of(b"m"),
        };
        let trace = TraceId::of_release(&release);
        let canonical = format!("fluxgate/release/v1\nflux\nv2.9.4\n{}", Digest::of(b"m"));
        assert!(
            Digest::of(canonical.as_bytes())
                .hex()
                .starts_with(&trace.to_string())
        );
        let rollout = TraceId::of_rollout(&RolloutKey {
            version: Version::new(2, 9, 4),
            ordinal: 1,
        });
        assert_ne!(trace, rollout);
        assert_eq!(trace.traceparent().len(), 55);
    }
}
