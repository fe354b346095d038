//! Whether an assignment may be carried out: the list of protocol section 5, as one pure function over
//! the bytes of a dossier. What needs the cluster (owner, customisation, live images) is in `preflight`.
//!
//! The order of the checks is part of the answer: what is not authentic is never interpreted further.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use attest::claim::ClaimError;
use attest::{Dossier, PublicKey, Role, Statement, Trust, TrustError};
use bus::{Area, Subject};
use domain::assignment::StatementRef;
use domain::{
    Action, Artifact, Assignment, Baseline, CheckKind, ClusterName, Decision, Digest, Epoch, Mode, Outcome,
    Reason, ReleaseContents, RoleSummary,
};
use runtime::errors::chain;

/// Clocks may differ by this much. An agent beyond it begins nothing.
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// No assignment lives longer: whoever owns the bus can put an old one back only for so long.
pub const MAX_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// What this agent demands, from its own file.
#[derive(Debug, Clone)]
pub struct Demands {
    /// The cluster that it serves.
    pub cluster: ClusterName,
    /// The pinned root key.
    pub root: PublicKey,
    /// The lowest version of the trust bundle that is accepted.
    pub lowest_bundle: u64,
    /// Roles that must have spoken.
    pub roles: BTreeSet<Role>,
    /// Policies that may allow.
    pub policies: Vec<AcceptedPolicy>,
    /// Cap on the mode.
    pub max_mode: Mode,
    /// Whether demo keys and demo trust count. In a lab alone.
    pub accept_demo: bool,
}

/// A policy that may allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedPolicy {
    /// Its name.
    pub name: String,
    /// Its digest; without one any text under that name.
    pub digest: Option<Digest>,
}

/// What the agent remembers of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Highest epoch seen.
    pub epoch: Epoch,
    /// The assignment of that epoch.
    pub assignment: Option<Digest>,
    /// Whether that assignment has had its last word: it is never carried out later.
    pub answered: bool,
    /// Highest bundle version seen.
    pub bundle: u64,
    /// The assignment under which the open task was begun or renewed last.
    pub task: Option<Digest>,
}

impl Memory {
    /// The memory after this assignment was seen. What was said about an earlier one does not count for it.
    #[must_use]
    pub fn having_seen(self, epoch: Epoch, assignment: Digest, bundle: u64) -> Self {
        let answered = self.answered && self.assignment == Some(assignment);
        Self {
            epoch,
            assignment: Some(assignment),
            answered,
            bundle: bundle.max(self.bundle),
            ..self
        }
    }
}

/// An assignment that passed every check that needs no cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The assignment.
    pub assignment: Assignment,
    /// Digest of its envelope.
    pub digest: Digest,
    /// The lowest of the assignment's mode and the agent's cap.
    pub mode: Mode,
    /// What the release contains.
    pub contents: ReleaseContents,
    /// What the cluster must run.
    pub baseline: Baseline,
    /// Version of the bundle it was checked under.
    pub bundle: u64,
    /// `traceparent` of the assignment.
    pub traceparent: String,
}

/// Why an assignment is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The assignment, where it is a genuine one of this cluster: only then may it be reported under its
    /// epoch.
    pub genuine: Option<(Epoch, Digest)>,
    /// Why.
    pub reason: Reason,
    /// What was expected and found.
    pub detail: String,
}

type Checked<T> = Result<T, (Reason, String)>;

fn refuse<T>(reason: Reason, detail: impl Into<String>) -> Checked<T> {
    Err((reason, detail.into()))
}

