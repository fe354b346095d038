//! Trust bundles: from where a key has come to its end, nothing by it counts.
//!
//! The ends that the simulation makes stand where the log was then, so what counted before counts on.

use attest::{Envelope, PublicKey};
use bus::Fact;

use super::{Objection, Referee};

/// A key that has come to its end.
#[derive(Debug)]
pub(super) struct Ended {
    key: PublicKey,
    /// The last place where it speaks.
    pub(super) at: u64,
}

impl Ended {
    /// Whether it signed this event, which stands behind its end.
    pub(super) fn speaks(&self, fact: &Fact) -> bool {
        let behind = fact.sequence > self.at;
        behind && Envelope::parse(&fact.envelope).is_ok_and(|envelope| envelope.is_by(&self.key))
    }
}

impl Referee {
    pub(super) fn bundle(&mut self, fact: &Fact) -> Result<(), Objection> {
        let advanced = self.trust.advance(&fact.envelope);
        advanced.map_err(|error| format!("{}: {error}", fact.subject))?;
        for key in &self.trust.bundle().keys {
            let Some(at) = key.retired_at.or(key.revoked_at) else {
                continue;
            };
            let read = PublicKey::from_pem(&key.public_key);
            let public = read.map_err(|error| format!("{}: {error}", fact.subject))?;
            self.ended.push(Ended { key: public, at });
        }
        Ok(())
    }
}
