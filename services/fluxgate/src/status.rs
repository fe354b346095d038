//! What needs a person, and what everything waits for. Pure: messages and the time in, a picture out.

mod needs;
mod recalls;
mod text;

use jiff::Timestamp;
use serde::Serialize;
use wire::audit::v1::LedgerStatus;
use wire::fleet::v1::{Cluster, ReportKind};
use wire::policy::v1::{Decision, DecisionView};
use wire::release::v1::Release;
use wire::rollout::v1::{Rollout, RolloutState, Stop};
use wire::verification::v1::Verification;

use crate::exit::Exit;
use crate::lists::{self, Look};
use crate::names;
use crate::words::{self, NOTHING, at, or_nothing};

pub(crate) use needs::Need;
pub(crate) use recalls::RecallLine;
pub(crate) use text::text;

/// What the hub said.
#[derive(Debug)]
pub(crate) struct Seen {
    /// All releases.
    pub(crate) releases: Vec<Release>,
    /// What was found out about the newest one.
    pub(crate) verification: Option<Verification>,
    /// The decisions about the newest one.
    pub(crate) decisions: Vec<DecisionView>,
    /// All rollouts, newest first.
    pub(crate) rollouts: Vec<Rollout>,
    /// All clusters.
    pub(crate) clusters: Vec<Cluster>,
    /// The stops in force.
    pub(crate) stops: Vec<Stop>,
    /// How the ledger stands; why it can't be asked.
    pub(crate) ledger: Result<LedgerStatus, String>,
}

/// How everything is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// `FAILED`, `WAITING`, `DONE`.
    pub(crate) state: &'static str,
    /// What needs a person or time, most important first.
    pub(crate) needs: Vec<Need>,
    /// The newest release, and how far it is.
    pub(crate) release: Option<ReleaseLine>,
    /// Waves of the newest rollout, or of those that go on.
    pub(crate) waves: Vec<WaveLine>,
    /// Flux versions that run, with the number of clusters.
    pub(crate) versions: Vec<VersionLine>,
    /// Clusters that are blocked or silent.
    pub(crate) clusters: Vec<ClusterLine>,
    /// Recalls in force of versions that were seen.
    pub(crate) recalls: Vec<RecallLine>,
}

/// The newest release.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReleaseLine {
    /// Name.
    pub(crate) name: String,
    /// Result of the checks.
    pub(crate) verified: String,
    /// Worst outcome of the decisions that count.
    pub(crate) decision: String,
    /// Clusters that run it, of all.
    pub(crate) running: usize,
    /// Clusters of the fleet.
    pub(crate) clusters: usize,
}

/// A wave of a rollout.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WaveLine {
    /// The rollout.
    pub(crate) rollout: String,
    /// Its state.
    pub(crate) rollout_state: String,
    /// Name of the wave.
    pub(crate) wave: String,
    /// Its state.
    pub(crate) state: String,
    /// Clusters that were upgraded and are well.
    pub(crate) done: usize,
    /// Clusters of the wave.
    pub(crate) clusters: usize,
    /// What it waits for, as a reason code; empty if nothing.
    pub(crate) waiting_for: String,
    /// The earliest time for a change, if that is known.
    pub(crate) until_time: Option<Timestamp>,
}

/// A version that runs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VersionLine {
    /// The version; empty where it is mixed or unknown.
    pub(crate) version: String,
    /// How many clusters run it.
    pub(crate) clusters: usize,
}

/// A cluster that does not go on.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClusterLine {
    /// Name.
    pub(crate) name: String,
    /// Version that runs.
    pub(crate) version: String,
    /// Health.
    pub(crate) health: String,
    /// State of its task.
    pub(crate) state: String,
    /// Age of its newest sign of life.
    pub(crate) heartbeat: String,
}

impl Status {
    /// How the command ends.
    pub(crate) fn exit(&self) -> Exit {
        match self.needs.first().map(|need| need.urgency) {
            None => Exit::Done,
            Some(needs::Urgency::Failed) => Exit::No,
            Some(needs::Urgency::Person | needs::Urgency::Time) => Exit::Pending,
        }
    }
}

/// The release with the highest version; of several digests the first one seen.
pub(crate) fn newest(releases: &[Release]) -> Option<&Release> {
    releases.iter().max_by_key(|release| {
        let version: Option<domain::Version> = version_of(&release.release).parse().ok();
        (version, std::cmp::Reverse(at(release.discover_time)))
    })
}

/// `v2.9.4` of a release key.
fn version_of(release: &str) -> &str {
    names::bare(names::without_digest(release))
}

/// Clusters that are in the fleet.
fn members(clusters: &[Cluster]) -> impl Iterator<Item = &Cluster> {
    let removed = |cluster: &Cluster| cluster.member.as_ref().is_some_and(|member| member.removed);
    clusters.iter().filter(move |cluster| !removed(cluster))
}

/// The rollouts that say something about now: those that go on, and the newest where it has ended.
fn current(rollouts: &[Rollout]) -> impl Iterator<Item = &Rollout> {
    rollouts.iter().enumerate().filter_map(|(index, rollout)| {
        let superseded = lists::rollout_state_of(rollout) == RolloutState::Superseded;
        let counts = rollout.finished.is_none() || (index == 0 && !superseded);
        counts.then_some(rollout)
    })
}

