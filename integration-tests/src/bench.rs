//! Benches of the whole, on real parts: a real nats-server that syncs every write, a real registry, the services as
//! processes. Each prints what it measured; nothing here passes or fails by a time.
//!
//! Figures, with machine, method and date, go to `docs/benchmarks.md`.

mod agents;
mod fleet;
mod idle;
mod pipeline;
mod step;
mod view;

use std::time::Duration;

use crate::lab::{self, Lab};
use crate::stage::StageError;

/// A bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bench {
    /// One durable step: a statement signed, published, read back and folded.
    Step,
    /// Events folded by a service's view.
    View,
    /// From ReleaseDiscovered to the Decision.
    Pipeline,
    /// A rollout over many simulated agents.
    Fleet,
    /// Each service with nothing to do.
    Idle,
}

impl Bench {
    /// All benches, the short ones first.
    pub const ALL: [Self; 5] = [Self::Step, Self::View, Self::Idle, Self::Pipeline, Self::Fleet];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::View => "view",
            Self::Pipeline => "pipeline",
            Self::Fleet => "fleet",
            Self::Idle => "idle",
        }
    }
}

/// Why a bench could not be run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The lab.
    #[error("the lab")]
    Lab(#[from] lab::Error),
    /// The stage.
    #[error("the stage")]
    Stage(#[from] StageError),
    /// The bus.
    #[error("connecting to the bus")]
    Connect(#[from] bus::connection::ConnectError),
    /// The streams.
    #[error("making the streams")]
    Streams(#[from] bus::streams::StreamsError),
    /// The event log.
    #[error("using the event log")]
    Log(#[from] bus::LogError),
    /// A view.
    #[error("using a view")]
    View(#[from] bus::ViewError),
    /// A journal.
    #[error("publishing a statement")]
    Journal(#[from] bus::journal::JournalError),
    /// A claim.
    #[error("signing a claim")]
    Claim(#[from] attest::ClaimError),
    /// A trust bundle.
    #[error("making a trust bundle")]
    Trust(#[from] attest::TrustError),
    /// A key.
    #[error("making or reading a key")]
    Key(#[from] attest::keys::KeyError),
    /// A file.
    #[error("reading or writing {path}")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An agent's bus.
    #[error("talking as an agent")]
    Agent(#[from] bus::agent::AgentError),
    /// A name or a time that can't be.
    #[error("making {0}")]
    Made(String),
}

/// Runs a bench and hands each line of its table to `write`.
///
/// # Errors
/// If it could not be run to its end.
pub async fn run(bench: Bench, lab: &Lab, size: usize, write: fn(&str)) -> Result<(), BenchError> {
    match bench {
        Bench::Step => step::run(lab, size, write).await,
        Bench::View => view::run(size, write).await,
        Bench::Pipeline => pipeline::run(lab, write).await,
        Bench::Fleet => fleet::run(lab, size, write).await,
        Bench::Idle => idle::run(lab, write).await,
    }
}

/// The times of a bench, sorted when they are read.
#[derive(Debug, Default)]
struct Times(Vec<Duration>);

impl Times {
    fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The time that this share of all did not exceed.
    fn percentile(&mut self, percent: usize) -> Duration {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        let place = (self.0.len() * percent / 100).min(last);
        self.0.get(place).copied().unwrap_or_default()
    }

    /// `p50 1.2 ms, p99 3.4 ms of 1000`.
    fn line(&mut self) -> String {
        format!(
            "p50 {}, p99 {}, of {}",
            milliseconds(self.percentile(50)),
            milliseconds(self.percentile(99)),
            self.0.len()
        )
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// What a process holds in memory now, in MB (10^6 bytes): `VmRSS` of `proc(5)`.
fn memory(id: u32) -> Option<f64> {
    of_proc(id, ("status", "VmRSS:"))
}

/// Of these the megabytes that are no file's: what it allocated and wrote.
fn own_memory(id: u32) -> Option<f64> {
    of_proc(id, ("smaps_rollup", "Anonymous:"))
}

fn of_proc(id: u32, (file, field): (&str, &str)) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/{file}")).ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024.0 / 1e6)
}
