//! Watches of the API: everything as it is, then each change, with tokens to go on from.
//!
//! - A service draws its resources onto a [`Board`] while somebody watches, at most once a second. What a drawing
//!   shows otherwise than the one before has changed; a watcher gets each resource's newest form, however often it
//!   changed while the watcher was slow.
//! - A token names the stream (its creation), the sequence that was folded, and the place among this board's changes.
//!   On the same board exactly what changed since then follows. Another board (a restart, another replica) does not
//!   know what its predecessor showed, and sends everything.
//! - A token of another stream, or of more than this replica has, can't be gone on from: the watcher lists anew.
//! - A watcher that takes nothing for [`PATIENCE`] while [`BUFFER`] messages wait is sent away; so is each at the stop.
//!
//! Deliberately not here: where resources come from, and what they look like on the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::Stream;
use jiff::Timestamp;
use runtime::Shutdown;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;
use tonic::Status;
use uuid::Uuid;
use wire::common::v1::WatchEvent;

mod errors;
mod sender;
mod token;

#[cfg(test)]
mod tests;

use sender::{Place, Sender};
use token::Token;

/// Messages that wait for a watcher.
pub const BUFFER: usize = 64;
/// How long a watcher may take nothing while its buffer is full.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// After this long without any other message comes a BOOKMARK: well within the 30 s that are promised.
pub const BOOKMARK_EVERY: Duration = Duration::from_secs(20);
/// How long a watch waits for its first drawing: a call has ten seconds to begin its answer.
const FIRST_WITHIN: Duration = Duration::from_secs(6);
/// How long a token's sequence is waited for, where another replica gave it.
const LAG: Duration = Duration::from_secs(2);

/// Something that can be watched.
pub trait Resource: Clone + PartialEq + Send + Sync + 'static {
    /// Its name in the API.
    fn name(&self) -> &str;

    /// Whether this is the last word about it: no snapshot has it, but whoever knew it hears that it is gone.
    fn is_gone(&self) -> bool {
        false
    }
}

impl Resource for wire::rollout::v1::Rollout {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Resource for wire::fleet::v1::Cluster {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_gone(&self) -> bool {
        self.member.as_ref().is_some_and(|member| member.removed)
    }
}

/// One message of a watch.
#[derive(Debug, Clone, PartialEq)]
pub struct Message<T> {
    /// What it is.
    pub event: WatchEvent,
    /// The resource, with SNAPSHOT and CHANGED.
    pub resource: Option<T>,
    /// Where to go on after it.
    pub token: String,
}

/// What a watcher asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Token of a message received before; empty for everything.
    pub token: &'a str,
    /// Name of the only resource to watch; empty for all.
    pub name: &'a str,
}

/// What the resources of one kind look like, and what changed last.
#[derive(Debug)]
pub struct Board<T> {
    kind: &'static str,
    /// Tells this board from every other: places are its own.
    id: Uuid,
    state: watch::Sender<State<T>>,
    begun: AtomicU64,
    opened: Notify,
}

/// The newest drawing.
#[derive(Debug)]
struct State<T> {
    /// Which drawing it is.
    drawn: u64,
    /// The stream that it was made from.
    stream: Timestamp,
    /// The sequence that was folded before it was made.
    sequence: u64,
    /// Counts changes.
    place: u64,
    resources: BTreeMap<String, Posted<T>>,
}

#[derive(Debug)]
struct Posted<T> {
    /// Its place among all changes.
    place: u64,
    resource: Arc<T>,
}

/// A drawing that was begun. What is shown by it was read afterwards.
#[derive(Debug)]
pub struct Drawing(u64);

impl<T: Resource> Board<T> {
    /// An empty board for resources of a kind, like `clusters`.
    #[must_use]
    pub fn new(kind: &'static str) -> Self {
        let state = State {
            drawn: 0,
            stream: Timestamp::UNIX_EPOCH,
            sequence: 0,
            place: 0,
            resources: BTreeMap::new(),
        };
        Self {
            kind,
            id: Uuid::new_v4(),
            state: watch::Sender::new(state),
            begun: AtomicU64::new(0),
            opened: Notify::new(),
        }
    }

    /// Waits until somebody watches.
    pub async fn is_wanted(&self) {
        while self.state.receiver_count() == 0 {
            self.opened.notified().await;
        }
    }

    /// Begins a drawing, before anything is read for it.
    #[must_use]
    pub fn begin(&self) -> Drawing {
        Drawing(self.begun.fetch_add(1, Ordering::SeqCst).saturating_add(1))
    }

