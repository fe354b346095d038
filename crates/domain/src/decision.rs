//! A policy's answer for one release on one baseline.

use std::fmt;

use jiff::Timestamp;

use crate::{BaselineKey, Digest, Reason, ReleaseKey};

/// The answer, from best to worst: the outcome of a decision is the worst of its rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The release may run.
    Allow,
    /// It may run later without anyone doing anything.
    Wait,
    /// A person has to approve.
    NeedsApproval,
    /// It must not run.
    Deny,
}

/// A policy by name and by the digest of its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId {
    /// `metadata.name`.
    pub name: String,
    /// Digest of the file's bytes.
    pub digest: Digest,
}

/// What one rule said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleResult {
    /// Name of the rule in the policy.
    pub rule: String,
    /// Its outcome.
    pub outcome: Outcome,
    /// Why; also for a rule that allows.
    pub reason: Reason,
    /// For people: the values compared.
    pub detail: String,
    /// With `Wait`: from when the rule would allow, if that is known.
    pub until: Option<Timestamp>,
}

/// A decision, as signed by policy-engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The release.
    pub release: ReleaseKey,
    /// The policy.
    pub policy: PolicyId,
    /// What the clusters it speaks for run now.
    pub baseline: BaselineKey,
    /// The worst of all rules.
    pub outcome: Outcome,
    /// Every rule, in the policy's order.
    pub rules: Vec<RuleResult>,
    /// Digest of the stored input document.
    pub inputs: Digest,
    /// The `now` of the evaluation.
    pub decided: Timestamp,
    /// Until when an `Allow` may be acted upon.
    pub valid_until: Option<Timestamp>,
    /// With `Wait`: the earliest time at which another answer is possible, if known.
    pub wait_until: Option<Timestamp>,
    /// Stream sequence up to which the evaluation had read.
    pub as_of: u64,
    /// Subject of the decision before this one.
    pub supersedes: Option<String>,
    /// Whether demo trust stood behind the evidence.
    pub demo: bool,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allow => "ALLOW",
            Self::Wait => "WAIT",
            Self::NeedsApproval => "NEEDS_APPROVAL",
            Self::Deny => "DENY",
        })
    }
}

/// The worst of these outcomes; `Deny` where there is none, because a policy without a rule allows
/// nothing.
#[must_use]
pub fn worst(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    outcomes.into_iter().max().unwrap_or(Outcome::Deny)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_outcome_wins() {
        assert_eq!(worst([Outcome::Allow, Outcome::Wait]), Outcome::Wait);
        assert_eq!(worst([Outcome::Deny, Outcome::NeedsApproval]), Outcome::Deny);
        assert_eq!(
            worst([Outcome::Wait, Outcome::NeedsApproval]),
            Outcome::NeedsApproval
        );
        assert_eq!(worst([]), Outcome::Deny);
    }
}
