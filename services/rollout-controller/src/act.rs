//! Carrying out what the planner says: each step is one event, published under a name that follows from the
//! step, so that doing it twice is doing it once.
//!
//! Few steps at a time: after each step of a rollout, and after some clusters were given one each, the log is read
//! and planned again, so that a mode that was taken back in between, or a ledger that confirms no more, is seen
//! before the next. A step that fails keeps no other from being carried out; it is tried again at the next look.

use std::collections::BTreeSet;

use bus::journal::JournalError;
use bus::{Fact, Written, subject};
use domain::trace::TraceId;
use domain::{ClusterName, ReleaseKey, RolloutKey};
use planner::reducer::Step;
use runtime::errors::chain;
use runtime::telemetry;
use wire::rollout::v1;

use crate::Controller;
use crate::assign::AssignError;
use crate::fold::Courses;
use crate::world::{Known, WorldError};

/// Plans at one look; what is left is done at the next, which comes at once because the log has changed.
const PLANS: usize = 64;
/// Clusters that are given something under one plan. Each plan reads the whole world, so one cluster at a time would
/// cost the square of the fleet; more at once would see a stop later (a few milliseconds for each).
const AT_ONCE: usize = 32;

/// Why a step was not carried out.
#[derive(Debug, thiserror::Error)]
enum ActError {
    #[error("publishing a step of rollout {0}")]
    Journal(RolloutKey, #[source] JournalError),
    #[error("assigning {0}")]
    Assign(ClusterName, #[source] AssignError),
}

/// What moving on came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moved {
    /// Up to which event everything is applied: the reading of the newest plan that takes nothing back any more.
    pub(crate) applied: Option<u64>,
    /// What agents may read: the courses as the newest plan knew them, without those that it takes back or that can't
    /// be acted upon. What came after it, as an assignment that was under way for long, is looked at by the next plan
    /// first.
    pub(crate) courses: Courses,
}

impl Moved {
    /// The newest plan.
    fn see(&mut self, known: &Known, steps: &[Step]) {
        let taken_back: BTreeSet<&ClusterName> = steps.iter().filter_map(stopped).collect();
        if taken_back.is_empty() {
            self.applied = Some(known.as_of);
        }
        self.courses.clone_from(&known.courses);
        let readable =
            |cluster: &ClusterName| !taken_back.contains(cluster) && !known.orphans.contains(cluster);
        self.courses.retain(|cluster, _| readable(cluster));
    }
}

impl Controller {
    /// Plans, and carries out what is to be done now. What it comes to stands in `moved`, also where a later plan
    /// can't be made.
    pub(crate) async fn move_on(&self) -> Result<(), WorldError> {
        let mut tried = BTreeSet::new();
        self.moved.lock().await.applied = None;
        for _ in 0..PLANS {
            let known = self.known().await?;
            let plan = planner::plan(&known.world(&self.strategy));
            self.moved.lock().await.see(&known, &plan.steps);
            let next = untried(plan.steps, &mut tried);
            if next.is_empty() {
                break;
            }
            for (name, step) in next {
                if let Err(error) = self.carry_out(&known, step).await {
                    tracing::warn!(step = name, error = %chain(&error), "a step was not carried out; trying again");
                }
            }
        }
        Ok(())
    }

