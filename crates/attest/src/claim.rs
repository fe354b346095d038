//! Typed statements: what each kind of claim has in common.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use domain::{ClusterName, Digest};

use crate::dsse::Envelope;
use crate::keys::{KeyError, PublicKey, SigningKey};
use crate::statement::{ResourceDescriptor, Statement, StatementError};
use crate::vsa;

/// What every predicate of ours begins with, under the key `header`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    /// The subject that the statement is published under; empty in an agent's statements, which do not
    /// know their number.
    #[serde(default)]
    pub subject: String,
    /// The cluster whose agent speaks; empty in a service's statements.
    #[serde(default)]
    pub cluster: String,
    /// PEM of the agent's public key: the fleet's membership holds its fingerprint alone. Empty in a
    /// service's statements.
    #[serde(default)]
    pub key: String,
    /// When it was made, by the maker's clock.
    pub time: Timestamp,
    /// W3C `traceparent` of the span that made it.
    #[serde(default)]
    pub traceparent: String,
    /// Stream sequence up to which the maker had read; 0 where that does not matter. ProtoJSON writes a
    /// 64-bit number as text.
    #[serde(default, with = "number_as_text")]
    pub as_of: u64,
}

mod number_as_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl Header {
    /// The header of a service's statement.
    #[must_use]
    pub fn published(subject: impl Into<String>, time: Timestamp, traceparent: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            cluster: String::new(),
            key: String::new(),
            time,
            traceparent: traceparent.into(),
            as_of: 0,
        }
    }

    /// The header of an agent's statement.
    #[must_use]
    pub fn of_agent(
        cluster: &ClusterName,
        key: &PublicKey,
        time: Timestamp,
        traceparent: impl Into<String>,
    ) -> Self {
        Self {
            subject: String::new(),
            cluster: cluster.to_string(),
            key: key.to_pem(),
            time,
            traceparent: traceparent.into(),
            as_of: 0,
        }
    }

    /// The same header, saying up to where its maker had read.
    #[must_use]
    pub fn as_of(self, sequence: u64) -> Self {
        Self {
            as_of: sequence,
            ..self
        }
    }
}

/// Why a statement is not the claim that was looked for.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another predicate type.
    #[error("predicate type is {found}, not {expected}")]
    Type {
        /// The type of the claim.
        expected: String,
        /// The type of the statement.
        found: String,
    },
    /// The predicate is not of the claim's shape.
    #[error("reading a predicate of type {kind}")]
    Predicate {
        /// The predicate type.
        kind: String,
        /// What was wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The payload is no statement.
    #[error("reading a statement")]
    Statement(#[from] StatementError),
    /// The predicate has no header.
    #[error("predicate of type {0} has no header")]
    Header(String),
    /// The claim could not be signed.
    #[error("signing a statement")]
    Key(#[from] KeyError),
}

/// A predicate of ours. Implemented in `wire` for the event messages; their JSON is ProtoJSON.
pub trait Claim: Serialize + DeserializeOwned {
    /// Kind, as in the predicate type `https://fluxgate.dev/<kind>/v1`.
    const KIND: &'static str;

    /// What the claim is about, for in-toto's `subject`. Empty: the bus subject or cluster stands there.
    fn subjects(&self) -> Vec<ResourceDescriptor> {
        Vec::new()
    }

    /// The SLSA verification summary that the claim is at the same time, if any.
    fn verification_summary(&self) -> Option<vsa::Summary> {
        None
    }
}

/// The predicate type of a kind.
#[must_use]
pub fn predicate_type(kind: &str) -> String {
    format!("https://fluxgate.dev/{kind}/v1")
}

/// Makes the statement of a claim.
///
/// # Errors
/// If the claim does not serialise.
pub fn statement<C: Claim>(header: &Header, claim: &C) -> Result<Statement, ClaimError> {
    let kind = predicate_type(C::KIND);
    let predicate_error = |source| ClaimError::Predicate {
        kind: kind.clone(),
        source,
    };
    let body = serde_json::to_value(claim).map_err(predicate_error)?;
    let header_value = serde_json::to_value(header).map_err(predicate_error)?;
    let mut subjects = claim.subjects();
    if subjects.is_empty() {
        let name = if header.subject.is_empty() {
            &header.cluster
        } else {
            &header.subject
        };
        subjects.push(ResourceDescriptor::named(name.clone()));
    }
    let own = serde_json::json!({ "header": header_value, "body": body });
    Ok(match claim.verification_summary() {
        None => Statement::new(subjects, kind, own),
        Some(summary) => Statement::new(
            subjects,
            vsa::PREDICATE_TYPE.to_owned(),
            summary.predicate(&kind, own),
        ),
    })
}

/// Makes and signs the statement of a claim.
///
/// # Errors
/// If the claim does not serialise or the key can't sign.
pub fn sign<C: Claim>(header: &Header, claim: &C, key: &SigningKey) -> Result<Envelope, ClaimError> {
    Ok(Envelope::sign(statement(header, claim)?.to_bytes(), key)?)
}

impl Statement {
    /// Our own part of the predicate with its kind: the predicate itself, or our extension of a SLSA
    /// verification summary.
    fn own_part(&self) -> (&str, &Value) {
        if self.predicate_type == vsa::PREDICATE_TYPE {
            let extension = self.predicate.as_object().and_then(|map| {
                map.iter()
                    .find(|(key, _)| key.starts_with("https://fluxgate.dev/"))
            });
            if let Some((kind, own)) = extension {
                return (kind, own);
            }
        }
        (&self.predicate_type, &self.predicate)
    }

    /// The predicate type of the claim that this statement makes.
    #[must_use]
    pub fn claim_type(&self) -> &str {
        self.own_part().0
    }

    /// The header of the claim.
    ///
    /// # Errors
    /// If there is none, or it is malformed.
    pub fn header(&self) -> Result<Header, ClaimError> {
        let (kind, own) = self.own_part();
        let header = own
            .get("header")
            .ok_or_else(|| ClaimError::Header(kind.to_owned()))?;
        Header::deserialize(header).map_err(|source| ClaimError::Predicate {
            kind: kind.to_owned(),
            source,
        })
    }

    /// The claim, if the statement makes one of this type.
    ///
    /// A statement that is a verification summary as well must be the summary of this very claim: the
    /// outside of a statement never says something else than the inside.
    ///
    /// # Errors
    /// If it is of another type or shape.
    pub fn claim<C: Claim>(&self) -> Result<C, ClaimError> {
        let expected = predicate_type(C::KIND);
        let (kind, own) = self.own_part();
        let mismatch = || ClaimError::Type {
            expected: expected.clone(),
            found: self.predicate_type.clone(),
        };
        if kind != expected {
            return Err(mismatch());
        }
        let body = own.get("body").cloned().unwrap_or(Value::Null);
        let claim: C = serde_json::from_value(body).map_err(|source| ClaimError::Predicate {
            kind: expected.clone(),
            source,
        })?;
        if statement(&self.header()?, &claim)? == *self {
            Ok(claim)
        } else {
            Err(mismatch())
        }
    }
}

/// The digest of an envelope: how statements name each other.
#[must_use]
pub fn digest(envelope: &[u8]) -> Digest {
    Digest::of(envelope)
}
