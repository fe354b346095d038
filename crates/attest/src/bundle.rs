//! The trust bundle: which keys speak for which role, signed by the offline root key.
//!
//! Services and agents pin the root key and the lowest bundle version that they accept. A bundle never
//! goes back. `retire` and `revoke` name a stream sequence: later statements by that key are invalid.
//! Validity windows are judged only when acting (`acting`), never when folding (`at`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::claim::{self, Claim, ClaimError, Header};
use crate::dsse::{Envelope, EnvelopeError};
use crate::keys::{KeyError, PublicKey, Role, SigningKey};
use crate::statement::Statement;

/// Subject of the bundle in the header of its statement.
pub const SUBJECT_PREFIX: &str = "fluxgate.v1.trust.bundle.bundle";

/// The bundle, as in the predicate `https://fluxgate.dev/trust-bundle/v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustBundle {
    /// Rising from 1.
    pub version: u64,
    /// Keys made for a demo or a test: every decision under such a bundle is marked.
    #[serde(default)]
    pub demo: bool,
    /// The keys.
    pub keys: Vec<BundleKey>,
}

/// A key of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BundleKey {
    /// What it speaks for.
    pub role: Role,
    /// PEM `PUBLIC KEY`.
    pub public_key: String,
    /// From when it may act.
    pub not_before: Timestamp,
    /// Until when it may act.
    pub not_after: Timestamp,
    /// Stream sequence from which on its statements are invalid, because it was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<u64>,
    /// Stream sequence from which on its statements are invalid, because it may be in wrong hands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<u64>,
}

impl BundleKey {
    /// Whether its statement at this stream sequence counts.
    fn speaks_at(&self, sequence: u64) -> bool {
        let before = |end: Option<u64>| end.is_none_or(|end| sequence <= end);
        before(self.retired_at) && before(self.revoked_at)
    }

    /// Whether it may be acted upon now, by somebody who does not see stream sequences.
    fn acts_at(&self, now: Timestamp) -> bool {
        self.retired_at.is_none()
            && self.revoked_at.is_none()
            && self.not_before <= now
            && now <= self.not_after
    }
}

impl Claim for TrustBundle {
    const KIND: &'static str = "trust-bundle";
}

