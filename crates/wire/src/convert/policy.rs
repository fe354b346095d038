//! `fluxgate.policy`: policy texts and decisions.

use domain::decision::PolicyId;
use domain::{Decision, Digest, RuleResult};

use super::{field, time};
use crate::WireError;
use crate::common::v1 as common;
use crate::policy::v1;

/// A policy's text with the name and the digest that decisions know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDocument {
    /// Name and digest of `text`.
    pub policy: PolicyId,
    /// The file's bytes as text.
    pub text: String,
}

impl From<&PolicyDocument> for v1::PolicyText {
    fn from(document: &PolicyDocument) -> Self {
        Self {
            policy: document.policy.name.clone(),
            digest: Some(document.policy.digest.into()),
            text: document.text.clone(),
        }
    }
}

impl TryFrom<v1::PolicyText> for PolicyDocument {
    type Error = WireError;

    fn try_from(message: v1::PolicyText) -> Result<Self, WireError> {
        let policy = PolicyId {
            name: field::text("PolicyText.policy", message.policy)?,
            digest: field::digest("PolicyText.digest", message.digest)?,
        };
        let text = field::text("PolicyText.text", message.text)?;
        if policy.digest == Digest::of(text.as_bytes()) {
            Ok(Self { policy, text })
        } else {
            Err(WireError::Digest {
                field: "PolicyText.digest",
            })
        }
    }
}

impl From<&Decision> for v1::Decision {
    fn from(decision: &Decision) -> Self {
        Self {
            release: decision.release.to_string(),
            policy: decision.policy.name.clone(),
            policy_digest: Some(decision.policy.digest.into()),
            baseline: decision.baseline.to_string(),
            outcome: common::Outcome::from(decision.outcome).into(),
            rules: decision.rules.iter().map(Into::into).collect(),
            inputs: Some(decision.inputs.into()),
            decide_time: Some(time::timestamp(decision.decided)),
            valid_until_time: time::optional_timestamp(decision.valid_until),
            wait_until_time: time::optional_timestamp(decision.wait_until),
            as_of: decision.as_of,
            supersedes: decision.supersedes.clone().unwrap_or_default(),
            demo: decision.demo,
        }
    }
}

impl TryFrom<v1::Decision> for Decision {
    type Error = WireError;

    fn try_from(message: v1::Decision) -> Result<Self, WireError> {
        Ok(Self {
            release: field::parsed("Decision.release", &message.release)?,
            policy: PolicyId {
                name: field::text("Decision.policy", message.policy)?,
                digest: field::digest("Decision.policy_digest", message.policy_digest)?,
            },
            baseline: field::parsed("Decision.baseline", &message.baseline)?,
            outcome: field::choice::<common::Outcome, _>("Decision.outcome", message.outcome)?,
            rules: field::list(message.rules)?,
            inputs: field::digest("Decision.inputs", message.inputs)?,
            decided: time::read("Decision.decide_time", message.decide_time)?,
            valid_until: time::read_optional("Decision.valid_until_time", message.valid_until_time)?,
            wait_until: time::read_optional("Decision.wait_until_time", message.wait_until_time)?,
            as_of: message.as_of,
            supersedes: Some(message.supersedes).filter(|subject| !subject.is_empty()),
            demo: message.demo,
        })
    }
}

impl From<&RuleResult> for v1::RuleResult {
    fn from(result: &RuleResult) -> Self {
        Self {
            rule: result.rule.clone(),
            outcome: common::Outcome::from(result.outcome).into(),
            reason: result.reason.to_string(),
            detail: result.detail.clone(),
            until_time: time::optional_timestamp(result.until),
        }
    }
}

impl TryFrom<v1::RuleResult> for RuleResult {
    type Error = WireError;

    fn try_from(message: v1::RuleResult) -> Result<Self, WireError> {
        Ok(Self {
            rule: field::text("RuleResult.rule", message.rule)?,
            outcome: field::choice::<common::Outcome, _>("RuleResult.outcome", message.outcome)?,
            reason: field::parsed("RuleResult.reason", &message.reason)?,
            detail: message.detail,
            until: time::read_optional("RuleResult.until_time", message.until_time)?,
        })
    }
}
