//! Whether the ledger may confirm, and why not.
//!
//! The ledger is sound when nothing speaks against it. What was not looked at yet speaks against it: a
//! service that has just started is not sound until it has compared the stream with its ledger.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tokio::sync::watch;

use domain::Digest;

/// What speaks against the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The stream was not read since the service started, or for some time.
    #[error("stream could not be read")]
    Unread,
    /// The stream holds events since some time that have not reached the ledger.
    #[error("stream holds {last} events, only {held} of them reach the ledger")]
    Behind {
        /// Last sequence of the ledger.
        held: u64,
        /// Last sequence of the stream.
        last: u64,
    },
    /// The stream goes on behind a sequence that nobody gave.
    #[error("stream goes on with sequence {found}, sequence {expected} is missing")]
    Gap {
        /// The sequence that was due.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// Another stream stands in the place of the one that the ledger follows.
    #[error("stream was created at {found}, the ledger follows one created at {held}")]
    Recreated {
        /// Creation time of the ledger's stream.
        held: Timestamp,
        /// Creation time of the stream now.
        found: Timestamp,
    },
    /// The stream ends before the ledger does.
    #[error("stream ends with sequence {last}, the ledger holds {held}")]
    Shortened {
        /// Last sequence of the ledger.
        held: u64,
        /// Last sequence of the stream.
        last: u64,
    },
    /// The ledger could not be written.
    #[error("events could not be written into the ledger; see the log of audit-log")]
    Unwritten,
    /// The server may lose what it acknowledged.
    #[error("nats-server does not sync each write: set sync_interval to always")]
    NotDurable,
    /// Whether the server syncs could not be found out.
    #[error("whether nats-server syncs each write could not be found out")]
    DurabilityUnknown,
}

/// All that is known about the ledger's soundness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Number of leaves.
    pub held: u64,
    /// Creation time of the stream, as last seen.
    pub created: Option<Timestamp>,
    /// What keeps new events from being appended.
    pub following: Option<Problem>,
    /// What is wrong with the stream as a whole.
    pub stream: Option<Problem>,
    /// What is wrong with the server's durability.
    pub durability: Option<Problem>,
    /// Sequences of which stream and ledger say different things, with what was found.
    pub disputed: BTreeMap<u64, String>,
    /// Blobs that are named since long and still missing: a note, no problem.
    pub late_blobs: BTreeSet<Digest>,
}

impl State {
    /// Whether nothing speaks against the ledger.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems().next().is_none() && self.disputed.is_empty()
    }

    fn problems(&self) -> impl Iterator<Item = &Problem> {
        [&self.following, &self.stream, &self.durability]
            .into_iter()
            .flatten()
    }

    /// What is wrong, for people; a note where the ledger is sound all the same; empty where all is well.
    #[must_use]
    pub fn text(&self) -> String {
        let mut parts: Vec<String> = self.problems().map(ToString::to_string).collect();
        if let Some((sequence, found)) = self.disputed.first_key_value() {
            let more = more(self.disputed.len());
            parts.push(format!(
                "sequence {sequence}{more} is not what the ledger holds: {found}"
            ));
        }
        if let Some(digest) = self.late_blobs.first() {
            let more = more(self.late_blobs.len());
            parts.push(format!("note: blob {digest}{more} is named and still missing"));
        }
        parts.join("; ")
    }
}

fn more(count: usize) -> String {
    if count > 1 {
        format!(" (and {} more)", count - 1)
    } else {
        String::new()
    }
}

/// The state, shared: every change wakes whoever waits for one.
#[derive(Debug)]
pub(super) struct Soundness(watch::Sender<State>);

impl Soundness {
    pub(super) fn new(held: u64, disputed: BTreeMap<u64, String>, watches_durability: bool) -> Self {
        Self(watch::Sender::new(State {
            held,
            created: None,
            following: Some(Problem::Unread),
            stream: Some(Problem::Unread),
            durability: watches_durability.then_some(Problem::DurabilityUnknown),
            disputed,
            late_blobs: BTreeSet::new(),
        }))
    }

    pub(super) fn now(&self) -> State {
        self.0.borrow().clone()
    }

    pub(super) fn changes(&self) -> watch::Receiver<State> {
        self.0.subscribe()
    }

    /// Changes the state, and logs when it becomes sound or unsound.
    pub(super) fn update(&self, change: impl FnOnce(&mut State)) {
        self.0.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            match (before.is_sound(), state.is_sound()) {
                (true, false) => tracing::error!(problem = state.text(), "ledger is not sound any more"),
                (false, true) => tracing::info!(held = state.held, "ledger is sound"),
                (true, true) | (false, false) => {}
            }
            *state != before
        });
    }
}
