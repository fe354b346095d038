//! The table of releases, with what came of each.

use wire::common::v1::{CheckResult, Outcome};
use wire::policy::v1::{Decision, DecisionView};
use wire::release::v1::Release;
use wire::verification::v1::{RoleSummary, Verification};

use super::{Look, outcome_of, row, table};
use crate::table::Table;
use crate::words::{self, NOTHING, age, instant, or_nothing};

/// Releases, as they come; `verifications` are in the same order.
pub(crate) fn releases(
    items: &[Release],
    verifications: &[Option<Verification>],
    decisions: &[DecisionView],
    look: Look,
) -> Table {
    let headers = ["NAME", "DISCOVERED", "VERIFIED", "DECISION", "REASON"];
    let mut table = table(look, &headers, &["TAG MOVED", "SEEN", "TRACE"]);
    for (item, verification) in items.iter().zip(verifications) {
        let summary = verification
            .as_ref()
            .and_then(|verification| verification.summary.as_ref());
        let own = decisions.iter().filter_map(|view| view.decision.as_ref());
        let worst = own
            .filter(|decision| decision.release == item.release)
            // What is decided about clusters that run it already says the least.
            .max_by_key(|decision| (!is_moot(decision), decision.outcome));
        let cells = [
            item.name.clone(),
            age(item.discover_time, look.now),
            summary.map_or_else(
                || NOTHING.to_owned(),
                |summary| summary_result(summary).to_owned(),
            ),
            worst.map_or_else(|| NOTHING.to_owned(), |decision| outcome_of(decision, look.now)),
            reason(item, summary, worst),
        ];
        let moved = if item.tag_moved { "yes" } else { "no" };
        row(
            &mut table,
            look,
            cells,
            [
                moved.to_owned(),
                instant(item.discover_time),
                item.trace_id.clone(),
            ],
        );
    }
    table
}

/// Releases as they were seen, without what became of them.
pub(crate) fn releases_seen(items: &[Release], look: Look) -> Table {
    let mut table = Table::new(&["NAME", "DISCOVERED", "TAG MOVED"]);
    for item in items {
        let moved = if item.tag_moved { "yes" } else { "no" };
        table.row([
            item.name.clone(),
            age(item.discover_time, look.now),
            moved.to_owned(),
        ]);
    }
    table
}

/// The worst result of all checks. No check at all is no pass.
pub(crate) fn summary_result(summary: &RoleSummary) -> &'static str {
    let any = |result: CheckResult| summary.checks.iter().any(|line| line.result() == result);
    if any(CheckResult::Failed) {
        "FAILED"
    } else if summary.checks.is_empty() || any(CheckResult::NotChecked) || any(CheckResult::Unspecified) {
        "NOT_CHECKED"
    } else {
        "PASSED"
    }
}

/// Whether a decision says no more than that the release, or a newer one, runs already.
pub(crate) fn is_moot(decision: &Decision) -> bool {
    let mut against = decision
        .rules
        .iter()
        .filter(|rule| rule.outcome() == Outcome::Deny)
        .peekable();
    against.peek().is_some()
        && against.all(|rule| matches!(rule.reason.as_str(), "ALREADY_RUNNING" | "DOWNGRADE"))
}

/// The reason of the first rule that made the outcome; none for an ALLOW.
pub(crate) fn reason_of(decision: &Decision) -> String {
    if words::outcome(decision.outcome) == "ALLOW" {
        return NOTHING.to_owned();
    }
    let rule = decision
        .rules
        .iter()
        .find(|rule| rule.outcome == decision.outcome);
    rule.map_or_else(|| NOTHING.to_owned(), |rule| or_nothing(&rule.reason))
}

/// Why it is not simply allowed: a failed check first, then what the decision says.
fn reason(item: &Release, summary: Option<&RoleSummary>, worst: Option<&Decision>) -> String {
    let of = |result: CheckResult| {
        let line = summary.and_then(|summary| summary.checks.iter().find(|line| line.result() == result));
        line.map(|line| line.reason.clone())
            .filter(|reason| !reason.is_empty())
    };
    let moved = item.tag_moved.then(|| domain::Reason::TagMoved.code().to_owned());
    let decided = worst.map(reason_of).filter(|reason| reason != NOTHING);
    let found = of(CheckResult::Failed)
        .or(moved)
        .or_else(|| of(CheckResult::NotChecked))
        .or(decided);
    found.unwrap_or_else(|| NOTHING.to_owned())
}
