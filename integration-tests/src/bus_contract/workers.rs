//! Durable consumers with handlers.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Instant;

use async_nats::jetstream::consumer::pull;
use bus::worker::WorkerError;
use bus::{Handler, Outcome, Stored, Worker, streams};
use tokio::task::JoinHandle;

use super::*;

type Decide = dyn Fn(&Stored, u64) -> Outcome + Send + Sync;

/// A handler that remembers its deliveries.
struct Remembering {
    seen: Mutex<Vec<(String, u64, Instant)>>,
    decide: Box<Decide>,
}

impl Remembering {
    fn new(decide: impl Fn(&Stored, u64) -> Outcome + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::default(),
            decide: Box::new(decide),
        })
    }

    fn seen(&self) -> Vec<(String, u64, Instant)> {
        self.seen.lock().unwrap().clone()
    }

    async fn wait(&self, count: usize) {
        let seen = async {
            while self.seen().len() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        soon("deliveries", seen).await;
    }
}

#[async_trait]
impl Handler for Remembering {
    async fn handle(&self, delivery: &Stored, attempt: u64) -> Outcome {
        self.seen
            .lock()
            .unwrap()
            .push((delivery.subject.clone(), attempt, Instant::now()));
        (self.decide)(delivery, attempt)
    }
}

fn start(client: &Client, handler: Arc<dyn Handler>) -> (Worker, CancellationToken) {
    let filters = vec!["fluxgate.v1.rollout.*.started.*".to_owned()];
    (
        Worker::new(client.clone(), "tester", filters, handler),
        CancellationToken::new(),
    )
}

fn run(worker: Worker, stop: &CancellationToken) -> JoinHandle<Result<(), WorkerError>> {
    let stop = stop.clone();
    tokio::spawn(async move { worker.run(stop).await })
}

struct Effect {
    journal: Journal,
    seen: Mutex<u64>,
}

#[async_trait]
impl Handler for Effect {
    async fn handle(&self, _delivery: &Stored, attempt: u64) -> Outcome {
        let finished = started(77);
        self.journal
            .once(&finished, &by(&format!("attempt {attempt}")), "")
            .await
            .expect("writing");
        *self.seen.lock().unwrap() += 1;
        // As if it had died between the effect and the acknowledgement.
        if attempt == 1 {
            Outcome::Retry {
                after: Duration::from_millis(50),
                reason: "died".to_owned(),
            }
        } else {
            Outcome::Ack
        }
    }
}

