//! Every wrong release of the factory, through fetch, check and summary.

use domain::Version;
use testkit::factory::{Flavour, Published, ReleaseSpec};

use super::*;
use crate::fixture::Shop;

const IMAGE: Artifact = Artifact::Image(Component::SourceController);

async fn summary_of(shop: &Shop, published: &Published) -> RoleSummary {
    let release = published.key();
    // Long ago: upstream has no time left.
    shop.discover(&release, NOW - SignedDuration::from_hours(48))
        .await;
    shop.look_at(NOW).await;
    let mut all = shop.summaries(&release).await;
    assert_eq!(all.len(), 1, "{release}");
    all.remove(0)
}

/// What a summary says about an artifact.
fn said(summary: &RoleSummary, artifact: Artifact) -> Option<(CheckResult, Option<Reason>)> {
    let line = summary.checks.iter().find(|line| line.artifact == artifact)?;
    Some((line.result, line.reason))
}

#[tokio::test]
async fn a_good_release_passes_in_everything() {
    let shop = Shop::open().await;
    let published = shop.publish(&Version::new(2, 9, 4), Flavour::Good).await;
    let summary = summary_of(&shop, &published).await;
    assert_eq!(summary.worst(), CheckResult::Passed);
    assert_eq!(summary.checks.len(), 8);
    assert!(summary.contents.is_some());
}

#[tokio::test]
async fn an_image_that_is_wrong_is_found_for_what_it_is_and_the_others_pass() {
    let shop = Shop::open().await;
    for (patch, flavour) in (10..).zip(Flavour::wrong(IMAGE)) {
        let published = shop.publish_small(&Version::new(2, 9, patch), flavour).await;
        let summary = summary_of(&shop, &published).await;
        let (result, reason) = flavour.finding();
        for line in &summary.checks {
            let wanted = if line.artifact == IMAGE {
                (result, Some(reason))
            } else {
                (CheckResult::Passed, None)
            };
            assert_eq!(
                (line.result, line.reason),
                wanted,
                "{flavour:?}: {}",
                line.artifact
            );
        }
        assert_eq!(summary.checks.len(), 3, "{flavour:?}");
        assert!(summary.contents.is_some(), "{flavour:?}");
    }
}

/// Nothing is derived from bytes that nobody vouches for.
#[tokio::test]
async fn manifests_that_are_wrong_have_no_contents() {
    let shop = Shop::open().await;
    let artifact = Artifact::FluxManifests;
    for (patch, flavour) in (10..).zip(Flavour::wrong(artifact)) {
        let published = shop.publish_small(&Version::new(2, 9, patch), flavour).await;
        let summary = summary_of(&shop, &published).await;
        let (result, reason) = flavour.finding();
        assert_eq!(
            said(&summary, artifact),
            Some((result, Some(reason))),
            "{flavour:?}"
        );
        assert_eq!(summary.checks.len(), 1, "{flavour:?}");
        assert_eq!(summary.contents, None, "{flavour:?}");
    }
}

/// A second digest for one version is another release with its own evidence. That it is never allowed is the
/// policy's to say, which knows the order of both.
#[tokio::test]
async fn a_moved_tag_is_another_release() {
    let shop = Shop::open().await;
    let version = Version::new(2, 9, 4);
    let first = shop.publish(&version, Flavour::Good).await;
    assert_eq!(summary_of(&shop, &first).await.worst(), CheckResult::Passed);
    for (flavour, worst) in [
        (Flavour::Good, CheckResult::Passed),
        (
            Flavour::Unsigned(Artifact::FluxManifests),
            CheckResult::NotChecked,
        ),
    ] {
        let document = format!("# {worst}\n{}", testkit::manifests::synthetic(&version));
        let spec = ReleaseSpec::flavoured(version.clone(), flavour);
        let moved = shop.factory.release_of(&spec, &document, NOW).await.unwrap();
        assert_ne!(moved.key(), first.key());
        assert_eq!(summary_of(&shop, &moved).await.worst(), worst);
    }
    assert_eq!(shop.summaries(&first.key()).await.len(), 1);
}
