//! Going on with what was begun: after a start, after an error, and in the ordinary course.

use domain::fleet::ReportKind;
use domain::{Health, Reason};
use runtime::errors::chain;
use tokio::time::Instant;

use super::{Agent, Current};
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

    /// Takes up the task that stands in the cluster, if there is one.
    pub(super) async fn resume(&mut self) {
        let task = loop {
            match task::load(&self.cluster).await {
                Ok(task) => break task,
                Err(error) if error.retryable() && !self.shutdown.is_requested() => {
                    tracing::warn!(error = %chain(&error), "the cluster can't be asked for a begun task");
                    tokio::time::sleep(self.timing.settle).await;
                }
                Err(error) => {
                    tracing::error!(error = %chain(&error), "what was begun can't be read");
                    return;
                }
            }
        };
        let Some(task) = task else { return };
        match self.take_up(task).await {
            Ok(()) => {}
            Err(error) => tracing::error!(error = %chain(&error), "what was begun can't be taken up"),
        }
    }

    /// A begun task is checked as of when it was begun: it may go on, whatever has ended since.
    async fn take_up(&mut self, task: Task) -> Result<(), PreflightError> {
        let memory = Memory {
            epoch: domain::Epoch(task.record.epoch),
            assignment: Some(task.record.assignment),
            bundle: 0,
        };
        let order = check(&task.dossier, &self.demands, &memory, task.record.begun).map_err(|refusal| {
            PreflightError::Refused {
                reason: refusal.reason,
                detail: refusal.detail,
            }
        })?;
        let facts = self.facts().await?;
        let made = plan(&order, &task.layers, &facts)?;
        tracing::info!(cluster = %self.demands.cluster, epoch = task.record.epoch, phase = ?task.record.phase, "taking up what was begun");
        self.report(&order, ReportKind::Accepted, "all checks passed");
        if task.record.phase == Phase::Applied {
            self.report(&order, ReportKind::Applied, "everything is written");
        }
        let applied = (task.record.phase == Phase::Applied).then(Instant::now);
        self.state.task = Some(Current {
            task,
            order,
            target: made.target,
            applied,
            well_since: None,
            wrong_before: false,
        });
        Ok(())
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
        let Some(current) = begun else { return };
        let (order, layers) = (current.order.clone(), current.task.layers.clone());
        match self.write(&order, &layers).await {
            Ok(()) => {
                self.report(&order, ReportKind::Applied, "everything is written");
                self.settle(Phase::Applied).await;
            }
            Err(error) => self.not_written(&order, &error).await,
        }
    }

    async fn write(&self, order: &Order, layers: &preflight::Layers) -> Result<(), PreflightError> {
        let facts = self.facts().await?;
        let made: Plan = plan(order, layers, &facts)?;
        still_ours(order, &facts, &made.target)?;
        apply(&self.cluster, &made, &self.lease)
            .await
            .map_err(PreflightError::Cluster)
    }

    /// An API server that is slow or busy is asked again; one that refuses an object has refused the task.
    async fn not_written(&mut self, order: &Order, error: &PreflightError) {
        let refused = match error {
            PreflightError::Refused { reason, detail } => Some((*reason, detail.clone())),
            PreflightError::Cluster(cause) if !cause.retryable() => Some((cause.reason(), chain(cause))),
            PreflightError::Cluster(_) | PreflightError::Blob(_) => None,
        };
        match refused {
            None => tracing::warn!(error = %chain(error), "writing did not end; trying again"),
            Some((reason, detail)) => {
                let detail = format!("{reason}: {detail}");
                tracing::error!(cluster = %self.demands.cluster, detail, "a begun task can't go on");
                self.finish(order, Health::Unhealthy, detail).await;
            }
        }
    }

    /// Reports how a task ended.
    pub(super) async fn finish(&mut self, order: &Order, health: Health, detail: impl Into<String>) {
        self.report(order, ReportKind::Finished(health), detail);
        self.settle(Phase::settled(health)).await;
    }

    /// Stores how far the task is. Where that fails the phase is behind: the next start does a step twice.
    async fn settle(&mut self, phase: Phase) {
        let Some(current) = &mut self.state.task else {
            return;
        };
        current.task.record.phase = phase;
        if phase == Phase::Applied {
            current.applied = Some(Instant::now());
        }
        self.state.observations = 0;
        self.state.next_observation = None;
        if let Err(error) = task::store(&self.cluster, &current.task).await {
            tracing::warn!(error = %chain(&error), "how far the task is could not be stored");
        }
    }
}

/// The reason for which a task ends when its time is over.
pub(super) const TOO_LATE: Reason = Reason::DeploymentNotReady;
