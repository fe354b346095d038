//! What a payload says of itself, for finding it: kind, trace, release, cluster, decision, one line for
//! people, and the blobs that it names.
//!
//! Nothing here is believed. No signature is checked, and nothing that is decided rests on it: whoever reads
//! an entry verifies its payload. A payload that is no statement is a leaf like every other, without a kind.

mod lines;

use attest::claim::predicate_type;
use attest::{Claim, Envelope, Role, Statement};
use bus::log::Stored;
use bus::subject::{self, Author, Subject};
use domain::fleet::{HealthReport, Report};
use domain::rollout::{RolloutFinished, RolloutRetried, RolloutStarted, WaveBaked, WaveOpened};
use domain::{
    Assignment, Baseline, ClusterFacts, ClusterMember, Decision, Digest, Evidence, ReleaseContents,
    RoleSummary, StopSetting,
};
use wire::{Discovered, ModeSetting, PolicyDocument, WireError};
use wire::{fleet, policy, release, rollout, verification};

use crate::ledger::{About, Event};

/// Longest line for people.
const LONGEST: usize = 300;

/// What a value of the domain is about. Written by the statement's maker: an index, not a fact.
trait Describe {
    /// Fills in what it knows.
    fn describe(&self, about: &mut About);
}

type Reader = fn(&Statement, &mut About) -> bool;

/// The kinds that have a line of their own.
const KINDS: &[(&str, Reader)] = &[
    reader::<release::v1::ReleaseDiscovered, Discovered>(),
    reader::<verification::v1::ReleaseContents, ReleaseContents>(),
    reader::<verification::v1::BaselineContents, Baseline>(),
    reader::<verification::v1::Evidence, Evidence>(),
    reader::<verification::v1::RoleSummary, RoleSummary>(),
    reader::<policy::v1::PolicyText, PolicyDocument>(),
    reader::<policy::v1::Decision, Decision>(),
    reader::<fleet::v1::ClusterMember, ClusterMember>(),
    reader::<fleet::v1::ClusterFacts, ClusterFacts>(),
    reader::<fleet::v1::HealthReport, HealthReport>(),
    reader::<fleet::v1::Assignment, Assignment>(),
    reader::<fleet::v1::Report, Report>(),
    reader::<rollout::v1::ModeSet, ModeSetting>(),
    reader::<rollout::v1::RolloutStarted, RolloutStarted>(),
    reader::<rollout::v1::WaveOpened, WaveOpened>(),
    reader::<rollout::v1::WaveBaked, WaveBaked>(),
    reader::<rollout::v1::RolloutFinished, RolloutFinished>(),
    reader::<rollout::v1::StopSet, StopSetting>(),
    reader::<rollout::v1::RolloutRetried, RolloutRetried>(),
    (attest::TrustBundle::KIND, read_bundle),
];

const fn reader<M, D>() -> (&'static str, Reader)
where
    M: Claim,
    D: TryFrom<M, Error = WireError> + Describe,
{
    (M::KIND, |statement, about| {
        match wire::decode::<M, D>(statement) {
            Ok(value) => {
                value.describe(about);
                true
            }
            Err(_) => false,
        }
    })
}

fn read_bundle(statement: &Statement, about: &mut About) -> bool {
    match statement.claim::<attest::TrustBundle>() {
        Ok(bundle) => {
            bundle.describe(about);
            true
        }
        Err(_) => false,
    }
}

/// The API name of the decision under this subject.
#[must_use]
pub fn decision_name(subject: &str) -> String {
    let mut hex = Digest::of(subject.as_bytes()).hex();
    hex.truncate(16);
    format!("decisions/{hex}")
}

/// What the payload under this subject says of itself.
#[must_use]
pub fn describe(subject: &str, payload: &[u8]) -> About {
    let mut about = About::default();
    let Some(statement) = statement(payload) else {
        return about;
    };
    let header = statement.header().ok();
    if let Some(header) = &header {
        about.trace_id = trace_id(&header.traceparent).unwrap_or_default().to_owned();
        about.span_id = span_id(&header.traceparent).unwrap_or_default().to_owned();
        about.made = Some(header.time);
        about.cluster.clone_from(&header.cluster);
    }
    let claim = statement.claim_type();
    if let Some(kind) = claim
        .strip_prefix("https://fluxgate.dev/")
        .and_then(|k| k.strip_suffix("/v1"))
    {
        kind.clone_into(&mut about.kind);
    }
    if let Some((kind, read)) = KINDS.iter().find(|(kind, _)| predicate_type(kind) == claim)
        && !read(&statement, &mut about)
    {
        about.summary = format!("does not read as a {kind}");
    }
    if about.kind == policy::v1::Decision::KIND {
        about.decision = decision_name(subject);
    }
    if header.is_some_and(|header| !header.subject.is_empty() && header.subject != subject) {
        about.summary = format!("made for another subject: {}", about.summary);
    }
    about.summary = one_line(&about.summary);
    about
}

/// What the stream stored, as the ledger takes it.
#[must_use]
pub fn event(stored: Stored) -> Event {
    let about = describe(&stored.subject, &stored.payload);
    let Stored {
        sequence,
        subject,
        payload,
        time,
        traceparent: _,
    } = stored;
    Event {
        sequence,
        subject,
        payload,
        store_time: time,
        about,
    }
}

/// The statement in a signed envelope, or a bare one, as hints are.
fn statement(payload: &[u8]) -> Option<Statement> {
    match Envelope::parse(payload) {
        Ok(envelope) => Statement::parse(envelope.payload()).ok(),
        Err(_) => Statement::parse(payload).ok(),
    }
}

/// Who may speak under a subject, as the name of the service; empty where nobody may.
#[must_use]
pub fn author(subject: &str) -> &'static str {
    let rule = subject.parse::<Subject>().ok().as_ref().and_then(subject::rule);
    match rule.map(|rule| rule.author) {
        None => "",
        Some(Author::Hint) => "release-watcher",
        Some(Author::Root) => "root key",
        Some(Author::Agent) => "cluster-agent",
        Some(Author::Role(role)) => match role {
            Role::Verifier => "signature-verifier",
            Role::Scanner => "sbom-scanner",
            Role::Policy => "policy-engine",
            Role::Controller => "rollout-controller",
            Role::Ledger => "audit-log",
        },
    }
}

/// The trace id of a `traceparent` (W3C Trace Context, version 00).
fn trace_id(traceparent: &str) -> Option<&str> {
    hex_part(traceparent, 1, 32)
}

/// The span id of a `traceparent`.
fn span_id(traceparent: &str) -> Option<&str> {
    hex_part(traceparent, 2, 16)
}

fn hex_part(traceparent: &str, place: usize, length: usize) -> Option<&str> {
    let id = traceparent.split('-').nth(place)?;
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (id.len() == length && id.bytes().all(hex)).then_some(id)
}

/// The text without what would break a line or a terminal, and not longer than a line may be.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests;