/// Why a bundle or a statement is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The envelope can't be read.
    #[error("reading the envelope")]
    Envelope(#[from] EnvelopeError),
    /// The statement can't be read.
    #[error("reading the statement")]
    Claim(#[from] ClaimError),
    /// The bundle is not signed by the pinned root key.
    #[error("trust bundle is not signed by the root key {0}")]
    NotByRoot(String),
    /// The bundle is older than another one that was accepted or than the lowest that is.
    #[error("trust bundle has version {found}; version {lowest} or later is wanted")]
    Outdated {
        /// Lowest version accepted.
        lowest: u64,
        /// Version found.
        found: u64,
    },
    /// A key of the bundle is no key.
    #[error("reading a key of role {0} in the trust bundle")]
    Key(Role, #[source] KeyError),
    /// No key that may speak for the role signed.
    #[error("not signed by a key that speaks for role {0}")]
    Role(Role),
    /// The statement names another subject than the one that it was found under.
    #[error("statement was made for {claimed}, but stands under {found}")]
    Subject {
        /// The subject that it names.
        claimed: String,
        /// The subject that it was found under.
        found: String,
    },
    /// Not signed by the agent's key.
    #[error("not signed by the agent's key {0}")]
    Agent(String),
}

/// A bundle that the root key signed.
#[derive(Debug, Clone)]
pub struct Trust {
    root: PublicKey,
    lowest: u64,
    bundle: TrustBundle,
    keys: Vec<(BundleKey, PublicKey)>,
    envelope: Vec<u8>,
}

impl Trust {
    /// Opens a bundle with the pinned root key.
    ///
    /// # Errors
    /// If the root key did not sign it, it is older than `lowest`, or a key in it can't be read.
    pub fn open(root: &PublicKey, lowest: u64, envelope: &[u8]) -> Result<Self, TrustError> {
        let parsed = Envelope::parse(envelope)?;
        if !parsed.is_by(root) {
            return Err(TrustError::NotByRoot(root.fingerprint()));
        }
        let statement = Statement::parse(parsed.payload()).map_err(ClaimError::from)?;
        let bundle: TrustBundle = statement.claim()?;
        let (found, subject) = (statement.header()?.subject, bundle_subject(bundle.version));
        if found != subject {
            return Err(TrustError::Subject {
                claimed: found,
                found: subject,
            });
        }
        if bundle.version < lowest {
            return Err(TrustError::Outdated {
                lowest,
                found: bundle.version,
            });
        }
        let mut keys = Vec::with_capacity(bundle.keys.len());
        for key in &bundle.keys {
            let public =
                PublicKey::from_pem(&key.public_key).map_err(|error| TrustError::Key(key.role, error))?;
            keys.push((key.clone(), public));
        }
        Ok(Self {
            root: root.clone(),
            lowest,
            bundle,
            keys,
            envelope: envelope.to_vec(),
        })
    }

    /// Takes a newer bundle; the same or an older version is refused and nothing changes.
    ///
    /// # Errors
    /// As [`Self::open`]; also if it is not newer.
    pub fn advance(&mut self, envelope: &[u8]) -> Result<(), TrustError> {
        *self = Self::open(
            &self.root,
            self.bundle.version.saturating_add(1).max(self.lowest),
            envelope,
        )?;
        Ok(())
    }

    /// The bundle.
    #[must_use]
    pub const fn bundle(&self) -> &TrustBundle {
        &self.bundle
    }

    /// The pinned root key.
    #[must_use]
    pub const fn root(&self) -> &PublicKey {
        &self.root
    }

    /// The envelope that the bundle came in.
    #[must_use]
    pub fn envelope(&self) -> &[u8] {
        &self.envelope
    }

    /// Whether a key has been revoked: every projection made under an earlier bundle is to be rebuilt.
    #[must_use]
    pub fn has_revocations(&self) -> bool {
        self.bundle.keys.iter().any(|key| key.revoked_at.is_some())
    }

    /// A statement that stands on the stream: signed by a key that spoke for the role at that sequence,
    /// under its own subject. Validity windows are not judged: folding must give the same answer for ever.
    ///
    /// # Errors
    /// If it is not that.
    pub fn at(
        &self,
        envelope: &[u8],
        role: Role,
        subject: &str,
        sequence: u64,
    ) -> Result<Statement, TrustError> {
        let judged = self.judge(envelope, role, subject, |key| key.speaks_at(sequence));
        judged.map(|(statement, _key)| statement)
    }

    /// A statement to act upon now, whose place on the stream can't be seen: signed by a key of the role
    /// that is in its validity window, neither retired nor revoked, and made for the subject.
    ///
    /// # Errors
    /// If it is not that.
    pub fn acting(
        &self,
        envelope: &[u8],
        role: Role,
        subject: &str,
        now: Timestamp,
    ) -> Result<Statement, TrustError> {
        let judged = self.judge(envelope, role, subject, |key| key.acts_at(now));
        judged.map(|(statement, _key)| statement)
    }

    /// As [`Self::acting`]; says until when it may be acted upon under this bundle: the end of the key's window.
    ///
    /// # Errors
    /// As [`Self::acting`].
    pub fn acting_until(
        &self,
        envelope: &[u8],
        role: Role,
        subject: &str,
        now: Timestamp,
    ) -> Result<Timestamp, TrustError> {
        let judged = self.judge(envelope, role, subject, |key| key.acts_at(now));
        judged.map(|(_statement, key)| key.not_after)
    }

    fn judge(
        &self,
        envelope: &[u8],
        role: Role,
        subject: &str,
        counts: impl Fn(&BundleKey) -> bool,
    ) -> Result<(Statement, &BundleKey), TrustError> {
        let parsed = Envelope::parse(envelope)?;
        let mut candidates = self
            .keys
            .iter()
            .filter(|(key, _)| key.role == role && counts(key));
        let Some((key, _)) = candidates.find(|(_, public)| parsed.is_by(public)) else {
            return Err(TrustError::Role(role));
        };
        let statement = Statement::parse(parsed.payload()).map_err(ClaimError::from)?;
        let claimed = statement.header()?.subject;
        if claimed == subject {
            Ok((statement, key))
        } else {
            Err(TrustError::Subject {
                claimed,
                found: subject.to_owned(),
            })
        }
    }
}

/// A statement by an agent: signed by the key in its own header, which must have the fingerprint that the
/// fleet's membership holds. Agents bind cluster, kind and time instead of a subject; the caller compares
/// those.
///
/// # Errors
/// If the key does not have the fingerprint or did not sign.
pub fn by_agent(envelope: &[u8], fingerprint: &str) -> Result<Statement, TrustError> {
    let parsed = Envelope::parse(envelope)?;
    let statement = Statement::parse(parsed.payload()).map_err(ClaimError::from)?;
    let signed = PublicKey::from_pem(&statement.header()?.key)
        .is_ok_and(|key| key.fingerprint() == fingerprint && parsed.is_by(&key));
    if signed {
        Ok(statement)
    } else {
        Err(TrustError::Agent(fingerprint.to_owned()))
    }
}

/// The subject of a version of the bundle.
#[must_use]
pub fn bundle_subject(version: u64) -> String {
    format!("{SUBJECT_PREFIX}.{version}")
}

/// Signs a bundle with the root key.
///
/// # Errors
/// If the key can't sign.
pub fn sign(bundle: &TrustBundle, root: &SigningKey, now: Timestamp) -> Result<Envelope, ClaimError> {
    claim::sign(
        &Header::published(bundle_subject(bundle.version), now, ""),
        bundle,
        root,
    )
}

#[cfg(test)]
mod tests;
