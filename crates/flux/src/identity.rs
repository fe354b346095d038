//! Who signs each artifact of a Flux release: exact strings, no patterns.
//!
//! Read from the release workflows of `fluxcd/flux2` and of the controllers (release tags from 2.0 to 2.9),
//! and from `fluxcd/gha-workflows`. The SAN of a keyless signature is the workflow file that ran, at the ref
//! it was called by. Since the shared workflow signs for every controller, the SAN alone does not tell them
//! apart; the claims do, and they are as much part of the profile.

use domain::identity::{Claims, IdentityProfile};
use domain::{Artifact, Component, Version};

/// OIDC issuer of GitHub Actions: every signature of every release.
pub const ISSUER: &str = "https://token.actions.githubusercontent.com";
/// Owner of all repositories.
pub const OWNER: &str = "https://github.com/fluxcd";

/// Registry and namespace of all artifacts.
const REGISTRY: &str = "ghcr.io/fluxcd";
/// The workflow that signs for all controllers, without its ref.
const SHARED_WORKFLOW: &str =
    "https://github.com/fluxcd/gha-workflows/.github/workflows/controller-release.yaml@refs/tags/";
/// The tags of the shared workflow that release workflows of controllers call. A new one is a change here,
/// made by a person who read the new workflow: a tag pattern would trust whatever upstream tags next.
const SHARED_TAGS: [&str; 4] = ["v0.4.0", "v0.8.0", "v0.9.0", "v0.11.0"];

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
    let repository = format!("{OWNER}/{}", source(artifact));
    IdentityProfile {
        subject_alternative_names: subject_alternative_names(artifact, tag),
        issuer: ISSUER.to_owned(),
        claims: Claims {
            source_repository: repository,
            source_ref: format!("refs/tags/{tag}"),
            source_owner: OWNER.to_owned(),
            // Controllers can also be released by `workflow_dispatch` from a branch, under the same SAN.
            trigger: "push".to_owned(),
            runner: "github-hosted".to_owned(),
        },
    }
}

/// The name of the repository on GitHub whose workflow run signs the artifact.
const fn source(artifact: Artifact) -> &'static str {
    match artifact {
        Artifact::FluxManifests => "flux2",
        Artifact::Image(component) => component.name(),
    }
}

fn subject_alternative_names(artifact: Artifact, tag: &Version) -> Vec<String> {
    let component = match artifact {
        Artifact::FluxManifests => {
            return vec![format!(
                "{OWNER}/flux2/.github/workflows/release.yaml@refs/tags/{tag}"
            )];
        }
        Artifact::Image(component) => component,
    };
    let own = format!("{OWNER}/{component}/.github/workflows/release.yml@refs/tags/{tag}");
    let shared = SHARED_TAGS
        .iter()
        .map(|shared| format!("{SHARED_WORKFLOW}{shared}"));
    match signer(component, tag) {
        Signer::OwnWorkflow => vec![own],
        Signer::SharedWorkflow => shared.collect(),
        Signer::Either => shared.chain([own]).collect(),
    }
}

/// Which workflow signs.
enum Signer {
    OwnWorkflow,
    SharedWorkflow,
    Either,
}

/// The shared workflow came with source-controller v1.7.1, which is Flux 2.7.1. Of the others it is known
/// that what Flux 2.7.0 pins was signed by their own workflows; for later tags the change was read for
/// single releases only, so both exact forms are accepted. The claims bind the repository and the tag in
/// either case.
fn signer(component: Component, tag: &Version) -> Signer {
    let last_own = match component {
        Component::SourceController | Component::KustomizeController => Version::new(1, 7, 0),
        Component::HelmController => Version::new(1, 4, 0),
        Component::NotificationController => Version::new(1, 7, 1),
        Component::ImageReflectorController | Component::ImageAutomationController => Version::new(1, 0, 1),
        Component::SourceWatcher => Version::new(2, 0, 1),
    };
    if *tag <= last_own {
        return Signer::OwnWorkflow;
    }
    match component {
        Component::SourceController => Signer::SharedWorkflow,
        Component::KustomizeController
        | Component::HelmController
        | Component::NotificationController
        | Component::ImageReflectorController
        | Component::ImageAutomationController
        | Component::SourceWatcher => Signer::Either,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables;

    const SHARED: &str =
        "https://github.com/fluxcd/gha-workflows/.github/workflows/controller-release.yaml@refs/tags/v0.11.0";

    fn image(component: Component, tag: &Version) -> IdentityProfile {
        profile(Artifact::Image(component), tag)
    }

    #[test]
    fn manifests_are_signed_by_flux2_at_their_own_tag() {
        let profile = profile(Artifact::FluxManifests, &Version::new(2, 9, 4));
        assert_eq!(
            profile.subject_alternative_names,
            ["https://github.com/fluxcd/flux2/.github/workflows/release.yaml@refs/tags/v2.9.4"]
        );
        assert_eq!(profile.issuer, "https://token.actions.githubusercontent.com");
        assert_eq!(
            profile.claims.source_repository,
            "https://github.com/fluxcd/flux2"
        );
        assert_eq!(profile.claims.source_ref, "refs/tags/v2.9.4");
        assert_eq!(profile.claims.source_owner, "https://github.com/fluxcd");
        assert_eq!(profile.claims.trigger, "push");
        assert_eq!(profile.claims.runner, "github-hosted");
    }

    #[test]
    fn source_controller_changed_to_the_shared_workflow_with_flux_2_7_1() {
        let before = image(Component::SourceController, &Version::new(1, 7, 0));
        assert_eq!(
            before.subject_alternative_names,
            ["https://github.com/fluxcd/source-controller/.github/workflows/release.yml@refs/tags/v1.7.0"]
        );
        let after = image(Component::SourceController, &Version::new(1, 7, 1));
        assert_eq!(after.subject_alternative_names.len(), 4);
        assert_eq!(after.subject_alternative_names[3], SHARED);
        assert_eq!(
            after.claims.source_repository,
            "https://github.com/fluxcd/source-controller"
        );
        assert_eq!(after.claims.source_ref, "refs/tags/v1.7.1");
    }

    #[test]
    fn what_flux_2_7_0_and_older_releases_pin_was_signed_by_own_workflows() {
        for release in tables::releases().filter(|release| *release <= Version::new(2, 7, 0)) {
            for (component, tag) in tables::tags(&release).unwrap() {
                let names = image(component, &tag).subject_alternative_names;
                assert_eq!(names.len(), 1, "{component} {tag}");
                assert!(names[0].ends_with(&format!(
                    "/{component}/.github/workflows/release.yml@refs/tags/{tag}"
                )));
            }
        }
    }

    #[test]
    fn newer_controllers_are_accepted_in_both_exact_forms() {
        let names = image(Component::HelmController, &Version::new(1, 6, 3)).subject_alternative_names;
        assert_eq!(names.len(), 5);
        assert!(names.contains(&SHARED.to_owned()));
        assert!(
            names.contains(
                &"https://github.com/fluxcd/helm-controller/.github/workflows/release.yml@refs/tags/v1.6.3"
                    .to_owned()
            )
        );
    }

    #[test]
    fn claims_tell_components_apart_where_the_name_does_not() {
        let claims: std::collections::BTreeSet<String> = Artifact::all()
            .map(|artifact| profile(artifact, &Version::new(9, 9, 9)).claims.source_repository)
            .collect();
        assert_eq!(claims.len(), 8);
        assert_eq!(
            repository(Artifact::FluxManifests),
            "ghcr.io/fluxcd/flux-manifests"
        );
    }
}
