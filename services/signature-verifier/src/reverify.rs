//! A person wants a release verified once more.
//!
//! The request's id stands in the summary of the attempt that it opened: the same request again, also after a
//! restart or at another replica, is answered from the log.
//!
//! What an attempt says stays in the log for good, so a release rests between two of them, and those who ask at
//! once take turns.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::{Area, Fact, ViewError, subject};
use domain::ReleaseKey;
use hub::names::ReleaseName;
use jiff::{SignedDuration, Timestamp};
use wire::verification::v1;

use crate::Verifier;
use crate::release::{Ask, Attempt, ReleaseError};

/// How often an attempt is made that somebody else's summary takes the place of.
const TRIES: usize = 3;

/// How long after an attempt a person may open the next one.
const REST: SignedDuration = SignedDuration::from_mins(1);

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
    /// The newest attempt was made just now.
    #[error(
        "verifying {release} again: attempt {attempt} was stored less than {} s ago, and each attempt stays in the \
         log for good; nothing was fetched or stored, ask again in {} s",
        REST.as_secs(), whole_seconds(*wait)
    )]
    Young {
        /// The release.
        release: ReleaseKey,
        /// Number of the newest attempt.
        attempt: u64,
        /// After how long another one may be opened.
        wait: Duration,
    },
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

/// Whose turn it is, by release.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<BTreeMap<ReleaseKey, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Whoever holds this makes the attempt; there are never more of these than discovered releases.
    pub(crate) fn of(&self, release: &ReleaseKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(release.clone()).or_default())
    }
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

    /// Refuses where the newest attempt is too young for a person to open another one.
    pub(crate) async fn rested(&self, release: &ReleaseKey, now: Timestamp) -> Result<(), ReverifyError> {
        let series = subject::verification_summary(release, 1);
        let Some(newest) = self.view.latest(series.series()).await? else {
            return Ok(());
        };
        // Whoever waited for a turn comes with a time from before.
        let age = now.duration_since(newest.time).max(SignedDuration::ZERO);
        match Duration::try_from(REST.saturating_sub(age)) {
            Ok(wait) if !wait.is_zero() => Err(ReverifyError::Young {
                release: release.clone(),
                attempt: newest.subject.n(),
                wait,
            }),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Makes the attempt of this request, unless it was made.
    pub(crate) async fn reverify(
        &self,
        Found { release, time }: &Found,
        request: &str,
        now: Timestamp,
    ) -> Result<Reverified, ReverifyError> {
        if let Some(before) = self.answered(release, request).await? {
            return Ok(Reverified::Stored(Box::new(before)));
        }
        let turn = self.turns.of(release);
        let _turn = turn.lock().await;
        for _ in 0..TRIES {
            if let Some(before) = self.answered(release, request).await? {
                return Ok(Reverified::Stored(Box::new(before)));
            }
            self.rested(release, now).await?;
            match self.verify(release, *time, Ask::person(now, request)).await? {
                Attempt::Early { attempt, .. } => return Ok(Reverified::Early(attempt)),
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

/// Rounded up: who comes back then is not too early.
const fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add((wait.subsec_nanos() > 0) as u64)
}

fn is_of(summary: &Fact, request: &str) -> bool {
    summary
        .claim::<v1::RoleSummary>()
        .is_ok_and(|summary| summary.request_id == request)
}
