//! A cluster: membership, facts, assignment, what its agent said, health, waits.

use wire::fleet::v1::{Action, Cluster, Gate, HealthReport, ReportKind};
use wire::verification::v1::BaselineStatus;

use super::{Look, Page};
use crate::lists;
use crate::names::{self, without_digest};
use crate::table::{Table, clean};
use crate::words::{self, at, instant, instant_and_age, or_nothing};

/// What the verifier knows about what the cluster runs, or why it could not be asked.
pub(crate) type Asked = Result<BaselineStatus, String>;

/// The text. The verifier is asked where what runs is not known.
pub(crate) fn cluster(cluster: &Cluster, asked: Option<&Asked>, look: Look) -> String {
    let mut page = Page::default();
    page.field("Name", &cluster.name);
    page.field("Version", &or_nothing(&cluster.version));
    page.field("Health", &lists::health(cluster, look));
    page.field("State", &lists::state(cluster));
    page.field("Wave", &or_nothing(&cluster.wave));
    page.field("Mode", &words::mode(cluster.mode));
    page.field("Baseline", &or_nothing(&cluster.baseline));
    let obstacle = asked.and_then(|asked| obstacle(&mut page, asked, look));
    stops(&mut page, cluster);
    member(&mut page, cluster);
    heartbeat(&mut page, cluster, look);
    facts(&mut page, cluster, look);
    assignment(&mut page, cluster, look);
    page.section("Health");
    match &cluster.health {
        Some(health) => {
            symptoms(&mut page, health, look);
            if lists::health(cluster, look) == "UNKNOWN" {
                page.line("The agent has been silent since: how the cluster is now is UNKNOWN.");
            }
        }
        None => page.line("- (never judged)"),
    }
    waits(&mut page, cluster, look);
    page.reasons(obstacle.into_iter().chain(codes(cluster)), "Nothing to do.");
    page.text()
}

/// Why what runs is not mapped to verified images; gives the reason code.
fn obstacle<'a>(page: &mut Page, asked: &'a Asked, look: Look) -> Option<&'a str> {
    let status = match asked {
        Ok(status) => status,
        Err(why) => {
            page.field("Not verified", &format!("why is not known: {why}"));
            return None;
        }
    };
    if status.reason.is_empty() {
        return None;
    }
    let looked = instant_and_age(status.check_time, look.now);
    page.field("Not verified", &format!("{}: {}", status.reason, status.detail));
    page.field("Looked at", &looked);
    Some(&status.reason)
}

/// The hub tells a stop in words: `freeze wave/canary: an incident`.
fn stops(page: &mut Page, cluster: &Cluster) {
    for stop in &cluster.stops {
        let told = stop.split_once(": ").and_then(|(what, reason)| {
            let (_, scope) = what.split_once(' ')?;
            scope.parse::<domain::StopScope>().ok()?;
            Some((scope, reason))
        });
        let text = match told {
            Some((scope, reason)) => {
                let (typed, lift) = (names::scope(scope), names::lift(scope));
                format!("{typed}: {reason} (lift it with `{lift}`)")
            }
            None => stop.clone(),
        };
        page.field("Stopped by", &text);
    }
}

fn member(page: &mut Page, cluster: &Cluster) {
    let Some(member) = &cluster.member else { return };
    let labels: Vec<String> = member
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    page.field("Labels", &or_nothing(&labels.join(", ")));
    page.field("Max mode", &words::mode(member.max_mode));
    page.field("Agent key", &member.agent_key);
    page.field("Pulls from", &or_nothing(&member.image_registry));
    if member.removed {
        page.field("Removed", "yes: no longer in the fleet's file");
    }
}

