//! What decisions rest on, each statement read once.

use bus::{Area, Fact, Newest, subject};
use domain::assignment::StatementRef;
use domain::{Baseline, BaselineKey, ClusterFacts, ClusterMember, Decision, ReleaseKey, RoleSummary};
use wire::{fleet, policy, release, verification};

use crate::gather::InUse;
use crate::texts::InForce;

/// What the verifier says about a release.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) statement: StatementRef,
    pub(crate) summary: RoleSummary,
}

/// A decision as it stands.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) fact: Fact,
    pub(crate) decision: Decision,
}

impl Decided {
    /// Reads a fact. One that stands under another name than it claims is none.
    pub(crate) fn read(fact: &Fact) -> Option<Self> {
        let decision = wire::decode::<policy::v1::Decision, Decision>(&fact.statement).ok()?;
        let Decision {
            release,
            policy,
            baseline,
            ..
        } = &decision;
        let own = subject::decision(release, &policy.name, baseline, fact.subject.n());
        let fact = fact.clone();
        (own == fact.subject).then_some(Self { fact, decision })
    }

    /// Release, policy and baseline.
    pub(crate) fn about(&self) -> (&ReleaseKey, &str, &BaselineKey) {
        let Decision {
            release,
            policy,
            baseline,
            ..
        } = &self.decision;
        (release, policy.name.as_str(), baseline)
    }
}

/// The newest statement of each kind about each thing.
#[derive(Debug)]
pub(crate) struct Statements {
    /// Everyone who is or was a member.
    pub(crate) members: Newest<ClusterMember>,
    /// What each agent saw last, members or not.
    pub(crate) facts: Newest<ClusterFacts>,
    /// The verified baselines, in use or not.
    pub(crate) baselines: Newest<InUse>,
    /// Releases in the order in which they were found.
    pub(crate) discovered: Newest<ReleaseKey>,
    /// The verifier's summaries.
    pub(crate) summaries: Newest<Summary>,
    /// What was decided.
    pub(crate) decisions: Newest<Decided>,
    /// The texts of policies.
    pub(crate) texts: Newest<InForce>,
}

impl Default for Statements {
    fn default() -> Self {
        Self {
            members: Newest::new(Area::Cluster, "member", member),
            facts: Newest::new(Area::Cluster, "facts", facts),
            baselines: Newest::new(Area::Verification, "contents", baseline),
            discovered: Newest::new(Area::Release, "discovered", discovered),
            summaries: Newest::new(Area::Verification, "summary", summary),
            decisions: Newest::new(Area::Policy, "decision", Decided::read),
            texts: Newest::new(Area::Policy, "text", InForce::read),
        }
    }
}

fn member(fact: &Fact) -> Option<ClusterMember> {
    wire::decode::<fleet::v1::ClusterMember, _>(&fact.statement).ok()
}

fn facts(fact: &Fact) -> Option<ClusterFacts> {
    wire::decode::<fleet::v1::ClusterFacts, _>(&fact.statement).ok()
}

fn baseline(fact: &Fact) -> Option<InUse> {
    let baseline = wire::decode::<verification::v1::BaselineContents, Baseline>(&fact.statement).ok()?;
    let statement = fact.reference();
    Some(InUse { statement, baseline })
}

fn discovered(fact: &Fact) -> Option<ReleaseKey> {
    let found = wire::decode::<release::v1::ReleaseDiscovered, wire::Discovered>(&fact.statement);
    Some(found.ok()?.release)
}

fn summary(fact: &Fact) -> Option<Summary> {
    let summary = wire::decode::<verification::v1::RoleSummary, RoleSummary>(&fact.statement).ok()?;
    let own = subject::verification_summary(&summary.release, summary.attempt);
    let statement = fact.reference();
    (own == fact.subject).then_some(Summary { statement, summary })
}
