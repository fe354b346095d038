//! One wave: opening it, working through its clusters, baking it.

use domain::rollout::{WaveBaked, WaveOpened};
use domain::{ClusterMember, ClusterName, Health, Mode, Reason};
use jiff::Timestamp;

use super::gate::{Allowed, Gate, WaveView};
use super::standing::{Standing, standing};
use super::steps::{AssignDraft, Plan, Scope, Step};
use super::world::{Known, RENEW_WITHIN, later};

/// Opens the wave if nothing is in the way.
pub(super) fn open(view: WaveView<'_>, plan: &mut Plan) {
    let scope = view.scope();
    match prepare(view, plan) {
        Some((reason, detail, until)) => plan.wait_until(scope, reason, detail, until),
        None if !view.world.ledger_ok => {
            plan.wait(scope, Reason::LedgerUnconfirmed, "nothing new is begun");
        }
        None => plan.steps.push(Step::OpenWave(WaveOpened {
            rollout: view.rollout.key().clone(),
            wave: view.wave.name.clone(),
        })),
    }
}

/// What keeps a wave from opening, the most fundamental first.
#[derive(Default)]
struct Obstacles {
    silent: usize,
    undecided: usize,
    observed: usize,
    /// When the last of the undecided may be decided; unknown as soon as one of them is.
    untils: Vec<Option<Timestamp>>,
}

/// Looks at every cluster of a wave that is not open: dry runs under Observe, and what is missing.
pub(super) fn prepare(view: WaveView<'_>, plan: &mut Plan) -> Option<(Reason, String, Option<Timestamp>)> {
    let mut obstacles = Obstacles::default();
    for member in view
        .wave
        .clusters
        .iter()
        .filter_map(|cluster| view.world.member(cluster))
    {
        let scope = Scope::Cluster(member.cluster.clone());
        match view.gate(member) {
            Gate::AtTarget | Gate::Enforce(_) => {}
            Gate::Agent => {
                obstacles.silent += 1;
                plan.wait(scope, Reason::WaitingForAgent, "the agent has sent no facts yet");
            }
            Gate::Decision {
                reason,
                detail,
                until,
            } => {
                obstacles.undecided += 1;
                obstacles.untils.push(until);
                plan.wait_until(scope, reason, detail, until);
            }
            Gate::Observe(allowed) => {
                obstacles.observed += 1;
                view.dry_run(member, &allowed, plan);
            }
        }
    }
    obstacles.first(view.wave.clusters.len())
}

impl Obstacles {
    fn first(&self, clusters: usize) -> Option<(Reason, String, Option<Timestamp>)> {
        let of = |n: usize, what: &str| format!("{n} of {clusters} clusters {what}");
        if self.silent > 0 {
            Some((
                Reason::WaitingForAgent,
                of(self.silent, "have sent no facts"),
                None,
            ))
        } else if self.undecided > 0 {
            let until = self.untils.iter().copied().collect::<Option<Vec<_>>>();
            let until = until.and_then(|untils| untils.into_iter().max());
            Some((
                Reason::WaitingForDecision,
                of(self.undecided, "have no valid ALLOW"),
                until,
            ))
        } else if self.observed > 0 {
            Some((
                Reason::WaitingForEnforce,
                of(self.observed, "are under Observe"),
                None,
            ))
        } else {
            None
        }
    }
}

/// Works through an opened wave.
pub(super) fn go_on(view: WaveView<'_>, opened: Timestamp, plan: &mut Plan) {
    let WaveView { world, rollout, wave } = view;
    let standings: Vec<(&ClusterName, Standing)> = wave
        .clusters
        .iter()
        .map(|cluster| (cluster, standing(world, rollout, cluster, opened)))
        .filter(|(_, standing)| *standing != Standing::Gone)
        .collect();
    let done: Vec<Timestamp> = standings
        .iter()
        .filter_map(|(_, standing)| standing.done())
        .collect();
    if done.len() == standings.len() {
        let began = done.into_iter().max().unwrap_or(opened).max(opened);
        return bake(view, began, plan);
    }
    let detail = format!("{} of {} clusters are done", done.len(), standings.len());
    plan.wait(view.scope(), Reason::WaitingForClusters, detail);
    let in_work = standings
        .iter()
        .filter(|(_, standing)| standing.in_work())
        .count();
    let free = usize::try_from(wave.max_concurrency)
        .unwrap_or(usize::MAX)
        .saturating_sub(in_work);
    let mut work = Work { view, free, plan };
    for (cluster, standing) in standings {
        work.look_at(cluster, standing);
    }
}

