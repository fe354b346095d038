//! The protocol's table as data: under which name stands what, signed by whom, counted how.

use attest::Role;
use domain::{Artifact, CheckKind};

use super::{Area, Subject, names};

/// Who must have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// Nobody: a bare Statement.
    Hint,
    /// The offline root key.
    Root,
    /// A key of a role.
    Role(Role),
    /// The cluster's own agent.
    Agent,
}

/// What the number of a subject means, and when it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The number is 1.
    Once,
    /// The number counts only after a valid one before it.
    Series,
    /// As [`Order::Series`]; a statement whose maker had read less than the maker of the one before is void.
    Informed,
    /// An attempt: counts only after the summary of the attempt before.
    Attempt,
    /// The epoch of an assignment that stands on the log.
    Epoch,
    /// A version that the root key vouches for alone: the first bundle that reaches a log may have any.
    Version,
}

/// What a subject demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Who must have signed.
    pub author: Author,
    /// What the number means.
    pub order: Order,
    /// Kinds of claim, as in the predicate type `https://fluxgate.dev/<kind>/v1`; one of them.
    pub kinds: &'static [&'static str],
}

const fn rule_of(author: Author, order: Order, kinds: &'static [&'static str]) -> Option<Rule> {
    Some(Rule { author, order, kinds })
}

/// The rule of a subject; `None` where nothing may stand.
#[must_use]
pub fn rule(subject: &Subject) -> Option<Rule> {
    let found = match subject.area() {
        Area::Release => release(subject.step()),
        Area::Verification => verification(subject),
        Area::Scan => scan(subject.step()),
        Area::Policy => policy(subject.step()),
        Area::Cluster => cluster(subject.step()),
        Area::Rollout => rollout(subject.step()),
        Area::Trust => trust(subject),
    };
    found.filter(|rule| rule.order != Order::Once || subject.n() == 1)
}

fn release(step: &str) -> Option<Rule> {
    match step {
        "discovered" => rule_of(Author::Hint, Order::Once, &["release-discovered"]),
        _ => None,
    }
}

fn verification(subject: &Subject) -> Option<Rule> {
    const VERIFIER: Author = Author::Role(Role::Verifier);
    match subject.step() {
        // A baseline has neither evidence nor summary: its contents are opened by the contents before.
        "contents" if names::is_baseline(subject.workflow()) => {
            rule_of(VERIFIER, Order::Series, &["baseline-contents"])
        }
        "contents" => rule_of(VERIFIER, Order::Attempt, &["release-contents"]),
        "summary" => rule_of(VERIFIER, Order::Attempt, &["role-summary"]),
        check if is_check(check) => rule_of(VERIFIER, Order::Attempt, &["evidence"]),
        _ => None,
    }
}

fn scan(step: &str) -> Option<Rule> {
    const SCANNER: Author = Author::Role(Role::Scanner);
    match step {
        "summary" => rule_of(SCANNER, Order::Attempt, &["role-summary"]),
        "version" => rule_of(SCANNER, Order::Series, &["advisory-database"]),
        check if is_check(check) => rule_of(SCANNER, Order::Attempt, &["evidence"]),
        _ => None,
    }
}

fn policy(step: &str) -> Option<Rule> {
    const POLICY: Author = Author::Role(Role::Policy);
    match step {
        "decision" => rule_of(POLICY, Order::Informed, &["decision"]),
        "text" => rule_of(POLICY, Order::Series, &["policy-text"]),
        approval if approval.strip_prefix("approval-").is_some_and(is_digest) => {
            rule_of(POLICY, Order::Once, &["approval"])
        }
        _ => None,
    }
}

fn cluster(step: &str) -> Option<Rule> {
    const CONTROLLER: Author = Author::Role(Role::Controller);
    match step {
        "member" => rule_of(CONTROLLER, Order::Series, &["cluster-member"]),
        "facts" => rule_of(Author::Agent, Order::Series, &["cluster-facts"]),
        "health" => rule_of(Author::Agent, Order::Series, &["health"]),
        "assignment" => rule_of(CONTROLLER, Order::Informed, &["assignment"]),
        "accepted" | "refused" | "applied" | "result" => rule_of(Author::Agent, Order::Epoch, &["report"]),
        _ => None,
    }
}

fn rollout(step: &str) -> Option<Rule> {
    const CONTROLLER: Author = Author::Role(Role::Controller);
    match step {
        "started" => rule_of(CONTROLLER, Order::Once, &["rollout-started"]),
        "finished" => rule_of(CONTROLLER, Order::Once, &["rollout-finished"]),
        "retried" => rule_of(CONTROLLER, Order::Once, &["rollout-retried"]),
        "mode" => rule_of(CONTROLLER, Order::Series, &["mode"]),
        "stop" => rule_of(CONTROLLER, Order::Series, &["stop"]),
        opened if opened.starts_with("opened-") => rule_of(CONTROLLER, Order::Once, &["wave-opened"]),
        baked if baked.starts_with("baked-") => rule_of(CONTROLLER, Order::Once, &["wave-baked"]),
        _ => None,
    }
}

fn trust(subject: &Subject) -> Option<Rule> {
    match (subject.workflow(), subject.step()) {
        ("bundle", "bundle") => rule_of(Author::Root, Order::Version, &["trust-bundle"]),
        _ => None,
    }
}

/// `<artifact>-<check>`.
fn is_check(step: &str) -> bool {
    Artifact::all().any(|artifact| {
        let check = step
            .strip_prefix(artifact.name())
            .and_then(|rest| rest.strip_prefix('-'));
        check.is_some_and(|check| check.parse::<CheckKind>().is_ok())
    })
}

fn is_digest(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
