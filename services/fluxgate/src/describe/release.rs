//! A release: digests, each check, who should have signed and who did, decisions with every rule.

use wire::common::v1::CheckResult;
use wire::policy::v1::DecisionView;
use wire::release::v1::Release;
use wire::rollout::v1::{Stop, StopSet};
use wire::verification::v1::{Evidence, IdentityProfile, SignerIdentity, Verification};

use super::decision::{reasons_of, rules};
use super::{Look, Page};
use crate::lists::{outcome_of, summary_result};
use crate::names;
use crate::table::{Table, clean, paint};
use crate::words::{self, NOTHING, instant_and_age, or_nothing};

/// What there is to tell about a release.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Story {
    /// The release.
    pub(crate) release: Release,
    /// Its newest verification; none if the verifier has not heard of it.
    pub(crate) verification: Option<Verification>,
    /// Its newest decisions.
    pub(crate) decisions: Vec<DecisionView>,
    /// The recall of its version, if one is in force.
    pub(crate) recall: Option<Stop>,
    /// Why it is not known whether one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recall_unknown: Option<String>,
}

/// The text.
pub(crate) fn release(story: &Story, look: Look) -> String {
    let mut page = Page::default();
    let release = &story.release;
    page.field("Name", &release.name);
    page.field("Release", &release.release);
    page.field("Discovered", &instant_and_age(release.discover_time, look.now));
    page.field("Trace id", &release.trace_id);
    if release.tag_moved {
        page.field(
            "Tag moved",
            "yes: another digest was seen for this version before",
        );
    }
    if let Some(why) = &story.recall_unknown {
        page.field("Recalled", &format!("not known: {why}"));
    }
    if let Some(set) = recall(story) {
        let (reason, by, lift) = (&set.reason, &set.principal, names::lift(&set.scope));
        page.field(
            "Recalled",
            &format!("{reason}, by {by}; no rollout to it begins (lift it with `{lift}`)"),
        );
    }
    verification(&mut page, story.verification.as_ref(), look);
    for evidence in failures(story) {
        failure(&mut page, evidence);
    }
    decisions(&mut page, &story.decisions, look);
    page.reasons(codes(story), otherwise(story));
    page.text()
}

fn recall(story: &Story) -> Option<&StopSet> {
    story.recall.as_ref().and_then(|stop| stop.set.as_ref())
}

fn verification(page: &mut Page, verification: Option<&Verification>, look: Look) {
    let summary = verification.and_then(|verification| verification.summary.as_ref());
    let Some((verification, summary)) = verification.zip(summary) else {
        match verification.filter(|verification| !verification.wait_detail.is_empty()) {
            Some(waiting) => {
                let until = instant_and_age(waiting.grace_end_time, look.now);
                page.field("Verified", "- (not complete yet)");
                page.field("Waits for", &waiting.wait_detail);
                if waiting.grace_end_time.is_some() {
                    page.field("At most until", &format!("{until}; then it counts as missing"));
                }
            }
            None => page.field("Verified", "- (the verifier is at work, or has not begun)"),
        }
        return;
    };
    page.field("Verified", summary_result(summary));
    page.field(
        "Verified at",
        &instant_and_age(verification.verify_time, look.now),
    );
    page.field("Attempt", &summary.attempt.to_string());
    page.field("Contents", &words::digest(summary.contents.as_ref()));
    page.section("Checks");
    let mut table = Table::new(&["ARTIFACT", "CHECK", "RESULT", "REASON", "DIGEST"]);
    for line in &summary.checks {
        let digest = words::digest(line.digest.as_ref());
        table.row([
            line.artifact.clone(),
            line.check.clone(),
            words::result(line.result),
            or_nothing(&line.reason),
            digest,
        ]);
    }
    page.table(&table);
}

/// What to do where no reason code says it.
fn otherwise(story: &Story) -> &'static str {
    let summary = story
        .verification
        .as_ref()
        .and_then(|verification| verification.summary.as_ref());
    if summary.is_none() || story.decisions.is_empty() {
        "Wait: this goes on by itself. `fluxgate check` shows whether the services are well."
    } else {
        "Nothing to do."
    }
}

