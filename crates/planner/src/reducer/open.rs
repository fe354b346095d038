//! Opening a wave: what keeps it shut, and dry runs meanwhile.

use domain::Reason;
use domain::rollout::WaveOpened;
use jiff::Timestamp;

use super::gate::{Gate, WaveView};
use super::steps::{Plan, Scope, Step};

/// Opens the wave if nothing is in the way.
pub(super) fn open(view: WaveView<'_>, plan: &mut Plan) {
    let scope = view.scope();
    let obstacle = prepare(view, plan);
    let stops = view.world.stops_of_wave(&view.wave.name, view.rollout.key());
    match (stops, obstacle) {
        (Some(stops), _) => plan.wait(scope, Reason::Stopped, stops.text()),
        (None, Some((reason, detail, until))) => plan.wait_until(scope, reason, detail, until),
        (None, None) if !view.world.ledger_ok => {
            plan.wait(scope, Reason::LedgerUnconfirmed, "nothing new is begun");
        }
        (None, None) => plan.steps.push(Step::OpenWave(WaveOpened {
            rollout: view.rollout.key().clone(),
            wave: view.wave.name.clone(),
            detail: why(view),
        })),
    }
}

/// What has come together: the waves before have baked, and every cluster that is not left behind is ready.
fn why(view: WaveView<'_>) -> String {
    let baked = view.rollout.started.waves.iter().map(|wave| wave.name.as_str());
    let baked: Vec<&str> = baked.take_while(|name| *name != view.wave.name).collect();
    let members = view
        .wave
        .clusters
        .iter()
        .filter_map(|name| view.world.member(name));
    let (mut ready, mut done) = (0, 0);
    for member in members {
        match view.gate(member) {
            Gate::Enforce(_) => ready += 1,
            Gate::AtTarget => done += 1,
            Gate::Stopped { .. } | Gate::Agent | Gate::Decision { .. } | Gate::Observe(_) => {}
        }
    }
    let before = if baked.is_empty() {
        "it is the first wave".to_owned()
    } else {
        format!("baked before: {}", baked.join(", "))
    };
    let of = view.wave.clusters.len();
    format!("{before}; {ready} of {of} clusters are allowed and enforced, {done} run the release already")
}

/// What keeps a wave from opening, the most fundamental first.
#[derive(Default)]
struct Obstacles {
    /// Members of the wave that are not held.
    free: usize,
    at_target: usize,
    frozen: usize,
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
        let gate = view.gate(member);
        if view.world.held(&member.cluster).is_none() {
            obstacles.free += 1;
        }
        match gate {
            Gate::Enforce(_) => {}
            Gate::AtTarget => obstacles.at_target += 1,
            Gate::Stopped { hold, detail } => {
                obstacles.frozen += usize::from(!hold);
                plan.wait(scope, Reason::Stopped, detail);
            }
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
    obstacles.first(view)
}

impl Obstacles {
    fn first(&self, view: WaveView<'_>) -> Option<(Reason, String, Option<Timestamp>)> {
        let wanted = view.wave.min_clusters;
        let of = |n: usize, what: &str| format!("{n} of {} clusters {what}", view.wave.clusters.len());
        if self.free < usize::try_from(wanted).unwrap_or(usize::MAX) {
            let detail = of(self.free, &format!("are not held, wanted: {wanted}"));
            Some((Reason::FleetUnfit, detail, None))
        } else if self.silent > 0 {
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
        } else if self.frozen > 0 && self.frozen + self.at_target >= self.free {
            Some((
                Reason::Stopped,
                of(self.frozen, "are frozen and no other has work"),
                None,
            ))
        } else {
            None
        }
    }
}
