//! When a release is verified, and when again.
//!
//! Attempt 1 is made when the release is discovered; while upstream still has time (the signature grace) it ends
//! without a word where something is missing, and a timer makes it again. A further attempt is opened
//! - where what the newest one says was signed by a key that does not act any more;
//! - where the newest one could not check something because it is not there (`NOT_CHECKED`, nothing failed), a day
//!   after it: until everything is checked, or something failed, or a newer release has passed, behind which nobody
//!   waits for this one any more;
//! - where a person asks.
//!
//! What failed is a fact: time alone does not open another attempt.

use std::time::Duration;

use attest::Role;
use bus::subject::{self, Scope};
use bus::{Area, Fact, Journal, View, ViewError};
use domain::{CheckResult, ReleaseKey, RoleSummary};
use jiff::{SignedDuration, Timestamp};
use wire::verification::v1;

/// Who wants a release verified, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// The time.
    pub(crate) now: Timestamp,
    /// The request of a person; none where a message or the time asks.
    pub(crate) request: Option<&'a str>,
}

impl<'a> Ask<'a> {
    /// A message, or a timer.
    pub(crate) const fn time(now: Timestamp) -> Self {
        Self { now, request: None }
    }

    /// A person, by this request.
    pub(crate) const fn person(now: Timestamp, request: &'a str) -> Self {
        Self {
            now,
            request: Some(request),
        }
    }
}

/// The number of the attempt that is to be made now; `None` where the newest one stands.
pub(super) async fn open(
    journal: &Journal,
    release: &ReleaseKey,
    ask: Ask<'_>,
    pause: Duration,
) -> Result<Option<u64>, ViewError> {
    let view = journal.view();
    let series = subject::verification_summary(release, 1);
    let Some(summary) = view.latest(series.series()).await? else {
        return Ok(Some(1));
    };
    let attempt = summary.subject.n();
    let again = ask.request.is_some()
        || is_orphaned(journal, release, &summary).await?
        || is_unchecked(view, release, (&summary, ask.now), pause).await?;
    Ok(again.then(|| attempt.saturating_add(1)))
}

async fn is_orphaned(journal: &Journal, release: &ReleaseKey, summary: &Fact) -> Result<bool, ViewError> {
    let name = subject::verification_contents(Scope::Release(release), summary.subject.n());
    let contents = journal.view().get(&name).await?;
    let mut facts = std::iter::once(summary).chain(&contents);
    Ok(facts.any(|fact| journal.is_orphaned(fact, Role::Verifier)))
}

/// Whether something was not there a while ago that somebody may still wait for.
async fn is_unchecked(
    view: &View,
    release: &ReleaseKey,
    (summary, now): (&Fact, Timestamp),
    pause: Duration,
) -> Result<bool, ViewError> {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    if worst(summary) != Some(CheckResult::NotChecked) || now.duration_since(summary.time) < pause {
        return Ok(false);
    }
    let all = view.list(Area::Verification, "summary").await?;
    let newer = |fact: &Fact| {
        read(fact).is_some_and(|summary| {
            summary.release.version > release.version && summary.worst() == CheckResult::Passed
        })
    };
    Ok(!all.iter().any(newer))
}

fn worst(fact: &Fact) -> Option<CheckResult> {
    read(fact).map(|summary| summary.worst())
}

fn read(fact: &Fact) -> Option<RoleSummary> {
    wire::decode::<v1::RoleSummary, RoleSummary>(&fact.statement).ok()
}
