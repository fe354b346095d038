//! What clients watch: rollouts and clusters, drawn at most once a second while somebody watches.
//!
//! Every replica draws its own. A drawing is what a list would answer, and the clusters that have left the fleet.

use std::time::Duration;

use bus::{LogError, ViewError};
use hub::watch::Board;
use planner::Gates;
use runtime::errors::chain;
use wire::{fleet, rollout};

use crate::Controller;
use crate::grpc::resources;
use crate::world::WorldError;

/// Between two drawings.
const EVERY: Duration = Duration::from_secs(1);

/// The boards of this replica.
#[derive(Debug)]
pub(crate) struct Boards {
    pub(crate) clusters: Board<fleet::v1::Cluster>,
    pub(crate) rollouts: Board<rollout::v1::Rollout>,
}

impl Default for Boards {
    fn default() -> Self {
        Self {
            clusters: Board::new("clusters"),
            rollouts: Board::new("rollouts"),
        }
    }
}

/// Why nothing is drawn.
#[derive(Debug, thiserror::Error)]
enum DrawError {
    #[error("reading the world")]
    World(#[from] WorldError),
    #[error("asking which log it is")]
    Log(#[from] LogError),
    #[error("reading the view")]
    View(#[from] ViewError),
}

impl Controller {
    /// Draws while somebody watches, until the stop.
    pub(crate) async fn draw_boards(&self) {
        let shutdown = &self.hub.shutdown;
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                () = self.boards.clusters.is_wanted() => {}
                () = self.boards.rollouts.is_wanted() => {}
            }
            if let Err(error) = self.draw().await {
                tracing::warn!(error = %chain(&error), "what is watched could not be drawn; trying again");
            }
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn draw(&self) -> Result<(), DrawError> {
        let drawings = (self.boards.clusters.begin(), self.boards.rollouts.begin());
        let stream = self.hub.log.created().await?;
        let known = self.known().await?;
        let left = self.former_members().await?;
        let world = known.world(&self.strategy);
        let (gates, plan) = (Gates::new(&world), planner::plan(&world));
        let scene = resources::Scene {
            known: &known,
            strategy: &self.strategy,
            plan: &plan,
        };
        let mut clusters = scene.clusters(&gates);
        clusters.extend(left.iter().map(resources::former));
        let place = (stream, known.as_of);
        self.boards.clusters.show(&drawings.0, place, clusters);
        self.boards.rollouts.show(&drawings.1, place, scene.rollouts());
        Ok(())
    }
}
