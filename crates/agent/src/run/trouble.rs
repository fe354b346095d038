//! What keeps the agent from beginning. It is silent while it may pass; what lasts stands in the heartbeat.

use domain::Reason;
use domain::fleet::Alarm;
use runtime::errors::chain;

use crate::cluster::ClusterError;
use crate::preflight::PreflightError;

/// What failed so often in the same way is no passing thing.
const LASTS: u32 = 5;

/// Tries that failed in the same way, one after the other.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    tries: u32,
    last: Option<Alarm>,
}

impl Trouble {
    /// A try failed, and will be made again.
    pub(super) fn failed(&mut self, error: &PreflightError) {
        let reason = reason(error);
        let same = self.last.as_ref().is_some_and(|last| last.reason == reason);
        self.tries = if same { self.tries.saturating_add(1) } else { 1 };
        let detail = format!("nothing can be begun, it is tried again: {}", chain(error));
        self.last = Some(Alarm { reason, detail });
    }

    /// It works again, or there is nothing to do any more.
    pub(super) fn over(&mut self) {
        *self = Self::default();
    }

    /// What the hub should hear of.
    pub(super) fn alarm(&self) -> Option<&Alarm> {
        self.last.as_ref().filter(|_| self.tries >= LASTS)
    }
}

/// The kind of an error: what is not read is not known, what is not written was not taken.
fn reason(error: &PreflightError) -> Reason {
    match error {
        PreflightError::Refused { reason, .. } => *reason,
        PreflightError::Cluster(ClusterError::Connect(_) | ClusterError::Read { .. })
        | PreflightError::NoPod(_) => Reason::HealthUnknown,
        PreflightError::Cluster(error) => error.reason(),
        PreflightError::Blob(_) | PreflightError::NoBytes(_) => Reason::RegistryUnreachable,
    }
}

#[cfg(test)]
mod tests {
    use domain::Digest;

    use super::*;
    use crate::preflight::judged;

    fn forbidden() -> crate::cluster::Answer {
        let status = serde_json::json!({
            "status": "Failure", "code": 403, "reason": "Forbidden", "message": "no"
        });
        kube::Error::Api(serde_json::from_value(status).unwrap()).into()
    }

    fn unread() -> PreflightError {
        judged(ClusterError::Read {
            what: "pods",
            source: forbidden(),
        })
    }

    #[test]
    fn what_lasts_is_said_until_it_works_again() {
        let mut trouble = Trouble::default();
        for _ in 1..LASTS {
            trouble.failed(&unread());
            assert_eq!(trouble.alarm(), None);
        }
        trouble.failed(&unread());
        let alarm = trouble.alarm().unwrap();
        assert_eq!(alarm.reason, Reason::HealthUnknown);
        assert!(
            alarm.detail.ends_with("reading pods: no (HTTP 403 Forbidden)"),
            "{alarm:?}"
        );
        trouble.over();
        assert_eq!(trouble.alarm(), None);
        trouble.failed(&unread());
        assert_eq!(trouble.alarm(), None);
    }

    #[test]
    fn another_kind_counts_anew() {
        let mut trouble = Trouble::default();
        let missing = PreflightError::NoBytes(Digest::of(b"layer"));
        for _ in 1..LASTS {
            trouble.failed(&unread());
        }
        for _ in 1..LASTS {
            trouble.failed(&missing);
            assert_eq!(trouble.alarm(), None);
        }
        trouble.failed(&missing);
        let reason = trouble.alarm().map(|alarm| alarm.reason);
        assert_eq!(reason, Some(Reason::RegistryUnreachable));
    }

    #[test]
    fn a_lease_that_may_not_be_written_is_a_refusal_and_one_that_is_held_is_not() {
        let denied = judged(ClusterError::Apply {
            object: "Lease/fluxgate-agent".to_owned(),
            source: forbidden(),
        });
        assert!(!denied.retryable());
        let PreflightError::Refused { reason, detail } = denied else {
            panic!("{denied:?}");
        };
        assert_eq!(reason, Reason::ApplyFailed);
        assert_eq!(detail, "Lease/fluxgate-agent: no (HTTP 403 Forbidden)");
        let held = judged(ClusterError::Held {
            object: "Lease/fluxgate-agent",
            holder: "another".to_owned(),
        });
        assert!(held.retryable());
        assert_eq!(super::reason(&held), Reason::ApplyFailed);
    }
}
