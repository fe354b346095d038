use domain::Mode;
use domain::rollout::RolloutEnd;
use futures::StreamExt as _;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use wire::common::v1::WatchEvent;
use wire::rollout::v1::rollout_service_server::RolloutService as _;

use super::*;
use crate::fixture::{Replica, Stand};
use crate::grpc::rollout::Api;

fn id(n: u8) -> String {
    uuid::Uuid::from_bytes([n; 16]).to_string()
}

fn stop(scope: &str, active: bool, request: u8) -> v1::SetStopRequest {
    v1::SetStopRequest {
        scope: scope.to_owned(),
        active,
        reason: "an incident".to_owned(),
        request_id: id(request),
        validate_only: false,
    }
}

fn retry(key: &str, request: u8) -> v1::RetryRolloutRequest {
    v1::RetryRolloutRequest {
        name: format!("rollouts/{key}"),
        reason: "the node was replaced".to_owned(),
        request_id: id(request),
        validate_only: false,
    }
}

struct Client(Api);

impl Client {
    fn of(replica: &Replica) -> Self {
        Self(Api::of(&replica.controller))
    }

    async fn stop(&self, request: v1::SetStopRequest) -> Result<v1::SetStopResponse, Status> {
        Ok(self.0.set_stop(Request::new(request)).await?.into_inner())
    }

    async fn retry(&self, request: v1::RetryRolloutRequest) -> Result<v1::RetryRolloutResponse, Status> {
        Ok(self.0.retry_rollout(Request::new(request)).await?.into_inner())
    }

    async fn enforce(&self, scope: &str, mode: Mode, request: u8) -> Result<v1::EnforceResponse, Status> {
        let request = v1::EnforceRequest {
            scope: scope.to_owned(),
            mode: wire::common::v1::Mode::from(mode).into(),
            request_id: id(request),
            validate_only: false,
        };
        Ok(self.0.enforce(Request::new(request)).await?.into_inner())
    }

    /// Scope and whether it is stopped.
    async fn stops(&self, show_lifted: bool) -> Vec<(String, bool)> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListStopsRequest {
                page_size: 1,
                page_token,
                show_lifted,
            };
            let page = self
                .0
                .list_stops(Request::new(request))
                .await
                .unwrap()
                .into_inner();
            assert!(page.stops.len() <= 1);
            let sets = page.stops.into_iter().filter_map(|stop| stop.set);
            all.extend(sets.map(|set| (set.scope, set.active)));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return all;
            }
        }
    }

    async fn rollout(&self, key: &str) -> v1::Rollout {
        let name = format!("rollouts/{key}");
        let request = Request::new(v1::GetRolloutRequest { name });
        self.0.get_rollout(request).await.unwrap().into_inner()
    }
}

/// Code and reason; there is exactly one of the latter.
fn why(refused: Result<impl std::fmt::Debug, Status>) -> (Code, String) {
    let status = refused.unwrap_err();
    let details = status.get_error_details_vec();
    let infos = details.iter().filter_map(|detail| match detail {
        tonic_types::ErrorDetail::ErrorInfo(info) => Some(info.reason.clone()),
        _ => None,
    });
    let infos: Vec<String> = infos.collect();
    assert_eq!(infos.len(), 1, "{details:?}");
    (status.code(), infos[0].clone())
}

fn of(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}

