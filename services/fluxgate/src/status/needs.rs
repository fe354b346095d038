//! What needs a person, or time: each with the command to type next.

use jiff::Timestamp;
use serde::Serialize;
use wire::common::v1::Outcome;
use wire::fleet::v1::{Cluster, Report, ReportKind};
use wire::policy::v1::Decision;
use wire::rollout::v1::{Rollout, RolloutState, RolloutWait, StopKind};

use super::{Seen, current, decided, members, newest, recalls, version_of};
use crate::lists::{self, Look};
use crate::names;
use crate::words::{self, at, span};

/// How urgent something is, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Urgency {
    /// Refused, halted or failed.
    Failed,
    /// Waits for a person.
    Person,
    /// Waits for time, or for what happens by itself.
    Time,
}

/// Something that is not done.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Need {
    /// How urgent it is.
    pub(crate) urgency: Urgency,
    /// What it is about: resources with the same need.
    pub(crate) about: Vec<String>,
    /// Reason code, or the state of a rollout; empty where there is no code for it.
    pub(crate) reason: String,
    /// For people.
    pub(crate) detail: String,
    /// The earliest time for a change, if that is known.
    pub(crate) until_time: Option<Timestamp>,
    /// What to type next.
    pub(crate) command: String,
}

impl Need {
    fn new(urgency: Urgency, about: &str, reason: &str, detail: String, command: String) -> Self {
        Self {
            urgency,
            about: vec![about.to_owned()],
            reason: reason.to_owned(),
            detail,
            until_time: None,
            command,
        }
    }
}

/// All needs, most important first.
pub(super) fn all(seen: &Seen, look: Look) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    needs.extend(ledger(seen, look));
    needs.extend(grouped(members(&seen.clusters).filter_map(alarm).collect()));
    for rollout in current(&seen.rollouts) {
        needs.extend(self::rollout(rollout));
    }
    needs.extend(grouped(
        members(&seen.clusters).filter_map(|c| unwell(c, look)).collect(),
    ));
    needs.extend(grouped(members(&seen.clusters).filter_map(refused).collect()));
    needs.extend(decisions(seen));
    needs.extend(stops(seen));
    needs.extend(silence(seen, look));
    needs.extend(nothing_there(seen));
    if needs.is_empty() {
        needs.extend(behind(seen));
    }
    // Stable: within one urgency the order of above.
    needs.sort_by_key(|need| need.urgency);
    needs
}

/// Needs with the same reason as one, with the command of the first.
fn grouped(needs: Vec<Need>) -> Vec<Need> {
    let mut groups: Vec<Need> = Vec::new();
    for need in needs {
        let kind = |group: &Need| (group.urgency, group.reason.clone());
        match groups.iter_mut().find(|group| kind(group) == kind(&need)) {
            Some(group) => {
                group.about.extend(need.about);
                if group.detail != need.detail {
                    group.detail.clear();
                }
            }
            None => groups.push(need),
        }
    }
    groups
}

/// Silent clusters as one: how long each is silent stands in the table.
fn silence(seen: &Seen, look: Look) -> Vec<Need> {
    let all = members(&seen.clusters).filter_map(|c| silent(c, look)).collect();
    let mut groups = grouped(all);
    for group in groups.iter_mut().filter(|group| group.about.len() > 1) {
        "fluxgate get clusters -o wide".clone_into(&mut group.command);
    }
    groups
}

fn ledger(seen: &Seen, look: Look) -> Option<Need> {
    let problem = match &seen.ledger {
        Err(why) => format!("audit-log does not answer: {why}"),
        Ok(ledger) => match at(ledger.report_time) {
            None => "audit-log has not reported yet".to_owned(),
            Some(reported) if look.now.duration_since(reported) > words::PATIENCE => {
                let age = span(look.now.duration_since(reported));
                format!("audit-log was heard {age} ago, nothing new is begun")
            }
            Some(_) if !ledger.sound => format!("not sound: {}", ledger.problem),
            Some(_) => return None,
        },
    };
    let command = "fluxgate check".to_owned();
    Some(Need::new(
        Urgency::Failed,
        "ledger",
        "LEDGER_UNCONFIRMED",
        problem,
        command,
    ))
}

fn alarm(cluster: &Cluster) -> Option<Need> {
    let heartbeat = cluster.heartbeat.as_ref()?;
    let reason = heartbeat.alarm_reason.as_str();
    let detail = words::alarm("an assignment does not count", reason, &heartbeat.alarm_detail);
    (!reason.is_empty()).then(|| {
        Need::new(
            Urgency::Failed,
            &cluster.name,
            reason,
            detail,
            describe(&cluster.name),
        )
    })
}