/// Checks a dossier.
///
/// # Errors
/// The first check that failed.
pub fn check(dossier: &[u8], demands: &Demands, memory: &Memory, now: Timestamp) -> Result<Order, Refusal> {
    let anonymous = |(reason, detail)| Refusal {
        genuine: None,
        reason,
        detail,
    };
    let dossier =
        Dossier::parse(dossier).map_err(|error| anonymous((Reason::StatementInvalid, chain(&error))))?;
    let trust = open_bundle(&dossier, demands, memory).map_err(anonymous)?;
    let (assignment, traceparent) = authentic(&dossier, &trust, demands, now).map_err(anonymous)?;
    let digest = Digest::of(dossier.assignment.as_bytes());
    let genuine = Some((assignment.epoch, digest));
    let named = |(reason, detail)| Refusal {
        genuine,
        reason,
        detail,
    };
    current(&assignment, digest, memory, now).map_err(named)?;
    let scope = Scope {
        dossier: &dossier,
        trust: &trust,
        demands,
        assignment: &assignment,
        now,
    };
    let (contents, baseline) = scope.statements().map_err(named)?;
    Ok(Order {
        mode: assignment.mode.min(demands.max_mode),
        digest,
        contents,
        baseline,
        bundle: trust.bundle().version,
        traceparent,
        assignment,
    })
}

/// The trust bundle: by the pinned root key, not older than the file demands or than one seen before.
fn open_bundle(dossier: &Dossier, demands: &Demands, memory: &Memory) -> Checked<Trust> {
    let lowest = demands.lowest_bundle.max(memory.bundle);
    match Trust::open(&demands.root, lowest, dossier.bundle.as_bytes()) {
        Ok(trust) if trust.bundle().demo && !demands.accept_demo => {
            refuse(Reason::DemoTrustRefused, "the trust bundle is marked as a demo")
        }
        Ok(trust) => Ok(trust),
        Err(error @ TrustError::Outdated { .. }) => refuse(Reason::BundleOutdated, chain(&error)),
        Err(error) => refuse(Reason::BundleInvalid, chain(&error)),
    }
}

/// The assignment itself: signed by the controller, under its own subject, for this cluster.
fn authentic(
    dossier: &Dossier,
    trust: &Trust,
    demands: &Demands,
    now: Timestamp,
) -> Checked<(Assignment, String)> {
    let claimed = attest::Envelope::parse(dossier.assignment.as_bytes())
        .map_err(|error| (Reason::StatementInvalid, chain(&error)))
        .and_then(|envelope| {
            let header = Statement::parse(envelope.payload())
                .map_err(ClaimError::from)
                .and_then(|statement| statement.header());
            header.map_err(|error| (Reason::StatementInvalid, chain(&error)))
        })?;
    let envelope = dossier.assignment.as_bytes();
    let statement = trust
        .acting(envelope, Role::Controller, &claimed.subject, now)
        .map_err(|error| (Reason::StatementInvalid, format!("assignment: {}", chain(&error))))?;
    let assignment: Assignment = wire::decode::<wire::fleet::v1::Assignment, _>(&statement)
        .map_err(|error| (Reason::StatementInvalid, format!("assignment: {}", chain(&error))))?;
    let own = bus::subject::assignment(&assignment.cluster, assignment.epoch).to_string();
    if own != claimed.subject {
        return refuse(
            Reason::StatementInvalid,
            format!("assignment was published as {}, but is {own}", claimed.subject),
        );
    }
    if assignment.cluster != demands.cluster {
        return refuse(
            Reason::WrongCluster,
            format!(
                "assignment is for cluster {}, this is {}",
                assignment.cluster, demands.cluster
            ),
        );
    }
    Ok((assignment, claimed.traceparent))
}

