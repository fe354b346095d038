//! Attempts that a person asks for.

use domain::Version;
use testkit::factory::Flavour;

use super::*;
use crate::fixture::Shop;
use crate::reverify::{Found, Reverified, ReverifyError};

const ONE: &str = "5a1e3c1c-0000-4000-8000-000000000001";
const TWO: &str = "5a1e3c1c-0000-4000-8000-000000000002";

fn attempt_of(reverified: &Reverified) -> u64 {
    match reverified {
        Reverified::Stored(summary) => summary.subject.n(),
        Reverified::Early(attempt) => panic!("attempt {attempt} is early"),
    }
}

#[tokio::test]
async fn a_request_opens_the_next_attempt_once_and_is_answered_from_the_log_after_that() {
    let shop = Shop::open().await;
    let published = shop.publish_small(&Version::new(2, 9, 4), Flavour::Good).await;
    let found = Found {
        release: published.key(),
        time: NOW,
    };
    shop.discover(&found.release, NOW).await;
    shop.look_at(NOW + SignedDuration::from_mins(2)).await;
    assert_eq!(shop.verifier.next_attempt(&found.release).await.unwrap(), 2);

    let ask = async |request| {
        let now = NOW + SignedDuration::from_hours(1);
        shop.verifier.reverify(&found, request, now).await.unwrap()
    };
    let first = ask(ONE).await;
    assert_eq!(attempt_of(&first), 2);
    let said = shop.world.log.events().len();
    assert_eq!(ask(ONE).await, first);
    assert_eq!(
        shop.world.log.events().len(),
        said,
        "the same request stores nothing"
    );
    assert_eq!(attempt_of(&ask(TWO).await), 3);
    assert_eq!(ask(ONE).await, first);
    assert_eq!(shop.summaries(&found.release).await.len(), 3);
}

#[tokio::test]
async fn a_request_is_not_used_for_another_release() {
    let shop = Shop::open().await;
    for patch in [4, 5] {
        let published = shop
            .publish_small(&Version::new(2, 9, patch), Flavour::Good)
            .await;
        let found = Found {
            release: published.key(),
            time: NOW,
        };
        shop.discover(&found.release, NOW).await;
        let answer = shop.verifier.reverify(&found, ONE, NOW).await;
        if patch == 4 {
            assert_eq!(attempt_of(&answer.unwrap()), 1);
        } else {
            assert!(matches!(answer, Err(ReverifyError::Reused { .. })), "{answer:?}");
            assert_eq!(shop.summaries(&found.release).await, []);
        }
    }
}

#[tokio::test]
async fn within_the_grace_a_request_stores_nothing_where_nothing_is_signed_yet() {
    let shop = Shop::open().await;
    let published = shop.publish_small(&Version::new(2, 9, 4), Flavour::Late).await;
    let found = Found {
        release: published.key(),
        time: NOW,
    };
    shop.discover(&found.release, NOW).await;
    let ask = async |now| shop.verifier.reverify(&found, ONE, now).await.unwrap();
    assert_eq!(ask(NOW).await, Reverified::Early(1));
    // Whoever asks is told which artifact it is.
    let missing = shop.verifier.waiting.of(&found.release).unwrap();
    assert_eq!(missing.until, Some(shop.verifier.grace_end(NOW)));
    assert!(missing.what.contains("SIGNATURE_MISSING"), "{}", missing.what);
    assert_eq!(shop.world.log.events().len(), 1);
    shop.factory.sign_late(&published).await.unwrap();
    assert_eq!(attempt_of(&ask(NOW).await), 1);
    assert_eq!(
        shop.summaries(&found.release).await[0].worst(),
        CheckResult::Passed
    );
}

/// What failed is a fact that time does not touch, but a person may have mended the registry.
#[tokio::test]
async fn a_request_looks_again_at_what_failed() {
    let shop = Shop::open().await;
    let wrong = Flavour::WrongWorkflow(Artifact::Image(Component::SourceController));
    let version = Version::new(2, 9, 4);
    let published = shop.publish_small(&version, wrong).await;
    let found = Found {
        release: published.key(),
        time: NOW,
    };
    shop.discover(&found.release, NOW).await;
    shop.look_at(NOW + SignedDuration::from_hours(7)).await;
    shop.publish_small(&version, Flavour::Good).await;
    shop.look_at(NOW + SignedDuration::from_hours(70)).await;
    let now = NOW + SignedDuration::from_hours(70);
    let answer = shop.verifier.reverify(&found, ONE, now).await.unwrap();
    assert_eq!(attempt_of(&answer), 2);
    let worst: Vec<_> = shop.summaries(&found.release).await;
    let worst: Vec<_> = worst.iter().map(RoleSummary::worst).collect();
    assert_eq!(worst, [CheckResult::Failed, CheckResult::Passed]);
}

#[tokio::test]
async fn a_release_rests_for_a_minute_whoever_made_the_newest_attempt() {
    let shop = Shop::open().await;
    let found = discovered(&shop).await;
    let made = NOW + SignedDuration::from_mins(2);
    shop.look_at(made).await;
    let said = shop.world.log.events().len();
    let ask = async |now| shop.verifier.reverify(&found, ONE, now).await;
    let waits = async |now| match ask(now).await {
        Err(ReverifyError::Young { attempt, wait, .. }) => (attempt, wait.as_secs()),
        other => panic!("{other:?}"),
    };
    assert_eq!(waits(made).await, (1, 60));
    assert_eq!(waits(made + SignedDuration::from_secs(59)).await, (1, 1));
    // A clock that is behind waits no longer than that.
    assert_eq!(waits(made - SignedDuration::from_hours(1)).await, (1, 60));
    assert_eq!(shop.world.log.events().len(), said);
    let rested = ask(made + SignedDuration::from_mins(1)).await.unwrap();
    assert_eq!(attempt_of(&rested), 2);
}

#[tokio::test]
async fn of_those_who_ask_at_once_one_makes_the_attempt() {
    let shop = Shop::open().await;
    let found = discovered(&shop).await;
    let ask = async |request| shop.verifier.reverify(&found, request, NOW).await;
    let (one, same, two) = tokio::join!(ask(ONE), ask(ONE), ask(TWO));
    assert_eq!(attempt_of(one.as_ref().unwrap()), 1);
    assert_eq!(one.unwrap(), same.unwrap(), "one request is one attempt");
    assert!(
        matches!(two, Err(ReverifyError::Young { attempt: 1, .. })),
        "{two:?}"
    );
    assert_eq!(shop.summaries(&found.release).await.len(), 1);
}

#[tokio::test]
async fn an_attempt_waits_for_the_one_that_is_under_way_and_an_answer_does_not() {
    let shop = Shop::open().await;
    let found = discovered(&shop).await;
    let later = NOW + SignedDuration::from_hours(1);
    let ask = async |request| shop.verifier.reverify(&found, request, later).await.unwrap();
    let first = ask(ONE).await;
    let turn = shop.verifier.turns.of(&found.release);
    let held = turn.lock().await;
    assert_eq!(ask(ONE).await, first);
    let moment = std::time::Duration::from_millis(300);
    assert!(tokio::time::timeout(moment, ask(TWO)).await.is_err());
    assert!(shop.verifier.turns.of(&release(5)).try_lock().is_ok());
    drop(held);
    assert_eq!(attempt_of(&ask(TWO).await), 2);
}

async fn discovered(shop: &Shop) -> Found {
    let published = shop.publish_small(&Version::new(2, 9, 4), Flavour::Good).await;
    let found = Found {
        release: published.key(),
        time: NOW,
    };
    shop.discover(&found.release, NOW).await;
    found
}
