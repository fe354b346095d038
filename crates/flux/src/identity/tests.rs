use std::collections::BTreeMap;
use std::fmt::Write as _;

use domain::Component;

use super::*;
use crate::tables;

fn image(component: Component, tag: &Version) -> IdentityProfile {
    profile(Artifact::Image(component), tag)
}

/// The artifact's own tags in the known releases, oldest first, each with the releases that pin it.
fn tags_of(artifact: Artifact) -> BTreeMap<Version, Vec<Version>> {
    let mut tags: BTreeMap<Version, Vec<Version>> = BTreeMap::new();
    for release in tables::releases() {
        let tag = match artifact {
            Artifact::FluxManifests => Some(release.clone()),
            Artifact::Image(component) => tables::tags(&release).unwrap().get(&component).cloned(),
        };
        if let Some(tag) = tag {
            tags.entry(tag).or_default().push(release);
        }
    }
    tags
}

/// The table as a person reviews it: for each artifact and row, which of its tags it is for, in which releases
/// of Flux, and everything that a signature must carry. `TAG` stands for the artifact's own tag.
fn written_out() -> String {
    let mut text = String::new();
    for artifact in Artifact::all() {
        writeln!(text, "{artifact}").unwrap();
        let tags = tags_of(artifact);
        for wanted in ROWS.iter().filter(|row| row.artifact == artifact) {
            let same = |tag: &Version| row(artifact, tag).unwrap().since == wanted.since;
            let of_row: Vec<_> = tags.iter().filter(|(tag, _)| same(tag)).collect();
            let list = |versions: Vec<&Version>| match versions.as_slice() {
                [] => "none".to_owned(),
                [one] => one.to_string(),
                [first, .., last] => format!("{first} to {last}"),
            };
            let (major, minor, patch) = wanted.since;
            writeln!(
                text,
                "  since v{major}.{minor}.{patch}: {} (Flux {}); {}",
                list(of_row.iter().map(|(tag, _)| *tag).collect()),
                list(of_row.iter().flat_map(|(_, releases)| releases.iter()).collect()),
                wanted.basis
            )
            .unwrap();
            let Some((tag, _)) = of_row.last() else { continue };
            let profile = profile(artifact, tag);
            let tag = tag.to_string();
            let mut line = |name: &str, value: &str| {
                writeln!(text, "    {name:<12}{}", value.replace(&tag, "TAG")).unwrap();
            };
            for (place, name) in profile.subject_alternative_names.iter().enumerate() {
                line(if place == 0 { "SAN" } else { "or" }, name);
            }
            let claims = &profile.claims;
            line("issuer .8", &profile.issuer);
            line("source .12", &claims.source_repository);
            line("ref .14", &claims.source_ref);
            line("owner .16", &claims.source_owner);
            line("trigger .20", &claims.trigger);
            line("runner .11", &claims.runner);
        }
    }
    text
}

#[test]
fn the_whole_table() {
    insta::assert_snapshot!(written_out());
}

#[test]
fn every_artifact_of_every_known_release_has_a_profile() {
    for release in tables::releases() {
        for artifact in Artifact::all() {
            let tag = match artifact {
                Artifact::FluxManifests => Some(release.clone()),
                Artifact::Image(component) => tables::tags(&release).unwrap().get(&component).cloned(),
            };
            // source-watcher came with 2.7.
            let Some(tag) = tag else {
                assert_eq!(artifact, Artifact::Image(Component::SourceWatcher));
                assert!(release < Version::new(2, 7, 0));
                continue;
            };
            let profile = profile(artifact, &tag);
            assert!(!profile.subject_alternative_names.is_empty(), "{artifact} {tag}");
            assert!(profile.claims.source_ref.ends_with(&format!("/{tag}")));
        }
    }
}

#[test]
fn rows_are_in_order_and_each_artifact_begins_at_zero() {
    for artifact in Artifact::all() {
        let since: Vec<_> = ROWS
            .iter()
            .filter(|row| row.artifact == artifact)
            .map(|row| row.since)
            .collect();
        assert_eq!(since.first(), Some(&(0, 0, 0)), "{artifact}");
        assert!(since.is_sorted_by(|a, b| a < b), "{artifact}");
    }
    assert!(ROWS.iter().all(|row| !row.signers.is_empty()));
    assert!(ROWS.is_sorted_by_key(|row| (row.artifact, row.since)));
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
    assert_eq!(
        after.subject_alternative_names,
        [
            "https://github.com/fluxcd/gha-workflows/.github/workflows/controller-release.yaml@refs/tags/v0.4.0"
        ]
    );
    assert_eq!(
        after.claims.source_repository,
        "https://github.com/fluxcd/source-controller"
    );
    assert_eq!(after.claims.source_ref, "refs/tags/v1.7.1");
}

#[test]
fn up_to_flux_2_6_every_controller_signed_with_its_own_workflow() {
    for release in tables::releases().filter(|release| *release < Version::new(2, 7, 0)) {
        for (component, tag) in tables::tags(&release).unwrap() {
            let own = format!(
                "https://github.com/fluxcd/{component}/.github/workflows/release.yml@refs/tags/{tag}"
            );
            assert_eq!(image(component, &tag).subject_alternative_names, [own]);
        }
    }
}

#[test]
fn a_version_that_nobody_has_read_is_judged_by_the_newest_row() {
    for artifact in Artifact::all() {
        let known = tags_of(artifact).into_keys().next_back().unwrap();
        let newest = row(artifact, &known).unwrap();
        let unknown = row(artifact, &Version::new(99, 0, 0)).unwrap();
        assert_eq!(unknown.since, newest.since, "{artifact}");
    }
    // Nor does a pre-release of a new line belong to the old one.
    let candidate: Version = "v1.9.0-rc.1".parse().unwrap();
    let names = image(Component::SourceController, &candidate).subject_alternative_names;
    assert!(names[0].ends_with("@refs/tags/v0.11.0"), "{names:?}");
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
