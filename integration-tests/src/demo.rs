//! The demo: the main job on real parts, told as it happens.
//!
//! A scene is a story with an end that it must have: it fails where it ends otherwise. Scenes build a stage of
//! their own, so each can be played alone.

mod good_patch;
mod tell;
mod wrong_signer;

use crate::lab::Lab;
use crate::stage::{Hub, Stage, StageError};

pub use tell::Teller;

/// A scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// A good patch goes from the registry to two upgraded clusters.
    GoodPatch,
    /// A release whose image another workflow signed goes nowhere.
    WrongSigner,
}

impl Scene {
    /// All scenes, in the order in which they are played.
    pub const ALL: [Self; 2] = [Self::GoodPatch, Self::WrongSigner];

    /// The scene's name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GoodPatch => "good-patch",
            Self::WrongSigner => "wrong-signer",
        }
    }

    /// What it shows, in a line.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::GoodPatch => "Flux 2.9.4 goes from the registry to two clusters, canary first",
            Self::WrongSigner => "source-controller of 2.9.4 was signed by another workflow: nothing moves",
        }
    }
}

/// Why a scene did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The stage.
    #[error("the stage")]
    Stage(#[from] StageError),
    /// The story took another turn.
    #[error("the scene did not end as it should: expected {expected}, found {found}")]
    Ending {
        /// What it should have come to.
        expected: String,
        /// What it came to.
        found: String,
    },
}

/// What a scene leaves: with it the story can be looked at from another terminal.
#[derive(Debug)]
pub struct Played {
    /// The stage.
    pub stage: Stage,
    /// The hub.
    pub hub: Hub,
}

/// Plays a scene.
///
/// # Errors
/// If it does not end as it should.
pub async fn play(scene: Scene, lab: &Lab, teller: &Teller) -> Result<Played, DemoError> {
    match scene {
        Scene::GoodPatch => good_patch::play(lab, teller).await,
        Scene::WrongSigner => wrong_signer::play(lab, teller).await,
    }
}

/// Builds the stage of a scene: two clusters with the running version, the hub, the agents.
async fn set(lab: &Lab, teller: &Teller) -> Result<Played, DemoError> {
    teller.say(
        "starting nats-server, a registry, and two clusters with Flux 2.9.3 (the default four components)",
    );
    let mut stage = Stage::build(lab, &crate::stage::TWO).await?;
    let hub = stage.start_hub().await?;
    stage.start_agents().await?;
    teller.say(&format!(
        "the hub (`fluxgate dev`) serves at {}; an agent runs beside each cluster",
        hub.url()
    ));
    teller.say("the agents demand statements of verifier, policy and controller; no scanner is demanded: there is none yet");
    Ok(Played { stage, hub })
}

fn ending(expected: impl Into<String>, found: impl Into<String>) -> DemoError {
    DemoError::Ending {
        expected: expected.into(),
        found: found.into(),
    }
}