/// Decisions about baselines that run somewhere, without those that say no more than that it runs already.
fn decided(seen: &Seen) -> impl Iterator<Item = (&str, &Decision)> {
    let runs = |baseline: &str| members(&seen.clusters).any(|cluster| cluster.baseline == baseline);
    let any = members(&seen.clusters).any(|cluster| !cluster.baseline.is_empty());
    seen.decisions.iter().filter_map(move |view| {
        let decision = view.decision.as_ref()?;
        let counts = (!any || runs(&decision.baseline)) && !lists::is_moot(decision);
        counts.then_some((view.name.as_str(), decision))
    })
}

/// The picture.
pub(crate) fn status(seen: &Seen, look: Look) -> Status {
    let needs = needs::all(seen, look);
    let state = match needs.first().map(|need| need.urgency) {
        None => "DONE",
        Some(needs::Urgency::Failed) => "FAILED",
        Some(needs::Urgency::Person | needs::Urgency::Time) => "WAITING",
    };
    Status {
        state,
        needs,
        release: release(seen, look),
        waves: current(&seen.rollouts)
            .flat_map(|rollout| waves(rollout, &seen.clusters))
            .collect(),
        versions: versions(&seen.clusters),
        clusters: blocked(&seen.clusters, look),
        recalls: recalls::of(seen),
    }
}

fn release(seen: &Seen, look: Look) -> Option<ReleaseLine> {
    let newest = newest(&seen.releases)?;
    let verified = seen
        .verification
        .as_ref()
        .and_then(|verification| verification.summary.as_ref())
        .map_or(NOTHING, lists::summary_result);
    let all = seen.decisions.iter().filter_map(|view| view.decision.as_ref());
    // What was decided for what runs now; where that is nothing any more, what was decided at all.
    let worst = decided(seen)
        .map(|(_, decision)| decision)
        .max_by_key(|decision| decision.outcome)
        .or_else(|| {
            all.filter(|decision| !lists::is_moot(decision))
                .max_by_key(|decision| decision.outcome)
        });
    let version = version_of(&newest.release);
    Some(ReleaseLine {
        name: newest.name.clone(),
        verified: verified.to_owned(),
        decision: worst.map_or_else(|| NOTHING.to_owned(), |worst| lists::outcome_of(worst, look.now)),
        running: members(&seen.clusters)
            .filter(|cluster| cluster.version == version)
            .count(),
        clusters: members(&seen.clusters).count(),
    })
}

fn waves(rollout: &Rollout, clusters: &[Cluster]) -> Vec<WaveLine> {
    let started = rollout.started.as_ref();
    let key = started.map_or("", |started| started.rollout.as_str());
    let done = |name: &str| {
        let cluster = clusters.iter().find(|cluster| names::bare(&cluster.name) == name);
        cluster.is_some_and(|cluster| finished(cluster, key))
    };
    rollout
        .waves
        .iter()
        .map(|wave| {
            let snapshot = started.and_then(|s| s.waves.iter().find(|snapshot| snapshot.wave == wave.wave));
            let names = snapshot
                .map(|snapshot| snapshot.clusters.as_slice())
                .unwrap_or_default();
            let wait = wave.waits.first().filter(|_| rollout.finished.is_none());
            WaveLine {
                rollout: rollout.name.clone(),
                rollout_state: lists::rollout_state(rollout),
                wave: wave.wave.clone(),
                state: lists::wave_state(wave),
                done: names.iter().filter(|name| done(name)).count(),
                clusters: names.len(),
                waiting_for: wait.map_or_else(String::new, |wait| wait.reason.clone()),
                until_time: wait.and_then(|wait| at(wait.until_time)),
            }
        })
        .collect()
}

/// Whether the cluster ended its task in this rollout well.
fn finished(cluster: &Cluster, rollout: &str) -> bool {
    let own = cluster.assignment.as_ref().is_some_and(|a| a.rollout == rollout);
    let report = cluster.reports.last();
    own && report.is_some_and(|report| {
        report.kind() == ReportKind::Finished && words::health(report.health) == "HEALTHY"
    })
}

fn versions(clusters: &[Cluster]) -> Vec<VersionLine> {
    let mut versions: Vec<VersionLine> = Vec::new();
    for cluster in members(clusters) {
        match versions.iter_mut().find(|line| line.version == cluster.version) {
            Some(line) => line.clusters = line.clusters.saturating_add(1),
            None => versions.push(VersionLine {
                version: cluster.version.clone(),
                clusters: 1,
            }),
        }
    }
    versions.sort_by_key(|line| std::cmp::Reverse(line.version.parse::<domain::Version>().ok()));
    versions
}

fn blocked(clusters: &[Cluster], look: Look) -> Vec<ClusterLine> {
    let stuck = |cluster: &&Cluster| {
        needs::silent_since(cluster, look).is_some()
            || lists::refusal(cluster).is_some()
            || needs::unwell(cluster, look).is_some()
            || lists::health(cluster, look) == "UNKNOWN"
    };
    members(clusters)
        .filter(stuck)
        .map(|cluster| ClusterLine {
            name: names::bare(&cluster.name).to_owned(),
            version: or_nothing(&cluster.version),
            health: lists::health(cluster, look),
            state: lists::state(cluster),
            heartbeat: words::age(
                cluster
                    .heartbeat
                    .as_ref()
                    .and_then(|heartbeat| heartbeat.send_time),
                look.now,
            ),
        })
        .collect()
}

#[cfg(test)]
mod tests;
