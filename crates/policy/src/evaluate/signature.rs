//! The signature rule: the manifests and every image of the release are signed by upstream's own workflow,
//! as signature-verifier says **and** as policy-engine found by itself, over the same digests.
//!
//! No single word is enough: the summary, the evidence and our own result must each be there exactly once
//! for each artifact and must agree. Objections are collected from all of them and sorted, so that neither
//! the order of evidence nor that of rules decides which reason is named.

use std::collections::BTreeSet;

use domain::{Artifact, CheckKind, CheckResult, Digest, Evidence, Outcome, Reason};

use super::{Finding, Inputs, artifacts};

/// How many objections are spelled out; the rest is counted.
const SPELLED_OUT: usize = 8;

/// Why a release does not pass, the most telling class first: it names the reason of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// Two of those who verified do not agree.
    Disagreement,
    /// Somebody found something wrong.
    Failure,
    /// Something was not checked, or is not there.
    Gap,
    /// Nobody says which images there are: mostly because the manifests themselves did not pass.
    Unknown,
}

/// One thing that speaks against the release. Ordered by class, then by artifact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Objection {
    class: Class,
    artifact: Option<Artifact>,
    reason: Reason,
    detail: String,
}

/// Who said something about an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Voice {
    Summary,
    Evidence,
    Own,
}

/// What one of them said.
struct Claim {
    voice: Voice,
    artifact: Artifact,
    digest: Digest,
    result: CheckResult,
    reason: Option<Reason>,
    detail: String,
}

pub(super) fn judge(inputs: &Inputs<'_>) -> Finding {
    let claims = claims(inputs);
    let wanted = artifacts(inputs);
    let mut objections: BTreeSet<Objection> = claims.iter().filter_map(not_passed).collect();
    objections.extend(other_release(inputs));
    objections.extend(unknown_contents(inputs));
    for (artifact, digest) in &wanted {
        objections.extend(gaps(*artifact, *digest, &claims));
        objections.extend(disagreement(*artifact, &claims));
    }
    match objections.first() {
        Some(first) => Finding::new(Outcome::Deny, first.reason, spell_out(&objections)),
        None => Finding::new(
            Outcome::Allow,
            Reason::SignatureVerified,
            format!(
                "{} of {0} artifacts are signed by upstream, verified twice",
                wanted.len()
            ),
        ),
    }
}

fn claims(inputs: &Inputs<'_>) -> Vec<Claim> {
    let lines = inputs.summary.into_iter().flat_map(|summary| &summary.checks);
    let lines = lines
        .filter(|line| line.check == CheckKind::Signature)
        .map(|line| Claim {
            voice: Voice::Summary,
            artifact: line.artifact,
            digest: line.digest,
            result: line.result,
            reason: line.reason,
            detail: String::new(),
        });
    let evidence = inputs
        .evidence
        .iter()
        .filter(|evidence| evidence.check == CheckKind::Signature);
    let evidence = evidence.map(|evidence| Claim {
        voice: Voice::Evidence,
        artifact: evidence.artifact,
        digest: evidence.digest,
        result: evidence.result,
        reason: evidence.reason,
        detail: identities(evidence),
    });
    let own = inputs.verified.iter().map(|own| Claim {
        voice: Voice::Own,
        artifact: own.artifact,
        digest: own.digest,
        result: own.result,
        reason: own.reason,
        detail: own.detail.clone(),
    });
    lines.chain(evidence).chain(own).collect()
}

/// An objection for each claim that is not PASSED, whatever artifact it is about: a failure beside the
/// wanted artifacts is no less a failure.
fn not_passed(claim: &Claim) -> Option<Objection> {
    let (class, default) = match claim.result {
        CheckResult::Passed => return None,
        CheckResult::Failed => (Class::Failure, Reason::SignatureInvalid),
        CheckResult::NotChecked => (Class::Gap, Reason::EvidenceMissing),
    };
    let reason = claim.reason.unwrap_or(default);
    let detail = format!("{}: {} by {}", claim.artifact, claim.result, claim.voice.name());
    let detail = if claim.detail.is_empty() {
        detail
    } else {
        format!("{detail}: {}", claim.detail)
    };
    Some(Objection {
        class,
        artifact: Some(claim.artifact),
        reason,
        detail,
    })
}

