use std::time::Duration;

use jiff::Timestamp;
use testkit::factory::Flavour;
use tonic_types::StatusExt as _;

use super::*;
use crate::fixture::{NOW, Shop};

const ID: &str = "5a1e3c1c-0000-4000-8000-000000000001";

fn request(release: &str, request_id: &str, validate_only: bool) -> Request<v1::ReverifyReleaseRequest> {
    Request::new(v1::ReverifyReleaseRequest {
        release: release.to_owned(),
        request_id: request_id.to_owned(),
        validate_only,
    })
}

async fn shop() -> (Shop, Api) {
    let shop = Shop::open().await;
    let published = shop.publish(&domain::Version::new(2, 9, 4), Flavour::Good).await;
    shop.discover(&published.key(), NOW).await;
    let api = Api(Arc::clone(&shop.verifier));
    (shop, api)
}

#[tokio::test]
async fn a_request_is_checked_before_anything_is_done() {
    let (shop, api) = shop().await;
    let code = async |release, id| {
        let refused = api.reverify_release(request(release, id, false)).await;
        refused.unwrap_err().code()
    };
    assert_eq!(code("v2.9.4", "").await, Code::InvalidArgument);
    assert_eq!(code("v2.9.4", "again").await, Code::InvalidArgument);
    assert_eq!(code("2.9", ID).await, Code::InvalidArgument);
    assert_eq!(code("releases/flux/v2.9.5", ID).await, Code::NotFound);
    assert_eq!(shop.world.log.events().len(), 1);
}

#[tokio::test]
async fn validate_only_names_the_attempt_and_neither_fetches_nor_stores() {
    let (shop, api) = shop().await;
    shop.registry.forget();
    let answer = api.reverify_release(request("v2.9.4", ID, true)).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!((answer.attempt, answer.sequence, answer.summary), (1, 0, None));
    assert!(answer.grace_end_time.is_some());
    assert_eq!(shop.world.log.events().len(), 1);
    assert!(shop.registry.fetches().is_empty());
}

#[tokio::test]
async fn an_attempt_is_answered_when_its_summary_is_stored() {
    let (shop, api) = shop().await;
    let ask = async || {
        let answer = api.reverify_release(request("v2.9.4", ID, false)).await;
        answer.unwrap().into_inner()
    };
    let answer = ask().await;
    let summary = answer.summary.clone().unwrap();
    assert_eq!((answer.attempt, summary.attempt), (1, 1));
    assert_eq!((summary.checks.len(), summary.request_id.as_str()), (8, ID));
    assert_eq!(answer.sequence, shop.world.log.events().len() as u64);
    assert_eq!(ask().await, answer);
}

/// Each attempt stays in the log for good: a new id alone does not open one.
#[tokio::test]
async fn a_release_rests_between_two_attempts_and_who_asks_is_told_for_how_long() {
    let (shop, api) = shop().await;
    shop.world.log.set_time(Timestamp::now());
    let ask = async |id, dry_run| api.reverify_release(request("v2.9.4", id, dry_run)).await;
    let first = ask(ID, false).await.unwrap().into_inner();
    let said = shop.world.log.events().len();
    let other = "5a1e3c1c-0000-4000-8000-000000000002";
    for dry_run in [false, true] {
        let status = ask(other, dry_run).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(info.reason, Reason::PreconditionFailed.code());
        assert!(
            info.metadata["resource"].starts_with("releases/flux/v2.9.4"),
            "{info:?}"
        );
        let wait = details.retry_info().and_then(|info| info.retry_delay).unwrap();
        assert!(
            wait > Duration::ZERO && wait <= Duration::from_secs(60),
            "{wait:?}"
        );
        assert!(
            status
                .message()
                .contains("attempt 1 was stored less than 60 s ago"),
            "{status}"
        );
    }
    assert_eq!(shop.world.log.events().len(), said);
    assert_eq!(ask(ID, false).await.unwrap().into_inner(), first);
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_said_to_be_unreachable() {
    let (shop, api) = shop().await;
    shop.registry.set_broken(true);
    let status = api
        .reverify_release(request("v2.9.4", ID, false))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("nothing was stored"), "{status}");
    assert_eq!(shop.world.log.events().len(), 1);
}
