//! The picture as one screen of text.

use super::needs::{Need, Urgency};
use super::{RecallLine, Status, WaveLine};
use crate::lists::Look;
use crate::table::{Table, clean, paint};
use crate::words::{NOTHING, or_nothing, span};

/// Needs that fit on a screen.
const NEEDS: usize = 8;
/// Clusters that fit below them.
const CLUSTERS: usize = 8;
/// Names in one line.
const NAMES: usize = 4;

/// The text; wide leaves nothing out.
pub(crate) fn text(status: &Status, look: Look) -> String {
    let mut lines = vec![paint(&headline(status))];
    if !status.needs.is_empty() {
        lines.push(String::new());
        let most = if look.wide { usize::MAX } else { NEEDS };
        for shown in status.needs.iter().take(most) {
            lines.extend(need(shown, look));
        }
        let left = status.needs.len().saturating_sub(most);
        if left > 0 {
            lines.push(format!("and {left} more: fluxgate status -o wide"));
        }
    }
    lines.push(String::new());
    lines.push(releases(status));
    if !status.waves.is_empty() {
        lines.push(String::new());
        lines.push(waves(&status.waves, look).render(true, ""));
    }
    lines.push(String::new());
    lines.extend(clusters(status, look));
    if !status.recalls.is_empty() {
        lines.push(String::new());
        lines.extend(status.recalls.iter().map(recall));
    }
    lines.join("\n")
}

fn headline(status: &Status) -> String {
    let count = |urgency: Urgency| status.needs.iter().filter(|need| need.urgency == urgency).count();
    let parts: Vec<String> = [
        (count(Urgency::Failed), "refused, halted or failed"),
        (count(Urgency::Person), "waiting for a person"),
        (count(Urgency::Time), "waiting for time"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    if parts.is_empty() {
        format!("{}: nothing needs you and nothing waits", status.state)
    } else {
        format!("{}: {}", status.state, parts.join(", "))
    }
}

/// Two lines: what it is, and what to type.
fn need(need: &Need, look: Look) -> [String; 2] {
    let word = match need.urgency {
        Urgency::Failed => "FAILED",
        Urgency::Person => "NEEDS YOU",
        Urgency::Time => "WAITS",
    };
    let what = [need.reason.as_str(), need.detail.as_str()];
    let what: Vec<&str> = what.into_iter().filter(|part| !part.is_empty()).collect();
    let what = what.join(": ");
    let until = need.until_time.map_or_else(String::new, |until| {
        format!(", until {until:.0} (in {})", span(until.duration_since(look.now)))
    });
    let about = abbreviated(&need.about, look);
    let gap = " ".repeat(11_usize.saturating_sub(word.len()));
    [
        format!(
            "{}{gap}{}",
            paint(word),
            clean(&format!("{about}  {what}{until}"))
        ),
        format!("           {}", clean(&need.command)),
    ]
}

fn abbreviated(names: &[String], look: Look) -> String {
    let left = names.len().saturating_sub(NAMES);
    if left == 0 || look.wide {
        return names.join(", ");
    }
    let shown: Vec<&str> = names.iter().take(NAMES).map(String::as_str).collect();
    format!("{} and {left} more", shown.join(", "))
}

fn releases(status: &Status) -> String {
    let Some(release) = &status.release else {
        return "No release was seen yet.".to_owned();
    };
    let mut table = Table::new(&["NEWEST RELEASE", "VERIFIED", "DECISION", "RUNNING"]);
    table.row([
        release.name.clone(),
        release.verified.clone(),
        release.decision.clone(),
        format!("on {} of {} clusters", release.running, release.clusters),
    ]);
    table.render(true, "")
}

fn waves(waves: &[WaveLine], look: Look) -> Table {
    let mut table = Table::new(&[
        "ROLLOUT",
        "STATE",
        "WAVE",
        "WAVE IS",
        "DONE",
        "WAITING FOR",
        "EARLIEST",
    ]);
    for wave in waves {
        let earliest = wave.until_time.map_or_else(
            || NOTHING.to_owned(),
            |until| format!("{until:.0} (in {})", span(until.duration_since(look.now))),
        );
        table.row([
            wave.rollout.clone(),
            wave.rollout_state.clone(),
            wave.wave.clone(),
            wave.state.clone(),
            format!("{}/{}", wave.done, wave.clusters),
            or_nothing(&wave.waiting_for),
            earliest,
        ]);
    }
    table
}

fn recall(line: &RecallLine) -> String {
    let RecallLine {
        release,
        reason,
        principal,
        running,
        command,
    } = line;
    clean(&format!(
        "{release} is recalled: {reason}, by {principal}; runs on {running}; lift it with `{command}`"
    ))
}

fn clusters(status: &Status, look: Look) -> Vec<String> {
    let all: usize = status.versions.iter().map(|line| line.clusters).sum();
    if all == 0 {
        return vec!["There are no clusters: add one to the fleet's file.".to_owned()];
    }
    let versions: Vec<String> = status
        .versions
        .iter()
        .map(|line| {
            let version = if line.version.is_empty() {
                "unknown"
            } else {
                &line.version
            };
            format!("{version} on {}", line.clusters)
        })
        .collect();
    let noun = if all == 1 { "cluster" } else { "clusters" };
    let mut lines = vec![clean(&format!("{all} {noun}: {}", versions.join(", ")))];
    if status.clusters.is_empty() {
        return lines;
    }
    let most = if look.wide { usize::MAX } else { CLUSTERS };
    let mut table = Table::new(&["BLOCKED OR SILENT", "VERSION", "HEALTH", "STATE", "HEARTBEAT"]);
    for cluster in status.clusters.iter().take(most) {
        table.row([
            cluster.name.clone(),
            cluster.version.clone(),
            cluster.health.clone(),
            cluster.state.clone(),
            cluster.heartbeat.clone(),
        ]);
    }
    lines.push(table.render(true, ""));
    let left = status.clusters.len().saturating_sub(most);
    if left > 0 {
        lines.push(format!("and {left} more: fluxgate get clusters"));
    }
    lines
}
