//! A service over a log in memory whose owner can be told to lie.

use std::collections::BTreeMap;

use bus::log::{Appended, EventLog, Expect, LogError, Stored, Tail};
use bus::memory::MemoryLog;
use bus::subject::Subject;
use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::*;

pub(super) const NAME: &str = "ledger.example/fleet";

/// A log whose owner lies: leaves sequences out of its tail, and answers a read with other bytes.
#[derive(Clone)]
pub(super) struct LyingLog {
    pub(super) honest: MemoryLog,
    pub(super) lies: Arc<Mutex<Lies>>,
}

#[derive(Default)]
pub(super) struct Lies {
    pub(super) left_out: Vec<u64>,
    pub(super) changed: BTreeMap<u64, Option<Bytes>>,
    /// Whether the stream answers nothing about itself.
    pub(super) silent: bool,
}

#[async_trait]
impl EventLog for LyingLog {
    async fn append(
        &self,
        subject: &Subject,
        payload: Bytes,
        traceparent: Option<&str>,
        expect: Expect,
    ) -> Result<Appended, LogError> {
        self.honest.append(subject, payload, traceparent, expect).await
    }

    async fn first_after(&self, subject: &str, after: u64) -> Result<Option<Stored>, LogError> {
        self.honest.first_after(subject, after).await
    }

    async fn get(&self, sequence: u64) -> Result<Option<Stored>, LogError> {
        let honest = self.honest.get(sequence).await?;
        let lies = self.lies.lock().unwrap();
        Ok(match lies.changed.get(&sequence) {
            None => honest,
            Some(None) => None,
            Some(Some(payload)) => honest.map(|stored| Stored {
                payload: payload.clone(),
                ..stored
            }),
        })
    }

    async fn last_sequence(&self) -> Result<u64, LogError> {
        if self.lies.lock().unwrap().silent {
            return Err(LogError::Read {
                what: "the stream".to_owned(),
                source: "timed out".into(),
            });
        }
        self.honest.last_sequence().await
    }

    async fn created(&self) -> Result<Timestamp, LogError> {
        self.honest.created().await
    }

    async fn tail(&self, from: u64, filters: Vec<String>) -> Result<Tail, LogError> {
        let lies = self.lies.clone();
        let honest = self.honest.tail(from, filters).await?;
        let told = move |stored: &Result<Stored, LogError>| {
            let left_out = &lies.lock().unwrap().left_out;
            let tell = stored
                .as_ref()
                .map_or(true, |stored| !left_out.contains(&stored.sequence));
            std::future::ready(tell)
        };
        Ok(honest.filter(told).boxed())
    }
}

#[derive(Default)]
pub(super) struct MemoryBlobs(pub(super) Mutex<BTreeMap<Digest, Bytes>>);

#[async_trait]
impl BlobSource for MemoryBlobs {
    async fn get(&self, digest: Digest) -> Result<Option<Bytes>, PortError> {
        Ok(self.0.lock().unwrap().get(&digest).cloned())
    }
}

pub(super) struct MemoryBoard(pub(super) tokio::sync::watch::Sender<Bytes>);

#[async_trait]
impl StatusBoard for MemoryBoard {
    async fn put_status(&self, envelope: Bytes) -> Result<(), PortError> {
        self.0.send_replace(envelope);
        Ok(())
    }
}

pub(super) struct World {
    pub(super) log: LyingLog,
    pub(super) blobs: Arc<MemoryBlobs>,
    pub(super) board: Arc<MemoryBoard>,
    pub(super) signer: Arc<SigningKey>,
    pub(super) note_key: String,
    pub(super) folder: tempfile::TempDir,
    pub(super) clock: Clock,
    pub(super) lag: Duration,
    pub(super) monitoring_url: Option<String>,
}

/// Starts a monitoring address of nats-server that answers with what it is told to say; gives its URL.
pub(super) async fn monitoring(says: tokio::sync::watch::Receiver<&'static str>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut caller, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            let _read = caller.read(&mut asked).await;
            let body = *says.borrow();
            let length = body.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            let _written = caller.write_all(answer.as_bytes()).await;
        }
    });
    url
}

pub(super) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl World {
    pub(super) fn new() -> Self {
        let honest = MemoryLog::new(Timestamp::now());
        Self {
            log: LyingLog {
                honest,
                lies: Arc::default(),
            },
            blobs: Arc::default(),
            board: Arc::new(MemoryBoard(tokio::sync::watch::Sender::new(Bytes::new()))),
            signer: Arc::new(SigningKey::generate().unwrap().0),
            note_key: NoteKey::generate(NAME).unwrap().1,
            folder: tempfile::tempdir().unwrap(),
            clock: Clock::system(),
            lag: Duration::from_secs(60),
            monitoring_url: None,
        }
    }

    pub(super) fn inject(&self, count: usize) {
        for n in 0..count {
            self.log.honest.inject(
                format!("fluxgate.v1.cluster.c.health.{n}"),
                format!("payload {n}"),
            );
        }
    }

    pub(super) async fn open(&self) -> Service {
        let brief = Duration::from_millis(5);
        let deps = Deps {
            log: Arc::new(self.log.clone()),
            blobs: self.blobs.clone(),
            board: self.board.clone(),
            signer: self.signer.clone(),
            note_key: NoteKey::from_pem(NAME, &self.note_key).unwrap(),
            root_key: None,
            clock: self.clock,
            state: self.folder.path().to_owned(),
            monitoring_url: self.monitoring_url.clone(),
            pace: Pace {
                status: brief,
                debounce: brief,
                reread: brief,
                blobs: brief,
                durability: brief,
                retry: brief,
                lag: self.lag,
            },
        };
        Service::open(deps).await.unwrap()
    }

    /// Runs the service until its state is as wanted.
    pub(super) async fn run_until(&self, service: &Service, wanted: impl Fn(&State) -> bool) -> State {
        let shutdown = Shutdown::default();
        let mut changes = service.shared.soundness.changes();
        let running = service.clone();
        let stop = shutdown.clone();
        let running = tokio::spawn(async move { running.run(stop).await });
        let reached = tokio::time::timeout(Duration::from_secs(20), changes.wait_for(wanted)).await;
        let state = reached.expect("the state is not reached").unwrap().clone();
        shutdown.request();
        running.await.unwrap();
        state
    }

    pub(super) async fn caught_up(&self, service: &Service, held: u64) -> State {
        self.run_until(service, |state| state.held == held && state.is_sound())
            .await
    }
}
