//! What the log says about tasks and rollouts, folded in memory: each event is read once, not at every look.
//!
//! - A projection that can be dropped at any time. It is, whenever the view was made anew: for another stream, or
//!   under another trust bundle (old events may no longer count).
//! - Events are folded in stream order. A report is about the task that it met, so a result that crossed a
//!   renewal counts for the renewed task.
//! - Clusters that left the fleet are folded as well: what they were asked has to be taken back.

use std::collections::BTreeMap;
use std::sync::Arc;

use bus::{Area, Fact, View, ViewError, subject};
use domain::fleet::Report;
use domain::rollout::{RolloutFinished, RolloutStarted, WaveBaked, WaveOpened};
use domain::{Assignment, ClusterName, Digest, Epoch};
use jiff::Timestamp;
use planner::reducer::{AssignmentView, Opened, RolloutView};
use wire::{fleet, rollout};

#[cfg(test)]
mod tests;

/// Events that are read at once.
const PAGE: u32 = 500;

/// Reports about a cluster that are kept to be shown. What they say about the task is in the view.
const REPORTS: usize = 64;

/// A cluster's assignments: the newest one with its task, and what was said about it.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    pub(crate) view: AssignmentView,
    pub(crate) newest: Assignment,
    pub(crate) envelope: Fact,
    pub(crate) reports: Vec<Report>,
    /// The envelopes of this task: a report counts for the one that it names by digest.
    digests: BTreeMap<Epoch, Digest>,
}

/// The courses of all clusters that were ever assigned something.
pub(crate) type Courses = BTreeMap<ClusterName, Arc<Course>>;

/// All rollouts with when they began, in that order.
pub(crate) type Rollouts = Vec<(Timestamp, Arc<RolloutView>)>;

/// What is folded so far.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    /// The making of the view that this was folded from.
    making: u64,
    last: u64,
    pub(crate) courses: Courses,
    pub(crate) rollouts: Rollouts,
}

impl Fold {
    /// Folds what came since the last time.
    pub(crate) async fn catch_up(&mut self, view: &View) -> Result<(), ViewError> {
        loop {
            let facts = view.after(self.last, PAGE).await?;
            // Asked after the reading: what was read is then of this making, or of one that is seen here.
            if view.making().await? != self.making {
                *self = Self::anew(view).await?;
                continue;
            }
            for fact in &facts {
                self.take(fact);
            }
            if facts.len() < PAGE as usize {
                return Ok(());
            }
        }
    }

    /// Folds everything up to the cursor.
    async fn anew(view: &View) -> Result<Self, ViewError> {
        loop {
            let making = view.making().await?;
            // From the file: a view that was made anew tells its readers a moment later.
            let cursor = view.folded_to().await?;
            let mut facts = Vec::new();
            for step in ["assignment", "accepted", "refused", "applied", "result"] {
                facts.extend(view.all_of(Area::Cluster, step).await?);
            }
            for started in view.all_of(Area::Rollout, "started").await? {
                facts.extend(view.steps(Area::Rollout, started.subject.workflow(), "").await?);
            }
            facts.retain(|fact| fact.sequence <= cursor);
            facts.sort_by_key(|fact| fact.sequence);
            let mut fold = Self::default();
            for fact in &facts {
                fold.take(fact);
            }
            if view.making().await? == making {
                fold.making = making;
                fold.last = cursor;
                return Ok(fold);
            }
        }
    }

    /// Folds the next event.
    fn take(&mut self, fact: &Fact) {
        self.last = self.last.max(fact.sequence);
        match fact.subject.area() {
            Area::Cluster => self.cluster(fact),
            Area::Rollout => self.rollout(fact),
            Area::Release | Area::Verification | Area::Scan | Area::Policy | Area::Trust => {}
        }
    }

    fn cluster(&mut self, fact: &Fact) {
        match fact.subject.step() {
            "assignment" => self.assigned(fact),
            "accepted" | "refused" | "applied" | "result" => self.reported(fact),
            _ => {}
        }
    }

