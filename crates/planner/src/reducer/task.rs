//! A cluster's newest assignment with what its agent said, folded from the log.
//!
//! A *task* is what one or more epochs ask for: a renewal is the same task. Reports name the epoch that the
//! agent had read, so a report about an earlier epoch of the same task counts for the newest one. That is
//! why the two folds are here and not with the caller: a result that crossed a renewal must not be lost, and
//! a refusal of an earlier task must not end a later one.

use domain::fleet::{Report, ReportKind};
use domain::{Action, Assignment, BaselineKey, Epoch, Health, Mode, Reason, ReleaseKey, RolloutKey};
use jiff::Timestamp;

/// The newest assignment of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentView {
    /// Its number.
    pub epoch: Epoch,
    /// The epoch with which its task began.
    pub task: Epoch,
    /// The rollout.
    pub rollout: RolloutKey,
    /// The release to become.
    pub target: ReleaseKey,
    /// What the cluster ran when the task began.
    pub baseline: BaselineKey,
    /// The mode.
    pub mode: Mode,
    /// Upgrade, or take that back.
    pub action: Action,
    /// When it was made.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// What the agent said about the task.
    pub reports: Reports,
}

/// What an agent said about a task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reports {
    /// The task was begun.
    pub accepted: bool,
    /// It was refused.
    pub refused: Option<Reason>,
    /// Everything was written.
    pub applied: bool,
    /// It is over.
    pub result: Option<TaskResult>,
    /// The stop was acknowledged, and nothing was begun. Of a task that was accepted this is never said: a stop
    /// that crossed the acceptance changes nothing about what goes on.
    pub stopped: bool,
    /// It was taken back after the agent had said no, for this reason: nothing was begun then, so it holds no
    /// place. For its rollout it stays a failure, unless the reason is a mode or a stop.
    pub declined: Option<Reason>,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskResult {
    /// How.
    pub kind: ResultKind,
    /// When, by the agent's clock.
    pub at: Timestamp,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultKind {
    /// A dry run found no obstacle.
    WouldUpgrade,
    /// It was carried out and judged.
    Finished(Health),
}

impl AssignmentView {
    /// Folds the next assignment of a cluster onto the one before it.
    #[must_use]
    pub fn next(previous: Option<&Self>, assignment: &Assignment) -> Self {
        let stops = assignment.action == Action::Stop;
        let taken_back = previous
            .filter(|previous| stops && previous.said_no().is_some() && previous.is_repeated_by(assignment));
        let continued = previous.filter(|previous| previous.is_continued_by(assignment));
        let reports = match (taken_back, continued) {
            // The no is answered by the stop. What else the agent says about the task still counts.
            (Some(previous), _) => Reports {
                accepted: previous.reports.accepted,
                applied: previous.reports.applied,
                declined: previous.said_no(),
                ..Reports::default()
            },
            (None, Some(previous)) => Reports {
                declined: previous.reports.declined.filter(|_| stops),
                ..previous.reports.clone()
            },
            (None, None) => Reports::default(),
        };
        Self {
            epoch: assignment.epoch,
            task: taken_back
                .or(continued)
                .map_or(assignment.epoch, |previous| previous.task),
            rollout: assignment.rollout.clone(),
            target: assignment.target.clone(),
            baseline: assignment.baseline.clone(),
            mode: assignment.mode,
            action: assignment.action,
            issued: assignment.issued,
            expires: assignment.expires,
            reports,
        }
    }

    /// Folds a report. One about another task changes nothing; the first result and the first refusal
    /// stay.
    pub fn report(&mut self, report: &Report) {
        if report.epoch < self.task || report.epoch > self.epoch {
            return;
        }
        let stop = self.action == Action::Stop;
        let finish = |kind| TaskResult {
            kind,
            at: report.sent,
        };
        let reports = &mut self.reports;
        match report.kind {
            ReportKind::Accepted if stop && report.epoch == self.epoch => reports.stopped = !reports.accepted,
            ReportKind::Accepted => {
                reports.accepted = true;
                reports.stopped = false;
            }
            ReportKind::Refused(_) if stop => reports.stopped = !reports.accepted,
            ReportKind::Refused(reason) => {
                reports.refused.get_or_insert(reason);
            }
            ReportKind::Applied => reports.applied = true,
            ReportKind::WouldUpgrade => {
                reports.result.get_or_insert(finish(ResultKind::WouldUpgrade));
            }
            ReportKind::Finished(health) => {
                reports.result.get_or_insert(finish(ResultKind::Finished(health)));
            }
        }
    }

    /// Whether the cluster may be writing because of it: asked to under Enforce, and not known to be over.
    /// One that was never accepted is over when it ends; one that was accepted goes on.
    #[must_use]
    pub fn in_work(&self, now: Timestamp) -> bool {
        let reports = &self.reports;
        self.mode == Mode::Enforce
            && reports.result.is_none()
            && reports.refused.is_none()
            && !reports.stopped
            && (reports.accepted || (reports.declined.is_none() && now < self.expires))
    }

    /// Whether the agent may still carry it out without having begun: also where it said no, since what kept
    /// it from it may be gone when it looks again (its own cap raised, a restart).
    pub(super) fn may_still_begin(&self, now: Timestamp) -> bool {
        let reports = &self.reports;
        let over = matches!(
            reports.result.map(|result| result.kind),
            Some(ResultKind::Finished(_))
        );
        self.mode == Mode::Enforce
            && self.action == Action::Upgrade
            && !(reports.accepted || reports.stopped || over)
            && now < self.expires
    }

    /// Why the agent answered that it does not carry it out: a refusal, or a dry run in its place.
    fn said_no(&self) -> Option<Reason> {
        match self.reports.result.map(|result| result.kind) {
            Some(ResultKind::WouldUpgrade) => Some(Reason::ModeObserve),
            Some(ResultKind::Finished(_)) => None,
            None => self.reports.refused,
        }
    }

    /// What went wrong with it, if anything did: a bad result, or a refusal that no person asked for. That the
    /// agent may not write, or saw a stop, says nothing about the release.
    pub(super) fn failure(&self) -> Option<(Reason, String)> {
        if self.mode != Mode::Enforce {
            return None;
        }
        match self.reports.result.map(|result| result.kind) {
            Some(ResultKind::Finished(health @ (Health::Unhealthy | Health::Inconclusive))) => {
                let detail = format!("epoch {} ended {health}", self.epoch);
                return Some((Reason::ClusterUnhealthy, detail));
            }
            Some(ResultKind::Finished(Health::Healthy) | ResultKind::WouldUpgrade) => return None,
            None => {}
        }
        let refused = self.reports.refused.or(self.reports.declined);
        let refused = refused.filter(|reason| !matches!(reason, Reason::ModeObserve | Reason::Stopped))?;
        let detail = format!("epoch {} was refused: {refused}", self.task);
        Some((Reason::ClusterRefused, detail))
    }

    /// Whether the next assignment asks for the same thing: a renewal, a stop, or a stop taken back before
    /// the agent had seen it.
    fn is_continued_by(&self, next: &Assignment) -> bool {
        self.is_repeated_by(next) && self.reports.refused.is_none() && self.reports.result.is_none()
    }

    fn is_repeated_by(&self, next: &Assignment) -> bool {
        self.rollout == next.rollout
            && self.target == next.target
            && self.baseline == next.baseline
            && self.mode == next.mode
            && !self.reports.stopped
    }
}