/// The work on an opened wave.
struct Work<'w, 'p> {
    view: WaveView<'w>,
    /// How many clusters may still be begun.
    free: usize,
    plan: &'p mut Plan,
}

impl Work<'_, '_> {
    fn look_at(&mut self, cluster: &ClusterName, standing: Standing) {
        let scope = || Scope::Cluster(cluster.clone());
        let Some(member) = self.view.world.member(cluster) else {
            return;
        };
        match standing {
            Standing::Gone | Standing::Done { .. } => {}
            // Failures have halted the rollout before any wave is looked at.
            Standing::Failed { reason, detail } | Standing::Unsettled { reason, detail } => {
                self.plan.wait(scope(), reason, detail);
            }
            // Taking the mode back and giving it again asks again at once.
            Standing::Capped { until } => match self.view.world.mode(&self.view.wave.name, member) {
                Mode::Observe => self.begin(member, false),
                Mode::Enforce => {
                    let detail =
                        "the agent's own maxMode is Observe; asked again when the assignment has ended";
                    self.plan
                        .wait_until(scope(), Reason::ModeObserve, detail, Some(until));
                }
            },
            Standing::InWork => self.renew(member),
            Standing::Stopping => self.begin(member, true),
            Standing::Pending => self.begin(member, false),
        }
    }

    /// Gives a cluster its assignment, if nothing is in the way; `holds_a_place` where it counts as in
    /// work already.
    fn begin(&mut self, member: &ClusterMember, holds_a_place: bool) {
        let scope = Scope::Cluster(member.cluster.clone());
        let allowed = match self.view.gate(member) {
            Gate::Enforce(allowed) => allowed,
            Gate::Observe(allowed) => {
                return self.view.dry_run(member, &allowed, self.plan);
            }
            Gate::Decision {
                reason,
                detail,
                until,
            } => {
                return self.plan.wait_until(scope, reason, detail, until);
            }
            Gate::Agent => {
                return self
                    .plan
                    .wait(scope, Reason::WaitingForAgent, "the agent has sent no facts yet");
            }
            Gate::AtTarget => {
                return self
                    .plan
                    .wait(scope, Reason::WaitingForClusters, "it runs the target already");
            }
        };
        if !self.view.world.ledger_ok {
            self.plan
                .wait(scope, Reason::LedgerUnconfirmed, "nothing new is begun");
        } else if self.view.world.fresh_heartbeat(&member.cluster).is_none() {
            self.plan.wait(
                scope,
                Reason::WaitingForAgent,
                "no heartbeat within the last five minutes",
            );
        } else if self.free == 0 && !holds_a_place {
            let detail = format!(
                "{} clusters of the wave may be in work at once",
                self.view.wave.max_concurrency
            );
            self.plan.wait(scope, Reason::WaitingForClusters, detail);
        } else {
            self.free = if holds_a_place {
                self.free
            } else {
                self.free.saturating_sub(1)
            };
            self.plan
                .steps
                .push(Step::Assign(self.view.draft(member, &allowed, Mode::Enforce)));
        }
    }

