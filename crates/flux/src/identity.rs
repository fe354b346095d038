//! Who signs each artifact of a Flux release: exact strings, no patterns.
//!
//! Read from the release workflows of `fluxcd/flux2` and of the controllers (release tags from 2.0 to 2.9),
//! and from `fluxcd/gha-workflows`. The SAN of a keyless signature is the workflow file that ran, at the ref
//! it was called by; which one that is, and since when, is data (`rows`). Since the shared workflow signs for
//! every controller, the SAN alone does not tell them apart; the claims do, and they are as much part of the
//! profile.
//!
//! A version that is newer than every row is judged by the newest one: upstream moving to another workflow is
//! `IDENTITY_MISMATCH` until a person has read it and added a row.
//!
//! Deliberately not here: the numeric ids of repository and owner (`.15`, `.17`). They were not read from
//! upstream, and a guess would refuse every release or none.

use domain::identity::{Claims, IdentityProfile};
use domain::{Artifact, Version};

mod rows;

use rows::{ROWS, Row, Signer};

/// OIDC issuer of GitHub Actions: every signature of every release.
pub const ISSUER: &str = "https://token.actions.githubusercontent.com";
/// Owner of all repositories.
pub const OWNER: &str = "https://github.com/fluxcd";
/// What starts a release. Controllers can also be released by `workflow_dispatch` from a branch, under the same
/// SAN.
const TRIGGER: &str = "push";
/// Whose machine a release runs on.
const RUNNER: &str = "github-hosted";

/// Registry and namespace of all artifacts.
const REGISTRY: &str = "ghcr.io/fluxcd";
/// The workflow that signs for all controllers, without its ref.
const SHARED_WORKFLOW: &str =
    "https://github.com/fluxcd/gha-workflows/.github/workflows/controller-release.yaml@refs/tags/";

/// The repository of an artifact, like `ghcr.io/fluxcd/source-controller`.
#[must_use]
pub fn repository(artifact: Artifact) -> String {
    format!("{REGISTRY}/{}", artifact.name())
}

/// The profile that a signature on this artifact must match.
///
/// `tag` is the artifact's own tag: the version of Flux for flux-manifests, the controller's version for
/// an image.
#[must_use]
pub fn profile(artifact: Artifact, tag: &Version) -> IdentityProfile {
    // An artifact without a row would be signed by nobody; a test demands one for each.
    let signers = row(artifact, tag).map_or(&[][..], |row| row.signers);
    let name = |signer: &Signer| subject_alternative_name(*signer, artifact, tag);
    IdentityProfile {
        subject_alternative_names: signers.iter().map(name).collect(),
        issuer: ISSUER.to_owned(),
        claims: Claims {
            source_repository: source(artifact),
            source_ref: format!("refs/tags/{tag}"),
            source_owner: OWNER.to_owned(),
            trigger: TRIGGER.to_owned(),
            runner: RUNNER.to_owned(),
        },
    }
}

/// The row that holds for this version of the artifact: the last that begins at or before it.
fn row(artifact: Artifact, tag: &Version) -> Option<&'static Row> {
    let semver = tag.semver();
    let at = (semver.major, semver.minor, semver.patch);
    ROWS.iter()
        .rfind(|row| row.artifact == artifact && row.since <= at)
}

fn subject_alternative_name(signer: Signer, artifact: Artifact, tag: &Version) -> String {
    match signer {
        Signer::Own(file) => format!("{}/.github/workflows/{file}@refs/tags/{tag}", source(artifact)),
        Signer::Shared(shared) => format!("{SHARED_WORKFLOW}{shared}"),
    }
}

/// The repository on GitHub whose workflow run signs the artifact.
fn source(artifact: Artifact) -> String {
    let name = match artifact {
        Artifact::FluxManifests => "flux2",
        Artifact::Image(component) => component.name(),
    };
    format!("{OWNER}/{name}")
}

#[cfg(test)]
mod tests;
