//! What is fetched, and how often.

use std::time::Duration;

use domain::Version;
use testkit::factory::Flavour;

use super::*;
use crate::fixture::{Shop, client};

/// Everything that was fetched was fetched once.
fn once(shop: &Shop) -> usize {
    let fetches = shop.registry.fetches();
    for (path, count) in &fetches {
        assert_eq!(*count, 1, "{path}");
    }
    fetches.len()
}

#[tokio::test]
async fn a_whole_release_takes_one_fetch_for_each_thing_in_it() {
    let shop = Shop::open().await;
    let published = shop.publish(&Version::new(2, 9, 4), Flavour::Good).await;
    shop.discover(&published.key(), NOW).await;
    shop.registry.forget();
    shop.look_at(NOW + SignedDuration::from_mins(2)).await;
    assert_eq!(shop.summaries(&published.key()).await.len(), 1);
    // Manifests and layer; for each of seven images index and two platforms; for all eight `.sig` and payload.
    assert_eq!(once(&shop), 2 + 7 * 3 + 8 * 2);
}

/// 2.8.3 and 2.8.4 differ in the CLI alone: the images are the same.
#[tokio::test]
async fn releases_that_share_images_share_the_fetches() {
    let shop = Shop::open().await;
    let mut releases = Vec::new();
    for patch in [3, 4] {
        let published = shop.publish(&Version::new(2, 8, patch), Flavour::Good).await;
        shop.discover(&published.key(), NOW).await;
        releases.push(published.key());
    }
    shop.registry.forget();
    shop.look_at(NOW + SignedDuration::from_mins(2)).await;
    let first = 2 + 7 * 3 + 8 * 2;
    // Of the second only its own manifests: two fetches, and two for their signature.
    assert_eq!(once(&shop), first + 4);
    for release in &releases {
        assert_eq!(shop.summaries(release).await.len(), 1, "{release}");
    }
    // Another attempt takes nothing at all: what a tag names is asked, not fetched.
    let found = crate::reverify::Found {
        release: releases[0].clone(),
        time: NOW,
    };
    let request = "5a1e3c1c-0000-4000-8000-000000000001";
    let now = NOW + SignedDuration::from_hours(1);
    shop.verifier.reverify(&found, request, now).await.unwrap();
    assert_eq!(once(&shop), first + 4);
}

#[tokio::test]
async fn two_who_ask_at_once_share_a_fetch() {
    let shop = Shop::open().await;
    let published = shop.publish(&Version::new(2, 9, 4), Flavour::Good).await;
    let image = &published.images[&Component::SourceController];
    shop.registry.forget();
    shop.registry.answer_after(Duration::from_millis(30));
    let client = client(&shop.registry);
    let by_tag = async || client.resolve_image(image).await.unwrap().unwrap();
    let (one, two, three) = tokio::join!(by_tag(), by_tag(), by_tag());
    assert_eq!((&one, &one), (&two, &three));
    assert_eq!(once(&shop), 3);
}
