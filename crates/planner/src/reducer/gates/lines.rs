//! Each condition of one cluster: how it is found and what is said about it.

use domain::rollout::WaveSnapshot;
use domain::{ClusterMember, ClusterName, Mode, Outcome, Reason, ReleaseKey};
use jiff::Timestamp;

use super::{GateLine, Gates};
use crate::reducer::gate::{WaveView, objection};
use crate::reducer::standing::{Look, Standing, left_behind, look};
use crate::reducer::start::{candidate, failed_at, highest, obstacle};
use crate::reducer::steps::{Scope, Wait};
use crate::reducer::stopped;
use crate::reducer::world::{FRESH, FactsView, Known, RolloutView};
use crate::strategy::Wave;

/// A cluster of a wave, about which is asked.
pub(super) struct Inquiry<'i, 'w> {
    pub(super) gates: &'i Gates<'w>,
    pub(super) world: &'i Known<'w>,
    pub(super) member: &'i ClusterMember,
    pub(super) wave: &'i Wave,
    pub(super) facts: Option<&'i FactsView>,
}

impl Inquiry<'_, '_> {
    /// Its conditions, in order.
    pub(super) fn lines(&self) -> Vec<GateLine> {
        let mut lines = vec![self.agent(), self.baseline()];
        let rollout = self.rollout();
        let Some(release) = self.release(rollout) else {
            let version = self.facts.and_then(|facts| facts.version.as_ref());
            lines.push(match version {
                Some(version) => open(
                    "decision",
                    format!("nothing newer than {version} is decided about"),
                ),
                None => closed(
                    "decision",
                    Reason::WaitingForDecision,
                    "unknown while the baseline is",
                ),
            });
            return lines;
        };
        lines.extend([
            self.decision(release),
            self.mode(),
            self.stops(rollout),
            self.begun(rollout, release),
        ]);
        lines.extend(rollout.map(|rollout| self.turn(rollout)));
        lines.extend(self.place());
        lines.push(if self.world.ledger_ok {
            open("ledger", "audit-log confirms")
        } else {
            closed(
                "ledger",
                Reason::LedgerUnconfirmed,
                "audit-log does not confirm; nothing new is begun",
            )
        });
        lines
    }

    /// The active rollout, if the cluster is in it.
    fn rollout(&self) -> Option<&RolloutView> {
        self.world.wave_of(&self.member.cluster)?;
        self.world.world().active()
    }

    /// What it would be upgraded to: the target of its rollout, else the highest release that is decided about.
    fn release<'s>(&'s self, rollout: Option<&'s RolloutView>) -> Option<&'s ReleaseKey> {
        let facts = self.facts?;
        if let Some(rollout) = rollout {
            return Some(rollout.target());
        }
        let baseline = facts.baseline.as_ref()?;
        highest(self.world, facts, baseline, &self.wave.policy).map(|decision| &decision.release)
    }

    fn agent(&self) -> GateLine {
        let cluster = &self.member.cluster;
        let Some(facts) = self.facts else {
            return closed("agent", Reason::WaitingForAgent, "it has sent no facts yet");
        };
        let observed = facts.observed;
        match (
            self.world.fresh_heartbeat(cluster),
            self.world.heartbeats.get(cluster),
        ) {
            (Some(heartbeat), _) => {
                let detail = format!(
                    "facts of {observed:.0}, heartbeat of {:.0}: {}",
                    heartbeat.sent, heartbeat.health
                );
                open("agent", detail)
            }
            (None, Some(heartbeat)) if heartbeat.sent > self.world.now => {
                let detail = format!("its heartbeat is of {:.0}: its clock is ahead", heartbeat.sent);
                closed("agent", Reason::ClockSkew, detail)
            }
            (None, Some(heartbeat)) => {
                let minutes = FRESH.as_mins();
                let detail = format!(
                    "its last heartbeat is of {:.0}, more than {minutes} minutes ago",
                    heartbeat.sent
                );
                closed("agent", Reason::WaitingForAgent, detail)
            }
            (None, None) => {
                let detail = format!("facts of {observed:.0}, but no heartbeat");
                closed("agent", Reason::WaitingForAgent, detail)
            }
        }
    }

