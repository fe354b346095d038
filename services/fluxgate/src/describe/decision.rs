//! A decision: outcome, every rule, inputs, validity.

use wire::common::v1::Outcome;
use wire::policy::v1::{Decision, DecisionView};

use super::{Look, Page};
use crate::lists::outcome_of;
use crate::table::Table;
use crate::words::{self, NOTHING, at, instant, instant_and_age, or_nothing};

/// The text.
pub(crate) fn decision(view: &DecisionView, look: Look) -> String {
    let mut page = Page::default();
    page.field("Name", &view.name);
    let Some(decision) = &view.decision else {
        return page.text();
    };
    page.field("Outcome", &outcome_of(decision, look.now));
    if decision.demo {
        page.field(
            "Trust",
            "DEMO: demo keys or a demo trust root stood behind the evidence",
        );
    }
    page.field("Release", &decision.release);
    page.field(
        "Policy",
        &format!(
            "{} {}",
            decision.policy,
            words::digest(decision.policy_digest.as_ref())
        ),
    );
    page.field("Baseline", &or_nothing(&decision.baseline));
    page.field("Decided", &instant_and_age(decision.decide_time, look.now));
    page.field(
        "Valid until",
        &instant_and_age(decision.valid_until_time, look.now),
    );
    if at(decision.wait_until_time).is_some() {
        page.field(
            "Waits until",
            &instant_and_age(decision.wait_until_time, look.now),
        );
    }
    page.field("Inputs", &words::digest(decision.inputs.as_ref()));
    page.field("Supersedes", &or_nothing(&decision.supersedes));
    page.field("Subject", &view.subject);
    page.field(
        "Sequence",
        &format!("{} (had read up to {})", view.sequence, decision.as_of),
    );
    page.field("Trace id", &view.trace_id);
    page.section("Rules");
    page.table(&rules(decision));
    page.reasons(reasons_of(decision), "Nothing to do.");
    page.text()
}

/// Every rule, in the policy's order.
pub(super) fn rules(decision: &Decision) -> Table {
    let mut table = Table::new(&["RULE", "OUTCOME", "REASON", "UNTIL", "DETAIL"]);
    for rule in &decision.rules {
        let until = at(rule.until_time).map_or_else(|| NOTHING.to_owned(), |_| instant(rule.until_time));
        table.row([
            rule.rule.clone(),
            words::outcome(rule.outcome),
            or_nothing(&rule.reason),
            until,
            or_nothing(&rule.detail),
        ]);
    }
    table
}

/// Codes of the rules that do not allow.
pub(super) fn reasons_of(decision: &Decision) -> impl Iterator<Item = &str> {
    let against = decision
        .rules
        .iter()
        .filter(|rule| rule.outcome() != Outcome::Allow);
    against.map(|rule| rule.reason.as_str())
}