    fn rollout(&mut self, fact: &Fact) {
        let (statement, time) = (&fact.statement, fact.time);
        match fact.subject.step() {
            "started" => self.started(fact),
            "finished" => {
                let read = wire::decode::<rollout::v1::RolloutFinished, RolloutFinished>(statement);
                let Ok(finished) = read else { return };
                let name = subject::rollout_finished(&finished.rollout);
                self.step(fact, &name, |view| view.finished = Some(finished));
            }
            step if step.starts_with("opened-") => {
                let read = wire::decode::<rollout::v1::WaveOpened, WaveOpened>(statement);
                let Ok(opened) = read else { return };
                let name = subject::rollout_opened(&opened.rollout, &opened.wave);
                self.step(fact, &name, |view| {
                    let why = opened.detail;
                    view.opened.insert(opened.wave, Opened { at: time, why });
                });
            }
            step if step.starts_with("baked-") => {
                let read = wire::decode::<rollout::v1::WaveBaked, WaveBaked>(statement);
                let Ok(baked) = read else { return };
                let name = subject::rollout_baked(&baked.rollout, &baked.wave);
                self.step(fact, &name, |view| {
                    view.baked.insert(baked.wave.clone(), baked);
                });
            }
            _ => {}
        }
    }

    fn assigned(&mut self, fact: &Fact) {
        let read = wire::decode::<fleet::v1::Assignment, Assignment>(&fact.statement);
        let Ok(newest) = read else { return };
        if fact.subject != subject::assignment(&newest.cluster, newest.epoch) {
            return;
        }
        let before = self.courses.remove(&newest.cluster).map(Arc::unwrap_or_clone);
        let view = AssignmentView::next(before.as_ref().map(|course| &course.view), &newest);
        let (reports, mut digests) =
            before.map_or_else(Default::default, |before| (before.reports, before.digests));
        digests.retain(|epoch, _| *epoch >= view.task);
        digests.insert(newest.epoch, fact.digest());
        let course = Course {
            view,
            envelope: fact.clone(),
            reports,
            digests,
            newest,
        };
        self.courses
            .insert(course.newest.cluster.clone(), Arc::new(course));
    }

    fn reported(&mut self, fact: &Fact) {
        let read = wire::decode::<fleet::v1::Report, Report>(&fact.statement);
        let Ok(report) = read else { return };
        let own = fact.subject.workflow() == subject::cluster_workflow(&report.cluster)
            && fact.subject.n() == report.epoch.0;
        let Some(course) = self.courses.get_mut(&report.cluster).filter(|_| own) else {
            return;
        };
        // It counts for the assignment that it names by digest, not for its number alone.
        if course.digests.get(&report.epoch) != Some(&report.assignment) {
            return;
        }
        let course = Arc::make_mut(course);
        course.view.report(&report);
        course.reports.push(report);
        let surplus = course.reports.len().saturating_sub(REPORTS);
        course.reports.drain(..surplus);
    }

    fn started(&mut self, fact: &Fact) {
        let read = wire::decode::<rollout::v1::RolloutStarted, RolloutStarted>(&fact.statement);
        let Ok(started) = read else { return };
        if fact.subject != subject::rollout_started(&started.rollout) {
            return;
        }
        let view = RolloutView {
            started,
            opened: BTreeMap::new(),
            baked: BTreeMap::new(),
            finished: None,
        };
        self.rollouts.push((fact.time, Arc::new(view)));
    }

    /// Folds a step of a rollout if it stands under the name that it claims.
    fn step(&mut self, fact: &Fact, name: &bus::Subject, fold: impl FnOnce(&mut RolloutView)) {
        if fact.subject != *name {
            return;
        }
        let workflow = fact.subject.workflow();
        let of = |view: &RolloutView| subject::rollout_started(&view.started.rollout);
        let found = self
            .rollouts
            .iter_mut()
            .rev()
            .find(|(_, view)| of(view).workflow() == workflow);
        if let Some((_, view)) = found {
            fold(Arc::make_mut(view));
        }
    }
}
