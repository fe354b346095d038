//! in-toto Statements (in-toto/attestation, spec v1, statement layer).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use domain::Digest;

/// `_type` of a statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// What a statement speaks about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceDescriptor {
    /// For people.
    pub name: String,
    /// Algorithm to hex value.
    pub digest: BTreeMap<String, String>,
}

impl ResourceDescriptor {
    /// An artifact by name and digest.
    #[must_use]
    pub fn new(name: impl Into<String>, digest: Digest) -> Self {
        Self {
            name: name.into(),
            digest: BTreeMap::from([("sha256".to_owned(), digest.hex())]),
        }
    }

    /// Something that has no bytes of its own: its digest is that of its name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        let digest = Digest::of(name.as_bytes());
        Self::new(name, digest)
    }
}

/// A statement: subjects and a typed predicate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statement {
    /// Always [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What it speaks about.
    pub subject: Vec<ResourceDescriptor>,
    /// Type of the predicate.
    pub predicate_type: String,
    /// The predicate.
    pub predicate: Value,
}

/// Why a payload is no statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Not the JSON of a statement.
    #[error("reading the statement")]
    Json(#[source] serde_json::Error),
    /// Another `_type`.
    #[error("statement type is not {STATEMENT_TYPE}")]
    Type,
}

impl Statement {
    /// A statement of the current type.
    #[must_use]
    pub fn new(subject: Vec<ResourceDescriptor>, predicate_type: String, predicate: Value) -> Self {
        Self {
            kind: STATEMENT_TYPE.to_owned(),
            subject,
            predicate_type,
            predicate,
        }
    }

    /// Reads a statement.
    ///
    /// # Errors
    /// If it is none of the current type.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        let statement: Self = serde_json::from_slice(payload).map_err(StatementError::Json)?;
        if statement.kind == STATEMENT_TYPE {
            Ok(statement)
        } else {
            Err(StatementError::Type)
        }
    }

    /// The statement's JSON: the same bytes for the same statement (object keys are sorted).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // A tree of strings, numbers and maps with text keys always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