fn describe(name: &str) -> String {
    format!("fluxgate describe {name}")
}

fn refused(cluster: &Cluster) -> Option<Need> {
    let report = lists::refusal(cluster)?;
    let detail = format!("its agent refused: {}", report.detail);
    let command = describe(&cluster.name);
    Some(Need::new(
        Urgency::Failed,
        &cluster.name,
        &report.reason,
        detail,
        command,
    ))
}

/// What is wrong with the cluster. One that can't be judged may be ill: that needs a person too. While its agent
/// waits for Deployments that are on their way, or for its own first look, it needs time.
pub(super) fn unwell(cluster: &Cluster, look: Look) -> Option<Need> {
    let health = lists::health(cluster, look);
    let symptom = cluster.health.as_ref().and_then(|health| health.symptoms.first());
    let reason = symptom.map(|symptom| symptom.reason.as_str());
    let (urgency, code, judged) = match health.as_str() {
        "UNHEALTHY" => (Urgency::Failed, "CLUSTER_UNHEALTHY", "judged unhealthy"),
        "INCONCLUSIVE" if reason == Some("HEALTH_UNKNOWN") || lasts(cluster, look) => {
            (Urgency::Person, "HEALTH_UNKNOWN", "it can't be judged")
        }
        // The rollout tells how far an upgrade is.
        "INCONCLUSIVE" if !is_upgrading(cluster) => (Urgency::Time, "HEALTH_UNKNOWN", "it is not judged yet"),
        _ => return None,
    };
    let detail = match symptom {
        Some(symptom) => format!("{}: {}", symptom.object, symptom.detail),
        None => judged.to_owned(),
    };
    let (reason, command) = (reason.unwrap_or(code), describe(&cluster.name));
    Some(Need::new(urgency, &cluster.name, reason, detail, command))
}

/// Whether its last judgement is so old that waiting does not help.
fn lasts(cluster: &Cluster, look: Look) -> bool {
    let judged = cluster.health.as_ref().and_then(|health| at(health.observe_time));
    !is_upgrading(cluster) && judged.is_some_and(|judged| look.now.duration_since(judged) > words::PATIENCE)
}

fn is_upgrading(cluster: &Cluster) -> bool {
    let last = cluster.reports.last().map(Report::kind);
    matches!(last, Some(ReportKind::Accepted | ReportKind::Applied))
}

/// Since when nothing was heard of a cluster, in words; none where it speaks.
pub(super) fn silent_since(cluster: &Cluster, look: Look) -> Option<String> {
    let sent = cluster
        .heartbeat
        .as_ref()
        .and_then(|heartbeat| at(heartbeat.send_time));
    match sent.map(|sent| look.now.duration_since(sent)) {
        None => Some("never heard".to_owned()),
        Some(age) if age > words::PATIENCE => Some(format!("silent for {}", span(age))),
        Some(_) => None,
    }
}

fn silent(cluster: &Cluster, look: Look) -> Option<Need> {
    let detail = silent_since(cluster, look)?;
    let command = describe(&cluster.name);
    Some(Need::new(
        Urgency::Person,
        &cluster.name,
        "WAITING_FOR_AGENT",
        detail,
        command,
    ))
}

fn rollout(rollout: &Rollout) -> Vec<Need> {
    let name = rollout.name.as_str();
    match lists::rollout_state_of(rollout) {
        RolloutState::Halted => {
            let (code, why) = lists::halted_for(rollout);
            let (reason, command) = (code.unwrap_or("HALTED"), describe(name));
            let detail = format!("halted: {why}");
            return vec![Need::new(Urgency::Failed, name, reason, detail, command)];
        }
        RolloutState::Completed | RolloutState::Superseded => return Vec::new(),
        RolloutState::Unspecified | RolloutState::Running | RolloutState::Paused => {}
    }
    let needs: Vec<Need> = lists::rollout_waits(rollout)
        .filter_map(|wait| waits(name, wait))
        .collect();
    if needs.is_empty() {
        let (detail, command) = ("it goes on".to_owned(), format!("fluxgate rollout watch {name}"));
        return vec![Need::new(Urgency::Time, name, "RUNNING", detail, command)];
    }
    needs
}

