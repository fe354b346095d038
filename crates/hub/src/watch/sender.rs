//! Sending one watch.

use jiff::Timestamp;
use runtime::Shutdown;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::Status;
use uuid::Uuid;
use wire::common::v1::WatchEvent;

use super::token::Token;
use super::{BOOKMARK_EVERY, Message, PATIENCE, Resource, State, errors};

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// With everything as it is.
    Anew,
    /// After this change.
    After(u64),
}

/// One watch.
pub(super) struct Sender<T> {
    pub(super) kind: &'static str,
    pub(super) board: Uuid,
    /// The stream that it watches; it ends with it.
    pub(super) stream: Timestamp,
    pub(super) name: String,
    pub(super) state: watch::Receiver<State<T>>,
    pub(super) messages: mpsc::Sender<Message<T>>,
    pub(super) shutdown: Shutdown,
}

/// Why sending is over.
enum End {
    /// The client went away.
    Gone,
    /// The client is told.
    Told(Box<Status>),
}

impl<T: Resource> Sender<T> {
    /// Sends until the client goes away, the stop, or an error.
    pub(super) async fn run(mut self, place: Place) -> Result<(), Box<Status>> {
        let (shutdown, messages) = (self.shutdown.clone(), self.messages.clone());
        let end = tokio::select! {
            () = shutdown.requested() => return Err(crate::grpc::unavailable(&errors::Stopping)),
            () = messages.closed() => return Ok(()),
            end = self.send_all(place) => end,
        };
        match end {
            Ok(()) | Err(End::Gone) => Ok(()),
            Err(End::Told(status)) => Err(status),
        }
    }

    async fn send_all(&mut self, place: Place) -> Result<(), End> {
        let mut sent = match place {
            Place::Anew => self.snapshot().await?,
            Place::After(place) => {
                let sent = self.changes(place).await?;
                self.sign(WatchEvent::Bookmark, sent).await?;
                sent
            }
        };
        let mut bookmark = Instant::now() + BOOKMARK_EVERY;
        loop {
            let before = sent;
            tokio::select! {
                changed = self.state.changed() => match changed {
                    Ok(()) => sent = self.changes(sent).await?,
                    Err(_) => return Ok(()),
                },
                () = sleep_until(bookmark) => {
                    self.sign(WatchEvent::Bookmark, sent).await?;
                    bookmark = Instant::now() + BOOKMARK_EVERY;
                }
            }
            if sent != before {
                bookmark = Instant::now() + BOOKMARK_EVERY;
            }
        }
    }

    /// Everything as it is. Whoever has seen a part of it alone begins again: its tokens stand before all changes.
    async fn snapshot(&mut self) -> Result<u64, End> {
        let (all, place, stream, sequence) = {
            let shown = self.state.borrow_and_update();
            let all = shown.since(0, &self.name);
            (all, shown.place, shown.stream, shown.sequence)
        };
        self.same_stream(stream)?;
        let mut present: Vec<_> = all.into_iter().map(|(_, resource)| resource).collect();
        present.retain(|resource| !resource.is_gone());
        present.sort_by(|a, b| a.name().cmp(b.name()));
        for resource in present {
            let resource = Some(T::clone(&resource));
            self.send(WatchEvent::Snapshot, resource, (sequence, 0)).await?;
        }
        self.send(WatchEvent::Synced, None, (sequence, place)).await?;
        Ok(place)
    }

    /// What changed after a place; gives the place of the last of it.
    async fn changes(&mut self, place: u64) -> Result<u64, End> {
        let (changed, stream, sequence) = {
            let shown = self.state.borrow_and_update();
            (shown.since(place, &self.name), shown.stream, shown.sequence)
        };
        self.same_stream(stream)?;
        let mut sent = place;
        for (place, resource) in changed {
            let resource = Some(T::clone(&resource));
            self.send(WatchEvent::Changed, resource, (sequence, place))
                .await?;
            sent = place;
        }
        Ok(sent)
    }

    fn same_stream(&self, stream: Timestamp) -> Result<(), End> {
        if stream == self.stream {
            Ok(())
        } else {
            Err(End::Told(errors::expired(self.kind)))
        }
    }

    /// A message without a resource.
    async fn sign(&mut self, event: WatchEvent, place: u64) -> Result<(), End> {
        let sequence = self.state.borrow().sequence;
        self.send(event, None, (sequence, place)).await
    }

    async fn send(
        &mut self,
        event: WatchEvent,
        resource: Option<T>,
        (sequence, place): (u64, u64),
    ) -> Result<(), End> {
        let token = Token {
            stream: self.stream,
            sequence,
            board: self.board,
            place,
        };
        let message = Message {
            event,
            resource,
            token: token.encode(self.kind),
        };
        match timeout(PATIENCE, self.messages.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_closed)) => Err(End::Gone),
            Err(_late) => Err(End::Told(errors::slow(self.kind))),
        }
    }
}
