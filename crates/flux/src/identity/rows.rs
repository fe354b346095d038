//! Who signs what from which version on: one row for each change, so that a person can read it at a glance.
//!
//! `tests.rs` writes the whole table out for every known release (`snapshots/`). What is the same in every row
//! (issuer, owner, trigger, runner) stands in the parent module.

use domain::{Artifact, Component};

/// Major, minor, patch of an artifact's own tag.
pub(super) type Triple = (u64, u64, u64);

/// The signers of an artifact from one of its own versions on, up to its next row.
pub(super) struct Row {
    /// The artifact.
    pub(super) artifact: Artifact,
    /// The first version; a pre-release counts as the version that it precedes.
    pub(super) since: Triple,
    /// Which workflows may have signed, the likeliest first. More than one where upstream was not read closely
    /// enough to exclude one: each is an exact name, and the claims bind repository and tag in any case.
    pub(super) signers: &'static [Signer],
    /// Where the row comes from: for the person who reviews the table.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "stands in the written-out table alone")
    )]
    pub(super) basis: &'static str,
}

/// A workflow that signs, at its exact ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signer {
    /// This file in the artifact's own repository, at the artifact's own tag.
    Own(&'static str),
    /// The workflow of `fluxcd/gha-workflows` that releases every controller, at this tag. A new tag is a change
    /// in this table, made by a person who read the new workflow: a pattern would trust whatever upstream tags
    /// next.
    Shared(&'static str),
}

/// In flux2.
const RELEASE_YAML: Signer = Signer::Own("release.yaml");
/// In each controller's repository.
const RELEASE_YML: Signer = Signer::Own("release.yml");
const V0_4_0: Signer = Signer::Shared("v0.4.0");
const V0_8_0: Signer = Signer::Shared("v0.8.0");
const V0_9_0: Signer = Signer::Shared("v0.9.0");
const V0_11_0: Signer = Signer::Shared("v0.11.0");

const READ: &str = "read in upstream's workflows";
const DIFFERS: &str = "two readings differ: both accepted";
const INFERRED: &str = "inferred from the components that were read";

const fn row(artifact: Artifact, since: Triple, signers: &'static [Signer], basis: &'static str) -> Row {
    Row {
        artifact,
        since,
        signers,
        basis,
    }
}

const SOURCE: Artifact = Artifact::Image(Component::SourceController);
const KUSTOMIZE: Artifact = Artifact::Image(Component::KustomizeController);
const HELM: Artifact = Artifact::Image(Component::HelmController);
const NOTIFICATION: Artifact = Artifact::Image(Component::NotificationController);
const REFLECTOR: Artifact = Artifact::Image(Component::ImageReflectorController);
const AUTOMATION: Artifact = Artifact::Image(Component::ImageAutomationController);
const WATCHER: Artifact = Artifact::Image(Component::SourceWatcher);

/// Each artifact's rows stand together, oldest first; the first begins at 0.0.0, the last has no end.
#[rustfmt::skip]
pub(super) const ROWS: [Row; 32] = [
    row(Artifact::FluxManifests, (0, 0, 0), &[RELEASE_YAML], READ),
    // Flux 2.7.1 is the first with a source-controller of the shared workflow.
    row(SOURCE, (0, 0, 0), &[RELEASE_YML], READ),
    row(SOURCE, (1, 7, 1), &[V0_4_0], READ),
    row(SOURCE, (1, 8, 0), &[V0_8_0], READ),
    row(SOURCE, (1, 8, 1), &[V0_9_0], READ),
    row(SOURCE, (1, 9, 0), &[V0_11_0], READ),
    row(KUSTOMIZE, (0, 0, 0), &[RELEASE_YML], READ),
    row(KUSTOMIZE, (1, 7, 0), &[V0_4_0, RELEASE_YML], DIFFERS),
    row(KUSTOMIZE, (1, 7, 1), &[V0_4_0], READ),
    row(KUSTOMIZE, (1, 8, 0), &[V0_8_0], READ),
    row(KUSTOMIZE, (1, 8, 1), &[V0_9_0], READ),
    row(KUSTOMIZE, (1, 9, 0), &[V0_11_0], READ),
    row(HELM, (0, 0, 0), &[RELEASE_YML], READ),
    row(HELM, (1, 4, 0), &[V0_4_0, RELEASE_YML], INFERRED),
    row(HELM, (1, 5, 0), &[V0_9_0, V0_8_0], INFERRED),
    row(HELM, (1, 6, 0), &[V0_11_0], INFERRED),
    row(NOTIFICATION, (0, 0, 0), &[RELEASE_YML], READ),
    row(NOTIFICATION, (1, 7, 0), &[V0_4_0, RELEASE_YML], INFERRED),
    row(NOTIFICATION, (1, 8, 0), &[V0_9_0, V0_8_0], INFERRED),
    row(NOTIFICATION, (1, 9, 0), &[V0_11_0], INFERRED),
    row(REFLECTOR, (0, 0, 0), &[RELEASE_YML], READ),
    row(REFLECTOR, (1, 0, 2), &[V0_4_0], READ),
    row(REFLECTOR, (1, 1, 0), &[V0_9_0, V0_8_0], INFERRED),
    row(REFLECTOR, (1, 2, 0), &[V0_11_0], INFERRED),
    row(AUTOMATION, (0, 0, 0), &[RELEASE_YML], READ),
    row(AUTOMATION, (1, 0, 0), &[V0_4_0, RELEASE_YML], INFERRED),
    row(AUTOMATION, (1, 1, 0), &[V0_9_0, V0_8_0], INFERRED),
    row(AUTOMATION, (1, 2, 0), &[V0_11_0], INFERRED),
    // Its first release was with Flux 2.7.
    row(WATCHER, (0, 0, 0), &[RELEASE_YML], INFERRED),
    row(WATCHER, (2, 0, 0), &[V0_4_0, RELEASE_YML], INFERRED),
    row(WATCHER, (2, 1, 0), &[V0_9_0, V0_8_0], INFERRED),
    row(WATCHER, (2, 2, 0), &[V0_11_0], INFERRED),
];