/// What a wait of a rollout needs; nothing where it follows from another need.
fn waits(rollout: &str, wait: &RolloutWait) -> Option<Need> {
    let scope = names::scope(&wait.scope);
    let (urgency, command) = match wait.reason.as_str() {
        "WAITING_FOR_ENFORCE" => (Urgency::Person, enforce(&wait.scope)),
        "FLEET_UNFIT" => (Urgency::Person, describe(rollout)),
        // Told by the stop, the cluster or the wave itself.
        "STOPPED" | "WAITING_FOR_WAVE" => return None,
        "CLUSTER_REFUSED" | "CLUSTER_UNHEALTHY" | "CLUSTER_UNREACHABLE" | "WAITING_FOR_AGENT"
            if scope.starts_with("clusters/") =>
        {
            return None;
        }
        // Nothing is done for the clusters that a wave waits for.
        "CLUSTER_UNHEALTHY" => (Urgency::Person, describe(rollout)),
        _ => (Urgency::Time, describe(rollout)),
    };
    let mut need = Need::new(urgency, &scope, &wait.reason, wait.detail.clone(), command);
    need.until_time = at(wait.until_time);
    Some(need)
}

fn enforce(scope: &str) -> String {
    match scope.split_once('/') {
        Some(("wave", wave)) => format!("fluxgate enforce --wave {wave}"),
        Some(("cluster", cluster)) => format!("fluxgate enforce --cluster {cluster}"),
        Some(_) | None => "fluxgate enforce --help".to_owned(),
    }
}

fn decisions(seen: &Seen) -> Vec<Need> {
    let all = decided(seen).filter_map(|(name, decision)| decision_need(name, decision));
    let mut needs: Vec<Need> = Vec::new();
    for need in all {
        // One release is told once for each reason, whatever the number of policies and baselines.
        if !needs
            .iter()
            .any(|known| known.about == need.about && known.reason == need.reason)
        {
            needs.push(need);
        }
    }
    needs
}

fn decision_need(name: &str, decision: &Decision) -> Option<Need> {
    let release = format!("releases/{}", names::without_digest(&decision.release));
    let (urgency, command) = match decision.outcome() {
        Outcome::Allow => return None,
        Outcome::Deny | Outcome::Unspecified => (Urgency::Failed, describe(&release)),
        Outcome::NeedsApproval => (Urgency::Person, describe(name)),
        Outcome::Wait => (Urgency::Time, describe(name)),
    };
    let word = words::outcome(decision.outcome);
    let detail = format!("{word} by policy {}", decision.policy);
    let mut need = Need::new(urgency, &release, &lists::reason_of(decision), detail, command);
    need.until_time = at(decision.wait_until_time);
    Some(need)
}

fn stops(seen: &Seen) -> Vec<Need> {
    let sets = seen.stops.iter().filter_map(|stop| stop.set.as_ref());
    let ended = |scope: &str| {
        let name = names::scope(scope);
        let of = seen.rollouts.iter().find(|rollout| rollout.name == name);
        of.is_some_and(|rollout| rollout.finished.is_some())
    };
    sets.filter(|set| match set.kind() {
        // A recall is for good, and a pause of what has ended stops nothing.
        StopKind::Recall => false,
        StopKind::Pause => !ended(&set.scope),
        StopKind::Unspecified | StopKind::Freeze | StopKind::Hold => true,
    })
    .filter(|set| set.active)
    .map(|set| {
        let detail = format!("{}, by {}", set.reason, set.principal);
        let scope = names::scope(&set.scope);
        Need::new(
            Urgency::Person,
            &scope,
            "STOPPED",
            detail,
            names::lift(&set.scope),
        )
    })
    .collect()
}

/// A hub without releases or clusters has not done what it is for.
fn nothing_there(seen: &Seen) -> Vec<Need> {
    let mut needs = Vec::new();
    if members(&seen.clusters).next().is_none() {
        let detail = "there are none: add one to the fleet's file".to_owned();
        let command = "fluxgate check".to_owned();
        needs.push(Need::new(Urgency::Person, "clusters", "", detail, command));
    }
    if seen.releases.is_empty() {
        let detail = "none was seen yet".to_owned();
        let command = "fluxgate reconcile releases".to_owned();
        needs.push(Need::new(Urgency::Time, "releases", "", detail, command));
    }
    needs
}

/// Nothing is wrong and nothing waits, but not every cluster runs the newest release.
fn behind(seen: &Seen) -> Option<Need> {
    let newest = newest(&seen.releases)?;
    let version = version_of(&newest.release);
    let older = members(&seen.clusters)
        .filter(|cluster| cluster.version != version)
        .count();
    let recalled = recalls::of(seen)
        .iter()
        .any(|recall| names::bare(&recall.release) == version);
    if older == 0 || recalled {
        return None;
    }
    let detail = format!(
        "{older} of {} clusters do not run it yet",
        members(&seen.clusters).count()
    );
    let command = describe(&newest.name);
    let reason = if seen.decisions.is_empty() {
        "WAITING_FOR_DECISION"
    } else {
        "WAITING_FOR_WAVE"
    };
    Some(Need::new(Urgency::Time, &newest.name, reason, detail, command))
}