    /// Shows a drawing: all resources as they are, read from this stream with at least this sequence folded.
    pub fn show(&self, drawing: &Drawing, (stream, sequence): (Timestamp, u64), resources: Vec<T>) {
        self.state.send_modify(|state| {
            if state.stream != stream {
                state.stream = stream;
                state.resources.clear();
            }
            state.drawn = drawing.0;
            state.sequence = sequence;
            let names: BTreeSet<&str> = resources.iter().map(Resource::name).collect();
            state.resources.retain(|name, _| names.contains(name.as_str()));
            for resource in resources {
                state.put(resource);
            }
        });
    }

    /// Opens a watch: waits for a drawing that was begun after the call, so that a client sees what it did before.
    ///
    /// # Errors
    /// `OUT_OF_RANGE` for a token that can't be gone on from, `NOT_FOUND` for the name of nothing, `UNAVAILABLE` where
    /// nothing is drawn in time.
    pub async fn open(
        &self,
        wish: Wish<'_>,
        shutdown: &Shutdown,
    ) -> Result<impl Stream<Item = Result<Message<T>, Status>> + Send + use<T>, Box<Status>> {
        let token = match wish.token {
            "" => None,
            text => Some(Token::parse(self.kind, text).ok_or_else(|| errors::expired(self.kind))?),
        };
        let mut state = self.state.subscribe();
        let begun = self.begun.load(Ordering::SeqCst);
        self.opened.notify_one();
        let fresh = matches!(
            timeout(FIRST_WITHIN, state.wait_for(|state| state.drawn > begun)).await,
            Ok(Ok(_))
        );
        if !fresh {
            return Err(crate::grpc::unavailable(&errors::NotDrawn));
        }
        if let Some(token) = &token {
            // Another replica may have read more; one that does not catch up is said so below.
            let caught_up =
                |shown: &State<T>| shown.sequence >= token.sequence || shown.stream != token.stream;
            let _caught_up = timeout(LAG, state.wait_for(caught_up)).await.is_ok();
        }
        let (stream, place) = {
            let shown = state.borrow();
            let named = wish.name.is_empty() || shown.resources.contains_key(wish.name);
            if !named && token.is_none() {
                return Err(crate::grpc::not_found(wish.name));
            }
            (shown.stream, self.begins_at(&shown, token.as_ref())?)
        };
        let (messages, waiting) = mpsc::channel(BUFFER);
        let sender = Sender {
            kind: self.kind,
            board: self.id,
            stream,
            name: wish.name.to_owned(),
            state,
            messages,
            shutdown: shutdown.clone(),
        };
        let sending = tokio::spawn(sender.run(place));
        Ok(futures::stream::unfold(
            (waiting, Some(sending)),
            |(mut waiting, sending)| async move {
                if let Some(message) = waiting.recv().await {
                    return Some((Ok(message), (waiting, sending)));
                }
                match sending?.await {
                    Ok(Ok(())) => None,
                    Ok(Err(status)) => Some((Err(*status), (waiting, None))),
                    Err(error) => Some((Err(*crate::grpc::unavailable(&error)), (waiting, None))),
                }
            },
        ))
    }

    /// Where a watch begins.
    fn begins_at(&self, shown: &State<T>, token: Option<&Token>) -> Result<Place, Box<Status>> {
        let Some(token) = token else {
            return Ok(Place::Anew);
        };
        let ours = token.board == self.id;
        let ahead = token.sequence > shown.sequence || (ours && token.place > shown.place);
        if token.stream != shown.stream || ahead {
            return Err(errors::expired(self.kind));
        }
        Ok(Place::After(if ours { token.place } else { 0 }))
    }
}

impl<T: Resource> State<T> {
    fn put(&mut self, resource: T) {
        let known = self.resources.get(resource.name());
        if known.is_some_and(|known| *known.resource == resource) {
            return;
        }
        self.place = self.place.saturating_add(1);
        let posted = Posted {
            place: self.place,
            resource: Arc::new(resource),
        };
        self.resources.insert(posted.resource.name().to_owned(), posted);
    }

    /// What changed after a place, in order; of one name where it is not empty.
    fn since(&self, place: u64, name: &str) -> Vec<(u64, Arc<T>)> {
        let wanted =
            |posted: &&Posted<T>| posted.place > place && (name.is_empty() || posted.resource.name() == name);
        let changed = self.resources.values().filter(wanted);
        let mut changed: Vec<_> = changed
            .map(|posted| (posted.place, Arc::clone(&posted.resource)))
            .collect();
        changed.sort_by_key(|(place, _)| *place);
        changed
    }
}
