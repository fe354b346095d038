//! The document's JSON, field by field. Everything is written out, nothing has a default: a document that
//! lacks a field, or has one more, is refused.

use domain::assignment::StatementRef;
use domain::decision::PolicyId;
use domain::{Artifact, CheckResult, Digest, Reason, ReleaseKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{KIND, Named, StoredError, StoredInputs};
use crate::evaluate::{Ledger, Verified};
use statements::{RawBaseline, RawContents, RawEvidence, RawSummary};

mod statements;
mod text;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Document {
    kind: String,
    now: Timestamp,
    as_of: u64,
    policy: RawPolicy,
    #[serde(with = "text")]
    release: ReleaseKey,
    tag_moved: bool,
    summary: Option<RawSummary>,
    contents: Option<RawContents>,
    evidence: Vec<RawEvidence>,
    trust_root: Digest,
    verified: Vec<RawVerified>,
    baseline: RawBaseline,
    /// None yet; the place is kept, so that a document with one is never read as if it had none.
    approvals: Vec<serde_json::Value>,
    /// Why the ledger is not confirmed; null where it is.
    ledger_unconfirmed: Option<String>,
    supersedes: Option<String>,
    demo: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawPolicy {
    name: String,
    digest: Digest,
    sequence: u64,
    text: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStatement {
    subject: String,
    digest: Digest,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawVerified {
    artifact: Artifact,
    digest: Digest,
    #[serde(with = "text::result")]
    result: CheckResult,
    #[serde(with = "text::option")]
    reason: Option<Reason>,
    detail: String,
    integrated_time: Option<Timestamp>,
}

impl From<&StoredInputs> for Document {
    fn from(inputs: &StoredInputs) -> Self {
        let StoredInputs {
            policy,
            text,
            sequence,
            release,
            tag_moved,
            summary,
            contents,
            evidence,
            trust_root,
            verified,
            baseline,
            ledger,
            supersedes,
            demo,
            now,
            as_of,
        } = inputs;
        Self {
            kind: KIND.to_owned(),
            now: *now,
            as_of: *as_of,
            policy: RawPolicy {
                name: policy.name.clone(),
                digest: policy.digest,
                sequence: *sequence,
                text: text.clone(),
            },
            release: release.clone(),
            tag_moved: *tag_moved,
            summary: summary.as_ref().map(Into::into),
            contents: contents.as_ref().map(Into::into),
            evidence: evidence.iter().map(Into::into).collect(),
            trust_root: *trust_root,
            verified: verified.iter().map(Into::into).collect(),
            baseline: baseline.into(),
            approvals: Vec::new(),
            ledger_unconfirmed: match ledger {
                Ledger::Confirmed => None,
                Ledger::Unconfirmed { why } => Some(why.clone()),
            },
            supersedes: supersedes.clone(),
            demo: *demo,
        }
    }
}

impl Document {
    pub(super) fn read(self) -> Result<StoredInputs, StoredError> {
        if self.kind != KIND {
            return Err(StoredError::Kind { found: self.kind });
        }
        if !self.approvals.is_empty() {
            return Err(StoredError::Approvals {
                count: self.approvals.len(),
            });
        }
        if Digest::of(self.policy.text.as_bytes()) != self.policy.digest {
            return Err(StoredError::PolicyText {
                name: self.policy.name,
            });
        }
        Ok(StoredInputs {
            policy: PolicyId {
                name: self.policy.name,
                digest: self.policy.digest,
            },
            text: self.policy.text,
            sequence: self.policy.sequence,
            release: self.release,
            tag_moved: self.tag_moved,
            summary: self.summary.map(RawSummary::read),
            contents: self.contents.map(RawContents::read),
            evidence: self.evidence.into_iter().map(RawEvidence::read).collect(),
            trust_root: self.trust_root,
            verified: self.verified.into_iter().map(RawVerified::read).collect(),
            baseline: self.baseline.read(),
            ledger: match self.ledger_unconfirmed {
                None => Ledger::Confirmed,
                Some(why) => Ledger::Unconfirmed { why },
            },
            supersedes: self.supersedes,
            demo: self.demo,
            now: self.now,
            as_of: self.as_of,
        })
    }
}

impl From<&StatementRef> for RawStatement {
    fn from(statement: &StatementRef) -> Self {
        Self {
            subject: statement.subject.clone(),
            digest: statement.digest,
        }
    }
}

impl RawStatement {
    fn names<T>(self, value: T) -> Named<T> {
        let statement = StatementRef {
            subject: self.subject,
            digest: self.digest,
        };
        Named { statement, value }
    }
}

impl From<&Verified> for RawVerified {
    fn from(verified: &Verified) -> Self {
        Self {
            artifact: verified.artifact,
            digest: verified.digest,
            result: verified.result,
            reason: verified.reason,
            detail: verified.detail.clone(),
            integrated_time: verified.integrated_time,
        }
    }
}

impl RawVerified {
    fn read(self) -> Verified {
        Verified {
            artifact: self.artifact,
            digest: self.digest,
            result: self.result,
            reason: self.reason,
            detail: self.detail,
            integrated_time: self.integrated_time,
        }
    }
}