    fn baseline(&self) -> GateLine {
        let Some(facts) = self.facts else {
            return closed(
                "baseline",
                Reason::WaitingForAgent,
                "unknown while there are no facts",
            );
        };
        match (&facts.baseline, &facts.version) {
            (None, _) => {
                let detail = "what runs is not mapped to verified images yet";
                closed("baseline", Reason::WaitingForDecision, detail)
            }
            (Some(_), None) => {
                let detail = "what runs is no single known version";
                closed("baseline", Reason::BaselineVersionUnknown, detail)
            }
            (Some(_), Some(version)) => match self.world.recall(version) {
                Some(recall) => {
                    let detail = format!("runs {version}, which must not run: {}", stopped::text(recall));
                    open("baseline", detail)
                }
                None => open("baseline", format!("runs {version}")),
            },
        }
    }

    fn decision(&self, release: &ReleaseKey) -> GateLine {
        let (world, policy, version) = (self.world, &self.wave.policy, &release.version);
        if self.facts.is_some_and(|facts| facts.is_at(release)) {
            return open("decision", format!("runs {version} or something newer"));
        }
        let Some(baseline) = self.facts.and_then(|facts| facts.baseline.as_ref()) else {
            return closed(
                "decision",
                Reason::WaitingForDecision,
                "unknown while the baseline is",
            );
        };
        match world.allowed(release, policy, baseline) {
            Some(until) => {
                let allow = Outcome::Allow;
                open(
                    "decision",
                    format!("policy {policy} says {allow} about {version}, valid until {until:.0}"),
                )
            }
            None => {
                let (reason, detail, until) = objection(world, release, policy, baseline);
                closed_until("decision", reason, detail, until)
            }
        }
    }

    fn mode(&self) -> GateLine {
        let (member, wave) = (self.member, self.wave.name.as_str());
        if let Some((until, detail)) = self.capped() {
            return closed_until("mode", Reason::ModeObserve, detail, Some(until));
        }
        let mode = self.world.mode(wave, member);
        match mode {
            Mode::Enforce => open("mode", Mode::Enforce.to_string()),
            Mode::Observe if member.max_mode == Mode::Observe => {
                let detail = "Observe: maxMode in the fleet's file caps it";
                closed("mode", Reason::WaitingForEnforce, detail)
            }
            Mode::Observe => {
                let detail = format!("Observe: nobody has given Enforce to wave {wave} or to the cluster");
                closed("mode", Reason::WaitingForEnforce, detail)
            }
        }
    }

    /// Until when its own agent keeps it from being written to.
    fn capped(&self) -> Option<(Timestamp, &'static str)> {
        let (_, look) = self.look()?;
        match look.standing {
            Standing::Capped { until } => Some((
                until,
                "Observe: the agent's own maxMode caps it; it is asked again then",
            )),
            Standing::Gone
            | Standing::Done { .. }
            | Standing::Failed { .. }
            | Standing::InWork
            | Standing::Stopping
            | Standing::Unsettled { .. }
            | Standing::Held { .. }
            | Standing::Pending => None,
        }
    }

    /// How it stands in its wave, if that was opened.
    fn look(&self) -> Option<(WaveView<'_>, Look<'_>)> {
        let (rollout, wave) = (self.rollout()?, self.world.wave_of(&self.member.cluster)?);
        let opened = rollout.opened.get(&wave.name)?;
        let view = WaveView {
            world: self.world,
            rollout,
            wave,
        };
        Some((view, look(view, &self.member.cluster, opened.at)))
    }

    fn stops(&self, rollout: Option<&RolloutView>) -> GateLine {
        let key = rollout.map(RolloutView::key);
        match self
            .world
            .stops_of(self.member, Some(self.wave.name.as_str()), key)
        {
            Some(stops) => closed("stops", Reason::Stopped, stops.text()),
            None => open("stops", "none touches it"),
        }
    }

    /// Whether a rollout to the release is under way.
    fn begun(&self, rollout: Option<&RolloutView>, release: &ReleaseKey) -> GateLine {
        let (world, version) = (self.world, &release.version);
        if let Some(rollout) = rollout {
            return open("rollout", format!("{} is under way", rollout.key()));
        }
        if let Some(other) = world.world().active() {
            let key = other.key();
            let detail =
                format!("{key} is under way, and the cluster is not in it: the next rollout takes it");
            return closed("rollout", Reason::WaitingForWave, detail);
        }
        if let Some(recall) = world.recall(version) {
            return closed("rollout", Reason::Stopped, stopped::text(recall));
        }
        let task = world.assignments.get(&self.member.cluster);
        if let Some((reason, detail)) = task.and_then(|task| failed_at(world, task, release)) {
            let detail = format!("left behind: {detail}; a newer release is tried, this one is not");
            return closed("rollout", reason, detail);
        }
        match (obstacle(world, release), candidate(world)) {
            (Err((reason, detail)), _) => closed("rollout", reason, detail),
            (Ok(_), Some(next)) => open("rollout", format!("one to {} begins", next.version)),
            (Ok(_), None) => {
                let detail = format!("none to {version} begins before the conditions above hold");
                closed("rollout", Reason::WaitingForClusters, detail)
            }
        }
    }

