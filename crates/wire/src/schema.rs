//! Statements by their kind: whether one is well-formed, and the few values that the bus has to know.
//!
//! Nothing here looks at signatures, subjects or sequences.

use attest::claim::predicate_type;
use attest::{Claim, Statement, TrustBundle};
use domain::fleet::{HealthReport, Heartbeat, Report};
use domain::rollout::{RolloutFinished, RolloutRetried, RolloutStarted, WaveBaked, WaveOpened};
use domain::{
    Assignment, Baseline, ClusterFacts, ClusterMember, Decision, Evidence, ReleaseContents, RoleSummary,
    StopSetting,
};

use crate::convert::time;
use crate::{Discovered, ModeSetting, PolicyDocument, ReadError, WireError};
use crate::{audit, fleet, policy, release, rollout, verification};

/// Takes the claim of a statement and converts it: `decode::<wire::policy::v1::Decision, _>(&statement)`.
///
/// # Errors
/// If the statement makes another claim, or the claim is no value of the domain.
pub fn decode<M, D>(statement: &Statement) -> Result<D, ReadError>
where
    M: Claim,
    D: TryFrom<M, Error = WireError>,
{
    Ok(D::try_from(statement.claim::<M>()?)?)
}

/// Whether a statement is of a known kind and says something: its claim decodes and is a value of the
/// domain.
#[must_use]
pub fn well_formed(statement: &Statement) -> bool {
    KINDS
        .iter()
        .any(|(kind, reads)| statement.claim_type() == predicate_type(kind) && reads(statement))
}

/// The fingerprint of the agent's key, if the statement is a cluster's membership.
#[must_use]
pub fn agent_key(statement: &Statement) -> Option<String> {
    decode::<fleet::v1::ClusterMember, ClusterMember>(statement)
        .ok()
        .map(|member| member.agent_key)
}

/// The epoch of the assignment that a report is about, if the statement is a report.
#[must_use]
pub fn report_epoch(statement: &Statement) -> Option<u64> {
    decode::<fleet::v1::Report, Report>(statement)
        .ok()
        .map(|report| report.epoch.0)
}

/// A kind and whether a statement of that kind reads.
pub(crate) type Kind = (&'static str, fn(&Statement) -> bool);

pub(crate) const KINDS: &[Kind] = &[
    kind::<release::v1::ReleaseDiscovered, Discovered>(),
    kind::<verification::v1::ReleaseContents, ReleaseContents>(),
    kind::<verification::v1::BaselineContents, Baseline>(),
    kind::<verification::v1::Evidence, Evidence>(),
    kind::<verification::v1::RoleSummary, RoleSummary>(),
    kind::<policy::v1::PolicyText, PolicyDocument>(),
    kind::<policy::v1::Decision, Decision>(),
    kind::<fleet::v1::ClusterMember, ClusterMember>(),
    kind::<fleet::v1::ClusterFacts, ClusterFacts>(),
    kind::<fleet::v1::HealthReport, HealthReport>(),
    kind::<fleet::v1::Heartbeat, Heartbeat>(),
    kind::<fleet::v1::Assignment, Assignment>(),
    kind::<fleet::v1::Report, Report>(),
    kind::<rollout::v1::ModeSet, ModeSetting>(),
    kind::<rollout::v1::RolloutStarted, RolloutStarted>(),
    kind::<rollout::v1::WaveOpened, WaveOpened>(),
    kind::<rollout::v1::WaveBaked, WaveBaked>(),
    kind::<rollout::v1::RolloutFinished, RolloutFinished>(),
    kind::<rollout::v1::StopSet, StopSetting>(),
    kind::<rollout::v1::RolloutRetried, RolloutRetried>(),
    (audit::v1::LedgerStatus::KIND, ledger_status),
    (TrustBundle::KIND, |statement| {
        statement.claim::<TrustBundle>().is_ok()
    }),
];

const fn kind<M, D>() -> Kind
where
    M: Claim,
    D: TryFrom<M, Error = WireError>,
{
    (M::KIND, |statement| decode::<M, D>(statement).is_ok())
}

/// The status of the ledger is used as it is; its times must be times all the same.
fn ledger_status(statement: &Statement) -> bool {
    statement.claim::<audit::v1::LedgerStatus>().is_ok_and(|status| {
        time::read("LedgerStatus.report_time", status.report_time).is_ok()
            && time::read("LedgerStatus.stream_create_time", status.stream_create_time).is_ok()
    })
}
