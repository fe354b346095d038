//! What persons say: who may be written to, what is stopped, what is tried again. Each word is stored once for each
//! request.
//!
//! - The same request again is answered by what it stored the first time; its id with another wish is refused, also
//!   where it was used for another kind of word.
//! - Only the active replica stores, one word at a time, and looks at everything that is stored before it does: that
//!   is what makes an id count once across all words.
//! - A stop is answered when it is stored *and* applied ([`Applied`]): no plan without it is carried out any more, and
//!   what was asked and not begun is taken back.

use std::fmt;
use std::time::Duration;

use attest::Claim;
use bus::journal::JournalError;
use bus::{Area, Fact, LogError, Subject, Turn, ViewError, Written, subject};
use domain::rollout::RolloutRetried;
use domain::trace::TraceId;
use domain::{RolloutKey, StopScope, StopSetting};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::timeout;
use wire::ModeSetting;
use wire::rollout::v1;

use crate::Controller;

mod objections;

#[cfg(test)]
mod tests;

pub(crate) use objections::Objection;

/// How long is waited for what the log has already.
const CATCH_UP: Duration = Duration::from_secs(3);
/// How long is waited until a stop is applied.
const APPLY: Duration = Duration::from_secs(4);
/// Nobody else stores words while this replica holds the lease, so the first try settles it.
const TRIES: usize = 3;

/// What a person said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// Who may be written to.
    Mode(ModeSetting),
    /// What is stopped, or goes on.
    Stop(StopSetting),
    /// A halted rollout is tried again.
    Retry(RolloutRetried),
}

/// A stored word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) word: Word,
    pub(crate) sequence: u64,
    pub(crate) time: Timestamp,
    n: u64,
}

/// Why a word was not stored, or not applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SayError {
    #[error("request {request} was for another wish before: {before}; use another id for another wish")]
    Reused { request: String, before: Box<Word> },
    #[error(transparent)]
    Objection(#[from] Objection),
    #[error("asking how far the log is")]
    Log(#[from] LogError),
    #[error("reading the view")]
    View(#[from] ViewError),
    #[error("the view did not catch up with the log in time")]
    Behind,
    #[error("publishing {0}")]
    Journal(Box<Word>, #[source] JournalError),
    #[error("something else is being said at the same time as {0}")]
    Moving(Box<Word>),
    #[error(
        "{word} is stored as event {sequence}, but not everything that follows from it is done yet; the same request \
         id may be sent again"
    )]
    NotApplied { word: Box<Word>, sequence: u64 },
}

/// Up to which event everything is applied that the active replica does by itself: a look that had read this far has
/// taken back what it had to, and what agents read is written.
#[derive(Debug)]
pub(crate) struct Applied(watch::Sender<u64>);

impl Default for Applied {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Applied {
    /// A look is over that had read up to here.
    pub(crate) fn up_to(&self, sequence: u64) {
        self.0.send_replace(sequence);
    }

    /// Up to where.
    fn reached(&self) -> u64 {
        *self.0.borrow()
    }

    /// Waits for an event to be applied; false where that takes too long.
    async fn has(&self, sequence: u64) -> bool {
        let mut applied = self.0.subscribe();
        let reached = timeout(APPLY, applied.wait_for(|applied| *applied >= sequence)).await;
        matches!(reached, Ok(Ok(_)))
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mode(mode) => write!(f, "{} to {}", mode.scope, mode.mode),
            Self::Stop(stop) if stop.active => {
                write!(f, "{} of {}: {}", stop.scope.kind(), stop.scope, stop.reason)
            }
            Self::Stop(stop) => write!(
                f,
                "end of the {} of {}: {}",
                stop.scope.kind(),
                stop.scope,
                stop.reason
            ),
            Self::Retry(retried) => {
                write!(f, "another attempt after {}: {}", retried.rollout, retried.reason)
            }
        }
    }
}

impl Word {
    fn request_id(&self) -> &str {
        match self {
            Self::Mode(mode) => &mode.request_id,
            Self::Stop(stop) => &stop.request_id,
            Self::Retry(retried) => &retried.request_id,
        }
    }

    /// Its name as the n-th of its series; a retry is said once.
    fn subject(&self, n: u64) -> Subject {
        match self {
            Self::Mode(mode) => subject::mode(&mode.scope.to_string(), n),
            Self::Stop(stop) => subject::stop(&stop.scope.to_string(), n),
            Self::Retry(retried) => subject::rollout_retried(&retried.rollout),
        }
    }

    /// Whether both ask for the same thing. Who asks is compared by the id.
    fn is_same_wish(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mode(a), Self::Mode(b)) => a.scope == b.scope && a.mode == b.mode,
            (Self::Stop(a), Self::Stop(b)) => {
                a.scope == b.scope && a.active == b.active && a.reason == b.reason
            }
            (Self::Retry(a), Self::Retry(b)) => a.rollout == b.rollout && a.reason == b.reason,
            (Self::Mode(_) | Self::Stop(_) | Self::Retry(_), _) => false,
        }
    }

    /// Reads a word that stands under its own name.
    fn read(fact: &Fact) -> Option<Self> {
        let statement = &fact.statement;
        let word = match fact.subject.step() {
            "mode" => Self::Mode(wire::decode::<v1::ModeSet, _>(statement).ok()?),
            "stop" => Self::Stop(wire::decode::<v1::StopSet, _>(statement).ok()?),
            "retried" => Self::Retry(wire::decode::<v1::RolloutRetried, _>(statement).ok()?),
            _ => return None,
        };
        (word.subject(fact.subject.n()) == fact.subject).then_some(word)
    }
}

