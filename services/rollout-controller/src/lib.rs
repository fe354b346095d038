//! rollout-controller: publishes the fleet's membership, plans rollouts, signs assignments, receives what
//! the agents say.
//!
//! On every change, and every few seconds: `fleet` (file to members) -> `world` (the log as the planner
//! wants it, of what `statements` and `fold` keep of it) -> `planner::plan` (pure) -> `act` (publish the first step, look
//! again) -> `dossiers` (what each agent reads). What agents send goes `submissions` -> the log.
//!
//! One replica does all that: the one that holds the `lease`; it also stores what persons say (`said`). Every replica
//! answers reads, and draws what is watched (`boards`).
//!
//! Deliberately not here: whether a release may run (policy-engine), and any write to a cluster (agents).

pub mod config;

mod act;
mod assign;
mod boards;
mod dossiers;
#[cfg(test)]
mod fixture;
mod fleet;
mod fold;
mod grpc;
mod heartbeats;
mod keys;
mod lease;
mod modes;
mod said;
mod scope;
mod statements;
mod submissions;
mod world;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hub::{Host, Hub};
use planner::Strategy;
use runtime::errors::chain;

pub use config::Settings;

/// Name of the service, of its binary.
pub const NAME: &str = "rollout-controller";

/// Bakes, expiries and silences are looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file can't be read.
    #[error("reading {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The strategy or the fleet is not one.
    #[error("loading fleet or strategy")]
    Load(#[source] policy::LoadError),
}

/// One replica: what the parts of the service share. [`start`] runs it while it holds the lease; a simulation moves
/// it by hand.
#[derive(Debug)]
pub struct Controller {
    hub: Hub,
    lease: lease::Lease,
    strategy: Strategy,
    fleet: fleet::File,
    fold: tokio::sync::Mutex<fold::Fold>,
    /// Held while a word is stored.
    setting: tokio::sync::Mutex<()>,
    /// Up to where stops are applied.
    applied: said::Applied,
    statements: statements::Statements,
    acting: keys::Acting,
    heartbeats: heartbeats::Heartbeats,
    dossiers: dossiers::Written,
    /// What the newest plan came to.
    moved: tokio::sync::Mutex<act::Moved>,
    boards: boards::Boards,
}

/// Starts the service on a host.
///
/// # Errors
/// If fleet or strategy can't be used.
pub async fn start(hub: Hub, settings: Settings, host: &mut Host) -> Result<(), StartError> {
    let controller = Arc::new(Controller::open(hub, settings)?);
    host.grpc.add(grpc::fleet::server(Arc::clone(&controller)));
    host.grpc.add(grpc::rollout::server(Arc::clone(&controller)));
    let drawing = Arc::clone(&controller);
    host.spawn(NAME, async move { drawing.draw_boards().await });
    host.spawn(NAME, async move {
        let Hub { status, shutdown, .. } = &controller.hub;
        let work = || Box::pin(controller.act());
        controller.lease.lead(status, shutdown, work).await;
    });
    Ok(())
}

impl Controller {
    /// A replica on this hub.
    ///
    /// # Errors
    /// If fleet or strategy can't be used.
    pub fn open(hub: Hub, settings: Settings) -> Result<Self, StartError> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|source| StartError::File {
                path: path.clone(),
                source,
            })
        };
        let text = read(&settings.strategy)?;
        let strategy =
            Strategy::parse(&settings.strategy.display().to_string(), &text).map_err(StartError::Load)?;
        let text = read(&settings.fleet)?;
        planner::Fleet::fitting(&settings.fleet.display().to_string(), &text, &strategy)
            .map_err(StartError::Load)?;
        Ok(Self {
            lease: lease::Lease::new(hub.clock),
            hub,
            strategy,
            fold: tokio::sync::Mutex::default(),
            setting: tokio::sync::Mutex::default(),
            applied: said::Applied::default(),
            fleet: fleet::File::new(settings.fleet),
            statements: statements::Statements::default(),
            acting: keys::Acting::default(),
            heartbeats: heartbeats::Heartbeats::default(),
            dossiers: dossiers::Written::default(),
            moved: tokio::sync::Mutex::default(),
            boards: boards::Boards::default(),
        })
    }

    /// Everything that the active replica does, until the stop.
    async fn act(self: &Arc<Self>) {
        self.fleet.forget();
        self.heartbeats.forget();
        self.dossiers.forget();
        *self.moved.lock().await = act::Moved::default();
        let looking = self.hub.each_change(LOOK_AGAIN, || self.look());
        tokio::join!(submissions::receive(self), looking);
    }

    /// What the active replica does on every change: publishes the fleet, moves rollouts on, writes what agents
    /// read. A failure is logged; it is tried again at the next look.
    pub async fn look(&self) {
        if let Err(error) = self.publish_fleet().await {
            tracing::warn!(error = %chain(&error), "the fleet could not be published");
        }
        if let Err(error) = self.move_on().await {
            tracing::warn!(error = %chain(&error), "rollouts could not move on");
        }
        let moved = self.moved.lock().await.clone();
        let written = self.write_dossiers(&moved.courses).await;
        // A stop that an agent can't read yet is not applied.
        if let Some(sequence) = moved.applied.filter(|_| written) {
            self.applied.up_to(sequence);
        }
    }
}
