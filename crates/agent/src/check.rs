//! Whether an assignment may be carried out: the list of protocol section 5, as one pure function over
//! the bytes of a dossier. What needs the cluster (owner, customisation, live images) is in `preflight`.
//!
//! The order of the checks is part of the answer: what is not authentic is never interpreted further.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use attest::claim::ClaimError;
use attest::{Dossier, PublicKey, Role, Statement, Trust, TrustError};
use domain::{Action, Assignment, Baseline, ClusterName, Digest, Epoch, Mode, Reason, ReleaseContents};
use runtime::errors::chain;

mod statements;
#[cfg(test)]
mod tests;

use statements::Scope;

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