/// Evidence of what did not pass.
fn failures(story: &Story) -> impl Iterator<Item = &Evidence> {
    let all = story
        .verification
        .iter()
        .flat_map(|verification| &verification.evidence);
    all.filter(|evidence| evidence.result() != CheckResult::Passed)
}

fn failure(page: &mut Page, evidence: &Evidence) {
    let result = words::result(evidence.result);
    page.section(&format!(
        "{} {}: {} {}",
        clean(&evidence.artifact),
        clean(&evidence.check),
        paint(&result),
        clean(&evidence.reason)
    ));
    page.line(&format!(
        "{}@{}",
        clean(&evidence.image),
        words::digest(evidence.digest.as_ref())
    ));
    if !evidence.detail.is_empty() {
        page.line(&clean(&evidence.detail));
    }
    if evidence.expected.is_some() || evidence.found.is_some() {
        page.table(&identities(evidence.expected.as_ref(), evidence.found.as_ref()));
    }
}

/// Who should have signed and who did, side by side. A mark stands where they differ.
fn identities(expected: Option<&IdentityProfile>, found: Option<&SignerIdentity>) -> Table {
    let mut table = Table::new(&["", "FIELD", "EXPECTED", "FOUND"]);
    let expected = expected.cloned().unwrap_or_default();
    let found = found.cloned().unwrap_or_default();
    let names = &expected.subject_alternative_names;
    let name = &found.subject_alternative_name;
    let mark = |same: bool| if same { "" } else { "≠" }.to_owned();
    table.row([
        mark(names.contains(name)),
        "SAN".to_owned(),
        or_nothing(&names.join(" or ")),
        or_nothing(name),
    ]);
    let fields = [
        ("issuer", &expected.issuer, &found.issuer),
        (
            "source repository",
            &expected.source_repository,
            &found.source_repository,
        ),
        ("ref", &expected.source_ref, &found.source_ref),
        ("trigger", &expected.trigger, &found.trigger),
    ];
    for (field, expected, found) in fields {
        // A claim that is not expected is not compared.
        let same = expected.is_empty() || expected == found;
        table.row([
            mark(same),
            field.to_owned(),
            or_nothing(expected),
            or_nothing(found),
        ]);
    }
    table
}

fn decisions(page: &mut Page, views: &[DecisionView], look: Look) {
    if views.is_empty() {
        page.section("Decisions");
        page.line(
            "- (no policy has decided yet: there is no cluster with facts, or the verifier is at work)",
        );
    }
    for view in views {
        let Some(decision) = &view.decision else { continue };
        let demo = if decision.demo { ", DEMO" } else { "" };
        page.section(&format!(
            "{}: {} by policy {} for baseline {}{demo}",
            clean(&view.name),
            paint(&outcome_of(decision, look.now)),
            clean(&decision.policy),
            clean(&decision.baseline),
        ));
        page.table(&rules(decision));
    }
}

/// Reason codes of everything that is not as it must be.
fn codes(story: &Story) -> Vec<&str> {
    let mut codes: Vec<&str> = failures(story).map(|evidence| evidence.reason.as_str()).collect();
    let summary = story
        .verification
        .iter()
        .filter_map(|verification| verification.summary.as_ref());
    let lines = summary.flat_map(|summary| &summary.checks);
    codes.extend(
        lines
            .filter(|l| l.result() != CheckResult::Passed)
            .map(|line| line.reason.as_str()),
    );
    for decision in story.decisions.iter().filter_map(|view| view.decision.as_ref()) {
        codes.extend(reasons_of(decision));
    }
    if story.release.tag_moved {
        codes.push(domain::Reason::TagMoved.code());
    }
    if recall(story).is_some() {
        codes.push(domain::Reason::Stopped.code());
    }
    codes.retain(|code| *code != NOTHING);
    codes
}