#[tokio::test]
async fn a_stop_is_stored_once_for_each_request_and_lifted_by_another() {
    let stand = Stand::new();
    let replica = stand.active().await;
    let client = Client::of(&replica);
    let first = client.stop(stop("label/region=eu", true, 1)).await.unwrap();
    assert_eq!(first.clusters, ["c1", "m1"]);
    let set = first.stop.clone().unwrap().set.unwrap();
    assert_eq!((set.kind(), set.active), (v1::StopKind::Freeze, true));
    // The same again is the same; a new word about the same scope may give another reason.
    let again = client.stop(stop("label/region=eu", true, 1)).await.unwrap();
    assert_eq!(again, first);
    let other = v1::SetStopRequest {
        reason: " more is known ".to_owned(),
        ..stop("label/region=eu", true, 2)
    };
    let newer = client.stop(other).await.unwrap().stop.unwrap();
    assert!(newer.sequence > first.stop.unwrap().sequence);
    assert_eq!(newer.set.unwrap().reason, "more is known");
    client.stop(stop("fleet", true, 3)).await.unwrap();
    client.stop(stop("label/region=eu", false, 4)).await.unwrap();
    assert_eq!(client.stops(false).await, [("fleet".to_owned(), true)]);
    let all = [("fleet".to_owned(), true), ("label/region=eu".to_owned(), false)];
    assert_eq!(client.stops(true).await, all);
    // What the first request stored is answered still, though it was lifted since.
    let late = client.stop(stop("label/region=eu", true, 1)).await.unwrap();
    assert!(late.stop.unwrap().set.unwrap().active);
    assert_eq!(client.stops(false).await, [("fleet".to_owned(), true)]);
}