impl Said {
    pub(crate) fn read(fact: &Fact) -> Option<Self> {
        Some(Self {
            word: Word::read(fact)?,
            sequence: fact.sequence,
            time: fact.time,
            n: fact.subject.n(),
        })
    }

    /// The stop that it is.
    pub(crate) fn stop(&self) -> Option<&StopSetting> {
        match &self.word {
            Word::Stop(stop) => Some(stop),
            Word::Mode(_) | Word::Retry(_) => None,
        }
    }

    /// The halted rollout after which another attempt was asked for.
    pub(crate) fn retried(&self) -> Option<&RolloutKey> {
        match &self.word {
            Word::Retry(retried) => Some(&retried.rollout),
            Word::Mode(_) | Word::Stop(_) => None,
        }
    }
}

/// What was stored before a request.
#[derive(Debug, PartialEq, Eq)]
enum Before {
    /// The request itself.
    Same(Said),
    /// Others alone. The newest number of its series; 0 if there is none.
    Others { n: u64 },
}

impl Controller {
    /// Stores a stop without waiting until it is applied ([`Self::applied`]), for a simulation that moves this replica
    /// by hand; says where it stands. `None` where it does not fit how things are, or nothing definite is known.
    pub async fn store_stop(&self, stop: StopSetting) -> Option<u64> {
        match self.store(&Word::Stop(stop), false).await {
            Ok(said) => said.map(|said| said.sequence),
            Err(error) => {
                tracing::debug!(error = %runtime::errors::chain(&error), "a stop was not stored");
                None
            }
        }
    }

