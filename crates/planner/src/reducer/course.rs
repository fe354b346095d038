//! The course of an active rollout: halt, give way to a newer one, or go on with the first wave that has
//! not baked.

use domain::rollout::{RolloutEnd, RolloutFinished, Superseding, WaveSnapshot};
use domain::{Mode, Reason};

use super::breach::breach;
use super::gate::WaveView;
use super::standing::{Look, left_behind, survey};
use super::start::{candidate, obstacle};
use super::steps::{Plan, Scope, Step};
use super::world::{Known, RolloutView};
use super::{AssignmentView, open, wave};

/// How many clusters that were left behind are named when a rollout ends.
const NAMED: usize = 20;

/// An active rollout with how each cluster of its opened waves stands.
pub(super) struct Course<'w> {
    pub(super) world: &'w Known<'w>,
    pub(super) rollout: &'w RolloutView,
    /// The opened waves, in order.
    pub(super) opened: Vec<(&'w WaveSnapshot, Vec<Look<'w>>)>,
}

pub(super) fn plan(world: &Known<'_>, rollout: &RolloutView, plan: &mut Plan) {
    let course = Course::new(world, rollout);
    if let Some(detail) = breach(&course) {
        return finish(rollout, RolloutEnd::Halted, detail, plan);
    }
    if let Some(detail) = course.superseded() {
        return finish(rollout, RolloutEnd::Superseded, detail, plan);
    }
    if let Some(stops) = world.stops_of_rollout(rollout.key()) {
        plan.wait(Scope::Rollout, Reason::Stopped, stops.text());
    }
    let busy = course.stragglers(plan);
    match course.current() {
        Some(current) => course.go_on(current, plan),
        None if busy => {
            let detail = "every wave has baked; clusters that were left behind are being upgraded";
            plan.wait(Scope::Rollout, Reason::WaitingForClusters, detail);
        }
        None => finish(rollout, RolloutEnd::Completed, course.completed(), plan),
    }
}

impl<'w> Course<'w> {
    pub(super) fn new(world: &'w Known<'w>, rollout: &'w RolloutView) -> Self {
        let opened = rollout.started.waves.iter().filter_map(|wave| {
            let opened = rollout.opened.get(&wave.name)?;
            Some((wave, survey(WaveView { world, rollout, wave }, opened.at)))
        });
        Self {
            world,
            rollout,
            opened: opened.collect(),
        }
    }

    pub(super) const fn view(&self, wave: &'w WaveSnapshot) -> WaveView<'w> {
        WaveView {
            world: self.world,
            rollout: self.rollout,
            wave,
        }
    }

    fn ahead(&self) -> impl Iterator<Item = &'w WaveSnapshot> {
        let waves = self.rollout.started.waves.iter();
        waves.filter(|wave| !self.rollout.baked.contains_key(&wave.name))
    }

    /// The first wave that has not baked.
    pub(super) fn current(&self) -> Option<&'w WaveSnapshot> {
        self.ahead().next()
    }

    fn go_on(&self, current: &'w WaveSnapshot, plan: &mut Plan) {
        let view = self.view(current);
        let looks = self.opened.iter().find(|(wave, _)| wave.name == current.name);
        match (self.rollout.opened.get(&current.name), looks) {
            (Some(opened), Some((_, looks))) => wave::go_on(view, opened.at, looks, plan),
            (Some(_), None) | (None, _) => open::open(view, plan),
        }
        for later in self.ahead().skip(1) {
            let detail = format!("wave {} has not baked", current.name);
            plan.wait(Scope::Wave(later.name.clone()), Reason::WaitingForWave, detail);
            open::prepare(self.view(later), plan);
        }
    }

    /// Upgrades what was left behind in the waves that have baked, where nothing keeps it back any more.
    /// Returns whether anything is going on there.
    fn stragglers(&self, plan: &mut Plan) -> bool {
        let mut busy = false;
        for (wave, looks) in &self.opened {
            if self.rollout.baked.contains_key(&wave.name) {
                busy |= wave::work(self.view(wave), looks, plan);
            }
        }
        busy
    }

    /// Whether a newer release is to be rolled out and this one gives way: while it has changed nothing, or
    /// between two waves where the strategy says so. Otherwise the newer one waits, so that it never starves
    /// a bake.
    fn superseded(&self) -> Option<String> {
        let (world, rollout) = (self.world, self.rollout);
        let newer = candidate(world).filter(|newer| newer.version > rollout.target().version)?;
        let stopped = world.stops_of_rollout(rollout.key()).is_some();
        if stopped || obstacle(world, &newer).is_err() {
            return None;
        }
        let asked = |task: &AssignmentView| task.rollout == *rollout.key() && task.mode == Mode::Enforce;
        if rollout.opened.is_empty() {
            let untouched = !world.assignments.values().any(asked);
            return untouched.then(|| format!("{} is allowed and nothing was changed yet", newer.version));
        }
        let going_on = |look: &Look<'_>| look.standing.in_work() && !look.lost;
        let busy = self.opened.iter().any(|(_, looks)| looks.iter().any(going_on));
        let (next, (last, _)) = (self.current()?, self.opened.last()?);
        let between = !rollout.opened.contains_key(&next.name) && !busy;
        (between && rollout.started.superseding == Superseding::FinishWave)
            .then(|| format!("{} is allowed and wave {} has baked", newer.version, last.name))
    }

    fn completed(&self) -> String {
        let waves = &self.rollout.started.waves;
        let clusters: usize = waves.iter().map(|wave| wave.clusters.len()).sum();
        let mut detail = format!(
            "{}: {} waves, {clusters} clusters",
            Reason::UpgradeComplete,
            waves.len()
        );
        let mut left = Vec::new();
        for (wave, looks) in &self.opened {
            let view = self.view(wave);
            let open = looks
                .iter()
                .filter(|look| look.standing.done().is_none() || left_behind(view, look).is_some());
            left.extend(open.map(|look| {
                let reason = left_behind(view, look).map_or(Reason::WaitingForClusters, |(reason, _)| reason);
                format!("{} ({reason})", look.cluster)
            }));
        }
        if !left.is_empty() {
            let more = left.len().saturating_sub(NAMED);
            left.truncate(NAMED);
            detail.push_str(&format!("; without {}", left.join(", ")));
            if more > 0 {
                detail.push_str(&format!(" and {more} more"));
            }
        }
        detail
    }
}

fn finish(rollout: &RolloutView, end: RolloutEnd, detail: String, plan: &mut Plan) {
    plan.steps.push(Step::Finish(RolloutFinished {
        rollout: rollout.key().clone(),
        end,
        detail,
    }));
}