#[tokio::test]
async fn an_id_counts_once_across_modes_stops_and_retries() {
    let stand = Stand::new();
    let replica = stand.active().await;
    let client = Client::of(&replica);
    replica.begin("flux-v2.9.4-1").await;
    replica.end("flux-v2.9.4-1", RolloutEnd::Halted).await;
    client.enforce("wave/canary", Mode::Enforce, 1).await.unwrap();
    client.stop(stop("wave/canary", true, 2)).await.unwrap();
    client.retry(retry("flux-v2.9.4-1", 3)).await.unwrap();
    let reused = of(Code::AlreadyExists, "FIELD_INVALID");
    assert_eq!(why(client.stop(stop("wave/canary", true, 1)).await), reused);
    assert_eq!(why(client.stop(stop("wave/canary", false, 2)).await), reused);
    assert_eq!(why(client.stop(stop("wave/main", true, 2)).await), reused);
    assert_eq!(why(client.enforce("wave/canary", Mode::Enforce, 3).await), reused);
    assert_eq!(why(client.enforce("wave/canary", Mode::Observe, 1).await), reused);
    assert_eq!(why(client.retry(retry("flux-v2.9.4-1", 2)).await), reused);
    // Another spelling of an id is the same id.
    let shouted = v1::SetStopRequest {
        request_id: id(2).to_uppercase(),
        ..stop("wave/main", true, 2)
    };
    assert_eq!(why(client.stop(shouted).await), reused);
    // Nothing else was stored by all that.
    let active = [("wave/canary".to_owned(), true)];
    assert_eq!(client.stops(true).await, active);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_anything_is_stored() {
    let stand = Stand::new();
    let replica = stand.active().await;
    let client = Client::of(&replica);
    let before = stand.stored().await;
    let invalid = of(Code::InvalidArgument, "FIELD_INVALID");
    let with = |reason: &str| v1::SetStopRequest {
        reason: reason.to_owned(),
        ..stop("fleet", true, 1)
    };
    for wrong in ["", "  ", "two\nlines", &"x".repeat(301)] {
        assert_eq!(why(client.stop(with(wrong)).await), invalid, "{wrong:?}");
    }
    assert_eq!(why(client.stop(stop("galaxy", true, 1)).await), invalid);
    let no_id = v1::SetStopRequest {
        request_id: "1".to_owned(),
        ..stop("fleet", true, 1)
    };
    assert_eq!(why(client.stop(no_id).await), invalid);
    let unknown = of(Code::NotFound, "RESOURCE_NOT_FOUND");
    for scope in ["wave/nightly", "cluster/c9", "rollout/flux-v2.9.4-1"] {
        assert_eq!(why(client.stop(stop(scope, true, 1)).await), unknown, "{scope}");
    }
    let misfit = of(Code::FailedPrecondition, "PRECONDITION_FAILED");
    assert_eq!(why(client.stop(stop("fleet", false, 1)).await), misfit);
    assert_eq!(why(client.stop(stop("cluster/c9", false, 1)).await), misfit);
    // And what fits is checked, and not stored, where only that was asked for.
    let dry = v1::SetStopRequest {
        validate_only: true,
        ..stop("wave/main", true, 1)
    };
    let would = client.stop(dry).await.unwrap();
    assert_eq!(would.clusters, ["m1", "m2"]);
    assert_eq!(would.stop.unwrap().sequence, 0);
    assert_eq!(stand.stored().await, before);
    client.stop(with(&"x".repeat(300))).await.unwrap();
}

#[tokio::test]
async fn a_version_may_be_recalled_and_a_label_frozen_before_either_is_there() {
    let stand = Stand::new();
    let replica = stand.active().await;
    let client = Client::of(&replica);
    for (scope, request) in [("version/v3.0.0", 1), ("label/zone=b", 2)] {
        let stopped = client.stop(stop(scope, true, request)).await.unwrap();
        assert_eq!((stopped.clusters.len(), stopped.in_work.len()), (0, 0), "{scope}");
    }
}

#[tokio::test]
async fn only_the_last_halted_rollout_to_a_version_is_tried_again_and_once() {
    let stand = Stand::new();
    let replica = stand.active().await;
    let client = Client::of(&replica);
    let unknown = of(Code::NotFound, "RESOURCE_NOT_FOUND");
    let misfit = of(Code::FailedPrecondition, "PRECONDITION_FAILED");
    assert_eq!(why(client.retry(retry("flux-v2.9.4-1", 1)).await), unknown);
    replica.begin("flux-v2.9.4-1").await;
    assert_eq!(why(client.retry(retry("flux-v2.9.4-1", 1)).await), misfit);
    replica.end("flux-v2.9.4-1", RolloutEnd::Halted).await;
    let dry = v1::RetryRolloutRequest {
        validate_only: true,
        ..retry("flux-v2.9.4-1", 1)
    };
    assert_eq!(client.retry(dry).await.unwrap().sequence, 0);
    let wanted = client.retry(retry("flux-v2.9.4-1", 1)).await.unwrap();
    assert_eq!(wanted.next, "rollouts/flux-v2.9.4-2");
    assert!(wanted.sequence > 0);
    let known = replica.controller.known().await.unwrap();
    let restarts = known.world(&replica.controller.strategy).restarts;
    assert_eq!(restarts, ["flux-v2.9.4-1".parse().unwrap()].into());
    assert_eq!(why(client.retry(retry("flux-v2.9.4-1", 2)).await), misfit);
    replica.begin("flux-v2.9.4-2").await;
    replica.end("flux-v2.9.4-2", RolloutEnd::Completed).await;
    assert_eq!(why(client.retry(retry("flux-v2.9.4-1", 2)).await), misfit);
    assert_eq!(why(client.retry(retry("flux-v2.9.4-2", 2)).await), misfit);
    // The request that was taken is answered as before, whatever became of it.
    assert_eq!(client.retry(retry("flux-v2.9.4-1", 1)).await.unwrap(), wanted);
}

#[tokio::test]
async fn a_standby_stores_nothing_and_says_when_to_come_back() {
    let stand = Stand::new();
    let _active = stand.active().await;
    let standby = stand.standby().await;
    let refused = Client::of(&standby).stop(stop("fleet", true, 1)).await;
    let status = refused.clone().unwrap_err();
    let told = &status.get_details_error_info().unwrap().metadata;
    assert_eq!(
        told.get(hub::grpc::STORED).map(String::as_str),
        Some(hub::grpc::NOTHING)
    );
    let delay = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(delay, Some(std::time::Duration::from_secs(10)));
    assert_eq!(why(refused), of(Code::Unavailable, "HUB_UNAVAILABLE"));
    assert_eq!(Client::of(&standby).stops(true).await, []);
}

#[tokio::test]
async fn a_stop_is_not_answered_before_it_is_applied() {
    let stand = Stand::new();
    let replica = stand.idle().await;
    let (client, asking) = (Client::of(&replica), Client::of(&replica));
    let stopping = tokio::spawn(async move { asking.stop(stop("fleet", true, 1)).await });
    // It is stored, and waits for a look that has read it.
    let applied = &replica.controller.applied;
    while applied.0.receiver_count() == 0 && !stopping.is_finished() {
        tokio::task::yield_now().await;
    }
    assert!(!stopping.is_finished(), "{:?}", stopping.await);
    assert_eq!(client.stops(false).await, [("fleet".to_owned(), true)]);
    applied.up_to(stand.stored().await - 1);
    replica.controller.look().await;
    let answered = stopping.await.unwrap().unwrap();
    assert!(answered.stop.unwrap().set.unwrap().active);
}

#[tokio::test]
async fn nothing_is_applied_while_an_agents_assignment_is_not_written() {
    let stand = Stand::new();
    let replica = stand.idle().await;
    let applied = || *replica.controller.applied.0.borrow();
    replica.assign("c1").await;
    replica.assign("m1").await;
    stand.assignments.refuse_writes_of(Some("c1"));
    replica.controller.look().await;
    assert_eq!(applied(), 0);
    // It holds up no other.
    let lies = async |cluster| replica.hub.assignments.get(cluster).await.unwrap().is_some();
    assert!(!lies("c1").await && lies("m1").await);
    stand.assignments.refuse_writes_of(None);
    replica.controller.look().await;
    assert!(lies("c1").await);
    assert_eq!(applied(), stand.stored().await);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_applied_in_time_is_not_taken_for_applied() {
    let applied = Applied::default();
    assert!(!applied.has(7).await);
    applied.up_to(6);
    assert!(!applied.has(7).await);
    applied.up_to(7);
    assert!(applied.has(7).await && applied.has(3).await);
}

#[tokio::test]
async fn a_rollout_says_that_it_is_paused_and_a_watch_hears_of_it() {
    let stand = Stand::new();
    let replica = stand.active().await;
    let client = Client::of(&replica);
    replica.begin("flux-v2.9.4-1").await;
    let request = v1::WatchRolloutsRequest::default();
    let mut watch = client
        .0
        .watch_rollouts(Request::new(request))
        .await
        .unwrap()
        .into_inner();
    let first = watch.next().await.unwrap().unwrap();
    assert_eq!(first.event(), WatchEvent::Snapshot);
    assert_eq!(first.rollout.unwrap().state(), v1::RolloutState::Running);
    assert_eq!(watch.next().await.unwrap().unwrap().event(), WatchEvent::Synced);
    let paused = client.stop(stop("rollout/flux-v2.9.4-1", true, 1)).await.unwrap();
    assert_eq!(paused.stop.unwrap().set.unwrap().kind(), v1::StopKind::Pause);
    assert_eq!(paused.clusters, ["c1", "m1", "m2"]);
    let heard = watch.next().await.unwrap().unwrap();
    assert_eq!(heard.event(), WatchEvent::Changed);
    let rollout = heard.rollout.unwrap();
    assert_eq!(rollout.state(), v1::RolloutState::Paused);
    assert_eq!(rollout.stops.len(), 1);
    // A hold of one of its clusters touches it and does not pause it.
    client
        .stop(stop("rollout/flux-v2.9.4-1", false, 2))
        .await
        .unwrap();
    client.stop(stop("cluster/m2", true, 3)).await.unwrap();
    let rollout = client.rollout("flux-v2.9.4-1").await;
    assert_eq!(rollout.state(), v1::RolloutState::Running);
    assert_eq!(rollout.stops[0].set.as_ref().unwrap().scope, "cluster/m2");
    // One that is over can't be paused.
    replica.end("flux-v2.9.4-1", RolloutEnd::Superseded).await;
    let late = client.stop(stop("rollout/flux-v2.9.4-1", true, 4)).await;
    assert_eq!(why(late), of(Code::FailedPrecondition, "PRECONDITION_FAILED"));
    replica.hub.shutdown.request();
    let ended = loop {
        if let Err(status) = watch.next().await.unwrap() {
            break status;
        }
    };
    assert_eq!(ended.code(), Code::Unavailable);
}