    /// Up to which event every stop is applied: no plan without it is carried out any more by this replica, and what
    /// was asked and not begun is taken back.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.applied.reached()
    }

    /// Stores a word, and says as what it stands; nothing under `validate_only`, which checks everything all the same.
    pub(crate) async fn say(&self, wanted: &Word, validate_only: bool) -> Result<Option<Said>, SayError> {
        let said = self.store(wanted, validate_only).await?;
        if let Some(said) = said.as_ref().filter(|said| said.stop().is_some())
            && !self.applied.has(said.sequence).await
        {
            return Err(SayError::NotApplied {
                word: Box::new(wanted.clone()),
                sequence: said.sequence,
            });
        }
        Ok(said)
    }

    async fn store(&self, wanted: &Word, validate_only: bool) -> Result<Option<Said>, SayError> {
        let _one_at_a_time = self.setting.lock().await;
        for _ in 0..TRIES {
            let stored = self.all_said().await?;
            let n = match before(&stored, wanted)? {
                Before::Same(said) => return Ok(Some(said)),
                Before::Others { n } => n,
            };
            let (_, rollouts) = self.folded().await?;
            objections::look(wanted, &stored, &rollouts)?;
            if validate_only {
                return Ok(None);
            }
            let written = self.write_word(wanted, n).await;
            let written = written.map_err(|error| SayError::Journal(Box::new(wanted.clone()), error))?;
            if let Some(Written::Ours(fact)) = written {
                tracing::info!(sequence = fact.sequence, "said: {wanted}");
                return Ok(Said::read(&fact));
            }
        }
        Err(SayError::Moving(Box::new(wanted.clone())))
    }

    /// Every word that was ever stored, up to now, in stream order.
    async fn all_said(&self) -> Result<Vec<Said>, SayError> {
        let last = self.hub.log.last_sequence().await?;
        let reached = timeout(CATCH_UP, self.hub.view.reached(last)).await;
        reached.map_err(|_late| SayError::Behind)?;
        let mut all = Vec::new();
        for step in ["mode", "stop", "retried"] {
            let facts = self.hub.view.all_of(Area::Rollout, step).await?;
            all.extend(facts.iter().filter_map(Said::read));
        }
        all.sort_by_key(|said| said.sequence);
        Ok(all)
    }

    async fn write_word(&self, wanted: &Word, n: u64) -> Result<Option<Written>, JournalError> {
        match wanted {
            Word::Mode(mode) => self.next_word(wanted, n, v1::ModeSet::from(mode)).await,
            Word::Stop(stop) => self.next_word(wanted, n, v1::StopSet::from(stop)).await,
            Word::Retry(retried) => {
                let trace = TraceId::of_rollout(&retried.rollout).traceparent();
                let claim = v1::RolloutRetried::from(retried);
                let written = self.hub.journal.once(&wanted.subject(1), &claim, &trace).await;
                written.map(Some)
            }
        }
    }

    /// Something newer than what was looked at has to be looked at first.
    async fn next_word<C>(&self, wanted: &Word, n: u64, claim: C) -> Result<Option<Written>, JournalError>
    where
        C: Claim + Clone + Send + Sync,
    {
        let evaluate = |turn: Turn<'_>| (turn.n == n + 1).then(|| claim.clone());
        let name = wanted.subject(1);
        self.hub.journal.series(name.series(), "", evaluate).await
    }

    /// The newest word about each scope of a stop, by scope.
    pub(crate) async fn stops(&self) -> Result<Vec<Said>, ViewError> {
        let stated = self.statements.stops(&self.hub.view).await?;
        let mut stops: Vec<Said> = stated.iter().map(|said| Said::clone(said)).collect();
        let scope = |said: &Said| -> Option<StopScope> { Some(said.stop()?.scope.clone()) };
        stops.sort_by_key(scope);
        Ok(stops)
    }

    /// The halted rollouts after which another attempt was asked for.
    pub(crate) async fn retried(&self) -> Result<Vec<Said>, ViewError> {
        let facts = self.hub.view.all_of(Area::Rollout, "retried").await?;
        Ok(facts.iter().filter_map(Said::read).collect())
    }
}

fn before(stored: &[Said], wanted: &Word) -> Result<Before, SayError> {
    if let Some(found) = stored
        .iter()
        .find(|said| said.word.request_id() == wanted.request_id())
    {
        if found.word.is_same_wish(wanted) {
            return Ok(Before::Same(found.clone()));
        }
        return Err(SayError::Reused {
            request: wanted.request_id().to_owned(),
            before: Box::new(found.word.clone()),
        });
    }
    let name = wanted.subject(1);
    let own = stored
        .iter()
        .filter(|said| said.word.subject(1).series() == name.series());
    let n = own.map(|said| said.n).max().unwrap_or(0);
    Ok(Before::Others { n })
}
