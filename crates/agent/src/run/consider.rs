//! A new assignment: check it, look whether the cluster can take the step, begin.

use domain::fleet::{Alarm, ReportKind};
use domain::{Digest, Mode, Reason};
use runtime::errors::chain;

use super::{Agent, Current};
use crate::check::{Memory, Order, Refusal, check};
use crate::facts;
use crate::preflight::{Layers, Plan, PreflightError, judged, preflight};
use crate::task::{self, Phase, Record, Task};

impl Agent {
    /// Reads the assignment and does what follows from it.
    pub(super) async fn consider(&mut self) {
        let dossier = match self.bus.assignment().await {
            Ok(Some(entry)) => entry.value,
            Ok(None) => {
                self.state.trouble.over();
                return;
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the assignment can't be read");
                return;
            }
        };
        let name = Digest::of(&dossier);
        if self.state.handled == Some(name) {
            return;
        }
        match check(&dossier, &self.demands, &self.memory, self.now()) {
            Ok(order) => {
                self.state.alarm = None;
                if self.follow(&dossier, order).await {
                    self.state.handled = Some(name);
                    self.state.trouble.over();
                }
            }
            Err(refusal) => {
                self.state.trouble.over();
                self.refuse(name, refusal);
            }
        }
    }

    /// A refusal is reported under its epoch only where the assignment is a genuine one of this cluster and nothing
    /// that it speaks of goes on ([`is_answer`]); anything else stands in the heartbeat.
    fn refuse(&mut self, dossier: Digest, refusal: Refusal) {
        let Refusal {
            genuine,
            reason,
            detail,
        } = refusal;
        let seen = |digest| self.memory.assignment == Some(digest);
        match genuine {
            // One that has had its last word and lies there until it ends is no news.
            Some((_, digest)) if seen(digest) && self.memory.answered => {
                self.state.handled = Some(dossier);
            }
            Some((epoch, digest)) if is_answer(reason, self.is_open()) => {
                if self.keep(self.memory.having_seen(epoch, digest, 0)) {
                    self.report_on((epoch, digest), ReportKind::Refused(reason), detail, "");
                    self.state.answering = Some(digest);
                    self.state.handled = Some(dossier);
                }
            }
            Some(_) | None => {
                let known = self
                    .state
                    .alarm
                    .as_ref()
                    .is_some_and(|(seen, _)| *seen == dossier);
                if !known {
                    tracing::warn!(cluster = %self.demands.cluster, %reason, detail, "an assignment does not count");
                    self.state.alarm = Some((dossier, Alarm { reason, detail }));
                }
            }
        }
    }

