//! A policy as its author wrote it: which rules a release must pass.
//!
//! A field or a rule of the target format (`policy-default.yaml` of the design) that this version does not
//! implement is refused when the file is loaded, and so is a policy without a signature rule. Deliberately
//! not here: what the rules say about a release ([`crate::evaluate`]).

use std::collections::{BTreeMap, BTreeSet};

use domain::decision::PolicyId;
use domain::version::Bump;
use jiff::SignedDuration;

use crate::load::{Document, LoadError, in_order};

mod raw;
#[cfg(test)]
mod tests;

/// `apiVersion` of a policy.
pub const API_VERSION: &str = "policy.fluxgate.dev/v1alpha1";
/// `kind` of a policy.
pub const KIND: &str = "UpgradePolicy";

/// Names of rules that are built in and may not be used in a file.
pub const BUILT_IN: [&str; 2] = [LEDGER_RULE, TAG_RULE];
/// Built-in rule: nothing is allowed while the ledger is not sure.
pub const LEDGER_RULE: &str = "ledger";
/// Built-in rule: the second digest of a tag is never allowed.
pub const TAG_RULE: &str = "tag";

/// A policy. It has at least one signature rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its name, and the digest of its text.
    pub id: PolicyId,
    /// Its rules, in the file's order; names are unique.
    pub rules: Vec<Rule>,
}

/// A rule under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Unique in the policy.
    pub name: String,
    /// What it demands.
    pub kind: RuleKind,
}

/// What a rule demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleKind {
    /// Every artifact of the release is signed by upstream's own workflow: profile `flux`, artifacts
    /// `All` are the only ones there are.
    Signature,
    /// The step from what runs to the release is of an allowed size.
    VersionStep(VersionStep),
    /// The release is public for long enough.
    ReleaseAge(ReleaseAge),
}

/// Which steps are allowed. Never downward, never to another major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionStep {
    /// Sizes of steps: `Patch`, `Minor` or both.
    pub allow: BTreeSet<Bump>,
    /// What a step is answered with that leaves minors out.
    pub skipped_minors: SkippedMinors,
    /// Whether pre-releases may run.
    pub prerelease: bool,
}

/// The answer to a step that leaves minors out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkippedMinors {
    /// It may be made.
    Allow,
    /// A person must approve it.
    NeedsApproval,
    /// It must not be made.
    Deny,
}

/// How long a release must be public, counted from the latest verified time in the transparency log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseAge {
    /// For a step within a minor.
    pub patch: SignedDuration,
    /// For a step to another minor.
    pub minor: SignedDuration,
    /// For the first release of a minor, whatever the step.
    pub dot_zero: SignedDuration,
}

/// The JSON Schema of a policy's file.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(raw::File)
}

impl Policy {
    /// Reads a policy; `file_name` stands in errors alone.
    ///
    /// # Errors
    /// The first thing that is wrong, as [`Policy::read`] finds it.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, LoadError> {
        let document = Document::new(file_name, text);
        Self::read(&document).map_err(|findings| document.first(findings))
    }

    /// Reads a policy.
    ///
    /// # Errors
    /// If the text is no policy, or says something that this version does not implement: everything that is
    /// wrong, at least one thing.
    pub fn read(document: &Document<'_>) -> Result<Self, Vec<LoadError>> {
        let raw: raw::File = document.read().map_err(|error| vec![error])?;
        let name = document.name("metadata.name", &raw.metadata.name);
        let head = [
            document.exactly("apiVersion", &raw.api_version, API_VERSION),
            document.exactly("kind", &raw.kind, KIND),
            name.as_ref().map(|_| ()).map_err(Clone::clone),
        ];
        let mut findings: Vec<LoadError> = head.into_iter().filter_map(Result::err).collect();
        let rules = raw.spec.rules(document, &mut findings);
        match name {
            Ok(name) if findings.is_empty() => Ok(Self {
                id: PolicyId {
                    name,
                    digest: document.digest(),
                },
                rules,
            }),
            Ok(_) | Err(_) => Err(in_order(findings)),
        }
    }
}

impl raw::Spec {
    /// The rules that can stand; what is wrong about the others is added to `findings`.
    fn rules(self, document: &Document<'_>, findings: &mut Vec<LoadError>) -> Vec<Rule> {
        let refused = [
            document.refuse(
                "emergency",
                &self.emergency,
                "take it out: no rule is ever waived",
            ),
            document.refuse(
                "approvals",
                &self.approvals,
                "take it out; `skippedMinors: NeedsApproval` is the one approval there is",
            ),
        ];
        findings.extend(refused.into_iter().filter_map(Result::err));
        let mut lines = BTreeMap::new();
        let at = self.rules.referenced;
        let before = findings.len();
        let mut rules = Vec::with_capacity(self.rules.value.len());
        for rule in self.rules.value {
            match rule.check(document, &mut lines) {
                Ok(rule) => rules.push(rule),
                Err(error) => findings.push(error),
            }
        }
        // A rule that could not be read may have been the one.
        if findings.len() == before && !rules.iter().any(|rule| rule.kind == RuleKind::Signature) {
            findings.push(document.error(at, crate::load::Problem::NoSignatureRule));
        }
        rules
    }
}