/// Statements about another release than the one that is decided.
fn other_release(inputs: &Inputs<'_>) -> Vec<Objection> {
    let contents = inputs.contents.map(|contents| ("contents", &contents.release));
    let summary = inputs.summary.map(|summary| ("summary", &summary.release));
    let evidence = inputs
        .evidence
        .iter()
        .map(|evidence| ("evidence", &evidence.release));
    contents
        .into_iter()
        .chain(summary)
        .chain(evidence)
        .filter(|(_, release)| *release != inputs.release)
        .map(|(what, release)| Objection {
            class: Class::Disagreement,
            artifact: None,
            reason: Reason::DigestsDisagree,
            detail: format!("{what} of {release}, expected {}", inputs.release),
        })
        .collect()
}

/// Nobody can say that every image is covered where nobody says which images there are.
fn unknown_contents(inputs: &Inputs<'_>) -> Option<Objection> {
    let detail = match inputs.contents {
        None => "what the release contains is not known",
        Some(contents) if contents.images.is_empty() => "the release contains no image",
        Some(_) => return None,
    };
    let reason = Reason::EvidenceMissing;
    Some(Objection {
        class: Class::Unknown,
        artifact: None,
        reason,
        detail: detail.to_owned(),
    })
}

/// What is missing for one artifact: each voice must speak once, over this digest.
fn gaps(artifact: Artifact, digest: Digest, claims: &[Claim]) -> Vec<Objection> {
    let check = |voice: Voice| {
        let said: Vec<&Claim> = claims
            .iter()
            .filter(|claim| claim.artifact == artifact && claim.voice == voice)
            .collect();
        let voice = voice.name();
        let objection = |class, reason, detail| Objection {
            class,
            artifact: Some(artifact),
            reason,
            detail,
        };
        match said.as_slice() {
            [] => Some(objection(
                Class::Gap,
                Reason::EvidenceMissing,
                format!("{artifact}: nothing is said by {voice} about {digest}"),
            )),
            [one] if one.digest == digest => None,
            [one] => Some(objection(
                Class::Disagreement,
                Reason::DigestsDisagree,
                format!("{artifact}: {voice} speaks of {}, expected {digest}", one.digest),
            )),
            more => Some(objection(
                Class::Disagreement,
                Reason::EvidenceDisagrees,
                format!("{artifact}: {voice} speaks {} times, expected once", more.len()),
            )),
        }
    };
    [Voice::Summary, Voice::Evidence, Voice::Own]
        .into_iter()
        .filter_map(check)
        .collect()
}

/// Results for one artifact that differ between those who speak about it.
fn disagreement(artifact: Artifact, claims: &[Claim]) -> Option<Objection> {
    let said: BTreeSet<(Voice, CheckResult)> = claims
        .iter()
        .filter(|claim| claim.artifact == artifact)
        .map(|claim| (claim.voice, claim.result))
        .collect();
    let results: BTreeSet<CheckResult> = said.iter().map(|(_, result)| *result).collect();
    let said: Vec<String> = said
        .iter()
        .map(|(voice, result)| format!("{result} by {}", voice.name()))
        .collect();
    (results.len() > 1).then(|| Objection {
        class: Class::Disagreement,
        artifact: Some(artifact),
        reason: Reason::EvidenceDisagrees,
        detail: format!("{artifact}: {}", said.join(", ")),
    })
}

/// What the evidence found, with the identity that was demanded and the one that was there.
fn identities(evidence: &Evidence) -> String {
    let (expected, found) = (&evidence.expected, evidence.found.as_ref());
    let sans = expected.subject_alternative_names.join(" or ");
    let found = found.map_or_else(
        || "no identity".to_owned(),
        |found| {
            format!(
                "{} (issuer {}, repository {}, ref {}, trigger {})",
                found.subject_alternative_name,
                found.issuer,
                found.source_repository,
                found.source_ref,
                found.trigger
            )
        },
    );
    format!(
        "{}; expected {sans} (issuer {}, repository {}, ref {}, trigger {}), found {found}",
        evidence.detail,
        expected.issuer,
        expected.claims.source_repository,
        expected.claims.source_ref,
        expected.claims.trigger
    )
}

fn spell_out(objections: &BTreeSet<Objection>) -> String {
    let shown: Vec<&str> = objections
        .iter()
        .take(SPELLED_OUT)
        .map(|o| o.detail.as_str())
        .collect();
    let more = objections.len().saturating_sub(SPELLED_OUT);
    let tail = if more > 0 {
        format!("\nand {more} more")
    } else {
        String::new()
    };
    format!("{}{tail}", shown.join("\n"))
}

impl Voice {
    const fn name(self) -> &'static str {
        match self {
            Self::Summary => "the verifier's summary",
            Self::Evidence => "the verifier's evidence",
            Self::Own => "policy-engine itself",
        }
    }
}
