//! Making assignments: the planner's draft, with an epoch and every statement that allows it.

use attest::Role;
use bus::journal::JournalError;
use bus::{Fact, Turn, ViewError, Written, subject};
use domain::assignment::StatementRef;
use domain::trace::TraceId;
use domain::{Action, Assignment, Component, Decision, Digest, Epoch, Outcome, ReleaseContents, RoleSummary};
use planner::reducer::{AssignDraft, StopDraft};
use std::collections::BTreeMap;
use wire::{fleet, policy, verification};

use crate::Controller;
use crate::world::Known;

/// Why there is no assignment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AssignError {
    #[error("reading the view")]
    View(#[from] ViewError),
    #[error("publishing the assignment")]
    Journal(#[source] JournalError),
    #[error(
        "this controller's key does not act any more: no agent would act upon what it signs; start it with the key of \
         the newest trust bundle"
    )]
    OwnKey,
    #[error("the {0} that the draft rests on is not on the log, or agents would not act upon it")]
    Missing(&'static str),
}

/// The statements behind an assignment.
struct Grounds {
    decision: StatementRef,
    contents: (StatementRef, ReleaseContents),
    summary: StatementRef,
    baseline: StatementRef,
}

fn read(fact: &Fact) -> Option<Assignment> {
    wire::decode::<fleet::v1::Assignment, _>(&fact.statement).ok()
}

impl Known {
    /// What an ended key signs would be asked for again and again.
    const fn own_key_acts(&self) -> Result<(), AssignError> {
        if self.own_key_acts {
            Ok(())
        } else {
            Err(AssignError::OwnKey)
        }
    }
}

