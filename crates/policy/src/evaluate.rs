//! The decision: what a policy says about one release on one baseline.
//!
//! The outcome is the worst of the rules. Only a passed check passes: what failed, what was not checked and
//! what is not there are all DENY. Two rules are built in and stand behind the policy's own: `tag` (the
//! second digest of a tag is never allowed) and `ledger` (nothing is allowed while the ledger is not sure).
//! The ledger only ever turns an ALLOW into a WAIT: it neither hides nor softens another answer, and it
//! causes no new decision where the answer was no already.
//!
//! Deliberately not here: signatures are verified by `evidence`, and the caller passes its results.

use domain::{
    Artifact, Baseline, CheckResult, Digest, Evidence, Outcome, Reason, ReleaseContents, ReleaseKey,
    RoleSummary, RuleResult, decision,
};
use jiff::{SignedDuration, Timestamp};

use crate::document::{LEDGER_RULE, Policy, Rule, RuleKind, TAG_RULE};

mod age;
mod signature;
mod step;
#[cfg(test)]
mod tests;

/// How long an ALLOW may be acted upon: an agent that was cut off for longer asks again.
pub const ALLOW_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// Everything that a decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The release.
    pub release: &'a ReleaseKey,
    /// What the release contains; `None` where its manifests could not be verified.
    pub contents: Option<&'a ReleaseContents>,
    /// The newest summary of signature-verifier.
    pub summary: Option<&'a RoleSummary>,
    /// policy-engine's own verification of the upstream signature of each artifact.
    pub verified: &'a [Verified],
    /// The evidence that the summary names, in any order.
    pub evidence: &'a [Evidence],
    /// What runs.
    pub baseline: &'a Baseline,
    /// Whether the ledger is sure.
    pub ledger: &'a Ledger,
    /// Whether this version was seen before with another digest.
    pub tag_moved: bool,
    /// The time of the decision.
    pub now: Timestamp,
}

/// The result of policy-engine's own verification of one artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The artifact.
    pub artifact: Artifact,
    /// The digest that was verified.
    pub digest: Digest,
    /// The result.
    pub result: CheckResult,
    /// Why, where it did not pass.
    pub reason: Option<Reason>,
    /// For people.
    pub detail: String,
    /// The verified time at which the signature entered the transparency log.
    pub integrated_time: Option<Timestamp>,
}

/// What audit-log says about the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ledger {
    /// Confirmed within the last five minutes.
    Confirmed,
    /// Not confirmed.
    Unconfirmed {
        /// Why not, for people.
        why: String,
    },
}

/// What the policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The worst of the rules.
    pub outcome: Outcome,
    /// Every rule in the policy's order, then those built-in ones that object.
    pub rules: Vec<RuleResult>,
    /// With `Wait`: the earliest time at which another answer is possible, if it is known.
    pub wait_until: Option<Timestamp>,
    /// With `Allow`: until when it may be acted upon.
    pub valid_until: Option<Timestamp>,
}

/// Evaluates a policy.
#[must_use]
pub fn evaluate(inputs: &Inputs<'_>) -> Evaluation {
    let mut rules: Vec<RuleResult> = inputs
        .policy
        .rules
        .iter()
        .map(|rule| finding(rule, inputs).named(&rule.name))
        .collect();
    if inputs.tag_moved {
        rules.push(tag_moved(inputs.release).named(TAG_RULE));
    }
    let mut outcome = decision::worst(rules.iter().map(|rule| rule.outcome));
    if let (Outcome::Allow, Ledger::Unconfirmed { why }) = (outcome, inputs.ledger) {
        rules.push(Finding::new(Outcome::Wait, Reason::LedgerUnconfirmed, why.clone()).named(LEDGER_RULE));
        outcome = Outcome::Wait;
    }
    Evaluation {
        outcome,
        wait_until: (outcome == Outcome::Wait).then(|| latest_until(&rules)).flatten(),
        valid_until: (outcome == Outcome::Allow).then(|| later(inputs.now, ALLOW_LIFETIME)),
        rules,
    }
}

fn finding(rule: &Rule, inputs: &Inputs<'_>) -> Finding {
    match &rule.kind {
        RuleKind::Signature => signature::judge(inputs),
        RuleKind::VersionStep(allowed) => step::judge(allowed, inputs),
        RuleKind::ReleaseAge(ages) => age::judge(ages, inputs),
    }
}

fn tag_moved(release: &ReleaseKey) -> Finding {
    let detail = format!(
        "{} was seen before with another digest than {}",
        release.version, release.manifests
    );
    Finding::new(Outcome::Deny, Reason::TagMoved, detail)
}

/// The time at which the last waiting rule is content; unknown as soon as one of them is.
fn latest_until(rules: &[RuleResult]) -> Option<Timestamp> {
    let waiting = rules.iter().filter(|rule| rule.outcome == Outcome::Wait);
    waiting
        .map(|rule| rule.until)
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .max()
}

/// What a rule found, before it has its name.
struct Finding {
    outcome: Outcome,
    reason: Reason,
    detail: String,
    until: Option<Timestamp>,
}

impl Finding {
    const fn new(outcome: Outcome, reason: Reason, detail: String) -> Self {
        Self {
            outcome,
            reason,
            detail,
            until: None,
        }
    }

    fn named(self, rule: &str) -> RuleResult {
        let Self {
            outcome,
            reason,
            detail,
            until,
        } = self;
        RuleResult {
            rule: rule.to_owned(),
            outcome,
            reason,
            detail,
            until,
        }
    }
}

/// The time `by` after `time`; the end of time where the sum is beyond it.
fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// What must be signed: the manifests and, where the contents are known, every image.
fn artifacts(inputs: &Inputs<'_>) -> Vec<(Artifact, Digest)> {
    let images = inputs.contents.into_iter().flat_map(|contents| &contents.images);
    std::iter::once((Artifact::FluxManifests, inputs.release.manifests))
        .chain(images.map(|(component, image)| (Artifact::Image(*component), image.index)))
        .collect()
}
