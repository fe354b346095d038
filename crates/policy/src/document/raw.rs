//! The file as it is written, key by key, and its way into rules.

use std::collections::BTreeMap;

use domain::version::Bump;
use serde::Deserialize;

use super::{BUILT_IN, ReleaseAge, Rule, RuleKind, SkippedMinors, VersionStep};
use crate::load::{Document, LoadError, Problem, Refused, Spanned, present};

/// The kinds of rules there are.
const KINDS: [&str; 3] = ["signature", "versionStep", "releaseAge"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct File {
    pub(super) api_version: Spanned<String>,
    pub(super) kind: Spanned<String>,
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metadata {
    pub(super) name: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spec {
    pub(super) rules: Spanned<Vec<RawRule>>,
    #[serde(default, deserialize_with = "present")]
    pub(super) emergency: Refused,
    #[serde(default, deserialize_with = "present")]
    pub(super) approvals: Refused,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawRule {
    name: Spanned<String>,
    #[serde(default, deserialize_with = "present")]
    signature: Option<Signature>,
    #[serde(default, deserialize_with = "present")]
    version_step: Option<Step>,
    #[serde(default, deserialize_with = "present")]
    release_age: Option<Age>,
    #[serde(default, deserialize_with = "present")]
    provenance: Refused,
    #[serde(default, deserialize_with = "present")]
    accept_missing: Refused,
    #[serde(default, deserialize_with = "present")]
    vulnerabilities: Refused,
    #[serde(default, deserialize_with = "present")]
    posture: Refused,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    // Read so that another word is refused; there is only one of each.
    #[serde(rename = "profile")]
    _profile: Profile,
    #[serde(rename = "artifacts")]
    _artifacts: Artifacts,
}

#[derive(Debug, Deserialize)]
enum Profile {
    #[serde(rename = "flux")]
    Flux,
}

#[derive(Debug, Deserialize)]
enum Artifacts {
    All,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Step {
    allow: Vec<Size>,
    #[serde(default, deserialize_with = "present")]
    skipped_minors: Option<Skipped>,
    #[serde(default)]
    prerelease: bool,
    #[serde(default, deserialize_with = "present")]
    downgrade: Option<Spanned<bool>>,
}

#[derive(Debug, Deserialize)]
enum Size {
    Patch,
    Minor,
}

#[derive(Debug, Deserialize)]
enum Skipped {
    NeedsApproval,
    Deny,
    Allow,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Age {
    patch: Spanned<String>,
    minor: Spanned<String>,
    dot_zero: Spanned<String>,
}

impl RawRule {
    /// The rule, if it is of exactly one kind; `lines` has the names seen so far.
    pub(super) fn check(
        self,
        document: &Document<'_>,
        lines: &mut BTreeMap<String, u64>,
    ) -> Result<Rule, LoadError> {
        self.refuse_what_is_not_implemented(document)?;
        let name = document.name("name", &self.name)?;
        if BUILT_IN.contains(&name.as_str()) {
            return Err(document.wrong("name", &self.name, "a name that is not one of the built-in rules"));
        }
        let at = self.name.referenced;
        if let Some(first) = lines.insert(name.clone(), at.line()) {
            let problem = Problem::Doubled {
                what: "rule",
                name,
                first,
            };
            return Err(document.error(at, problem));
        }
        let kind = match (self.signature, self.version_step, self.release_age) {
            (Some(_), None, None) => RuleKind::Signature,
            (None, Some(step), None) => RuleKind::VersionStep(step.check(document)?),
            (None, None, Some(age)) => RuleKind::ReleaseAge(age.check(document)?),
            (signature, step, age) => {
                let found = [signature.is_some(), step.is_some(), age.is_some()]
                    .into_iter()
                    .filter(|is| *is)
                    .count();
                let problem = Problem::RuleKinds {
                    rule: name,
                    found,
                    expected: KINDS.to_vec(),
                };
                return Err(document.error(at, problem));
            }
        };
        Ok(Rule { name, kind })
    }

    fn refuse_what_is_not_implemented(&self, document: &Document<'_>) -> Result<(), LoadError> {
        document.refuse(
            "provenance",
            &self.provenance,
            "take the rule out: signatures alone are checked",
        )?;
        document.refuse(
            "acceptMissing",
            &self.accept_missing,
            "take it out: no missing check is accepted",
        )?;
        document.refuse(
            "vulnerabilities",
            &self.vulnerabilities,
            "take the rule out: nothing is scanned",
        )?;
        document.refuse(
            "posture",
            &self.posture,
            "take the rule out: no flag is ever changed",
        )
    }
}

impl Step {
    fn check(self, document: &Document<'_>) -> Result<VersionStep, LoadError> {
        if let Some(downgrade) = self.downgrade.filter(|downgrade| downgrade.value) {
            let problem = Problem::WrongValue {
                key: "downgrade",
                found: "true".to_owned(),
                expected: "false: fluxgate never goes back by itself",
            };
            return Err(document.error(downgrade.referenced, problem));
        }
        let size = |size| match size {
            Size::Patch => Bump::Patch,
            Size::Minor => Bump::Minor,
        };
        Ok(VersionStep {
            allow: self.allow.into_iter().map(size).collect(),
            skipped_minors: match self.skipped_minors {
                Some(Skipped::Allow) => SkippedMinors::Allow,
                Some(Skipped::Deny) => SkippedMinors::Deny,
                Some(Skipped::NeedsApproval) | None => SkippedMinors::NeedsApproval,
            },
            prerelease: self.prerelease,
        })
    }
}

impl Age {
    fn check(&self, document: &Document<'_>) -> Result<ReleaseAge, LoadError> {
        Ok(ReleaseAge {
            patch: document.duration("patch", &self.patch)?,
            minor: document.duration("minor", &self.minor)?,
            dot_zero: document.duration("dotZero", &self.dot_zero)?,
        })
    }
}