pub(super) async fn what_was_done_is_done_once_though_delivered_twice(server: &mut dyn Server) {
    let client = fresh(server).await;
    let world = World::new();
    let service = world.service_on(Arc::new(JetStreamLog::new(&client))).await;
    publish_raw(&client, &started(1), "x").await;
    let handler = Arc::new(Effect {
        journal: service.journal.clone(),
        seen: Mutex::default(),
    });
    let filters = vec![started(1).to_string()];
    let worker = Worker::new(
        client.clone(),
        "tester",
        filters,
        Arc::clone(&handler) as Arc<dyn Handler>,
    );
    let (counters, stop) = (worker.counters(), CancellationToken::new());
    let task = run(worker, &stop);
    soon("two deliveries", async {
        while counters.acked.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    stop.cancel();
    task.await.unwrap().unwrap();
    assert_eq!(*handler.seen.lock().unwrap(), 2);
    assert_eq!(count(service.log.as_ref(), &started(77)).await, 1);
}

/// A NAK without a delay comes back in the same millisecond; `backoff` does not apply to it.
pub(super) async fn delays_of_a_retry_grow(server: &mut dyn Server) {
    let client = fresh(server).await;
    publish_raw(&client, &started(1), "x").await;
    let handler = Remembering::new(|_, attempt| match attempt {
        1..=3 => Outcome::Retry {
            after: Duration::from_millis(200),
            reason: "not yet".to_owned(),
        },
        _ => Outcome::Ack,
    });
    let (worker, stop) = start(&client, Arc::clone(&handler) as Arc<dyn Handler>);
    let task = run(worker, &stop);
    handler.wait(4).await;
    stop.cancel();
    task.await.unwrap().unwrap();
    let seen = handler.seen();
    let attempts: Vec<u64> = seen.iter().map(|(_, attempt, _)| *attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4]);
    let gaps: Vec<u128> = seen
        .windows(2)
        .map(|two| (two[1].2 - two[0].2).as_millis())
        .collect();
    assert!(gaps[0] >= 190 && gaps[1] >= 390 && gaps[2] >= 790, "{gaps:?}");
}

/// Deliveries have no limit, but somebody is to look.
pub(super) async fn what_is_delivered_too_often_is_counted_and_never_dropped(server: &mut dyn Server) {
    let client = fresh(server).await;
    publish_raw(&client, &started(1), "x").await;
    let handler = Remembering::new(|_, attempt| match attempt {
        1..=22 => Outcome::Retry {
            after: Duration::ZERO,
            reason: "not yet".to_owned(),
        },
        _ => Outcome::Ack,
    });
    let (worker, stop) = start(&client, Arc::clone(&handler) as Arc<dyn Handler>);
    let counters = worker.counters();
    let task = run(worker, &stop);
    handler.wait(23).await;
    stop.cancel();
    task.await.unwrap().unwrap();
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!(count(&counters.stuck), 3, "the 21st and those after it");
    assert_eq!((count(&counters.retried), count(&counters.acked)), (22, 1));
}

pub(super) async fn a_panic_is_a_dead_letter_and_ends_nothing_else(server: &mut dyn Server) {
    let client = fresh(server).await;
    let handler = Remembering::new(|event, _| {
        assert!(event.payload != "panic", "the handler cannot stand this");
        if event.payload == "reject" {
            Outcome::Reject {
                reason: "bad\r\nevent".to_owned(),
            }
        } else {
            Outcome::Ack
        }
    });
    let (worker, stop) = start(&client, Arc::clone(&handler) as Arc<dyn Handler>);
    let counters = worker.counters();
    let task = run(worker, &stop);
    for (ordinal, text) in [(1, "panic"), (2, "reject"), (3, "fine")] {
        publish_raw(&client, &started(ordinal), text).await;
    }
    soon("two dead letters", async {
        let done = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        while done(&counters.rejected) < 2 || done(&counters.acked) < 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let context = async_nats::jetstream::new(client.clone());
    stop.cancel();
    task.await.unwrap().unwrap();
    assert_eq!(handler.seen().len(), 3, "nothing came again");
    let dead = context.get_stream(streams::DEAD_LETTERS).await.unwrap();
    assert_eq!(dead.cached_info().state.messages, 2);
    let mut reasons = Vec::new();
    for sequence in 1..=2 {
        let letter = dead.direct_get(sequence).await.unwrap();
        assert_eq!(letter.subject.as_str(), "fluxgate.dead.tester");
        let header = |name: &str| {
            letter
                .headers
                .get(name)
                .map(|value| value.as_str().to_owned())
                .unwrap_or_default()
        };
        assert!(header("fluxgate-subject").contains(".started.1"));
        reasons.push(header("fluxgate-reason"));
    }
    reasons.sort();
    assert_eq!(reasons[0], "bad  event");
    assert!(
        reasons[1].contains("panicked: the handler cannot stand this"),
        "{reasons:?}"
    );
    let info = context
        .get_stream(streams::EVENTS)
        .await
        .unwrap()
        .consumer_info("tester")
        .await
        .unwrap();
    assert_eq!((info.num_ack_pending, info.num_pending), (0, 0));
}

/// `create_consumer` answers Ok with whatever is there.
pub(super) async fn a_consumer_with_another_configuration_is_refused(server: &mut dyn Server) {
    let client = fresh(server).await;
    let context = async_nats::jetstream::new(client.clone());
    let other = pull::Config {
        durable_name: Some("tester".to_owned()),
        ack_wait: Duration::from_secs(5),
        ..pull::Config::default()
    };
    context
        .create_consumer_on_stream(other, streams::EVENTS)
        .await
        .unwrap();
    let (worker, stop) = start(&client, Remembering::new(|_, _| Outcome::Ack));
    let ended = soon("the refusal", run(worker, &stop)).await.unwrap();
    assert!(matches!(ended, Err(WorkerError::Differs { .. })), "{ended:?}");
}

pub(super) async fn a_worker_goes_on_after_a_kill(server: &mut dyn Server) {
    let client = fresh(server).await;
    let handler = Remembering::new(|_, _| Outcome::Ack);
    let (worker, stop) = start(&client, Arc::clone(&handler) as Arc<dyn Handler>);
    let task = run(worker, &stop);
    publish_raw(&client, &started(1), "x").await;
    handler.wait(1).await;
    for ordinal in 2..=3 {
        server.kill().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.restart().await;
        let other = super::client(&server.url()).await;
        publish_raw(&other, &started(ordinal), "x").await;
        handler.wait(ordinal as usize).await;
    }
    stop.cancel();
    task.await.unwrap().unwrap();
}

struct Slow(Mutex<u64>);

#[async_trait]
impl Handler for Slow {
    async fn handle(&self, _delivery: &Stored, _attempt: u64) -> Outcome {
        *self.0.lock().unwrap() += 1;
        // Longer than the server waits without a sign of life.
        tokio::time::sleep(Duration::from_secs(36)).await;
        Outcome::Ack
    }
}

pub(super) async fn a_slow_handler_is_not_delivered_twice(server: &mut dyn Server) {
    let client = fresh(server).await;
    publish_raw(&client, &started(1), "x").await;
    // The second waits for its turn meanwhile; the server must hear of it too.
    publish_raw(&client, &started(2), "x").await;
    let handler = Arc::new(Slow(Mutex::default()));
    let (worker, stop) = start(&client, Arc::clone(&handler) as Arc<dyn Handler>);
    let worker = worker.with_concurrency(1);
    let counters = worker.counters();
    let task = run(worker, &stop);
    while counters.acked.load(Ordering::Relaxed) < 2 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(*handler.0.lock().unwrap() <= 2);
    }
    stop.cancel();
    task.await.unwrap().unwrap();
    assert_eq!(*handler.0.lock().unwrap(), 2);
}
