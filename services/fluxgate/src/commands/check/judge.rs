//! What counts as well. Pure.

use domain::Reason;
use jiff::{SignedDuration, Timestamp};
use wire::audit::v1::LedgerStatus;
use wire::common::v1::Health;
use wire::fleet::v1::Cluster;
use wire::release::v1::ReleaseSource;

use super::{Line, Outcome};
use crate::words::{self, PATIENCE, at, span};

/// audit-log compares its ledger with the stream every ten seconds; older than this is a sign.
const COMPARED_WITHIN: SignedDuration = SignedDuration::from_secs(45);
/// Agents beat every 30 seconds where nobody said otherwise; older than this is a sign, and [`PATIENCE`] is silence.
const BEAT_WITHIN: SignedDuration = SignedDuration::from_mins(2);

/// The source of releases: the last look at it went well.
pub(super) fn releases(source: &ReleaseSource, now: Timestamp) -> Line {
    let repository = &source.repository;
    let Some(looked) = at(source.look_time) else {
        let message = format!("{repository} was not looked at yet since release-watcher started");
        return Line::not_checked("releases", message);
    };
    if source.reason.is_empty() {
        let age = span(now.duration_since(looked));
        return Line::passed("releases", format!("{repository}, last looked at {age} ago"));
    }
    let reason = source.reason.parse().unwrap_or(Reason::HubUnavailable);
    let before = at(source.success_time).map_or_else(
        || "no look has gone well since release-watcher started".to_owned(),
        |well| {
            format!(
                "the last look that went well was {} ago",
                span(now.duration_since(well))
            )
        },
    );
    let what = if reason == Reason::RegistryUnreachable {
        "the registry could not be read"
    } else {
        "what was found could not be handled"
    };
    let message = format!("{what} at {looked:.0}: {}; {before}", source.problem);
    Line {
        outage: true,
        ..Line::failed("releases", reason, message)
    }
}

/// The ledger: sound, and said so a short time ago.
pub(super) fn ledger(status: &LedgerStatus, now: Timestamp) -> Line {
    let bad = |message: String| Line::failed("ledger", Reason::LedgerUnconfirmed, message);
    let Some(reported) = at(status.report_time) else {
        return bad("has never reported".to_owned());
    };
    let age = now.duration_since(reported);
    if age < -PATIENCE {
        let message = format!("its clock is {} ahead of this one", span(-age));
        return Line::failed("ledger", Reason::ClockSkew, message);
    }
    if !status.sound {
        let problem = if status.problem.is_empty() {
            "not sound"
        } else {
            &status.problem
        };
        return bad(problem.to_owned());
    }
    if age > PATIENCE {
        return bad(format!(
            "it was last compared with the event log {} ago",
            span(age)
        ));
    }
    let (confirmed, leaves) = (status.confirmed, status.tree_size);
    let text = format!(
        "sound, confirmed up to event {confirmed} ({leaves} leaves), compared with the event log {} ago",
        span(age)
    );
    if age > COMPARED_WITHIN {
        return Line::not_checked("ledger", format!("{text}, which is done every 10s; ask again"));
    }
    Line::passed("ledger", text)
}

/// What is said of the ledger while nobody can read the event log: what was right a moment ago is not known to be.
pub(super) fn without_bus(line: Line) -> Line {
    if line.result == Outcome::Passed {
        Line::not_checked(
            line.name,
            format!("before the event log fell silent: {}", line.message),
        )
    } else {
        line
    }
}

/// A cluster: its agent is heard, its clock is right, it is not known to be unwell.
pub(super) fn cluster(cluster: &Cluster, now: Timestamp) -> Vec<Line> {
    let mut lines = vec![agent(cluster, now)];
    lines.extend(alarm(cluster));
    lines.extend(unwell(cluster));
    lines
}

/// A cluster that is not known to be well.
fn unwell(cluster: &Cluster) -> Option<Line> {
    let report = cluster.health.as_ref()?;
    let name = cluster.name.as_str();
    let reasons: Vec<&str> = report
        .symptoms
        .iter()
        .map(|symptom| symptom.reason.as_str())
        .collect();
    let reasons = if reasons.is_empty() {
        "no symptom named".to_owned()
    } else {
        reasons.join(", ")
    };
    let health = words::health(report.health);
    let message = format!("is {health} ({reasons}); see `fluxgate describe {name}`");
    match report.health() {
        Health::Healthy => None,
        Health::Unhealthy => Some(Line::failed(name, Reason::ClusterUnhealthy, message)),
        Health::Inconclusive | Health::Unspecified => Some(Line::not_checked(name, message)),
    }
}

/// An assignment that does not count: perhaps somebody wrote to the bus who should not be able to. Or what keeps the agent
/// from beginning.
fn alarm(cluster: &Cluster) -> Option<Line> {
    let heartbeat = cluster
        .heartbeat
        .as_ref()
        .filter(|heartbeat| !heartbeat.alarm_reason.is_empty())?;
    let reason = heartbeat.alarm_reason.parse().unwrap_or(Reason::StatementInvalid);
    let forged = "its agent was given an assignment that does not count";
    let message = words::alarm(forged, &heartbeat.alarm_reason, &heartbeat.alarm_detail);
    Some(Line::failed(cluster.name.as_str(), reason, message))
}

fn agent(cluster: &Cluster, now: Timestamp) -> Line {
    let name = cluster.name.as_str();
    let sent = cluster
        .heartbeat
        .as_ref()
        .and_then(|heartbeat| at(heartbeat.send_time));
    let Some(sent) = sent else {
        return Line::failed(name, Reason::WaitingForAgent, "its agent has never been heard");
    };
    let age = now.duration_since(sent);
    if age > PATIENCE {
        return Line::failed(
            name,
            Reason::WaitingForAgent,
            format!("its agent was last heard {} ago", span(age)),
        );
    }
    if age < -PATIENCE {
        let message = format!("its clock is {} ahead of this one", span(-age));
        return Line::failed(name, Reason::ClockSkew, message);
    }
    if age > BEAT_WITHIN {
        let message = format!(
            "heartbeat {} ago; agents beat every 30s where nobody said otherwise, and count as silent after 5m",
            span(age)
        );
        return Line::not_checked(name, message);
    }
    if age.is_negative() {
        return Line::passed(
            name,
            format!(
                "heartbeat just now; its clock is {} ahead of this one",
                span(-age)
            ),
        );
    }
    Line::passed(name, format!("heartbeat {} ago", span(age)))
}
