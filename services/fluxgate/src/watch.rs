//! Watches: everything as it is, then each change, over broken connections.
//!
//! Each message carries a token; after a break the next connection begins behind the last one that was
//! heard, so that nothing is missed and nothing is told twice. A hub that no longer knows a token tells
//! everything anew.

use std::time::{Duration, Instant};

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use tonic::{Code, Status};
use wire::common::v1::WatchEvent;
use wire::fleet::v1::{Cluster, WatchClustersRequest};
use wire::rollout::v1::{Rollout, WatchRolloutsRequest};

use crate::client::{Client, failed};
use crate::failure::Failure;
use crate::output::{Screen, Sign};

/// How long the hub may take to begin a watch.
const BEGIN: Duration = Duration::from_secs(10);
/// A hub gives a sign of life every 30 s; one that is silent for longer is gone.
const SILENCE: Duration = Duration::from_secs(90);
/// How long a hub may be away until there is no answer.
pub(crate) const AWAY: Duration = Duration::from_secs(120);
/// The first pause between two tries; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A message of a watch, whatever is watched.
#[derive(Debug)]
pub(crate) struct Message<T> {
    event: WatchEvent,
    item: Option<T>,
    token: String,
}

/// What can be watched.
pub(crate) trait Watched: Serialize + Sized + Send + 'static {
    /// Begins a watch behind a token; without one with everything as it is.
    async fn begin(
        client: &Client,
        token: String,
        name: String,
    ) -> Result<BoxStream<'static, Result<Message<Self>, Status>>, Status>;
}

impl Watched for Rollout {
    async fn begin(
        client: &Client,
        resume_token: String,
        name: String,
    ) -> Result<BoxStream<'static, Result<Message<Self>, Status>>, Status> {
        let request = WatchRolloutsRequest { resume_token, name };
        let stream = client.rollouts().watch_rollouts(request).await?.into_inner();
        let messages = stream.map_ok(|message| Message {
            event: message.event(),
            item: message.rollout,
            token: message.resume_token,
        });
        Ok(messages.boxed())
    }
}

impl Watched for Cluster {
    async fn begin(
        client: &Client,
        resume_token: String,
        name: String,
    ) -> Result<BoxStream<'static, Result<Message<Self>, Status>>, Status> {
        let request = WatchClustersRequest { resume_token, name };
        let stream = client.fleet().watch_clusters(request).await?.into_inner();
        let messages = stream.map_ok(|message| Message {
            event: message.event(),
            item: message.cluster,
            token: message.resume_token,
        });
        Ok(messages.boxed())
    }
}

/// What a watch tells.
#[derive(Debug)]
pub(crate) enum Event<T> {
    /// A resource as it was when the watch began.
    Snapshot(T),
    /// Everything was told; changes follow.
    Synced,
    /// A resource that has changed.
    Changed(T),
    /// Nothing changed.
    Alive,
}

/// A watch that outlives its connections.
pub(crate) struct Watch<T> {
    client: Client,
    /// What is watched, for people.
    doing: String,
    name: String,
    token: String,
    stream: Option<BoxStream<'static, Result<Message<T>, Status>>>,
    lost: Option<Lost>,
}

/// A connection that broke and is not there again.
#[derive(Debug, Clone, Copy)]
struct Lost {
    since: Instant,
    pause: Duration,
}

impl<T: Watched> Watch<T> {
    /// A watch of one resource, or of all where the name is empty. Nothing is asked before [`Watch::next`].
    pub(crate) fn new(client: Client, doing: String, name: String) -> Self {
        Self {
            client,
            doing,
            name,
            token: String::new(),
            stream: None,
            lost: None,
        }
    }

    /// Whether the connection broke and is not there again.
    pub(crate) fn is_away(&self) -> bool {
        self.lost.is_some()
    }

    /// What happens next. Breaks are told on the screen, not here.
    ///
    /// # Errors
    /// If the hub refuses the watch, or was away for too long.
    pub(crate) async fn next(&mut self, screen: &Screen) -> Result<Event<T>, Failure> {
        loop {
            if self.stream.is_none() {
                self.begin(screen).await?;
            }
            let Some(stream) = &mut self.stream else { continue };
            let broken = match tokio::time::timeout(SILENCE, stream.next()).await {
                Ok(Some(Ok(message))) => match self.told(message, screen) {
                    Some(event) => return Ok(event),
                    None => continue,
                },
                Ok(Some(Err(status))) => status,
                Ok(None) => Status::unavailable("the hub ended the watch"),
                Err(_) => Status::unavailable("the hub was silent"),
            };
            self.stream = None;
            self.broke(broken, screen)?;
        }
    }

    fn told(&mut self, message: Message<T>, screen: &Screen) -> Option<Event<T>> {
        if self.lost.take().is_some() {
            screen.hint(Sign::Good, "connected again: nothing was missed");
        }
        if !message.token.is_empty() {
            self.token = message.token;
        }
        match (message.event, message.item) {
            (WatchEvent::Snapshot, Some(item)) => Some(Event::Snapshot(item)),
            (WatchEvent::Changed, Some(item)) => Some(Event::Changed(item)),
            (WatchEvent::Synced, _) => Some(Event::Synced),
            (WatchEvent::Bookmark, _) => Some(Event::Alive),
            // A hub of a later version may tell more.
            (WatchEvent::Snapshot | WatchEvent::Changed | WatchEvent::Unspecified, _) => None,
        }
    }

    async fn begin(&mut self, screen: &Screen) -> Result<(), Failure> {
        if let Some(lost) = &mut self.lost {
            tokio::time::sleep(lost.pause).await;
            lost.pause = lost.pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
        let client = self.client.until(BEGIN);
        match T::begin(&client, self.token.clone(), self.name.clone()).await {
            Ok(stream) => {
                self.stream = Some(stream);
                Ok(())
            }
            Err(status) => self.broke(status, screen),
        }
    }

    /// What a broken connection means: another try, or the end.
    fn broke(&mut self, status: Status, screen: &Screen) -> Result<(), Failure> {
        let resumable = match status.code() {
            Code::OutOfRange if !self.token.is_empty() => {
                screen.hint(
                    Sign::Warning,
                    "the hub no longer knows where this watch was: everything is told anew",
                );
                self.token.clear();
                return Ok(());
            }
            Code::Unavailable
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::Aborted
            | Code::DeadlineExceeded
            | Code::ResourceExhausted => true,
            Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::DataLoss
            | Code::Unauthenticated => false,
        };
        // A watch that never began is a question without an answer, and not a broken one.
        let began = !self.token.is_empty() || self.lost.is_some();
        let away = self.lost.is_some_and(|lost| lost.since.elapsed() >= AWAY);
        if !resumable || !began || away {
            return Err(failed(self.doing.clone())(status));
        }
        if self.lost.is_none() {
            let why = crate::table::clean(status.message());
            screen.hint(
                Sign::Warning,
                &format!("the connection broke ({why}): connecting again"),
            );
            self.lost = Some(Lost {
                since: Instant::now(),
                pause: PAUSE,
            });
        }
        Ok(())
    }
}
