//! An opened wave: working through its clusters.

use domain::{ClusterMember, ClusterName, Mode, Reason};
use jiff::Timestamp;

use super::bake::bake;
use super::gate::{Allowed, Gate, WaveView};
use super::standing::{Look, Standing, left_behind};
use super::steps::{AssignDraft, Plan, Scope, Step};
use super::world::{RENEW_WITHIN, later};

/// Works through the wave that is open.
pub(super) fn go_on(view: WaveView<'_>, opened: Timestamp, looks: &[Look<'_>], plan: &mut Plan) {
    if let Some(stops) = view.world.stops_of_wave(&view.wave.name, view.rollout.key()) {
        plan.wait(view.scope(), Reason::Stopped, stops.text());
    }
    let (left, going): (Vec<&Look<'_>>, Vec<&Look<'_>>) =
        looks.iter().partition(|look| left_behind(view, look).is_some());
    let done: Vec<Timestamp> = going.iter().filter_map(|look| look.standing.done()).collect();
    if done.len() == going.len() {
        work(view, looks, plan);
        let began = done.into_iter().max().unwrap_or(opened).max(opened);
        let counts = |look: &&&Look<'_>| !look.held && !look.newer;
        let counted: Vec<&ClusterName> = going.iter().filter(counts).map(|look| look.cluster).collect();
        let free = looks.iter().filter(|look| !look.held).count();
        if free < usize::try_from(view.wave.min_clusters).unwrap_or(usize::MAX) {
            let wanted = view.wave.min_clusters;
            let detail = format!("clusters that are not held: {free}, wanted: {wanted}");
            return plan.wait(view.scope(), Reason::FleetUnfit, detail);
        }
        return bake((view, looks), began, &counted, plan);
    }
    let without = match left.len() {
        0 => String::new(),
        n => format!(", {n} more are held or left behind"),
    };
    let counts = format!("{} of {} clusters are done{without}", done.len(), going.len());
    let (reason, detail) = not_done(&going, counts);
    plan.wait(view.scope(), reason, detail);
    work(view, looks, plan);
}

/// What a wave waits for: its clusters that are upgraded or still to be begun; where there are none, what keeps the
/// first of the others from being done.
fn not_done(going: &[&Look<'_>], counts: String) -> (Reason, String) {
    let moving = going.iter().any(|look| {
        let standing = &look.standing;
        standing.in_work() || matches!(standing, Standing::Pending | Standing::Capped { .. })
    });
    let unsettled = going.iter().find_map(|look| {
        let Standing::Unsettled { reason, detail } = &look.standing else {
            return None;
        };
        Some((*reason, format!("{counts}; {}: {detail}", look.cluster)))
    });
    unsettled
        .filter(|_| !moving)
        .unwrap_or((Reason::WaitingForClusters, counts))
}

/// Looks after every cluster of an opened wave. One that has baked goes on as well: what was held or lost then
/// is upgraded when that is over. Returns whether anything is going on.
pub(super) fn work(view: WaveView<'_>, looks: &[Look<'_>], plan: &mut Plan) -> bool {
    let in_work = looks.iter().filter(|look| look.standing.in_work()).count();
    let free = usize::try_from(view.wave.max_concurrency)
        .unwrap_or(usize::MAX)
        .saturating_sub(in_work);
    let mut work = Work {
        view,
        free,
        begun: false,
        plan,
    };
    let mut going_on = false;
    for look in looks {
        if let Some((reason, detail)) = left_behind(view, look) {
            work.plan
                .wait(Scope::Cluster(look.cluster.clone()), reason, detail);
        } else {
            going_on |= look.standing.in_work();
            work.look_at(look.cluster, &look.standing);
        }
    }
    going_on || work.begun
}

/// The work on an opened wave.
struct Work<'w, 'p> {
    view: WaveView<'w>,
    /// How many clusters may still be begun.
    free: usize,
    /// Whether one was begun.
    begun: bool,
    plan: &'p mut Plan,
}

impl Work<'_, '_> {
    fn look_at(&mut self, cluster: &ClusterName, standing: &Standing) {
        let scope = || Scope::Cluster(cluster.clone());
        let Some(member) = self.view.world.member(cluster) else {
            return;
        };
        match standing {
            // Those that failed or are held were told before.
            Standing::Gone | Standing::Done { .. } | Standing::Failed { .. } | Standing::Held { .. } => {}
            Standing::Unsettled { reason, detail } => self.plan.wait(scope(), *reason, detail.as_str()),
            // Taking the mode back and giving it again asks again at once.
            Standing::Capped { until } => match self.view.world.mode(&self.view.wave.name, member) {
                Mode::Observe => self.begin(member, false),
                Mode::Enforce => {
                    let detail =
                        "the agent's own maxMode is Observe; asked again when the assignment has ended";
                    self.plan
                        .wait_until(scope(), Reason::ModeObserve, detail, Some(*until));
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
            Gate::Stopped { detail, .. } => {
                return self.plan.wait(scope, Reason::Stopped, detail);
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
            self.begun = true;
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
        let stopped = world
            .stops_of(member, Some(wave.name.as_str()), Some(rollout.key()))
            .is_some();
        let due = later(world.now, RENEW_WITHIN) >= task.expires
            && task.rollout == *rollout.key()
            && world.fresh_heartbeat(cluster).is_some()
            && world.mode(&wave.name, member) == Mode::Enforce
            && (task.reports.accepted || (world.ledger_ok && unmoved && !stopped));
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