    /// Whether the order needs no more looking at.
    async fn follow(&mut self, dossier: &[u8], order: Order) -> bool {
        let same = |current: &Current| {
            current.order.assignment.rollout == order.assignment.rollout
                && current.order.assignment.target == order.assignment.target
        };
        if order.mode == Mode::Enforce && self.state.task.as_ref().is_some_and(same) {
            return self.renew(dossier, order).await;
        }
        // One thing at a time: what is open is brought to its end first.
        if self.is_open() || !self.keep(self.having_seen(&order)) {
            return false;
        }
        // Said once, and for good: a refused step is not taken later because something has changed since.
        if self.memory.answered {
            return true;
        }
        let begun = match self.prepare(&order).await {
            Ok(prepared) => self.begin(dossier, &order, prepared).await,
            Err(error) => Err(error),
        };
        match begun {
            Ok(done) => done,
            Err(PreflightError::Refused { reason, detail }) => {
                self.answer(&order, ReportKind::Refused(reason), detail);
                true
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "nothing could be begun; trying again");
                self.state.trouble.failed(&error);
                false
            }
        }
    }

    fn having_seen(&self, order: &Order) -> Memory {
        self.memory
            .having_seen(order.assignment.epoch, order.digest, order.bundle)
    }

    /// The last word about an assignment that is not carried out.
    fn answer(&mut self, order: &Order, kind: ReportKind, detail: String) {
        self.report(order, kind, detail);
        self.state.answering = Some(order.digest);
    }

    /// The task goes on under the newest epoch. It is stored before it is remembered, so that a restart in
    /// between finds a task that is not older than what it remembers.
    async fn renew(&mut self, dossier: &[u8], order: Order) -> bool {
        let now = self.now();
        let seen = self.having_seen(&order);
        let Some(current) = &mut self.state.task else {
            return false;
        };
        let newer = order.assignment.epoch > current.order.assignment.epoch;
        if newer && matches!(current.task.record.phase, Phase::Begun | Phase::Applied) {
            let record = Record {
                epoch: order.assignment.epoch.0,
                assignment: order.digest,
                bundle: order.bundle,
                begun: now,
                phase: current.task.record.phase,
            };
            let task = Task {
                record,
                dossier: dossier.to_vec(),
                layers: current.task.layers.clone(),
            };
            if let Err(error) = task::store(&self.cluster, &task).await {
                tracing::warn!(error = %chain(&error), "the renewal could not be stored; trying again");
                self.state.trouble.failed(&PreflightError::Cluster(error));
                return false;
            }
            current.task = task;
            current.order = order;
            return self.keep(Memory {
                task: seen.assignment,
                ..seen
            });
        }
        self.keep(seen)
    }

    async fn prepare(&self, order: &Order) -> Result<(Layers, Plan), PreflightError> {
        let layers = self.layers(order).await?;
        let facts = facts::gather(&self.cluster, &self.demands.cluster, self.now())
            .await
            .map_err(PreflightError::Cluster)?;
        let plan = preflight(&self.cluster, order, &layers, &facts, &self.tolerate).await?;
        Ok((layers, plan))
    }

    /// The bytes that the order names. Blobs are hashed when they are read, and again where they are used.
    async fn layers(&self, order: &Order) -> Result<Layers, PreflightError> {
        let read = async |digest: Digest| match self.bus.blob(digest).await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(PreflightError::NoBytes(digest)),
            Err(error) => Err(PreflightError::Blob(error)),
        };
        let Some(baseline) = order.baseline.layer else {
            return Err(PreflightError::Refused {
                reason: Reason::BaselineVersionUnknown,
                detail: "the manifests of the running version are unknown".to_owned(),
            });
        };
        Ok(Layers {
            target: read(order.contents.layer).await?,
            baseline: read(baseline).await?,
        })
    }

    /// Stores the task and begins to write. What the API server does not let it store is a fact about the step.
    async fn begin(
        &mut self,
        dossier: &[u8],
        order: &Order,
        (layers, plan): (Layers, Plan),
    ) -> Result<bool, PreflightError> {
        if order.mode == Mode::Observe {
            let (objects, version) = (plan.objects.len(), &order.contents.release.version);
            let detail = format!("dry run of {objects} objects of {version} found no obstacle");
            self.answer(order, ReportKind::WouldUpgrade, detail);
            return Ok(true);
        }
        let record = Record {
            epoch: order.assignment.epoch.0,
            assignment: order.digest,
            bundle: order.bundle,
            begun: self.now(),
            phase: Phase::Begun,
        };
        let task = Task {
            record,
            dossier: dossier.to_vec(),
            layers,
        };
        self.lease.renew().await.map_err(judged)?;
        task::store(&self.cluster, &task).await.map_err(judged)?;
        // It stands where an older one stood.
        self.state.unstored = false;
        if !self.keep(Memory {
            task: Some(order.digest),
            ..self.memory
        }) {
            return Ok(false);
        }
        self.report(order, ReportKind::Accepted, "all checks passed");
        self.voice.say().await;
        self.state.task = Some(Current::new(task, order.clone(), plan.target));
        self.carry_on().await;
        Ok(true)
    }
}

/// Whether a refusal of a genuine assignment is said under its epoch. One of an older assignment is not: that one has
/// had its word. While a task is open only a stop is answered: the hub would take any other refusal, as of a renewal,
/// for the end of a task that goes on, and give its place to another cluster.
const fn is_answer(reason: Reason, open: bool) -> bool {
    match reason {
        Reason::EpochOld => false,
        Reason::Stopped => true,
        _ => !open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_while_a_task_goes_on_is_no_end_of_it() {
        for renewal in [
            Reason::AssignmentExpired,
            Reason::DecisionExpired,
            Reason::StatementMissing,
        ] {
            assert!(
                is_answer(renewal, false) && !is_answer(renewal, true),
                "{renewal}"
            );
        }
        assert!(is_answer(Reason::Stopped, true), "a stop is acknowledged");
        assert!(!is_answer(Reason::EpochOld, false), "it has had its word");
    }
}
