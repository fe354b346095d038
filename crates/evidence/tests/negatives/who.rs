//! Signed properly, by somebody else or for something else.

use super::*;

/// Rows 11 and 13: a workflow of the same organisation that is not the release.
#[test]
fn another_workflow_is_named() {
    let scene = Scene::new();
    let e2e = scene.workflow().end_to_end_test();
    let material = scene.demo.sign(&scene.payload(), &e2e, scene.signed_at).unwrap();
    let verdict = scene.refused(material, Reason::IdentityMismatch);
    assert!(verdict.detail.contains(&e2e.subject), "{}", verdict.detail);
    assert_eq!(verdict.found.unwrap().subject_alternative_name, e2e.subject);
}

/// Row 11: no prefix, suffix, case or pattern of an allowed name.
#[test]
fn a_name_that_almost_fits_is_another_identity() {
    let scene = Scene::new();
    let name = scene.workflow().subject;
    let almost = [
        format!("{name}0"),
        name[..name.len() - 1].to_owned(),
        name.replace("fluxcd", "Fluxcd"),
        name.replace("github.com", "githubxcom"),
        String::from("https://github.com/fluxcd"),
    ];
    for subject in almost {
        scene.refused(scene.signed_by(|w| w.subject = subject), Reason::IdentityMismatch);
    }
}

/// Row 15 (GHSA-8gw7-4j42-w388): right name, other issuer.
#[test]
fn another_issuer_is_another_identity() {
    let scene = Scene::new();
    let other = scene.signed_by(|w| w.issuer = "https://token.actions.example.com".into());
    scene.refused(other, Reason::IdentityMismatch);
}

#[test]
fn a_profile_that_allows_nobody_allows_nobody() {
    let mut scene = Scene::new();
    let good = scene.good();
    scene.profile.subject_alternative_names.clear();
    scene.refused(good, Reason::IdentityMismatch);
}

/// Row 13: the shared release workflow, called by another repository.
#[test]
fn another_repository_is_a_claim_mismatch() {
    let scene = Scene::new();
    let other = scene.signed_by(|w| w.source_repository = "https://github.com/fluxcd/helm-controller".into());
    let verdict = scene.refused(other, Reason::ClaimMismatch);
    assert!(verdict.detail.contains("helm-controller"), "{}", verdict.detail);
}

/// Row 14: a branch build under the release's name. cosign looks at `.6`, we at `.14`.
#[test]
fn another_ref_is_a_claim_mismatch() {
    let scene = Scene::new();
    for reference in ["refs/heads/main", "refs/tags/v1.9.40", ""] {
        scene.refused(
            scene.signed_by(|w| w.source_ref = reference.into()),
            Reason::ClaimMismatch,
        );
    }
}

#[test]
fn another_owner_is_a_claim_mismatch() {
    let scene = Scene::new();
    let other = scene.signed_by(|w| w.source_owner = "https://github.com/somebody".into());
    scene.refused(other, Reason::ClaimMismatch);
}

/// Row 14: started by hand.
#[test]
fn another_trigger_is_a_claim_mismatch() {
    let scene = Scene::new();
    scene.refused(
        scene.signed_by(|w| w.trigger = "workflow_dispatch".into()),
        Reason::ClaimMismatch,
    );
}

#[test]
fn another_runner_is_a_claim_mismatch() {
    let scene = Scene::new();
    scene.refused(
        scene.signed_by(|w| w.runner = "self-hosted".into()),
        Reason::ClaimMismatch,
    );
}
