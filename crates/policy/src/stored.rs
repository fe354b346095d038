//! The stored input document: everything that a decision rests on, as one document of bytes.
//!
//! A decision names the document by digest, and is made from its very bytes ([`replay`]): whoever has them
//! gets the same decision again, today or in ten years, and one byte that differs is another digest, so
//! another decision. Statements stand in it by subject and digest of their envelope and with what was read
//! of them; the upstream material itself (certificates, log entries) stays in the evidence, which the digest
//! names, and stands here as policy-engine's own result over it, with the digest of the trust root.
//!
//! Deliberately not here: whether the statements are genuine. That is judged by whoever folds the log.

use domain::assignment::StatementRef;
use domain::{
    Baseline, Decision, Digest, Evidence, ReleaseContents, ReleaseKey, RoleSummary, decision::PolicyId,
};
use jiff::Timestamp;

use crate::document::Policy;
use crate::evaluate::{Evaluation, Inputs, Ledger, Verified, evaluate};
use crate::load::LoadError;

mod raw;

/// `kind` of the document.
pub const KIND: &str = "https://fluxgate.dev/decision-inputs/v1";

/// Everything that a decision rests on, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInputs {
    /// The policy's name and the digest of its text.
    pub policy: PolicyId,
    /// The policy's text.
    pub text: String,
    /// Stream sequence under which the text was published.
    pub sequence: u64,
    /// The release.
    pub release: ReleaseKey,
    /// Whether this version was seen before with another digest.
    pub tag_moved: bool,
    /// The newest summary of signature-verifier.
    pub summary: Option<Named<RoleSummary>>,
    /// What the release contains.
    pub contents: Option<Named<ReleaseContents>>,
    /// The evidence that the summary names, without its material.
    pub evidence: Vec<Named<Evidence>>,
    /// Digest of the trust root under which policy-engine verified by itself.
    pub trust_root: Digest,
    /// policy-engine's own results.
    pub verified: Vec<Verified>,
    /// What runs.
    pub baseline: Named<Baseline>,
    /// Whether the ledger was sure.
    pub ledger: Ledger,
    /// Subject of the decision before this one.
    pub supersedes: Option<String>,
    /// Whether demo trust stood behind it.
    pub demo: bool,
    /// The time of the decision.
    pub now: Timestamp,
    /// Stream sequence up to which everything had been read.
    pub as_of: u64,
}

/// What was read of a statement, and which one it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<T> {
    /// The statement.
    pub statement: StatementRef,
    /// What it says.
    pub value: T,
}

/// Why bytes can't be decided upon.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// They are no input document, or one with something in it that this version does not know.
    #[error("reading the stored inputs of a decision")]
    Json(#[source] serde_json::Error),
    /// Another kind of document.
    #[error("this is a {found:?}, not a {KIND:?}")]
    Kind {
        /// What it says that it is.
        found: String,
    },
    /// An approval: this version takes none, so none can stand in an input document of its own.
    #[error("the stored inputs hold {count} approvals, and this version of fluxgate takes none")]
    Approvals {
        /// How many.
        count: usize,
    },
    /// The policy's text has another digest or name than the document says.
    #[error("the text of policy {name} is not the one that the document names")]
    PolicyText {
        /// Name of the policy.
        name: String,
    },
    /// The policy's text is none.
    #[error("reading the policy in the stored inputs")]
    Policy(#[source] LoadError),
}

impl StoredError {
    /// Always false: the same bytes stay what they are.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        false
    }
}

/// The decision that follows from a stored input document: the same bytes, the same decision.
///
/// # Errors
/// If the bytes are no input document of this version.
pub fn replay(bytes: &[u8]) -> Result<Decision, StoredError> {
    let inputs = StoredInputs::parse(bytes)?;
    let evaluation = inputs.evaluate()?;
    Ok(Decision {
        baseline: inputs.baseline.value.key(),
        release: inputs.release,
        policy: inputs.policy,
        outcome: evaluation.outcome,
        rules: evaluation.rules,
        inputs: Digest::of(bytes),
        decided: inputs.now,
        valid_until: evaluation.valid_until,
        wait_until: evaluation.wait_until,
        as_of: inputs.as_of,
        supersedes: inputs.supersedes,
        demo: inputs.demo,
    })
}

impl StoredInputs {
    /// The document's bytes: the same for the same inputs.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // A tree of texts, numbers and maps with text keys always serialises.
        serde_json::to_vec(&raw::Document::from(self)).unwrap_or_default()
    }

    /// Reads a document.
    ///
    /// # Errors
    /// If it is none, or contradicts itself about its policy.
    pub fn parse(bytes: &[u8]) -> Result<Self, StoredError> {
        let document: raw::Document = serde_json::from_slice(bytes).map_err(StoredError::Json)?;
        document.read()
    }

    /// The policy that stands in it.
    ///
    /// # Errors
    /// If its text is no policy of this version.
    pub fn policy(&self) -> Result<Policy, StoredError> {
        let policy = Policy::parse(&self.policy.name, &self.text).map_err(StoredError::Policy)?;
        if policy.id == self.policy {
            Ok(policy)
        } else {
            Err(StoredError::PolicyText {
                name: self.policy.name.clone(),
            })
        }
    }

    /// What its own policy says.
    ///
    /// # Errors
    /// If its text is no policy of this version.
    pub fn evaluate(&self) -> Result<Evaluation, StoredError> {
        Ok(self.evaluate_by(&self.policy()?, self.now))
    }

    /// What another policy would say, or the same one at another time.
    #[must_use]
    pub fn evaluate_by(&self, policy: &Policy, now: Timestamp) -> Evaluation {
        let evidence: Vec<Evidence> = self.evidence.iter().map(|named| named.value.clone()).collect();
        evaluate(&Inputs {
            policy,
            release: &self.release,
            contents: self.contents.as_ref().map(|named| &named.value),
            summary: self.summary.as_ref().map(|named| &named.value),
            verified: &self.verified,
            evidence: &evidence,
            baseline: &self.baseline.value,
            ledger: &self.ledger,
            tag_moved: self.tag_moved,
            now,
        })
    }
}
