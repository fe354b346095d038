//! The agent's loop: go on with what was begun, look, listen, speak.
//!
//! Everything it does follows from what is stored (the task in its cluster, the memory on its disk) and
//! from what it reads; a process that is killed at any point does the same again after its start.

mod carry;
mod consider;
mod observe;
mod pace;
mod pulse;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use attest::SigningKey;
use bus::agent::AgentBus;
use domain::fleet::{Alarm, Report, ReportKind, Symptom};
use domain::{ClusterFacts, Digest, Epoch, Health};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use runtime::errors::chain;
use runtime::{Clock, Shutdown};
use tokio::time::Instant;

use crate::check::{Demands, Memory, Order};
use crate::cluster::Cluster;
use crate::config::Timing;
use crate::flow::Flow;
use crate::health::Target;
use crate::lease::Lease;
use crate::memory;
use crate::speak::{Herald, Voice};
use crate::task::Task;
use pace::Pace;
use pulse::Pulse;
use trouble::Trouble;

pub use async_nats::Client;

/// What an agent is made of.
#[derive(Debug)]
pub struct Parts {
    /// What it demands.
    pub demands: Demands,
    /// Paths that may differ.
    pub tolerate: Vec<String>,
    /// How often it looks.
    pub timing: Timing,
    /// Its cluster.
    pub cluster: Cluster,
    /// The bus.
    pub client: Client,
    /// Its key.
    pub key: Arc<SigningKey>,
    /// What it remembers.
    pub memory: memory::File,
    /// The time.
    pub clock: Clock,
    /// The stop.
    pub shutdown: Shutdown,
}

/// An agent at work.
#[derive(Debug)]
pub struct Agent {
    demands: Demands,
    tolerate: Vec<String>,
    timing: Timing,
    cluster: Cluster,
    bus: AgentBus,
    lease: Lease,
    clock: Clock,
    shutdown: Shutdown,
    file: memory::File,
    memory: Memory,
    voice: Voice,
    pulse: Option<Pulse>,
    state: State,
}

/// What was said about health, and under which epoch.
type Judgement = (Epoch, Health, Vec<Symptom>);

/// What the loop keeps between its rounds; nothing of it has to survive.
#[derive(Debug, Default)]
struct State {
    /// Whether what was begun before the start is known: until then nothing else is begun.
    resumed: bool,
    /// When what was begun before the start was first found.
    started: Option<Instant>,
    task: Option<Current>,
    facts: Option<ClusterFacts>,
    health: Option<Judgement>,
    /// The assignment that needs no more looking at, and the last one that was complained about.
    handled: Option<Digest>,
    alarm: Option<(Digest, Alarm)>,
    /// The assignment whose last word is said, but not heard yet.
    answering: Option<Digest>,
    observations: u64,
    flow: Flow,
    /// When the cluster was last seen, and how often in a row it could not be.
    looked: Option<Instant>,
    blind: u32,
    /// Tries of what was begun: taking it up, and writing it.
    tries: Pace,
    /// What keeps it from taking up what was begun, and from beginning.
    trouble: Trouble,
    /// Whether how far the task is could not be stored.
    unstored: bool,
    next_observation: Option<Instant>,
    next_poll: Option<Instant>,
}

/// The task that was begun last.
#[derive(Debug)]
struct Current {
    task: Task,
    order: Order,
    target: Target,
    /// When this process began or took it up, and when everything was written.
    begun: Instant,
    applied: Option<Instant>,
    well_since: Option<Instant>,
    wrong_before: bool,
}

impl Current {
    fn new(task: Task, order: Order, target: Target) -> Self {
        Self {
            task,
            order,
            target,
            begun: Instant::now(),
            applied: None,
            well_since: None,
            wrong_before: false,
        }
    }

    /// Whether its time is over. After a restart it counts anew.
    fn is_late(&self) -> bool {
        let since = self.applied.unwrap_or(self.begun);
        late(since, self.order.assignment.success_deadline, Instant::now())
    }
}

impl Agent {
    /// Puts an agent together.
    ///
    /// # Errors
    /// If its memory can't be read.
    pub fn new(parts: Parts) -> Result<Self, memory::MemoryError> {
        let cluster = parts.demands.cluster.clone();
        let bus = AgentBus::new(parts.client, cluster.clone());
        let holder = format!(
            "{cluster}-{}-{}",
            std::process::id(),
            parts.clock.now().as_nanosecond()
        );
        Ok(Self {
            memory: parts.memory.load()?,
            file: parts.memory,
            lease: Lease::new(parts.cluster.clone(), holder),
            voice: Voice::new(Herald::new(bus.clone(), cluster, parts.key)),
            pulse: None,
            demands: parts.demands,
            tolerate: parts.tolerate,
            timing: parts.timing,
            cluster: parts.cluster,
            bus,
            clock: parts.clock,
            shutdown: parts.shutdown,
            state: State::default(),
        })
    }

