//! Whether the ledger confirms what is on the stream (protocol section 7).

use jiff::{SignedDuration, Timestamp};

use attest::{Role, Trust};

/// Subject in the header of a LedgerStatus: it lives in a bucket, not on the stream.
pub const SUBJECT: &str = "ledger/status";

/// Key of the LedgerStatus in the bucket `status`.
pub const KEY: &str = "ledger";

/// A status that is older counts as none.
pub const MAX_AGE: SignedDuration = SignedDuration::from_mins(5);

/// A status that is so far ahead of our clock counts as none: it would stay young for too long.
pub const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// What is known about the ledger now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerState {
    /// Signed, young and sound.
    Confirmed,
    /// Anything else, in words. No ALLOW, no new task.
    Unconfirmed(String),
}

impl LedgerState {
    /// Judges the bytes of the bucket.
    #[must_use]
    pub fn judge(envelope: Option<&[u8]>, trust: &Trust, stream_created: Timestamp, now: Timestamp) -> Self {
        let Some(envelope) = envelope else {
            return Self::Unconfirmed("audit-log has never confirmed anything".to_owned());
        };
        match read(envelope, trust, now) {
            Err(why) => Self::Unconfirmed(why),
            Ok(status) => judge_status(&status, stream_created, now),
        }
    }
}

fn read(envelope: &[u8], trust: &Trust, now: Timestamp) -> Result<wire::audit::v1::LedgerStatus, String> {
    let statement = trust
        .acting(envelope, Role::Ledger, SUBJECT, now)
        .map_err(|error| {
            format!(
                "its status is not by audit-log: {}",
                runtime::errors::chain(&error)
            )
        })?;
    statement
        .claim()
        .map_err(|error| format!("its status can't be read: {}", runtime::errors::chain(&error)))
}

fn judge_status(
    status: &wire::audit::v1::LedgerStatus,
    stream_created: Timestamp,
    now: Timestamp,
) -> LedgerState {
    let time = |field, value| wire::time::read(field, value);
    let (Ok(reported), Ok(created)) = (
        time("LedgerStatus.report_time", status.report_time),
        time("LedgerStatus.stream_create_time", status.stream_create_time),
    ) else {
        return LedgerState::Unconfirmed("its status names no times".to_owned());
    };
    if !status.sound {
        return LedgerState::Unconfirmed(status.problem.clone());
    }
    let age = now.duration_since(reported);
    if age > MAX_AGE {
        return LedgerState::Unconfirmed(format!("audit-log was last heard at {reported}"));
    }
    if age < -MAX_AHEAD {
        return LedgerState::Unconfirmed(format!(
            "audit-log says that it is {reported}, which is not yet: compare the clocks"
        ));
    }
    if created != stream_created {
        return LedgerState::Unconfirmed(format!(
            "audit-log confirms a stream made at {created}; the one in use was made at {stream_created}"
        ));
    }
    LedgerState::Confirmed
}

#[cfg(test)]
mod tests {
    use super::*;
    use attest::{BundleKey, Header, SigningKey, TrustBundle};
    use wire::audit::v1::LedgerStatus;

    const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);
    const CREATED: Timestamp = Timestamp::constant(1_700_000_000, 0);

    struct World {
        trust: Trust,
        key: SigningKey,
    }

    fn world() -> World {
        let (root, _) = SigningKey::generate().unwrap();
        let (key, _) = SigningKey::generate().unwrap();
        let hour = SignedDuration::from_hours(1);
        let ledger = BundleKey {
            role: Role::Ledger,
            public_key: key.public().to_pem(),
            not_before: NOW - hour,
            not_after: NOW + hour,
            retired_at: None,
            revoked_at: None,
        };
        let bundle = TrustBundle {
            version: 1,
            demo: true,
            keys: vec![ledger],
        };
        let envelope = attest::bundle::sign(&bundle, &root, NOW).unwrap().to_bytes();
        World {
            trust: Trust::open(root.public(), 1, &envelope).unwrap(),
            key,
        }
    }

    fn status(age: SignedDuration) -> LedgerStatus {
        LedgerStatus {
            report_time: Some(wire::time::timestamp(NOW - age)),
            stream_create_time: Some(wire::time::timestamp(CREATED)),
            sound: true,
            ..LedgerStatus::default()
        }
    }

    fn judged(world: &World, key: &SigningKey, status: &LedgerStatus) -> LedgerState {
        let header = Header::published(SUBJECT, NOW, "");
        let envelope = attest::claim::sign(&header, status, key).unwrap().to_bytes();
        LedgerState::judge(Some(&envelope), &world.trust, CREATED, NOW)
    }

    #[test]
    fn only_a_young_sound_and_signed_status_confirms() {
        let world = world();
        let minute = SignedDuration::from_mins(1);
        assert_eq!(
            judged(&world, &world.key, &status(minute)),
            LedgerState::Confirmed
        );
        let unconfirmed = |state| matches!(state, LedgerState::Unconfirmed(_));
        assert!(unconfirmed(judged(&world, &world.key, &status(minute * 6))));
        // A little ahead is a clock; more would keep an old status young.
        assert_eq!(
            judged(&world, &world.key, &status(minute * -4)),
            LedgerState::Confirmed
        );
        assert!(unconfirmed(judged(&world, &world.key, &status(minute * -6))));
        let (stranger, _) = SigningKey::generate().unwrap();
        assert!(unconfirmed(judged(&world, &stranger, &status(minute))));
        let unsound = LedgerStatus {
            sound: false,
            problem: "gap".to_owned(),
            ..status(minute)
        };
        assert_eq!(
            judged(&world, &world.key, &unsound),
            LedgerState::Unconfirmed("gap".to_owned())
        );
        let other = wire::time::timestamp(CREATED + minute);
        let recreated = LedgerStatus {
            stream_create_time: Some(other),
            ..status(minute)
        };
        assert!(unconfirmed(judged(&world, &world.key, &recreated)));
        assert!(unconfirmed(LedgerState::judge(None, &world.trust, CREATED, NOW)));
    }
}
