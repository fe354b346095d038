use attest::TrustBundle;
use bus::memory::MemoryLog;
use jiff::Timestamp;

use super::*;

const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

fn keys() -> (SigningKey, SigningKey) {
    (
        SigningKey::generate().unwrap().0,
        SigningKey::generate().unwrap().0,
    )
}

fn bundle(version: u64, root: &SigningKey) -> Vec<u8> {
    let bundle = TrustBundle {
        version,
        demo: true,
        keys: Vec::new(),
    };
    attest::bundle::sign(&bundle, root, NOW).unwrap().to_bytes()
}

fn subject(version: u64) -> String {
    bus::subject::trust_bundle(version).to_string()
}

async fn found(log: &MemoryLog, root: &SigningKey, lowest: u64) -> Option<u64> {
    let trust = newest_trust(log, root.public(), lowest).await.unwrap();
    trust.map(|trust| trust.bundle().version)
}

#[tokio::test]
async fn a_stream_that_begins_with_a_later_bundle_is_joined() {
    let ((root, _), log) = (keys(), MemoryLog::new(NOW));
    assert_eq!(found(&log, &root, 1).await, None);
    log.inject(subject(2), bundle(2, &root));
    assert_eq!(found(&log, &root, 1).await, Some(2));
    log.inject(subject(70), bundle(70, &root));
    log.inject(subject(5), bundle(5, &root));
    assert_eq!(found(&log, &root, 1).await, Some(70));
    assert_eq!(found(&log, &root, 71).await, None);
}

#[tokio::test]
async fn only_the_roots_bundle_under_its_own_subject_counts() {
    let ((root, stranger), log) = (keys(), MemoryLog::new(NOW));
    log.inject(subject(9), bundle(9, &stranger));
    log.inject(subject(8), bundle(3, &root));
    log.inject(subject(7), "garbage");
    assert_eq!(found(&log, &root, 1).await, None);
    // The first valid one of a version counts, also behind a squatter.
    log.inject(subject(7), bundle(7, &root));
    log.inject("fluxgate.v1.trust.other.bundle.99", bundle(99, &root));
    assert_eq!(found(&log, &root, 1).await, Some(7));
}

async fn view(root: &SigningKey) -> View {
    let trust = Trust::open(root.public(), 1, &bundle(1, root)).unwrap();
    View::open(None, Judge::new(SCHEMA, trust)).await.unwrap()
}

#[tokio::test]
async fn following_that_ends_early_is_an_error_of_the_join() {
    let ((root, _), log) = (keys(), MemoryLog::new(NOW));
    let (view, log): (_, Arc<dyn EventLog>) = (view(&root).await, Arc::new(log));
    let mut host = Host::new(Clock::system(), Shutdown::default());
    follow("x", &view, &log, &mut host).await.unwrap();
    // As where the read model broke: nobody follows, and nothing more is read.
    let mut stopped = Host::new(Clock::system(), Shutdown::default());
    stopped.shutdown.request();
    log.append(
        &bus::subject::trust_bundle(1),
        Vec::new().into(),
        None,
        bus::Expect::Absent,
    )
    .await
    .unwrap();
    let (root, _) = keys();
    let behind = self::view(&root).await;
    let joined = follow("x", &behind, &log, &mut stopped).await;
    assert!(matches!(joined, Err(HubError::NotFollowing)));
}

#[tokio::test]
async fn a_view_that_stands_still_ends_the_process() {
    let mut host = Host::new(Clock::system(), Shutdown::default());
    let ((root, _), log) = (keys(), MemoryLog::new(NOW));
    let (view, log): (_, Arc<dyn EventLog>) = (view(&root).await, Arc::new(Panicking(log)));
    let joined = follow("policy-engine", &view, &log, &mut host).await;
    assert!(matches!(joined, Err(HubError::NotFollowing)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ended = host.serve(listener).await;
    assert!(matches!(ended, Err(crate::process::HostError::Panicked(_))));
}

/// A log whose tail breaks the one who follows it.
struct Panicking(MemoryLog);

#[async_trait::async_trait]
impl EventLog for Panicking {
    async fn append(
        &self,
        subject: &bus::Subject,
        payload: bytes::Bytes,
        traceparent: Option<&str>,
        expect: bus::Expect,
    ) -> Result<bus::Appended, bus::LogError> {
        self.0.append(subject, payload, traceparent, expect).await
    }
    async fn first_after(&self, subject: &str, after: u64) -> Result<Option<bus::Stored>, bus::LogError> {
        self.0.first_after(subject, after).await
    }
    async fn get(&self, sequence: u64) -> Result<Option<bus::Stored>, bus::LogError> {
        self.0.get(sequence).await
    }
    async fn last_sequence(&self) -> Result<u64, bus::LogError> {
        Ok(7)
    }
    async fn created(&self) -> Result<Timestamp, bus::LogError> {
        panic!("a defect")
    }
    async fn tail(&self, from: u64, filters: Vec<String>) -> Result<bus::log::Tail, bus::LogError> {
        self.0.tail(from, filters).await
    }
}
