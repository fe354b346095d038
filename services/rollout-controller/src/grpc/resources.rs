//! Rollouts and clusters as the API shows them.

use domain::rollout::RolloutEnd;
use domain::trace::TraceId;
use domain::{ClusterMember, ClusterName};
use jiff::Timestamp;
use planner::reducer::{GateLine, RolloutView, Scope, Wait};
use planner::{Gates, Plan, Strategy};
use wire::{fleet, rollout};

use crate::said::Said;
use crate::world::Known;

/// What resources are made of.
pub(crate) struct Scene<'s> {
    pub(crate) known: &'s Known,
    pub(crate) strategy: &'s Strategy,
    pub(crate) plan: &'s Plan,
}

impl Scene<'_> {
    /// All rollouts, newest first.
    pub(crate) fn rollouts(&self) -> Vec<rollout::v1::Rollout> {
        let rollouts = self.known.rollouts.iter().rev();
        rollouts.map(|(time, view)| self.rollout(*time, view)).collect()
    }

    fn rollout(&self, time: Timestamp, view: &RolloutView) -> rollout::v1::Rollout {
        let key = &view.started.rollout;
        // What a plan waits for belongs to the rollout that goes on.
        let waits: &[Wait] = if view.finished.is_none() {
            &self.plan.waits
        } else {
            &[]
        };
        let waves = view.started.waves.iter();
        let stops = self.known.stops_of(self.strategy, view);
        rollout::v1::Rollout {
            name: format!("rollouts/{key}"),
            started: Some(rollout::v1::RolloutStarted::from(&view.started)),
            start_time: Some(wire::time::timestamp(time)),
            waves: waves.map(|snapshot| wave(view, &snapshot.name, waits)).collect(),
            finished: view.finished.as_ref().map(rollout::v1::RolloutFinished::from),
            waits: waits
                .iter()
                .filter(|w| matches!(w.scope, Scope::Rollout | Scope::Cluster(_)))
                .map(rollout_wait)
                .collect(),
            trace_id: TraceId::of_rollout(key).to_string(),
            state: self.state(view).into(),
            stops: stops.into_iter().filter_map(stop).collect(),
        }
    }

    fn state(&self, view: &RolloutView) -> rollout::v1::RolloutState {
        match view.finished.as_ref().map(|finished| finished.end) {
            Some(RolloutEnd::Completed) => rollout::v1::RolloutState::Completed,
            Some(RolloutEnd::Halted) => rollout::v1::RolloutState::Halted,
            Some(RolloutEnd::Superseded) => rollout::v1::RolloutState::Superseded,
            None if self.known.is_paused(view) => rollout::v1::RolloutState::Paused,
            None => rollout::v1::RolloutState::Running,
        }
    }

    /// All clusters of the fleet, by name.
    pub(crate) fn clusters(&self, gates: &Gates<'_>) -> Vec<fleet::v1::Cluster> {
        let members = self.known.members.iter();
        let mut all: Vec<_> = members.map(|member| self.cluster(gates, member)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// One cluster.
    pub(crate) fn cluster(&self, gates: &Gates<'_>, member: &ClusterMember) -> fleet::v1::Cluster {
        let (known, name) = (self.known, &member.cluster);
        let wave = self.strategy.wave_of(member).map(|wave| wave.name.as_str());
        let facts = known.facts.get(name);
        let course = known.courses.get(name);
        let version = facts.and_then(|(_, view)| view.version.as_ref());
        let baseline = facts.and_then(|(_, view)| view.baseline.as_ref());
        let reports = course.iter().flat_map(|course| &course.reports);
        fleet::v1::Cluster {
            name: format!("clusters/{name}"),
            member: Some(fleet::v1::ClusterMember::from(member)),
            wave: wave.unwrap_or_default().to_owned(),
            mode: wire::common::v1::Mode::from(known.modes.of(wave, member)).into(),
            facts: facts.map(|(facts, _)| fleet::v1::ClusterFacts::from(facts.as_ref())),
            version: version.map(ToString::to_string).unwrap_or_default(),
            baseline: baseline.map(ToString::to_string).unwrap_or_default(),
            assignment: course.map(|course| fleet::v1::Assignment::from(&course.newest)),
            reports: reports.map(fleet::v1::Report::from).collect(),
            health: known.health.get(name).map(fleet::v1::HealthReport::from),
            heartbeat: known.heartbeats.get(name).map(fleet::v1::Heartbeat::from),
            waits: of_cluster(&self.plan.waits, name).map(cluster_wait).collect(),
            gates: gates.of(name).iter().map(gate).collect(),
            stops: known.stops_in_words(self.strategy, member),
        }
    }
}

/// A cluster that has left: the last word of a watch about it.
pub(crate) fn former(member: &ClusterMember) -> fleet::v1::Cluster {
    fleet::v1::Cluster {
        name: format!("clusters/{}", member.cluster),
        member: Some(fleet::v1::ClusterMember::from(member)),
        ..fleet::v1::Cluster::default()
    }
}

/// A stop as it stands.
pub(crate) fn stop(said: &Said) -> Option<rollout::v1::Stop> {
    Some(rollout::v1::Stop {
        set: Some(rollout::v1::StopSet::from(said.stop()?)),
        set_time: Some(wire::time::timestamp(said.time)),
        sequence: said.sequence,
    })
}

fn wave(view: &RolloutView, name: &str, waits: &[Wait]) -> rollout::v1::Wave {
    let state = if view.baked.contains_key(name) {
        rollout::v1::WaveState::Baked
    } else if view.opened.contains_key(name) {
        rollout::v1::WaveState::Open
    } else {
        rollout::v1::WaveState::Pending
    };
    let own = |w: &&Wait| matches!(&w.scope, Scope::Wave(wave) if wave == name);
    let opened = view.opened.get(name);
    let ended = view.baked.get(name).map(|baked| baked.bake_ended);
    rollout::v1::Wave {
        wave: name.to_owned(),
        state: state.into(),
        open_time: wire::time::optional_timestamp(opened.map(|opened| opened.at)),
        open_detail: opened.map(|opened| opened.why.clone()).unwrap_or_default(),
        bake_end_time: wire::time::optional_timestamp(ended),
        waits: waits.iter().filter(own).map(rollout_wait).collect(),
    }
}

fn rollout_wait(wait: &Wait) -> rollout::v1::RolloutWait {
    rollout::v1::RolloutWait {
        scope: scope_name(&wait.scope),
        reason: wait.reason.code().to_owned(),
        detail: wait.detail.clone(),
        until_time: wire::time::optional_timestamp(wait.until),
    }
}

fn cluster_wait(wait: &Wait) -> fleet::v1::Wait {
    fleet::v1::Wait {
        reason: wait.reason.code().to_owned(),
        detail: wait.detail.clone(),
        until_time: wire::time::optional_timestamp(wait.until),
    }
}

fn gate(line: &GateLine) -> fleet::v1::Gate {
    fleet::v1::Gate {
        gate: line.gate.to_owned(),
        open: line.open,
        reason: line
            .reason
            .map(|reason| reason.code().to_owned())
            .unwrap_or_default(),
        detail: line.detail.clone(),
        until_time: wire::time::optional_timestamp(line.until),
    }
}

/// What a scope is called in the API.
fn scope_name(scope: &Scope) -> String {
    match scope {
        Scope::Rollout => "rollout".to_owned(),
        Scope::Wave(wave) => format!("wave/{wave}"),
        Scope::Cluster(cluster) => format!("cluster/{cluster}"),
    }
}

/// The waits of one cluster.
fn of_cluster<'a>(waits: &'a [Wait], cluster: &'a ClusterName) -> impl Iterator<Item = &'a Wait> {
    waits
        .iter()
        .filter(move |wait| matches!(&wait.scope, Scope::Cluster(name) if name == cluster))
}
