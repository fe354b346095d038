//! What the log says about the fleet, releases and persons' words, each statement read once.

use std::sync::Arc;

use bus::{Area, Fact, Newest, View, ViewError, subject};
use domain::fleet::HealthReport;
use domain::{Baseline, ClusterFacts, ClusterMember, ClusterName, Decision, Outcome, Reason};
use planner::reducer::DecisionView;
use wire::{fleet, policy, rollout, verification};

use crate::said::Said;

/// A verified baseline as stored and as read.
#[derive(Debug)]
pub(crate) struct Stated {
    pub(crate) fact: Fact,
    pub(crate) baseline: Baseline,
}

/// The newest statement of each kind about each thing.
#[derive(Debug)]
pub(crate) struct Statements {
    members: Newest<ClusterMember>,
    facts: Newest<ClusterFacts>,
    health: Newest<HealthReport>,
    baselines: Newest<Stated>,
    decisions: Newest<(Fact, DecisionView)>,
    modes: Newest<wire::ModeSetting>,
    stops: Newest<Said>,
}

impl Default for Statements {
    fn default() -> Self {
        Self {
            members: Newest::new(Area::Cluster, "member", member),
            facts: Newest::new(Area::Cluster, "facts", facts),
            health: Newest::new(Area::Cluster, "health", health),
            baselines: Newest::new(Area::Verification, "contents", baseline),
            decisions: Newest::new(Area::Policy, "decision", decision),
            modes: Newest::new(Area::Rollout, "mode", mode),
            stops: Newest::new(Area::Rollout, "stop", Said::read),
        }
    }
}

/// Statements of one kind, in stream order.
pub(crate) type All<T> = Arc<Vec<Arc<T>>>;

impl Statements {
    /// Everyone who is or was a member.
    pub(crate) async fn members(&self, view: &View) -> Result<All<ClusterMember>, ViewError> {
        self.members.of(view).await
    }

    /// What each agent saw last, members or not.
    pub(crate) async fn facts(&self, view: &View) -> Result<All<ClusterFacts>, ViewError> {
        self.facts.of(view).await
    }

    /// How each agent judged its cluster last, members or not.
    pub(crate) async fn health(&self, view: &View) -> Result<All<HealthReport>, ViewError> {
        self.health.of(view).await
    }

    /// The baselines.
    pub(crate) async fn baselines(&self, view: &View) -> Result<All<Stated>, ViewError> {
        self.baselines.of(view).await
    }

    /// The decisions, as stored and as read.
    pub(crate) async fn decisions(&self, view: &View) -> Result<All<(Fact, DecisionView)>, ViewError> {
        self.decisions.of(view).await
    }

    /// The mode that was said for each scope.
    pub(crate) async fn modes(&self, view: &View) -> Result<All<wire::ModeSetting>, ViewError> {
        self.modes.of(view).await
    }

    /// The newest word about each scope of a stop.
    pub(crate) async fn stops(&self, view: &View) -> Result<All<Said>, ViewError> {
        self.stops.of(view).await
    }
}

/// The member that a fact speaks of.
pub(crate) fn member(fact: &Fact) -> Option<ClusterMember> {
    wire::decode::<fleet::v1::ClusterMember, _>(&fact.statement).ok()
}

fn facts(fact: &Fact) -> Option<ClusterFacts> {
    let facts = wire::decode::<fleet::v1::ClusterFacts, ClusterFacts>(&fact.statement).ok()?;
    is_own(fact, &facts.cluster).then_some(facts)
}

fn health(fact: &Fact) -> Option<HealthReport> {
    let report = wire::decode::<fleet::v1::HealthReport, HealthReport>(&fact.statement).ok()?;
    is_own(fact, &report.cluster).then_some(report)
}

/// Whether a statement about this cluster stands under its name.
fn is_own(fact: &Fact, cluster: &ClusterName) -> bool {
    subject::cluster_workflow(cluster) == fact.subject.workflow()
}

fn baseline(fact: &Fact) -> Option<Stated> {
    let baseline = wire::decode::<verification::v1::BaselineContents, Baseline>(&fact.statement).ok()?;
    let fact = fact.clone();
    Some(Stated { fact, baseline })
}

fn mode(fact: &Fact) -> Option<wire::ModeSetting> {
    wire::decode::<rollout::v1::ModeSet, _>(&fact.statement).ok()
}

fn decision(fact: &Fact) -> Option<(Fact, DecisionView)> {
    let decision: Decision = wire::decode::<policy::v1::Decision, _>(&fact.statement).ok()?;
    let Decision {
        release,
        policy,
        baseline,
        ..
    } = &decision;
    if subject::decision(release, &policy.name, baseline, fact.subject.n()) != fact.subject {
        return None;
    }
    let leading = decision
        .rules
        .iter()
        .find(|rule| rule.outcome == decision.outcome);
    let view = DecisionView {
        reason: leading.map_or(fallback(decision.outcome), |rule| rule.reason),
        release: decision.release,
        policy: decision.policy.name,
        baseline: decision.baseline,
        outcome: decision.outcome,
        valid_until: decision.valid_until,
        wait_until: decision.wait_until,
    };
    Some((fact.clone(), view))
}

/// The reason of a decision without rules, which no policy of ours makes.
const fn fallback(outcome: Outcome) -> Reason {
    match outcome {
        Outcome::Allow => Reason::SignatureVerified,
        Outcome::Wait | Outcome::NeedsApproval | Outcome::Deny => Reason::EvidenceMissing,
    }
}