/// Epoch, times, action and stops.
fn current(assignment: &Assignment, digest: Digest, memory: &Memory, now: Timestamp) -> Checked<()> {
    let epoch = assignment.epoch;
    if epoch < memory.epoch {
        return refuse(
            Reason::EpochOld,
            format!("epoch {epoch} after epoch {}", memory.epoch),
        );
    }
    if epoch == memory.epoch && memory.assignment.is_some_and(|seen| seen != digest) {
        return refuse(
            Reason::EpochOld,
            format!("another assignment was seen under epoch {epoch}"),
        );
    }
    if assignment.issued > now + CLOCK_TOLERANCE {
        return refuse(
            Reason::ClockSkew,
            format!("assignment was made at {}, it is {now} here", assignment.issued),
        );
    }
    if assignment.expires <= now {
        return refuse(
            Reason::AssignmentExpired,
            format!("assignment ended at {}", assignment.expires),
        );
    }
    if assignment.expires > assignment.issued + MAX_LIFETIME {
        return refuse(
            Reason::AssignmentExpired,
            format!(
                "assignment lives from {} to {}: longer than 24 h",
                assignment.issued, assignment.expires
            ),
        );
    }
    match assignment.action {
        Action::Stop => refuse(Reason::Stopped, "the assignment says STOP"),
        Action::Upgrade if assignment.stops.is_empty() => Ok(()),
        Action::Upgrade => refuse(Reason::Stopped, assignment.stops.join("; ")),
    }
}

/// The role whose summary stands under a subject.
fn role_of(subject: &str) -> Checked<Role> {
    let parsed: Option<Subject> = subject.parse().ok();
    match parsed.map(|subject| (subject.area(), subject.step() == "summary")) {
        Some((Area::Verification, true)) => Ok(Role::Verifier),
        Some((Area::Scan, true)) => Ok(Role::Scanner),
        Some(_) | None => refuse(
            Reason::StatementInvalid,
            format!("{subject} is no summary's subject"),
        ),
    }
}

/// Everything that the checks of the named statements look at.
struct Scope<'a> {
    dossier: &'a Dossier,
    trust: &'a Trust,
    demands: &'a Demands,
    assignment: &'a Assignment,
    now: Timestamp,
}