impl Controller {
    /// Publishes the next assignment of a cluster.
    pub(crate) async fn assign(&self, known: &Known, draft: &AssignDraft) -> Result<(), AssignError> {
        known.own_key_acts()?;
        let grounds = self.grounds(draft).await?;
        let member = known
            .members
            .iter()
            .find(|member| member.cluster == draft.cluster);
        let member = member.ok_or(AssignError::Missing("membership"))?;
        let registry = member.image_registry.clone();
        // What was begun goes on under any stop, and so does its renewal: the agent would refuse it otherwise.
        let stops = match draft.renews {
            Some(_) => Vec::new(),
            None => known.stops_in_words(&self.strategy, member),
        };
        let expected = known
            .courses
            .get(&draft.cluster)
            .map_or(Epoch(0), |course| course.newest.epoch);
        let issued = self.hub.clock.now();
        let images: BTreeMap<Component, Digest> = grounds
            .contents
            .1
            .images
            .iter()
            .map(|(component, image)| (*component, image.index))
            .collect();
        let build = |turn: Turn<'_>| Assignment {
            cluster: draft.cluster.clone(),
            epoch: Epoch(turn.n),
            action: draft.action,
            mode: draft.mode,
            rollout: draft.rollout.clone(),
            target: draft.release.clone(),
            layer: grounds.contents.1.layer,
            images: images.clone(),
            image_registry: registry.clone(),
            baseline: draft.baseline.clone(),
            contents: grounds.contents.0.clone(),
            baseline_contents: grounds.baseline.clone(),
            decision: grounds.decision.clone(),
            summaries: vec![grounds.summary.clone()],
            stops: stops.clone(),
            stable_for: draft.stable_for,
            success_deadline: draft.success_deadline,
            issued,
            expires: draft.expires,
            as_of: turn.as_of,
        };
        self.publish((known.as_of, expected), draft, build).await
    }

    /// Takes an assignment back: the next epoch repeats it with action STOP.
    pub(crate) async fn stop(&self, known: &Known, draft: &StopDraft) -> Result<(), AssignError> {
        let Some(course) = known.courses.get(&draft.cluster) else {
            return Err(AssignError::Missing("assignment"));
        };
        known.own_key_acts()?;
        tracing::info!(cluster = %draft.cluster, reason = %draft.reason, detail = draft.detail, "taking back");
        let series = subject::assignment(&draft.cluster, Epoch(1));
        let member = known
            .members
            .iter()
            .find(|member| member.cluster == draft.cluster);
        let mut stops = member.map_or_else(Vec::new, |member| known.stops_in_words(&self.strategy, member));
        if stops.is_empty() {
            stops.push(format!("{}: {}", draft.reason, draft.detail));
        }
        let stop = |turn: Turn<'_>| {
            let newest = turn.newest.and_then(read)?;
            (newest.epoch == draft.stops && newest.action == Action::Upgrade).then(|| {
                let epoch = Epoch(turn.n);
                let (issued, stops) = (self.hub.clock.now(), stops.clone());
                let stopped = Assignment {
                    action: Action::Stop,
                    epoch,
                    stops,
                    issued,
                    as_of: turn.as_of,
                    ..newest
                };
                fleet::v1::Assignment::from(&stopped)
            })
        };
        let traceparent = TraceId::of_rollout(&course.newest.rollout).traceparent();
        let journal = &self.hub.journal;
        let written = journal.series_as_of(series.series(), &traceparent, known.as_of, stop);
        written.await.map(|_written| ()).map_err(AssignError::Journal)
    }

    async fn publish(
        &self,
        (as_of, expected): (u64, Epoch),
        draft: &AssignDraft,
        build: impl Fn(Turn<'_>) -> Assignment + Send + Sync,
    ) -> Result<(), AssignError> {
        let series = subject::assignment(&draft.cluster, Epoch(1));
        let evaluate = |turn: Turn<'_>| {
            // The plan was made after this epoch; if there is another one by now, it has to be made again.
            (Epoch(turn.n.saturating_sub(1)) == expected).then(|| fleet::v1::Assignment::from(&build(turn)))
        };
        let traceparent = TraceId::of_rollout(&draft.rollout).traceparent();
        let journal = &self.hub.journal;
        let written = journal.series_as_of(series.series(), &traceparent, as_of, evaluate);
        if let Some(Written::Ours(fact)) = written.await.map_err(AssignError::Journal)? {
            tracing::info!(cluster = %draft.cluster, rollout_id = %draft.rollout, mode = %draft.mode,
                epoch = fact.subject.n(), "assigned");
        }
        Ok(())
    }

    /// A statement that agents act upon; the others are said again by those whose they are.
    fn acting(&self, fact: Option<Fact>, role: Role, what: &'static str) -> Result<Fact, AssignError> {
        fact.filter(|fact| self.acts(fact, role))
            .ok_or(AssignError::Missing(what))
    }

    async fn grounds(&self, draft: &AssignDraft) -> Result<Grounds, AssignError> {
        let series = subject::decision(&draft.release, &draft.policy, &draft.baseline, 1);
        let decision = self.hub.view.latest(series.series()).await?;
        let allows = |fact: &Fact| {
            let read = wire::decode::<policy::v1::Decision, Decision>(&fact.statement);
            read.is_ok_and(|decision| decision.outcome == Outcome::Allow)
        };
        let decision = self.acting(decision.filter(allows), Role::Policy, "ALLOW")?;
        let series = subject::verification_summary(&draft.release, 1);
        let summary = self.hub.view.latest(series.series()).await?;
        let summary = self.acting(summary, Role::Verifier, "summary")?;
        let attempt = wire::decode::<verification::v1::RoleSummary, RoleSummary>(&summary.statement)
            .map_or(1, |summary| summary.attempt);
        let scope = subject::Scope::Release(&draft.release);
        let contents = self
            .hub
            .view
            .get(&subject::verification_contents(scope, attempt))
            .await?;
        let contents = self.acting(contents, Role::Verifier, "contents")?;
        let read_contents = wire::decode::<verification::v1::ReleaseContents, _>(&contents.statement);
        let Ok(read_contents) = read_contents else {
            return Err(AssignError::Missing("contents"));
        };
        Ok(Grounds {
            decision: decision.reference(),
            contents: (contents.reference(), read_contents),
            summary: summary.reference(),
            baseline: self.baseline(draft).await?,
        })
    }

    async fn baseline(&self, draft: &AssignDraft) -> Result<StatementRef, AssignError> {
        let known = self.statements.baselines(&self.hub.view).await?;
        let found = known
            .iter()
            .find(|stated| stated.baseline.key() == draft.baseline);
        let found = found.map(|stated| stated.fact.clone());
        let found = self.acting(found, Role::Verifier, "baseline")?;
        Ok(found.reference())
    }
}

#[cfg(test)]
mod tests {
    use domain::{ClusterName, Reason};

    use super::*;
    use crate::fixture::Stand;

    #[tokio::test]
    async fn what_no_agent_would_act_upon_is_not_asked_for_again_and_again() {
        let stand = Stand::new();
        let replica = stand.idle().await;
        replica.assign("c1").await;
        let retired = stand.retire();
        replica.hub.view.reached(retired).await;
        let known = replica.controller.known().await.unwrap();
        let cluster: ClusterName = "c1".parse().unwrap();
        // It can't be acted upon, and by this key nothing could: it is not planned to be asked anew.
        assert_eq!((known.orphans.len(), known.own_key_acts), (1, false));
        assert!(known.world(&replica.controller.strategy).orphans.is_empty());
        let draft = StopDraft {
            cluster: cluster.clone(),
            stops: Epoch(1),
            reason: Reason::Stopped,
            detail: String::new(),
        };
        let stopped = replica.controller.stop(&known, &draft).await;
        assert!(matches!(stopped, Err(AssignError::OwnKey)), "{stopped:?}");
        let series = subject::assignment(&cluster, Epoch(1));
        let all = replica.hub.view.series(series.series()).await.unwrap();
        assert_eq!(all.len(), 1);
    }
}