fn heartbeat(page: &mut Page, cluster: &Cluster, look: Look) {
    match &cluster.heartbeat {
        Some(heartbeat) => {
            let sent = instant_and_age(heartbeat.send_time, look.now);
            let observations = heartbeat.observations;
            page.field(
                "Heartbeat",
                &format!("{sent}, {observations} observations since the task"),
            );
            if !heartbeat.alarm_reason.is_empty() {
                let (reason, detail) = (&heartbeat.alarm_reason, &heartbeat.alarm_detail);
                let what = words::alarm("an assignment does not count", reason, detail);
                page.field("Alarm", &format!("{reason}: {what}"));
            }
        }
        None => page.field("Heartbeat", "- (the agent has never been heard)"),
    }
}

fn facts(page: &mut Page, cluster: &Cluster, look: Look) {
    page.section("Facts");
    let Some(facts) = &cluster.facts else {
        page.line("- (the agent has sent none)");
        return;
    };
    page.line(&format!("seen {}", instant_and_age(facts.observe_time, look.now)));
    let (kubernetes, installer) = (or_nothing(&facts.kubernetes), or_nothing(&facts.installer));
    page.line(&crate::table::clean(&format!(
        "Kubernetes {kubernetes}, installed by {installer}"
    )));
    let mut table = Table::new(&["COMPONENT", "IMAGE", "RUNNING DIGESTS"]);
    for component in &facts.components {
        let ids: Vec<String> = component
            .image_ids
            .iter()
            .map(|id| words::digest(Some(id)))
            .collect();
        table.row([
            component.component.clone(),
            component.image.clone(),
            or_nothing(&ids.join(", ")),
        ]);
    }
    page.table(&table);
    let mut table = Table::new(&["CRD", "VERSIONS", "STORAGE", "STORED"]);
    for crd in &facts.crds {
        table.row([
            crd.name.clone(),
            or_nothing(&crd.versions.join(", ")),
            or_nothing(&crd.storage),
            or_nothing(&crd.stored.join(", ")),
        ]);
    }
    page.table(&table);
}

fn assignment(page: &mut Page, cluster: &Cluster, look: Look) {
    page.section("Assignment");
    let Some(assignment) = &cluster.assignment else {
        page.line("- (there was none)");
        return;
    };
    let action = match assignment.action() {
        Action::Upgrade => format!("UPGRADE to {}", without_digest(&assignment.target)),
        Action::Stop => "STOP: begin nothing".to_owned(),
        Action::Unspecified => "UNSPECIFIED".to_owned(),
    };
    let text = format!(
        "epoch {}: {action}, mode {}",
        assignment.epoch,
        words::mode(assignment.mode)
    );
    page.line(&crate::table::clean(&text));
    page.line(&format!(
        "rollout {}",
        crate::table::clean(&or_nothing(&assignment.rollout))
    ));
    let (from, until) = (
        instant(assignment.issue_time),
        instant_and_age(assignment.expire_time, look.now),
    );
    page.line(&format!("from {from} until {until}"));
    let mut table = Table::new(&["TIME", "EPOCH", "REPORT", "REASON", "HEALTH", "DETAIL"]);
    for report in &cluster.reports {
        let kind = match report.kind() {
            ReportKind::Unspecified => "UNSPECIFIED",
            ReportKind::Accepted => "ACCEPTED",
            ReportKind::Refused => "REFUSED",
            ReportKind::Applied => "APPLIED",
            ReportKind::WouldUpgrade => "WOULD_UPGRADE",
            ReportKind::Finished => "FINISHED",
        };
        let health = if report.kind() == ReportKind::Finished {
            words::health(report.health)
        } else {
            String::new()
        };
        table.row([
            instant(report.send_time),
            report.epoch.to_string(),
            kind.to_owned(),
            or_nothing(&report.reason),
            or_nothing(&health),
            or_nothing(&report.detail),
        ]);
    }
    page.table(&table);
}

