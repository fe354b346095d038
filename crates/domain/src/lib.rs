//! The words of fluxgate as types that cannot be wrong.
//!
//! Everything that comes from outside is parsed into one of these types at the edge; after that no
//! string stands for a digest, a version, a component or a state. This crate is pure: no IO, no clock,
//! no randomness, and no other crate of the workspace.
//!
//! Deliberately not here: how a thing is written on the wire (`wire`), what Flux is (`flux`), and every
//! decision (`evidence`, `policy`, `planner`).

pub mod assignment;
pub mod baseline;
pub mod component;
pub mod decision;
pub mod digest;
pub mod evidence;
pub mod fleet;
pub mod identity;
pub mod image;
pub mod reason;
pub mod release;
pub mod rollout;
pub mod spelling;
pub mod stop;
pub mod trace;
pub mod version;

pub use assignment::{Action, Assignment, Epoch};
pub use baseline::{Baseline, BaselineKey, CrdSet, CrdVersions};
pub use component::{Artifact, Component};
pub use decision::{Decision, Outcome, RuleResult};
pub use digest::Digest;
pub use evidence::{CheckKind, CheckResult, Evidence, RoleSummary};
pub use fleet::{ClusterFacts, ClusterMember, ClusterName, Health, Installer, Mode};
pub use image::ImageRef;
pub use reason::Reason;
pub use release::{ImageContents, Platform, PlatformImage, ReleaseContents, ReleaseKey};
pub use rollout::RolloutKey;
pub use stop::{StopKind, StopScope, StopSetting};
pub use version::Version;