    /// Renews the assignment of a cluster in work before it ends, on the baseline that the task began
    /// with, for as long as its ALLOW lives and its agent does.
    fn renew(&mut self, member: &ClusterMember) {
        let WaveView { world, rollout, wave } = self.view;
        let cluster = &member.cluster;
        let Some(task) = world.assignments.get(cluster) else {
            return;
        };
        let detail = format!("epoch {} is in work", task.epoch);
        self.plan.wait(
            Scope::Cluster(cluster.clone()),
            Reason::WaitingForClusters,
            detail,
        );
        let unmoved =
            world.facts.get(cluster).and_then(|facts| facts.baseline.as_ref()) == Some(&task.baseline);
        let due = later(world.now, RENEW_WITHIN) >= task.expires
            && task.rollout == *rollout.key()
            && world.fresh_heartbeat(cluster).is_some()
            && world.mode(&wave.name, member) == Mode::Enforce
            && (task.reports.accepted || (world.ledger_ok && unmoved));
        let Some(until) = world
            .allowed(&task.target, &wave.policy, &task.baseline)
            .filter(|_| due)
        else {
            return;
        };
        if world.expiry(until) > task.expires {
            let allowed = Allowed {
                baseline: task.baseline.clone(),
                until,
            };
            let draft = AssignDraft {
                renews: Some(task.epoch),
                ..self.view.draft(member, &allowed, Mode::Enforce)
            };
            self.plan.steps.push(Step::Assign(draft));
        }
    }
}

/// Ends the wave when it was well for long enough.
fn bake(view: WaveView<'_>, began: Timestamp, plan: &mut Plan) {
    let (WaveView { world, rollout, wave }, scope) = (view, view.scope());
    let ends = later(began, wave.bake);
    if world.now < ends {
        let detail = format!("all clusters are done since {began}");
        return plan.wait_until(scope, Reason::WaitingForBake, detail, Some(ends));
    }
    let mut heartbeats = std::collections::BTreeMap::new();
    let before = plan.waits.len();
    for cluster in wave
        .clusters
        .iter()
        .filter(|cluster| world.member(cluster).is_some())
    {
        match well(world, cluster, began) {
            Ok(sent) => {
                heartbeats.insert(cluster.clone(), sent);
            }
            Err((reason, detail)) => plan.wait(Scope::Cluster(cluster.clone()), reason, detail),
        }
    }
    let missing = plan.waits.len() - before;
    if missing > 0 {
        let detail = format!("{missing} clusters have no fresh HEALTHY heartbeat since {began}");
        return plan.wait(scope, Reason::WaitingForBake, detail);
    }
    plan.steps.push(Step::BakeWave(WaveBaked {
        rollout: rollout.key().clone(),
        wave: wave.name.clone(),
        bake_started: began,
        bake_ended: world.now,
        heartbeats,
    }));
}

/// The heartbeat that proves that a cluster is well: fresh, HEALTHY, sent since the bake began, and not
/// contradicted by a later health report.
fn well(
    world: &Known<'_>,
    cluster: &ClusterName,
    began: Timestamp,
) -> Result<Timestamp, (Reason, &'static str)> {
    let Some(heartbeat) = world
        .fresh_heartbeat(cluster)
        .filter(|heartbeat| heartbeat.sent >= began)
    else {
        return Err((
            Reason::WaitingForAgent,
            "no heartbeat within the last five minutes and since the bake began",
        ));
    };
    let report = world
        .health
        .get(cluster)
        .filter(|report| report.observed > heartbeat.sent);
    match report.map_or(heartbeat.health, |report| report.health) {
        Health::Healthy => Ok(heartbeat.sent),
        Health::Inconclusive | Health::Unhealthy => {
            Err((Reason::HealthUnknown, "the last word is not HEALTHY"))
        }
    }
}

impl Standing {
    const fn done(&self) -> Option<Timestamp> {
        match self {
            Self::Done { since } => Some(*since),
            Self::Gone
            | Self::Failed { .. }
            | Self::InWork
            | Self::Stopping
            | Self::Unsettled { .. }
            | Self::Capped { .. }
            | Self::Pending => None,
        }
    }

    const fn in_work(&self) -> bool {
        match self {
            Self::InWork | Self::Stopping => true,
            Self::Gone
            | Self::Done { .. }
            | Self::Failed { .. }
            | Self::Unsettled { .. }
            | Self::Capped { .. }
            | Self::Pending => false,
        }
    }
}