fn symptoms(page: &mut Page, health: &HealthReport, look: Look) {
    let (word, seen) = (
        words::health(health.health),
        instant_and_age(health.observe_time, look.now),
    );
    page.line(&format!(
        "{} for epoch {}, judged {seen}",
        crate::table::paint(&word),
        health.epoch
    ));
    if health.symptoms.is_empty() {
        return;
    }
    let mut table = Table::new(&["SYMPTOM", "OBJECT", "DETAIL"]);
    for symptom in &health.symptoms {
        table.row([
            symptom.reason.clone(),
            or_nothing(&symptom.object),
            or_nothing(&symptom.detail),
        ]);
    }
    page.table(&table);
}

fn waits(page: &mut Page, cluster: &Cluster, look: Look) {
    page.section("Waits");
    let mut table = Table::new(&["REASON", "UNTIL", "DETAIL"]);
    for wait in &cluster.waits {
        table.row([
            wait.reason.clone(),
            instant(wait.until_time),
            or_nothing(&wait.detail),
        ]);
    }
    page.table(&table);
    if !cluster.gates.is_empty() {
        gates(page, &cluster.gates, look);
    }
}

/// Every condition for the upgrade: what is fine, what is waited for, and when that can end at the earliest.
fn gates(page: &mut Page, gates: &[Gate], look: Look) {
    page.section("Conditions for an upgrade");
    let mut table = Table::new(&["CONDITION", "STATE", "REASON", "EARLIEST", "DETAIL"]);
    for gate in gates {
        table.row([
            gate.gate.clone(),
            if gate.open { "OPEN" } else { "CLOSED" }.to_owned(),
            or_nothing(&gate.reason),
            instant(gate.until_time),
            or_nothing(&gate.detail),
        ]);
    }
    page.table(&table);
    let names = |open: bool| {
        let of = gates.iter().filter(|gate| gate.open == open);
        let names: Vec<&str> = of.map(|gate| gate.gate.as_str()).collect();
        clean(&or_nothing(&names.join(", ")))
    };
    page.line(&format!("It waits for: {}", names(false)));
    page.line(&format!("Fine:         {}", names(true)));
    page.line(&format!("Earliest:     {}", earliest(gates, look)));
}

/// When all conditions can hold at the earliest: the last of the known times, with those that have none.
fn earliest(gates: &[Gate], look: Look) -> String {
    let closed: Vec<&Gate> = gates.iter().filter(|gate| !gate.open).collect();
    let last = closed.iter().max_by_key(|gate| at(gate.until_time));
    let Some(last) = last else {
        return "nothing is waited for".to_owned();
    };
    let without: Vec<&str> = closed
        .iter()
        .filter(|gate| at(gate.until_time).is_none())
        .map(|gate| gate.gate.as_str())
        .collect();
    let time = match at(last.until_time) {
        Some(_) => instant_and_age(last.until_time, look.now),
        None => return format!("unknown: no time is set for {}", clean(&without.join(", "))),
    };
    if without.is_empty() {
        time
    } else {
        format!("{time}, and no time is set for {}", clean(&without.join(", ")))
    }
}

/// Reason codes of refusals, symptoms and waits. An agent that says that it saw a stop names nothing to mend: a stop
/// that is in force stands among the conditions.
fn codes(cluster: &Cluster) -> impl Iterator<Item = &str> {
    let refusals = cluster
        .reports
        .iter()
        .filter(|report| !lists::acknowledges(report));
    let reports = refusals.map(|report| report.reason.as_str());
    let symptoms = cluster.health.iter().flat_map(|health| &health.symptoms);
    let gates = cluster.gates.iter().map(|gate| gate.reason.as_str());
    let waits = cluster.waits.iter().map(|wait| wait.reason.as_str()).chain(gates);
    let alarm = cluster
        .heartbeat
        .iter()
        .map(|heartbeat| heartbeat.alarm_reason.as_str());
    alarm
        .chain(reports)
        .chain(symptoms.map(|symptom| symptom.reason.as_str()))
        .chain(waits)
}