    async fn carry_out(&self, known: &Known, step: Step) -> Result<(), ActError> {
        match step {
            Step::Start(started) => {
                let key = &started.rollout;
                let _roots = roots(key, &started.release);
                let claim = v1::RolloutStarted::from(&started);
                self.step(key, &subject::rollout_started(key), &claim).await
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

/// The root of the rollout's trace, and a span in the release's: each names the other, so that either trace leads to
/// both. Made again where the start is published again, with the same ids.
fn roots(rollout: &RolloutKey, release: &ReleaseKey) -> [tracing::Span; 2] {
    let (own, of_release) = (TraceId::of_rollout(rollout), TraceId::of_release(release));
    let spans = [
        telemetry::root_span(own, "rollout"),
        telemetry::work_span(of_release, "rollout started"),
    ];
    for (span, other) in spans.iter().zip([of_release, own]) {
        if let Err(error) = telemetry::link(span, &other.traceparent()) {
            tracing::debug!(error = %error, "two traces are not linked");
        }
    }
    spans
}

/// What is carried out under one plan, of what this look has not tried yet: the first step, and where that is about
/// one cluster, those that follow it and are about another one each. None of them depends on another: every step
/// follows from the world as it was.
fn untried(steps: Vec<Step>, tried: &mut BTreeSet<String>) -> Vec<(String, Step)> {
    let named = steps.into_iter().map(|step| (name(&step), step));
    let mut untried = named.filter(|(name, _)| !tried.contains(name)).peekable();
    let alone = untried.peek().is_some_and(|(_, step)| cluster(step).is_none());
    let mut next: Vec<(String, Step)> = Vec::new();
    for (name, step) in untried.take(if alone { 1 } else { AT_ONCE }) {
        let own = cluster(&step);
        let doubled = |(_, other): &(String, Step)| cluster(other) == own;
        if !alone && (own.is_none() || next.iter().any(doubled)) {
            break;
        }
        next.push((name, step));
    }
    tried.extend(next.iter().map(|(name, _)| name.clone()));
    next
}

/// The cluster that a step is about; none where it is about the rollout.
const fn cluster(step: &Step) -> Option<&ClusterName> {
    match step {
        Step::Assign(draft) => Some(&draft.cluster),
        Step::Stop(draft) => Some(&draft.cluster),
        Step::Start(_) | Step::OpenWave(_) | Step::BakeWave(_) | Step::Finish(_) => None,
    }
}

/// The cluster from which something is taken back.
const fn stopped(step: &Step) -> Option<&ClusterName> {
    match step {
        Step::Stop(draft) => Some(&draft.cluster),
        Step::Assign(_) | Step::Start(_) | Step::OpenWave(_) | Step::BakeWave(_) | Step::Finish(_) => None,
    }
}

/// What a step is about; the same at every look.
fn name(step: &Step) -> String {
    match step {
        Step::Start(started) => format!("start {}", started.rollout),
        Step::OpenWave(opened) => format!("open {} of {}", opened.wave, opened.rollout),
        Step::BakeWave(baked) => format!("bake {} of {}", baked.wave, baked.rollout),
        Step::Finish(finished) => format!("finish {}", finished.rollout),
        Step::Assign(draft) => format!("assign {} to {}", draft.rollout, draft.cluster),
        Step::Stop(draft) => format!("stop epoch {} of {}", draft.stops, draft.cluster),
    }
}

fn log(rollout: &RolloutKey, written: &Written) {
    let Written::Ours(Fact { subject, .. }) = written else {
        return;
    };
    tracing::info!(rollout_id = %rollout, step = subject.step(), "rollout moved on");
}

#[cfg(test)]
mod tests {
    use domain::rollout::{RolloutEnd, RolloutFinished};
    use domain::{Epoch, Reason};
    use planner::reducer::StopDraft;

    use super::*;

    fn stop(cluster: &str) -> Step {
        Step::Stop(StopDraft {
            cluster: cluster.parse().unwrap(),
            stops: Epoch(1),
            reason: Reason::Stopped,
            detail: String::new(),
        })
    }

    fn finish() -> Step {
        Step::Finish(RolloutFinished {
            rollout: "flux-v2.9.4-1".parse().unwrap(),
            end: RolloutEnd::Halted,
            detail: String::new(),
        })
    }

    #[test]
    fn a_step_that_fails_keeps_no_other_from_being_carried_out() {
        // Nothing that is tried succeeds, so that every plan is the same.
        let plan = || vec![stop("a"), finish(), stop("b")];
        let mut tried = BTreeSet::new();
        let mut carried = Vec::new();
        loop {
            let next = untried(plan(), &mut tried);
            if next.is_empty() {
                break;
            }
            carried.extend(next.into_iter().map(|(_, step)| step));
        }
        assert_eq!(carried, plan());
    }

    #[test]
    fn under_one_plan_each_of_some_clusters_is_given_one_step_and_a_rollout_one_alone() {
        let taken = |plan: Vec<Step>| {
            let next = untried(plan, &mut BTreeSet::new());
            next.into_iter().map(|(_, step)| step).collect::<Vec<_>>()
        };
        assert_eq!(
            taken(vec![stop("a"), stop("b"), finish()]),
            [stop("a"), stop("b")]
        );
        assert_eq!(taken(vec![finish(), stop("a")]), [finish()]);
        // Two about one cluster: the second one is planned again, under what the first one changed.
        let Step::Stop(mut again) = stop("a") else {
            unreachable!("a stop is a stop")
        };
        again.stops = Epoch(2);
        assert_eq!(taken(vec![stop("a"), Step::Stop(again), stop("b")]), [stop("a")]);
        let many: Vec<Step> = (0..100).map(|n| stop(&format!("c{n}"))).collect();
        assert_eq!(taken(many.clone()), many[..AT_ONCE]);
    }

    #[tokio::test]
    async fn agents_read_what_the_newest_plan_knew_and_does_not_take_back() {
        let stand = crate::fixture::Stand::new();
        let replica = stand.idle().await;
        replica.assign("a").await;
        let mut before = replica.controller.known().await.unwrap();
        let mut moved = Moved::default();
        // It names statements that are not there.
        moved.see(&before, &[]);
        assert!(moved.courses.is_empty() && before.orphans.len() == 1);
        before.orphans.clear();
        moved.applied = None;
        moved.see(&before, &[stop("a")]);
        assert!(moved.courses.is_empty() && moved.applied.is_none());
        moved.see(&before, &[finish()]);
        // What lands now was seen by no plan.
        replica.assign("b").await;
        assert_eq!(moved.applied, Some(before.as_of));
        let names: Vec<String> = moved.courses.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["a"]);
    }
}
