//! Going on with what was begun: after a start, after an error, and in the ordinary course.

use std::time::Duration;

use domain::fleet::ReportKind;
use domain::trace::TraceId;
use domain::{Epoch, Health, Mode, Reason};
use jiff::SignedDuration;
use runtime::errors::chain;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::pace::Pace;
use super::{Agent, Current, late};
use crate::apply::apply;
use crate::check::{Memory, Order, check};
use crate::preflight::{Plan, PreflightError, plan, still_ours};
use crate::task::{self, Phase, Task};
use crate::{facts, preflight};

impl Agent {
    /// Whether a task is not settled.
    pub(super) fn is_open(&self) -> bool {
        let phase = self.state.task.as_ref().map(|current| current.task.record.phase);
        matches!(phase, Some(Phase::Begun | Phase::Applied))
    }

    /// Takes up the task that stands in the cluster, if there is one. Tried again until the API server
    /// answers: an agent that does not know whether something was begun begins nothing else.
    pub(super) async fn resume(&mut self) {
        if !self.state.tries.is_due() {
            return;
        }
        let found = match task::load(&self.cluster).await {
            Ok(None) => Ok(()),
            Ok(Some(task)) => self.take_up(task).await,
            Err(error) => Err(PreflightError::Cluster(error)),
        };
        match found {
            Err(error) if error.retryable() => {
                tracing::warn!(error = %chain(&error), "what was begun can't be taken up yet");
                self.state.tries.failed(self.timing.settle);
                self.state.trouble.failed(&error);
                return;
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "what stands in the cluster is no task of this agent");
            }
            Ok(()) => {}
        }
        self.state.resumed = true;
        self.state.tries.reset();
        self.state.trouble.over();
    }

    /// Whether this agent began the task: it is the one that it remembers, or not older than what it has
    /// seen. Somebody who can write one ConfigMap can't make it do an old task again.
    fn began(&self, task: &Task) -> bool {
        let (epoch, assignment) = (Epoch(task.record.epoch), task.record.assignment);
        self.memory.task == Some(assignment)
            || epoch > self.memory.epoch
            || (epoch == self.memory.epoch && self.memory.assignment.is_none_or(|seen| seen == assignment))
    }

    /// A begun task is checked as of when it was begun: it may go on, whatever has ended since. What was
    /// said about it is said again, since it may not have been heard.
    async fn take_up(&mut self, task: Task) -> Result<(), PreflightError> {
        let refused = |reason, detail| PreflightError::Refused { reason, detail };
        if !self.began(&task) {
            let detail = format!("epoch {} after epoch {}", task.record.epoch, self.memory.epoch);
            return Err(refused(Reason::EpochOld, detail));
        }
        let memory = Memory {
            epoch: Epoch(task.record.epoch),
            assignment: Some(task.record.assignment),
            ..Memory::default()
        };
        let order = check(&task.dossier, &self.demands, &memory, task.record.begun)
            .map_err(|refusal| refused(refusal.reason, refusal.detail))?;
        let phase = task.record.phase;
        tracing::info!(cluster = %self.demands.cluster, epoch = task.record.epoch, ?phase, "taking up what was begun");
        let open = matches!(phase, Phase::Begun | Phase::Applied);
        let deadline = order.assignment.success_deadline;
        let since = *self.state.started.get_or_insert_with(Instant::now);
        let late = open && late(since, deadline, Instant::now());
        let facts = self.facts().await;
        let made = match facts.and_then(|facts| plan(&order, &task.layers, &facts)) {
            Ok(made) => made,
            Err(error) if error.retryable() && !late => return Err(error),
            // Settled long ago, and somebody else has changed the cluster since.
            Err(error) if !open => return Err(error),
            Err(error) => {
                let target = crate::health::Target {
                    images: [].into(),
                    crds: [].into(),
                };
                self.state.task = Some(Current::new(task, order.clone(), target));
                let (health, detail) = ended(&error, deadline);
                self.finish(&order, health, detail).await;
                return Ok(());
            }
        };
        self.say_again(&order, phase);
        let mut current = Current::new(task, order, made.target);
        current.applied = (phase == Phase::Applied).then(Instant::now);
        self.state.task = Some(current);
        Ok(())
    }

    fn say_again(&mut self, order: &Order, phase: Phase) {
        self.report(order, ReportKind::Accepted, "all checks passed");
        if phase != Phase::Begun {
            self.report(order, ReportKind::Applied, "everything is written");
        }
        let again = "said again after a restart";
        match phase {
            Phase::Begun | Phase::Applied => {}
            Phase::Healthy => self.report(order, ReportKind::Finished(Health::Healthy), again),
            Phase::Unhealthy => self.report(order, ReportKind::Finished(Health::Unhealthy), again),
        }
    }

    async fn facts(&self) -> Result<domain::ClusterFacts, PreflightError> {
        let gathered = facts::gather(&self.cluster, &self.demands.cluster, self.now()).await;
        gathered.map_err(PreflightError::Cluster)
    }

    /// Writes what was begun, or tries again.
    pub(super) async fn carry_on(&mut self) {
        let begun = self
            .state
            .task
            .as_ref()
            .filter(|current| current.task.record.phase == Phase::Begun);
        let Some(current) = begun.filter(|_| self.state.tries.is_due()) else {
            return;
        };
        let (order, layers) = (current.order.clone(), current.task.layers.clone());
        let written = self.write(&order, &layers).await;
        let late = self.state.task.as_ref().is_some_and(Current::is_late);
        let next = Next::after(written, late.then_some(order.assignment.success_deadline));
        next.pace(&mut self.state.tries, self.timing.settle);
        match next {
            Next::Settle => {
                self.report(&order, ReportKind::Applied, "everything is written");
                self.settle(Phase::Applied).await;
            }
            Next::Again(error) => tracing::warn!(error, "writing did not end; trying again"),
            Next::End(health, detail) => {
                tracing::error!(cluster = %self.demands.cluster, detail, "a begun task can't go on");
                self.finish(&order, health, detail).await;
            }
        }
    }

    async fn write(&self, order: &Order, layers: &preflight::Layers) -> Result<(), PreflightError> {
        let span = runtime::telemetry::work_span(TraceId::of_rollout(&order.assignment.rollout), "apply");
        self.apply(order, layers).instrument(span).await
    }

    async fn apply(&self, order: &Order, layers: &preflight::Layers) -> Result<(), PreflightError> {
        if order.mode != Mode::Enforce {
            return Err(PreflightError::Refused {
                reason: Reason::ModeObserve,
                detail: "the agent's file does not let it write any more".to_owned(),
            });
        }
        let facts = self.facts().await?;
        let made: Plan = plan(order, layers, &facts)?;
        still_ours(order, &facts, &made.target)?;
        apply(&self.cluster, &made, &self.lease)
            .await
            .map_err(preflight::judged)
    }

    /// Reports how a task ended.
    pub(super) async fn finish(&mut self, order: &Order, health: Health, detail: impl Into<String>) {
        self.report(order, ReportKind::Finished(health), detail);
        self.settle(Phase::settled(health)).await;
    }

    /// Notes how far the task is, and stores it.
    async fn settle(&mut self, phase: Phase) {
        let Some(current) = &mut self.state.task else {
            return;
        };
        current.task.record.phase = phase;
        if phase == Phase::Applied {
            current.applied = Some(Instant::now());
            self.state.flow.begin();
        }
        self.state.observations = 0;
        self.state.next_observation = None;
        self.store_phase().await;
    }

    /// Stores how far the task is. Where that fails it is tried again when the cluster can be seen; until then
    /// the phase is behind, and a start does a step twice.
    pub(super) async fn store_phase(&mut self) {
        let Some(current) = &self.state.task else {
            return;
        };
        let phase = current.task.record.phase;
        let stored = task::store(&self.cluster, &current.task).await;
        self.state.unstored = stored.is_err();
        if let Err(error) = stored {
            tracing::warn!(error = %chain(&error), "how far the task is could not be stored");
            return;
        }
        if matches!(phase, Phase::Healthy | Phase::Unhealthy) {
            self.keep(Memory {
                task: None,
                ..self.memory
            });
        }
    }
}

