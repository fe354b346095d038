//! Signatures that come late, or never.

use domain::Version;
use testkit::factory::{Flavour, Published};

use super::*;
use crate::fixture::Shop;

const VERSION: Version = Version::new(2, 9, 4);

fn after(duration: SignedDuration) -> Timestamp {
    NOW + duration
}

async fn unsigned() -> (Shop, Published) {
    let shop = Shop::open().await;
    let published = shop.publish_small(&VERSION, Flavour::Late).await;
    shop.discover(&published.key(), NOW).await;
    (shop, published)
}

/// What the message's handler does.
async fn deliver(shop: &Shop, release: &ReleaseKey) -> bus::Outcome {
    let stored = shop.world.log.events().remove(0);
    assert_eq!(stored.subject, subject::release_discovered(release).to_string());
    crate::handler::handled(&shop.verifier, &stored, NOW).await
}

#[tokio::test]
async fn a_signature_that_comes_within_the_grace_is_found_by_the_timer_and_not_by_a_redelivery() {
    let (shop, published) = unsigned().await;
    let release = published.key();
    // The message is done with: nothing waits on the bus.
    assert!(matches!(deliver(&shop, &release).await, bus::Outcome::Ack));
    for seconds in [10, 31, 60] {
        shop.look_at(after(SignedDuration::from_secs(seconds))).await;
    }
    assert_eq!(shop.summaries(&release).await, []);
    assert_eq!(
        shop.world.log.events().len(),
        1,
        "nothing is said while upstream has time"
    );

    shop.factory.sign_late(&published).await.unwrap();
    shop.look_at(after(SignedDuration::from_mins(3))).await;
    let summaries = shop.summaries(&release).await;
    assert_eq!(summaries.len(), 1);
    assert_eq!(
        (summaries[0].attempt, summaries[0].worst()),
        (1, CheckResult::Passed)
    );
    // And that is all that is ever said.
    let said = shop.world.log.events().len();
    shop.look_at(after(SignedDuration::from_hours(100))).await;
    assert_eq!(shop.world.log.events().len(), said);
}

/// Six hours of a timer every 30 s: the registry is asked some forty times, not seven hundred.
#[tokio::test]
async fn the_registry_is_asked_less_and_less_often_while_nothing_is_there() {
    let (shop, published) = unsigned().await;
    deliver(&shop, &published.key()).await;
    shop.registry.forget();
    for half_minutes in 1..720 {
        shop.look_at(after(SignedDuration::from_secs(30 * half_minutes)))
            .await;
    }
    let tag = format!(
        "fluxcd/flux-manifests/manifests/sha256-{}.sig",
        published.manifests.hex()
    );
    let asked = shop.registry.fetches();
    assert!((30..50).contains(&asked[&tag]), "{asked:?}");
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(shop.summaries(&published.key()).await, []);
}

#[tokio::test]
async fn a_signature_that_never_comes_is_not_checked_after_the_grace_and_looked_for_again_each_day() {
    let (shop, published) = unsigned().await;
    let release = published.key();
    let mut results = Vec::new();
    // Every quarter of an hour for three days and a bit.
    for quarters in 1..=(4 * 80) {
        shop.look_at(after(SignedDuration::from_mins(15 * quarters)))
            .await;
        let count = shop.summaries(&release).await.len();
        if count > results.len() {
            results.push(quarters / 4);
        }
    }
    assert_eq!(results, [6, 30, 54, 78]);
    for summary in shop.summaries(&release).await {
        assert_eq!(summary.worst(), CheckResult::NotChecked);
        assert_eq!(summary.checks[0].reason, Some(Reason::SignatureMissing));
    }
    // It comes after all: the next day finds it, and then there is nothing to wait for.
    shop.factory.sign_late(&published).await.unwrap();
    for hours in [100, 102, 130, 200] {
        shop.look_at(after(SignedDuration::from_hours(hours))).await;
    }
    let summaries = shop.summaries(&release).await;
    assert_eq!(summaries.len(), 5);
    assert_eq!(
        (summaries[4].attempt, summaries[4].worst()),
        (5, CheckResult::Passed)
    );
}

#[tokio::test]
async fn nobody_looks_again_for_what_failed_or_what_a_newer_release_has_overtaken() {
    let shop = Shop::open().await;
    let [failed, overtaken] = [
        shop.publish_small(
            &Version::new(2, 9, 10),
            Flavour::WrongWorkflow(Artifact::FluxManifests),
        )
        .await,
        shop.publish_small(
            &Version::new(2, 9, 11),
            Flavour::Unsigned(Artifact::FluxManifests),
        )
        .await,
    ];
    for published in [&failed, &overtaken] {
        shop.discover(&published.key(), NOW).await;
    }
    shop.look_at(after(SignedDuration::from_hours(7))).await;
    let newer = shop.publish_small(&Version::new(2, 9, 12), Flavour::Good).await;
    shop.discover(&newer.key(), after(SignedDuration::from_hours(8)))
        .await;
    for hours in [9, 40, 80, 120] {
        shop.look_at(after(SignedDuration::from_hours(hours))).await;
    }
    for published in [failed, overtaken, newer] {
        assert_eq!(
            shop.summaries(&published.key()).await.len(),
            1,
            "{}",
            published.version
        );
    }
}

/// A hint can name anything: it is not redelivered for ever.
#[tokio::test]
async fn manifests_that_are_nowhere_are_not_checked_after_the_grace() {
    let shop = Shop::open().await;
    let release = release(4);
    shop.discover(&release, NOW).await;
    assert!(matches!(deliver(&shop, &release).await, bus::Outcome::Ack));
    shop.look_at(after(SignedDuration::from_hours(5))).await;
    assert_eq!(shop.summaries(&release).await, []);
    shop.look_at(after(SignedDuration::from_hours(7))).await;
    let summaries = shop.summaries(&release).await;
    let [line] = summaries[0].checks.as_slice() else {
        panic!("{summaries:?}")
    };
    assert_eq!(
        (line.result, line.reason),
        (CheckResult::NotChecked, Some(Reason::ArtifactMissing))
    );
}

/// That the registry does not answer is no finding, however long it lasts.
#[tokio::test]
async fn a_registry_that_does_not_answer_is_no_result() {
    let (shop, published) = unsigned().await;
    shop.registry.set_broken(true);
    let outcome = deliver(&shop, &published.key()).await;
    assert!(matches!(outcome, bus::Outcome::Retry { .. }));
    shop.look_at(after(SignedDuration::from_hours(7))).await;
    assert_eq!(shop.summaries(&published.key()).await, []);
    shop.registry.set_broken(false);
    shop.factory.sign_late(&published).await.unwrap();
    shop.look_at(after(SignedDuration::from_hours(8))).await;
    assert_eq!(
        shop.summaries(&published.key()).await[0].worst(),
        CheckResult::Passed
    );
}
