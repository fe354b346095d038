//! The file as it is written, key by key, and its way into rules.

use std::collections::BTreeMap;

use domain::version::Bump;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{API_VERSION, BUILT_IN, KIND, ReleaseAge, Rule, RuleKind, SkippedMinors, VersionStep};
use crate::load::{Document, LoadError, Problem, Refused, Spanned, present, schema};

/// The kinds of rules there are.
const KINDS: [&str; 3] = ["signature", "versionStep", "releaseAge"];

/// Whether a release may run: the rules that it must pass.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct File {
    /// The format and its version.
    #[schemars(with = "String", extend("const" = API_VERSION))]
    pub(super) api_version: Spanned<String>,
    /// The kind of file.
    #[schemars(with = "String", extend("const" = KIND))]
    pub(super) kind: Spanned<String>,
    /// What the policy is called.
    pub(super) metadata: Metadata,
    /// What it demands.
    pub(super) spec: Spec,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Metadata {
    /// Waves and agents name the policy by it.
    #[schemars(with = "schema::Name")]
    pub(super) name: Spanned<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Spec {
    /// All of them are asked; the worst answer is the policy's. One of them is a signature rule.
    #[schemars(with = "Vec<RawRule>", extend("contains" = json!({"required": ["signature"]})))]
    pub(super) rules: Spanned<Vec<RawRule>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(skip)]
    pub(super) emergency: Refused,
    #[serde(default, deserialize_with = "present")]
    #[schemars(skip)]
    pub(super) approvals: Refused,
}

/// A rule under its name; it is of exactly one kind.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "Rule", extend("oneOf" = json!([{"required": ["signature"]}, {"required": ["versionStep"]}, {"required": ["releaseAge"]}])))]
pub(super) struct RawRule {
    /// Unique in the policy; decisions name the rule by it. Not `ledger` and not `tag`, which are built in.
    #[schemars(with = "schema::Name", extend("not" = json!({"enum": BUILT_IN})))]
    name: Spanned<String>,
    /// Every artifact of the release is signed by upstream's own workflow.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Signature")]
    signature: Option<Signature>,
    /// The step from what runs to the release is of an allowed size.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Step")]
    version_step: Option<Step>,
    /// The release is public for long enough, counted from the latest verified time in the transparency log.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Age")]
    release_age: Option<Age>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(skip)]
    provenance: Refused,
    #[serde(default, deserialize_with = "present")]
    #[schemars(skip)]
    accept_missing: Refused,
    #[serde(default, deserialize_with = "present")]
    #[schemars(skip)]
    vulnerabilities: Refused,
    #[serde(default, deserialize_with = "present")]
    #[schemars(skip)]
    posture: Refused,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Signature {
    // Read so that another word is refused; there is only one of each.
    /// Who must have signed: the exact identities of Flux, which are built in.
    #[serde(rename = "profile")]
    _profile: Profile,
    /// What must be signed: the manifests and every image.
    #[serde(rename = "artifacts")]
    _artifacts: Artifacts,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Profile {
    #[serde(rename = "flux")]
    Flux,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Artifacts {
    All,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Step {
    /// Sizes of steps that may be made; another major never is.
    allow: Vec<Size>,
    /// The answer to a step that leaves minors out; NeedsApproval where nothing is said.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Skipped")]
    skipped_minors: Option<Skipped>,
    /// Whether pre-releases may run.
    #[serde(default)]
    prerelease: bool,
    /// Always false: fluxgate never goes back by itself.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "bool", extend("const" = false))]
    downgrade: Option<Spanned<bool>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Size {
    Patch,
    Minor,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Skipped {
    NeedsApproval,
    Deny,
    Allow,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Age {
    /// For a step within a minor.
    #[schemars(with = "schema::Duration")]
    patch: Spanned<String>,
    /// For a step to another minor.
    #[schemars(with = "schema::Duration")]
    minor: Spanned<String>,
    /// For the first release of a minor, whatever the step.
    #[schemars(with = "schema::Duration")]
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
