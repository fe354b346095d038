//! A new assignment: check it, look whether the cluster can take the step, begin.

use domain::fleet::{Alarm, ReportKind};
use domain::{Digest, Mode, Reason};
use runtime::errors::chain;

use super::{Agent, Current};
use crate::check::{Memory, Order, Refusal, check};
use crate::facts;
use crate::preflight::{Layers, Plan, PreflightError, preflight};
use crate::task::{self, Phase, Record, Task};

impl Agent {
    /// Reads the assignment and does what follows from it.
    pub(super) async fn consider(&mut self) {
        let dossier = match self.bus.assignment().await {
            Ok(Some(entry)) => entry.value,
            Ok(None) => return,
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
                if self.remember(&order) && self.follow(&dossier, order).await {
                    self.state.handled = Some(name);
                }
            }
            Err(refusal) => self.refuse(name, refusal),
        }
    }

    /// What was seen is remembered before anything follows from it.
    fn remember(&mut self, order: &Order) -> bool {
        let seen = Memory {
            epoch: order.assignment.epoch,
            assignment: Some(order.digest),
            bundle: order.bundle.max(self.memory.bundle),
        };
        if seen == self.memory {
            return true;
        }
        match self.file.store(&seen) {
            Ok(()) => {
                self.memory = seen;
                true
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "the agent can't remember; nothing is begun");
                false
            }
        }
    }

    /// A refusal is reported under its epoch only where the assignment is a genuine one of this cluster;
    /// anything else is somebody else's writing, and stands in the heartbeat.
    fn refuse(&mut self, dossier: Digest, refusal: Refusal) {
        let known = self
            .state
            .alarm
            .as_ref()
            .is_some_and(|(seen, _)| *seen == dossier);
        let Refusal {
            genuine,
            reason,
            detail,
        } = refusal;
        let replayed = reason == Reason::EpochOld
            || (reason == Reason::AssignmentExpired
                && genuine.is_some_and(|(_, digest)| self.memory.assignment == Some(digest)));
        match genuine {
            Some((epoch, digest)) if !replayed => {
                let remembered = Memory {
                    epoch,
                    assignment: Some(digest),
                    ..self.memory
                };
                if let Err(error) = self.file.store(&remembered) {
                    tracing::error!(error = %chain(&error), "the agent can't remember");
                    return;
                }
                self.memory = remembered;
                self.report_on((epoch, digest), ReportKind::Refused(reason), detail, "");
                self.state.handled = Some(dossier);
            }
            Some(_) | None if known => {}
            Some(_) | None => {
                tracing::warn!(cluster = %self.demands.cluster, %reason, detail, "an assignment does not count");
                self.state.alarm = Some((dossier, Alarm { reason, detail }));
                self.state.next_heartbeat = None;
            }
        }
    }

    /// Whether the order needs no more looking at.
    async fn follow(&mut self, dossier: &[u8], order: Order) -> bool {
        if let Some(current) = &mut self.state.task {
            let same = current.order.assignment.rollout == order.assignment.rollout
                && current.order.assignment.target == order.assignment.target;
            if same && order.mode == Mode::Enforce {
                // A renewal: the task goes on under the newest epoch.
                current.order.assignment.expires = order.assignment.expires;
                return true;
            }
            if self.is_open() {
                return false;
            }
        }
        match self.prepare(&order).await {
            Ok((layers, plan)) => self.begin(dossier, order, (layers, plan)).await,
            Err(PreflightError::Refused { reason, detail }) => {
                self.report(&order, ReportKind::Refused(reason), detail);
                true
            }
            Err(error @ (PreflightError::Cluster(_) | PreflightError::Blob(_))) => {
                tracing::warn!(error = %chain(&error), "the cluster could not be looked at; trying again");
                false
            }
        }
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
        let missing = |what: &str| PreflightError::Refused {
            reason: Reason::ManifestsMismatch,
            detail: format!("nobody has the {what} any more"),
        };
        let read = async |digest: Digest, what: &str| match self.bus.blob(digest).await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(missing(what)),
            Err(error) => Err(PreflightError::Blob(error)),
        };
        let Some(baseline) = order.baseline.layer else {
            return Err(missing("manifests of the running version"));
        };
        Ok(Layers {
            target: read(order.contents.layer, "manifests of the target").await?,
            baseline: read(baseline, "manifests of the running version").await?,
        })
    }

    async fn begin(&mut self, dossier: &[u8], order: Order, (layers, plan): (Layers, Plan)) -> bool {
        if order.mode == Mode::Observe {
            let objects = plan.objects.len();
            let version = &order.contents.release.version;
            self.report(
                &order,
                ReportKind::WouldUpgrade,
                format!("dry run of {objects} objects of {version} found no obstacle"),
            );
            return true;
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
        let stored = match self.lease.renew().await {
            Ok(()) => task::store(&self.cluster, &task).await,
            Err(error) => Err(error),
        };
        if let Err(error) = stored {
            tracing::warn!(error = %chain(&error), "the task could not be stored; nothing is written");
            return false;
        }
        self.report(&order, ReportKind::Accepted, "all checks passed");
        self.voice.say().await;
        self.state.task = Some(Current {
            task,
            order,
            target: plan.target,
            applied: None,
            well_since: None,
            wrong_before: false,
        });
        self.carry_on().await;
        true
    }
}
