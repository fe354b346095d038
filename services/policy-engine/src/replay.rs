//! Making a decision again from its stored inputs, and comparing it byte for byte with the one that was
//! signed.
//!
//! Everything in the signed payload follows from the inputs, but when it was signed and under which span:
//! these two are taken from the payload itself. Deliberately not here: whether the envelope's signature
//! counts (`audit verify`), and the upstream signatures, which stand in the inputs as results.

use attest::dsse::EnvelopeError;
use attest::statement::StatementError;
use attest::{ClaimError, Envelope, Header, Statement};
use bus::Subject;
use domain::{Decision, Digest};
use policy::stored::StoredError;
use serde_json::Value;
use wire::policy::v1;

/// A decision that was made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The decision as it follows from the inputs.
    pub decision: Decision,
    /// Its subject on the bus.
    pub subject: String,
    /// Where the signed payload says something else; empty where it is the same, byte for byte.
    pub differences: Vec<Difference>,
}

/// A place where the signed payload differs from what follows from the inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its path in the statement, like `predicate.body.outcome`.
    pub path: String,
    /// What was signed; nothing where there is nothing.
    pub signed: String,
    /// What follows from the inputs.
    pub replayed: String,
}

/// Why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The envelope is none.
    #[error("reading the decision's envelope")]
    Envelope(#[from] EnvelopeError),
    /// The payload is no statement.
    #[error("reading the decision's statement")]
    Statement(#[from] StatementError),
    /// The statement is no decision.
    #[error("reading the decision")]
    Claim(#[from] ClaimError),
    /// The inputs are none.
    #[error("deciding again")]
    Inputs(#[from] StoredError),
    /// The decision that the inputs name as the one before is no decision's subject.
    #[error("the inputs say that the decision follows {0:?}, which is no subject of a decision")]
    Predecessor(String),
}

/// Makes a decision again.
///
/// # Errors
/// If the bytes are no inputs, or the envelope holds no decision.
pub fn replay(inputs: &[u8], envelope: &[u8]) -> Result<Replayed, ReplayError> {
    let envelope = Envelope::parse(envelope)?;
    let signed = Statement::parse(envelope.payload())?;
    signed.claim::<v1::Decision>()?;
    let decision = policy::replay(inputs)?;
    let subject = subject_of(&decision)?;
    let signed_header = signed.header()?;
    let header = Header::published(
        subject.to_string(),
        signed_header.time,
        signed_header.traceparent.clone(),
    )
    .as_of(decision.as_of);
    let replayed = attest::claim::statement(&header, &v1::Decision::from(&decision))?;
    let mut differences = Vec::new();
    if replayed.to_bytes() != envelope.payload() {
        let value = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or(Value::Null);
        compare(
            "",
            &value(envelope.payload()),
            &value(&replayed.to_bytes()),
            &mut differences,
        );
        if differences.is_empty() {
            differences.push(Difference {
                path: "the bytes of the payload, which say the same".to_owned(),
                signed: Digest::of(envelope.payload()).to_string(),
                replayed: Digest::of(&replayed.to_bytes()).to_string(),
            });
        }
    }
    Ok(Replayed {
        decision,
        subject: subject.to_string(),
        differences,
    })
}

/// The subject that the decision must stand under: the one behind its predecessor's.
fn subject_of(decision: &Decision) -> Result<Subject, ReplayError> {
    let first = bus::subject::decision(&decision.release, &decision.policy.name, &decision.baseline, 1);
    let Some(before) = &decision.supersedes else {
        return Ok(first);
    };
    let wrong = || ReplayError::Predecessor(before.clone());
    let before: Subject = before.parse().map_err(|_malformed| wrong())?;
    match before.n().checked_add(1) {
        Some(n) if before.series() == first.series() => Ok(first.series().at(n)),
        Some(_) | None => Err(wrong()),
    }
}

/// Collects the places where two JSON values differ.
fn compare(path: &str, signed: &Value, replayed: &Value, into: &mut Vec<Difference>) {
    let at = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match (signed, replayed) {
        (Value::Object(a), Value::Object(b)) => {
            let missing = a.keys().filter(|key| !b.contains_key(*key));
            for key in b.keys().chain(missing) {
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                compare(&at(key), &of(a), &of(b), into);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for index in 0..a.len().max(b.len()) {
                let of = |items: &[Value]| items.get(index).cloned().unwrap_or(Value::Null);
                compare(&format!("{path}[{index}]"), &of(a), &of(b), into);
            }
        }
        (a, b) if a == b => {}
        (a, b) => into.push(Difference {
            path: path.to_owned(),
            signed: shown(a),
            replayed: shown(b),
        }),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