    /// Whether its wave has its turn.
    fn turn(&self, rollout: &RolloutView) -> GateLine {
        let Some(own) = self.world.wave_of(&self.member.cluster) else {
            return closed("wave", Reason::NoWave, "it is in no wave of the rollout");
        };
        let name = &own.name;
        if let Some(opened) = rollout.opened.get(name) {
            let baked = if rollout.baked.contains_key(name) {
                " and has baked"
            } else {
                ""
            };
            let (since, why) = (opened.at, &opened.why);
            return open("wave", format!("{name} is open since {since:.0}{baked}: {why}"));
        }
        let waves = &rollout.started.waves;
        let ahead = waves.iter().find(|wave| !rollout.baked.contains_key(&wave.name));
        let Some(ahead) = ahead else {
            return open("wave", format!("{name} opens"));
        };
        match self.wait_of(&ahead.name) {
            Some(wait) if ahead.name == *name => {
                let detail = format!("{name} is not open: {}", wait.detail);
                closed_until("wave", wait.reason, detail, wait.until)
            }
            Some(wait) => {
                let detail = format!(
                    "{name} comes after {}: {} ({})",
                    ahead.name, wait.detail, wait.reason
                );
                closed_until("wave", Reason::WaitingForWave, detail, wait.until)
            }
            None if ahead.name == *name => open("wave", format!("{name} opens")),
            None => closed(
                "wave",
                Reason::WaitingForWave,
                format!("{name} comes after {}", ahead.name),
            ),
        }
    }

    /// What a wave waits for.
    fn wait_of(&self, wave: &str) -> Option<&Wait> {
        let own = |wait: &&Wait| matches!(&wait.scope, Scope::Wave(name) if name == wave);
        self.gates.plan.waits.iter().find(own)
    }

    /// Whether there is a place for it among the clusters in work, and what became of it if it had one.
    fn place(&self) -> Option<GateLine> {
        let (view, look) = self.look()?;
        if let Some((reason, detail)) = left_behind(view, &look) {
            return Some(closed("place", reason, detail));
        }
        Some(match &look.standing {
            Standing::Done { since } => open("place", format!("done since {since:.0}")),
            Standing::InWork => open("place", "in work"),
            Standing::Stopping => open("place", "its assignment is being taken back"),
            Standing::Unsettled { reason, detail } => closed("place", *reason, detail.as_str()),
            Standing::Gone
            | Standing::Failed { .. }
            | Standing::Held { .. }
            | Standing::Capped { .. }
            | Standing::Pending => self.free_place(view.wave),
        })
    }

    /// Whether another cluster of the wave may be begun.
    fn free_place(&self, wave: &WaveSnapshot) -> GateLine {
        let at_work = self.gates.at_work.get(&wave.name).map(Vec::as_slice);
        let at_work = at_work.unwrap_or_default();
        let places = wave.max_concurrency;
        let taken = format!("{} of {places} places are taken", at_work.len());
        if at_work.len() < usize::try_from(places).unwrap_or(usize::MAX) {
            open("place", taken)
        } else {
            let names: Vec<&str> = at_work.iter().map(ClusterName::as_str).collect();
            closed(
                "place",
                Reason::WaitingForClusters,
                format!("{taken}: {}", names.join(", ")),
            )
        }
    }
}

fn open(gate: &'static str, detail: impl Into<String>) -> GateLine {
    GateLine {
        gate,
        open: true,
        reason: None,
        detail: detail.into(),
        until: None,
    }
}

pub(super) fn closed(gate: &'static str, reason: Reason, detail: impl Into<String>) -> GateLine {
    closed_until(gate, reason, detail, None)
}

fn closed_until(
    gate: &'static str,
    reason: Reason,
    detail: impl Into<String>,
    until: Option<Timestamp>,
) -> GateLine {
    GateLine {
        gate,
        open: false,
        reason: Some(reason),
        detail: detail.into(),
        until,
    }
}