impl Scope<'_> {
    fn statements(&self) -> Checked<(ReleaseContents, Baseline)> {
        self.decision()?;
        let contents: ReleaseContents = self
            .read::<wire::verification::v1::ReleaseContents, _>(Role::Verifier, &self.assignment.contents)?;
        self.contents(&contents)?;
        self.summaries(&contents)?;
        let baseline: Baseline = self.read::<wire::verification::v1::BaselineContents, _>(
            Role::Verifier,
            &self.assignment.baseline_contents,
        )?;
        self.baseline(&baseline)?;
        Ok((contents, baseline))
    }

    /// A statement that the assignment names: it came along, has the digest, is by the role.
    fn read<C, D>(&self, role: Role, named: &StatementRef) -> Checked<D>
    where
        C: attest::Claim,
        D: TryFrom<C, Error = wire::WireError>,
    {
        let Some(envelope) = self.dossier.statement(&named.subject, named.digest) else {
            return refuse(
                Reason::StatementMissing,
                format!(
                    "{} with digest {} did not come along",
                    named.subject,
                    named.digest.short()
                ),
            );
        };
        let invalid = |text: String| (Reason::StatementInvalid, format!("{}: {text}", named.subject));
        let statement = self
            .trust
            .acting(envelope, role, &named.subject, self.now)
            .map_err(|error| invalid(chain(&error)))?;
        wire::decode::<C, D>(&statement).map_err(|error| invalid(chain(&error)))
    }

    /// ALLOW, still valid, under an accepted policy, for this release and this baseline.
    fn decision(&self) -> Checked<()> {
        let decision: Decision =
            self.read::<wire::policy::v1::Decision, _>(Role::Policy, &self.assignment.decision)?;
        let assignment = self.assignment;
        if decision.outcome != Outcome::Allow {
            return refuse(
                Reason::NotAllowed,
                format!("the decision is {}", decision.outcome),
            );
        }
        if decision.release != assignment.target || decision.baseline != assignment.baseline {
            return refuse(
                Reason::NotAllowed,
                format!(
                    "the decision is about {} on baseline {}",
                    decision.release, decision.baseline
                ),
            );
        }
        if decision.valid_until.is_none_or(|until| until <= self.now) {
            return refuse(Reason::DecisionExpired, "the ALLOW is no longer valid");
        }
        if decision
            .valid_until
            .is_some_and(|until| assignment.expires > until)
        {
            return refuse(Reason::DecisionExpired, "the assignment outlives its ALLOW");
        }
        if decision.demo && !self.demands.accept_demo {
            return refuse(Reason::DemoTrustRefused, "the decision was made under demo trust");
        }
        let accepted = self.demands.policies.iter().any(|policy| {
            policy.name == decision.policy.name
                && policy
                    .digest
                    .is_none_or(|digest| digest == decision.policy.digest)
        });
        if accepted {
            return Ok(());
        }
        let found = format!("{} ({})", decision.policy.name, decision.policy.digest.short());
        refuse(
            Reason::PolicyNotAccepted,
            format!("policy {found} is not among those of the agent's file"),
        )
    }

    /// The contents are those of the target, and the assignment names the same digests.
    fn contents(&self, contents: &ReleaseContents) -> Checked<()> {
        let assignment = self.assignment;
        let indexes = contents
            .images
            .iter()
            .map(|(component, image)| (*component, image.index))
            .collect();
        if contents.release != assignment.target {
            return refuse(
                Reason::DigestsDisagree,
                format!("the contents are those of {}", contents.release),
            );
        }
        if contents.layer != assignment.layer || assignment.images != indexes {
            return refuse(
                Reason::DigestsDisagree,
                "assignment and contents name other digests",
            );
        }
        Ok(())
    }

    /// Every role that this agent demands has spoken, and the verifier's summary is PASSED for the
    /// manifests and every image.
    fn summaries(&self, contents: &ReleaseContents) -> Checked<()> {
        let mut spoken = BTreeSet::from([Role::Controller, Role::Policy]);
        for named in &self.assignment.summaries {
            let role = role_of(&named.subject)?;
            let summary: RoleSummary = self.read::<wire::verification::v1::RoleSummary, _>(role, named)?;
            self.summary(role, &summary, contents)?;
            spoken.insert(role);
        }
        // The verifier is never optional: no configuration waives upstream's signatures.
        let mut demanded = self.demands.roles.clone();
        demanded.insert(Role::Verifier);
        match demanded.difference(&spoken).next() {
            None => Ok(()),
            Some(role) => refuse(Reason::RoleMissing, format!("role {role} has said nothing")),
        }
    }

    fn summary(&self, role: Role, summary: &RoleSummary, contents: &ReleaseContents) -> Checked<()> {
        if summary.release != self.assignment.target
            || summary.contents != Some(self.assignment.contents.digest)
        {
            return refuse(
                Reason::DigestsDisagree,
                format!("the summary of the {role} speaks about {}", summary.release),
            );
        }
        let images = contents
            .images
            .iter()
            .map(|(c, image)| (Artifact::Image(*c), image.index));
        let digests: Vec<_> = std::iter::once((Artifact::FluxManifests, contents.release.manifests))
            .chain(images)
            .collect();
        if role == Role::Verifier && !summary.passed_for(&digests, CheckKind::Signature) {
            return refuse(
                Reason::SummaryNotPassed,
                format!(
                    "the verifier's summary is {} for the manifests and the images",
                    summary.worst()
                ),
            );
        }
        Ok(())
    }

    /// The baseline is the one that was decided about, and the target is not below it.
    fn baseline(&self, baseline: &Baseline) -> Checked<()> {
        if baseline.key() != self.assignment.baseline {
            return refuse(
                Reason::DigestsDisagree,
                "the baseline's contents are those of another baseline",
            );
        }
        match &baseline.version {
            Some(version) if *version > self.assignment.target.version => refuse(
                Reason::TargetBelowBaseline,
                format!("{version} runs, the target is {}", self.assignment.target.version),
            ),
            Some(_) => Ok(()),
            None => refuse(
                Reason::BaselineVersionUnknown,
                "what runs is no single known version",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
