//! The demo: the main job on real parts, told as it happens.
//!
//! A scene is a story with an end that it must have: it fails where it ends otherwise. Scenes build a stage of
//! their own, so each can be played alone.

mod export;
mod forged_assignment;
mod good_patch;
mod sick_canary;
mod steps;
mod tell;
mod wrong_signer;

use std::path::Path;

use crate::lab::Lab;
use crate::stage::{Hub, Stage, StageError};

pub use tell::Teller;

/// A scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// A good patch goes from the registry to three upgraded clusters.
    GoodPatch,
    /// A release whose image another workflow signed goes nowhere.
    WrongSigner,
    /// Somebody with full rights on NATS lays assignments before the agents: each is refused.
    ForgedAssignment,
    /// The new source-controller crashes on the canary: the rollout halts there.
    SickCanary,
}

impl Scene {
    /// All scenes, in the order in which they are played.
    pub const ALL: [Self; 4] = [
        Self::GoodPatch,
        Self::WrongSigner,
        Self::ForgedAssignment,
        Self::SickCanary,
    ];

    /// The scene's name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GoodPatch => "good-patch",
            Self::WrongSigner => "wrong-signer",
            Self::ForgedAssignment => "forged-assignment",
            Self::SickCanary => "sick-canary",
        }
    }

    /// What it shows, in a line.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::GoodPatch => "Flux 2.9.4 goes from the registry to three clusters, canary first",
            Self::WrongSigner => "source-controller of 2.9.4 was signed by another workflow: nothing moves",
            Self::ForgedAssignment => {
                "somebody owns NATS and lays assignments before the agents: none is taken"
            }
            Self::SickCanary => "the new source-controller crashes on the canary: the others never see it",
        }
    }
}

/// Why a scene did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The stage.
    #[error("the stage")]
    Stage(#[from] StageError),
    /// What somebody puts before an agent.
    #[error("forging an assignment")]
    Forge(#[from] crate::stage::forge::ForgeError),
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

/// Plays a scene; what it exports lies below `place` afterwards.
///
/// # Errors
/// If it does not end as it should.
pub async fn play(scene: Scene, lab: &Lab, teller: &Teller, place: &Path) -> Result<Played, DemoError> {
    match scene {
        Scene::GoodPatch => good_patch::play(lab, teller, place).await,
        Scene::WrongSigner => wrong_signer::play(lab, teller).await,
        Scene::ForgedAssignment => forged_assignment::play(lab, teller).await,
        Scene::SickCanary => sick_canary::play(lab, teller).await,
    }
}

fn ending(expected: impl Into<String>, found: impl Into<String>) -> DemoError {
    DemoError::Ending {
        expected: expected.into(),
        found: found.into(),
    }
}
