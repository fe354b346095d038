//! The table of clusters.

use domain::Reason;
use wire::fleet::v1::{Action, Cluster, Report, ReportKind};

use super::{Look, row, table};
use crate::names;
use crate::table::Table;
use crate::words::{self, NOTHING, age, at, or_nothing};

/// Clusters, as they come.
pub(crate) fn clusters(items: &[Cluster], look: Look) -> Table {
    let headers = ["NAME", "VERSION", "WAVE", "MODE", "HEALTH", "STATE"];
    let mut table = table(
        look,
        &headers,
        &["KUBERNETES", "INSTALLER", "BASELINE", "EPOCH", "HEARTBEAT"],
    );
    for item in items {
        let cells = [
            names::bare(&item.name).to_owned(),
            or_nothing(&item.version),
            or_nothing(&item.wave),
            words::mode(item.mode),
            health(item, look),
            state(item),
        ];
        let facts = item.facts.as_ref();
        let more = [
            facts.map_or_else(|| NOTHING.to_owned(), |facts| or_nothing(&facts.kubernetes)),
            facts.map_or_else(|| NOTHING.to_owned(), |facts| or_nothing(&facts.installer)),
            or_nothing(&item.baseline),
            item.assignment
                .as_ref()
                .map_or_else(|| NOTHING.to_owned(), |a| a.epoch.to_string()),
            age(
                item.heartbeat.as_ref().and_then(|heartbeat| heartbeat.send_time),
                look.now,
            ),
        ];
        row(&mut table, look, cells, more);
    }
    table
}

/// The newest judgement; `UNKNOWN` where the agent has been silent since, for an old word says nothing about
/// now.
pub(crate) fn health(cluster: &Cluster, look: Look) -> String {
    let heartbeat = cluster.heartbeat.as_ref();
    let sent = heartbeat.and_then(|heartbeat| at(heartbeat.send_time));
    let alive = sent.is_some_and(|sent| look.now.duration_since(sent) <= words::PATIENCE);
    match (&cluster.health, heartbeat) {
        (None, None) => NOTHING.to_owned(),
        (Some(_), _) | (_, Some(_)) if !alive => "UNKNOWN".to_owned(),
        (Some(report), _) => words::health(report.health),
        (None, Some(heartbeat)) => words::health(heartbeat.health),
    }
}

/// The version in a release key, `v2.9.4`.
fn version_of(release: &str) -> &str {
    names::bare(names::without_digest(release))
}

/// Whether an agent says no more than that it saw a stop: an acknowledgement, no failure.
pub(crate) fn acknowledges(report: &Report) -> bool {
    report.kind() == ReportKind::Refused && report.reason == Reason::Stopped.code()
}

/// The report of a refusal, if that is what became of the newest assignment. A stop that came afterwards does not
/// hide it.
pub(crate) fn refusal(cluster: &Cluster) -> Option<&Report> {
    let mut newest = cluster.reports.iter().rev();
    let last = newest.find(|report| !acknowledges(report))?;
    (last.kind() == ReportKind::Refused).then_some(last)
}

/// What the newest assignment came to; where there is none, what is waited for.
pub(crate) fn state(cluster: &Cluster) -> String {
    let Some(assignment) = &cluster.assignment else {
        return cluster
            .waits
            .first()
            .map_or_else(|| NOTHING.to_owned(), |wait| wait.reason.clone());
    };
    if let Some(refusal) = refusal(cluster) {
        return format!("REFUSED {}", refusal.reason);
    }
    if assignment.action() == Action::Stop {
        return "STOPPED".to_owned();
    }
    let version = version_of(&assignment.target);
    let Some(report) = cluster.reports.last() else {
        return format!("ASSIGNED {version}");
    };
    match report.kind() {
        // Every other refusal was told above.
        ReportKind::Refused => "STOPPED".to_owned(),
        ReportKind::Accepted => format!("UPGRADING {version}"),
        ReportKind::Applied => format!("APPLIED {version}"),
        ReportKind::WouldUpgrade => format!("WOULD_UPGRADE {version}"),
        ReportKind::Finished => match words::health(report.health).as_str() {
            "HEALTHY" => format!("UPGRADED {version}"),
            other => format!("{other} {version}"),
        },
        ReportKind::Unspecified => format!("UNSPECIFIED {version}"),
    }
}