    /// Works until the stop.
    pub async fn run(mut self) {
        let mut wakes = self.wakes().await;
        self.pulse = Some(Pulse::start(
            self.voice.herald(),
            (self.demands.cluster.clone(), self.clock),
            self.timing.heartbeat,
            self.shutdown.clone(),
        ));
        while !self.shutdown.is_requested() {
            self.round().await;
            let pause = self.pause();
            tokio::select! {
                () = self.shutdown.requested() => {}
                woken = wakes.next() => match woken {
                    Some(_) => self.state.next_poll = None,
                    None => {
                        tokio::time::sleep(pause).await;
                        wakes = self.wakes().await;
                    }
                },
                () = tokio::time::sleep(pause) => {}
            }
        }
        // What was said last should not be lost because the process ends.
        self.voice.say().await;
    }

    /// The wakes; where they can't be had, the poll alone has to do.
    async fn wakes(&self) -> futures::stream::BoxStream<'static, async_nats::Message> {
        match self.bus.wakes().await {
            Ok(wakes) => wakes.boxed(),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the agent can't be woken; it looks by itself");
                futures::stream::pending().boxed()
            }
        }
    }

    async fn round(&mut self) {
        if !self.state.resumed {
            self.resume().await;
        }
        self.carry_on().await;
        let every = self.observe_every();
        if due(&mut self.state.next_observation, every) {
            self.observe().await;
        }
        if self.state.resumed && due(&mut self.state.next_poll, self.timing.poll) {
            self.consider().await;
        }
        self.beat();
        self.voice.say().await;
        self.answered();
    }

    /// While a task settles its health is looked at more often; what can't be seen, ever more rarely.
    fn observe_every(&self) -> Duration {
        let every = if self.is_open() {
            self.timing.settle
        } else {
            self.timing.observe
        };
        let rarely = every.saturating_mul(2_u32.saturating_pow(self.state.blind));
        rarely.min(pace::LONGEST.max(every))
    }

    fn pause(&self) -> Duration {
        let now = Instant::now();
        [
            self.state.next_observation,
            self.state.next_poll,
            self.state.tries.next(),
        ]
        .into_iter()
        .flatten()
        .map(|next| next.saturating_duration_since(now))
        .min()
        .unwrap_or(Duration::from_millis(100))
        .max(Duration::from_millis(20))
    }

    /// An assignment whose last word was heard is never carried out later, not even after a restart.
    fn answered(&mut self) {
        let Some(assignment) = self.state.answering.filter(|_| self.voice.has_said_all()) else {
            return;
        };
        let replaced = self.memory.assignment != Some(assignment);
        if replaced
            || self.keep(Memory {
                answered: true,
                ..self.memory
            })
        {
            self.state.answering = None;
        }
    }

    /// Remembers, or says loudly that it can't.
    fn keep(&mut self, memory: Memory) -> bool {
        if memory == self.memory {
            return true;
        }
        match self.file.store(&memory) {
            Ok(()) => {
                self.memory = memory;
                true
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "the agent can't remember; nothing is begun");
                false
            }
        }
    }

    fn report(&mut self, order: &Order, kind: ReportKind, detail: impl Into<String>) {
        let (epoch, digest) = (order.assignment.epoch, order.digest);
        self.report_on((epoch, digest), kind, detail.into(), &order.traceparent);
    }

    fn report_on(
        &mut self,
        (epoch, assignment): (domain::Epoch, Digest),
        kind: ReportKind,
        detail: String,
        traceparent: &str,
    ) {
        tracing::info!(cluster = %self.demands.cluster, %epoch, ?kind, detail, "report");
        let cluster = self.demands.cluster.clone();
        let report = Report {
            cluster,
            sent: self.now(),
            epoch,
            assignment,
            kind,
            detail,
        };
        self.voice.report(&report, traceparent);
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Whether more time than this has passed; wire refuses negative durations.
fn late(since: Instant, deadline: SignedDuration, now: Instant) -> bool {
    now.saturating_duration_since(since) > Duration::try_from(deadline).unwrap_or(Duration::ZERO)
}

/// Whether something is to be done now; if so, it is due again after `every`.
fn due(next: &mut Option<Instant>, every: Duration) -> bool {
    let now = Instant::now();
    let due = next.is_none_or(|next| next <= now);
    if due {
        *next = now.checked_add(every);
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_is_late_after_its_deadline_and_not_at_it() {
        let (since, deadline) = (Instant::now(), SignedDuration::from_mins(30));
        let after = |seconds| since + Duration::from_secs(seconds);
        assert!(!late(since, deadline, since));
        assert!(!late(since, deadline, after(1800)));
        assert!(late(since, deadline, after(1801)));
        // Clocks of one process that seem to go back say nothing.
        assert!(!late(after(1801), deadline, since));
    }
}
