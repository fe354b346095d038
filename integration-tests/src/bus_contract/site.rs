//! Where a log lives: one server, three of them, or memory. What is said about the log alone is asked of each by
//! the same cases.

use std::fmt;

use bus::memory::MemoryLog;

use super::*;

/// A log with fresh streams that a case may do anything to.
#[async_trait]
pub trait Site: Send + Sync {
    /// The log as a client sees it that has just connected.
    async fn log(&self) -> Arc<dyn EventLog>;
    /// Publishes as somebody who follows none of our rules.
    async fn publish_raw(&self, subject: &Subject, payload: Bytes) -> u64;
    /// Deletes the stream and makes another one.
    async fn make_anew(&self);
    /// The next so many reads are answered by a replica that lags; servers lag by themselves, or not at all.
    fn lag(&self, _reads: usize) {}
    /// Ends the server as kill -9 does; of several the one that leads the stream.
    async fn kill(&mut self);
    /// Starts it again on the same folder and port.
    async fn restart(&mut self);
}

/// One case about the log.
pub type LogCase = for<'a> fn(&'a mut dyn Site) -> BoxFuture<'a, ()>;

/// A log on servers.
pub struct OnServers<'a> {
    server: &'a mut dyn Server,
    client: Client,
    settings: Settings,
}

impl<'a> OnServers<'a> {
    /// On one server, with fresh streams.
    pub async fn one(server: &'a mut dyn Server) -> Self {
        Self::with(server, sizes()).await
    }

    /// On three servers, each of which keeps everything, with fresh streams.
    pub async fn three(server: &'a mut dyn Server) -> Self {
        Self::with(
            server,
            Settings {
                replicas: 3,
                ..sizes()
            },
        )
        .await
    }

    async fn with(server: &'a mut dyn Server, settings: Settings) -> Self {
        let client = client(&server.url()).await;
        let site = Self {
            server,
            client,
            settings,
        };
        site.make_anew().await;
        site
    }
}

#[async_trait]
impl Site for OnServers<'_> {
    async fn log(&self) -> Arc<dyn EventLog> {
        Arc::new(JetStreamLog::new(&client(&self.server.url()).await))
    }

    async fn publish_raw(&self, subject: &Subject, payload: Bytes) -> u64 {
        publish_raw(&self.client, subject, payload).await
    }

    async fn make_anew(&self) {
        empty(&self.client).await;
        streams::migrate(&self.client, &self.settings)
            .await
            .expect("migrating an empty server");
    }

    async fn kill(&mut self) {
        self.server.kill().await;
    }

    async fn restart(&mut self) {
        self.server.restart().await;
    }
}

/// The log in memory.
pub struct InMemory {
    log: MemoryLog,
    made: std::sync::atomic::AtomicI64,
}

impl InMemory {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self {
            log: MemoryLog::new(NOW),
            made: std::sync::atomic::AtomicI64::new(1),
        }
    }
}

impl Default for InMemory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Site for InMemory {
    async fn log(&self) -> Arc<dyn EventLog> {
        Arc::new(self.log.clone())
    }

    async fn publish_raw(&self, subject: &Subject, payload: Bytes) -> u64 {
        self.log.inject(subject.to_string(), payload)
    }

    async fn make_anew(&self) {
        let times = self.made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.log.recreate(NOW + SignedDuration::from_secs(times));
    }

    fn lag(&self, reads: usize) {
        self.log.lag(reads);
    }

    async fn kill(&mut self) {
        self.log.stop();
    }

    async fn restart(&mut self) {
        self.log.start();
    }
}

impl fmt::Debug for OnServers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnServers").finish_non_exhaustive()
    }
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory").finish_non_exhaustive()
    }
}
