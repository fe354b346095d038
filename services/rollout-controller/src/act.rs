//! Carrying out what the planner says: each step is one event, published under a name that follows from the
//! step, so that doing it twice is doing it once.

use bus::journal::JournalError;
use bus::{Fact, Written, subject};
use domain::trace::TraceId;
use domain::{ClusterName, RolloutKey};
use planner::reducer::Step;
use wire::rollout::v1;

use crate::Controller;
use crate::assign::AssignError;
use crate::world::{Known, WorldError};

/// Why a step was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActError {
    #[error("reading the log")]
    World(#[from] WorldError),
    #[error("publishing a step of rollout {0}")]
    Journal(RolloutKey, #[source] JournalError),
    #[error("assigning {0}")]
    Assign(ClusterName, #[source] AssignError),
}

impl Controller {
    /// Plans, and carries out what is to be done now.
    pub(crate) async fn move_on(&self) -> Result<(), ActError> {
        let known = self.known().await?;
        let plan = planner::plan(&known.world(&self.strategy));
        for step in plan.steps {
            self.carry_out(&known, step).await?;
        }
        Ok(())
    }

    async fn carry_out(&self, known: &Known, step: Step) -> Result<(), ActError> {
        match step {
            Step::Start(started) => {
                let key = started.rollout.clone();
                let claim = v1::RolloutStarted::from(&started);
                self.step(&key, &subject::rollout_started(&key), &claim).await
            }
            Step::OpenWave(opened) => {
                let name = subject::rollout_opened(&opened.rollout, &opened.wave);
                self.step(&opened.rollout, &name, &v1::WaveOpened::from(&opened))
                    .await
            }
            Step::BakeWave(baked) => {
                let name = subject::rollout_baked(&baked.rollout, &baked.wave);
                self.step(&baked.rollout, &name, &v1::WaveBaked::from(&baked))
                    .await
            }
            Step::Finish(finished) => {
                let name = subject::rollout_finished(&finished.rollout);
                self.step(&finished.rollout, &name, &v1::RolloutFinished::from(&finished))
                    .await
            }
            Step::Assign(draft) => {
                let cluster = draft.cluster.clone();
                self.assign(known, &draft)
                    .await
                    .map_err(|error| ActError::Assign(cluster, error))
            }
            Step::Stop(draft) => {
                let cluster = draft.cluster.clone();
                self.stop(known, &draft)
                    .await
                    .map_err(|error| ActError::Assign(cluster, error))
            }
        }
    }

    async fn step<C: attest::Claim + Sync>(
        &self,
        rollout: &RolloutKey,
        name: &bus::Subject,
        claim: &C,
    ) -> Result<(), ActError> {
        let trace = TraceId::of_rollout(rollout);
        let written = self.hub.journal.once(name, claim, &trace.traceparent()).await;
        let written = written.map_err(|error| ActError::Journal(rollout.clone(), error))?;
        log(rollout, &written);
        Ok(())
    }
}

fn log(rollout: &RolloutKey, written: &Written) {
    let Written::Ours(Fact { subject, .. }) = written else {
        return;
    };
    tracing::info!(rollout_id = %rollout, step = subject.step(), "rollout moved on");
}