/// What follows from a try to write.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Everything is written.
    Settle,
    /// It is tried again.
    Again(String),
    /// The task ends.
    End(Health, String),
}

impl Next {
    /// What may pass is waited for until the task's time is over: `late` is how long that was.
    fn after(written: Result<(), PreflightError>, late: Option<SignedDuration>) -> Self {
        match (written, late) {
            (Ok(()), _) => Self::Settle,
            (Err(error), None) if error.retryable() => Self::Again(chain(&error)),
            (Err(error), late) => {
                let (health, detail) = ended(&error, late.unwrap_or_default());
                Self::End(health, detail)
            }
        }
    }

    /// Tries that have come to an end leave nothing to wait for.
    fn pace(&self, tries: &mut Pace, first: Duration) {
        match self {
            Self::Settle | Self::End(..) => tries.reset(),
            Self::Again(_) => tries.failed(first),
        }
    }
}

/// How a task ends that can't go on: what is a fact is bad, what passed too late is not known.
fn ended(error: &PreflightError, deadline: SignedDuration) -> (Health, String) {
    if error.retryable() {
        let detail = format!(
            "it could not be brought to its end within {deadline}, a part may be written: {}",
            chain(error)
        );
        (Health::Inconclusive, detail)
    } else {
        (Health::Unhealthy, error.to_string())
    }
}

/// The reason for which a task ends when its time is over.
pub(super) const TOO_LATE: Reason = Reason::DeploymentNotReady;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ClusterError;

    const DEADLINE: SignedDuration = SignedDuration::from_mins(30);

    fn busy() -> PreflightError {
        PreflightError::Cluster(ClusterError::Held {
            object: "Lease/fluxgate-agent",
            holder: "another".to_owned(),
        })
    }

    fn customised() -> PreflightError {
        PreflightError::Refused {
            reason: Reason::Customised,
            detail: "Deployment/source-controller".to_owned(),
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_until_the_time_is_over() {
        assert_eq!(Next::after(Ok(()), None), Next::Settle);
        let why = "Lease/fluxgate-agent is held by another";
        assert_eq!(Next::after(Err(busy()), None), Next::Again(why.to_owned()));
        let late = format!("it could not be brought to its end within PT30M, a part may be written: {why}");
        assert_eq!(
            Next::after(Err(busy()), Some(DEADLINE)),
            Next::End(Health::Inconclusive, late)
        );
    }

    #[test]
    fn what_is_a_fact_is_one_however_late_it_is() {
        assert_eq!(Next::after(Ok(()), Some(DEADLINE)), Next::Settle);
        for late in [None, Some(DEADLINE)] {
            let next = Next::after(Err(customised()), late);
            assert!(matches!(next, Next::End(Health::Unhealthy, _)), "{next:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_end_leaves_a_try_that_is_due_for_ever() {
        let first = Duration::from_secs(2);
        for end in [
            Next::after(Ok(()), None),
            Next::after(Err(customised()), None),
            Next::after(Err(busy()), Some(DEADLINE)),
        ] {
            let mut tries = Pace::default();
            Next::after(Err(busy()), None).pace(&mut tries, first);
            assert!(tries.next().is_some());
            end.pace(&mut tries, first);
            assert_eq!(tries.next(), None, "{end:?}");
        }
    }
}
