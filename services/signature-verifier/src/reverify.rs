//! A person wants a release verified once more.
//!
//! The request's id stands in the summary of the attempt that it opened: the same request again, also after a
//! restart or at another replica, is answered from the log.

use bus::{Area, Fact, ViewError, subject};
use domain::ReleaseKey;
use hub::names::ReleaseName;
use jiff::Timestamp;
use wire::verification::v1;

use crate::Verifier;
use crate::release::{Ask, Attempt, ReleaseError};

/// How often an attempt is made that somebody else's summary takes the place of.
const TRIES: usize = 3;

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReverifyError {
    /// The request was used for something else.
    #[error("request {request} was already used for {release}")]
    Reused {
        /// The request's id.
        request: String,
        /// What it was used for.
        release: String,
    },
    /// The attempt.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The view.
    #[error("reading the view")]
    View(#[from] ViewError),
    /// Others were faster, each time.
    #[error("verifying {release}: {TRIES} attempts of others were stored in between; ask again")]
    Crowded {
        /// The release.
        release: ReleaseKey,
    },
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reverified {
    /// Its attempt is stored, now or before.
    Stored(Box<Fact>),
    /// Something is not there yet and upstream still has time: nothing was stored.
    Early(u64),
}

/// A release that was discovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) release: ReleaseKey,
    /// When.
    pub(crate) time: Timestamp,
}

impl Verifier {
    /// The release that a name means: of several with one version, the one that was discovered first.
    pub(crate) async fn found(&self, wanted: &ReleaseName) -> Result<Option<Found>, ViewError> {
        let mut discovered = self.view.list(Area::Release, "discovered").await?;
        discovered.sort_by_key(|fact| fact.sequence);
        Ok(discovered.iter().find_map(|fact| {
            let found: wire::Discovered =
                wire::decode::<wire::release::v1::ReleaseDiscovered, _>(&fact.statement).ok()?;
            let time = fact.time;
            wanted.names(&found.release).then_some(Found {
                release: found.release,
                time,
            })
        }))
    }

    /// Number of the attempt that a request would open.
    pub(crate) async fn next_attempt(&self, release: &ReleaseKey) -> Result<u64, ViewError> {
        let series = subject::verification_summary(release, 1);
        let newest = self.view.latest(series.series()).await?;
        Ok(newest.map_or(1, |fact| fact.subject.n().saturating_add(1)))
    }

    /// Makes the attempt of this request, unless it was made.
    pub(crate) async fn reverify(
        &self,
        Found { release, time }: &Found,
        request: &str,
        now: Timestamp,
    ) -> Result<Reverified, ReverifyError> {
        for _ in 0..TRIES {
            if let Some(before) = self.answered(release, request).await? {
                return Ok(Reverified::Stored(Box::new(before)));
            }
            match self.verify(release, *time, Ask::person(now, request)).await? {
                Attempt::Early { attempt } => return Ok(Reverified::Early(attempt)),
                Attempt::Summarised {
                    summary: Some(summary),
                } if is_of(&summary, request) => return Ok(Reverified::Stored(summary)),
                Attempt::Summarised { .. } => {}
            }
        }
        let release = release.clone();
        Err(ReverifyError::Crowded { release })
    }

    /// The summary that stands for this request, if there is one.
    async fn answered(&self, release: &ReleaseKey, request: &str) -> Result<Option<Fact>, ReverifyError> {
        let all = self.view.all_of(Area::Verification, "summary").await?;
        let Some(found) = all.into_iter().find(|fact| is_of(fact, request)) else {
            return Ok(None);
        };
        let of = found.claim::<v1::RoleSummary>();
        let of = of.map(|summary| summary.release).unwrap_or_default();
        if of == release.to_string() {
            Ok(Some(found))
        } else {
            let request = request.to_owned();
            Err(ReverifyError::Reused { request, release: of })
        }
    }
}

fn is_of(summary: &Fact, request: &str) -> bool {
    summary
        .claim::<v1::RoleSummary>()
        .is_ok_and(|summary| summary.request_id == request)
}
