use futures::StreamExt as _;
use tonic::{Code, Request};
use wire::common::v1::WatchEvent;
use wire::fleet::v1;
use wire::fleet::v1::fleet_service_server::FleetService as _;
use wire::rollout::v1 as rollout;
use wire::rollout::v1::rollout_service_server::RolloutService as _;

use crate::fixture::{Replica, Stand};
use crate::grpc::fleet::Api;

type Clusters = super::Watch<v1::WatchClustersResponse>;

async fn watch(replica: &Replica, resume_token: &str) -> Clusters {
    let request = v1::WatchClustersRequest {
        resume_token: resume_token.to_owned(),
        name: String::new(),
    };
    let api = Api::of(&replica.controller);
    api.watch_clusters(Request::new(request))
        .await
        .unwrap()
        .into_inner()
}

/// The next message: what it is, the cluster, and where to go on.
async fn next(watch: &mut Clusters) -> (WatchEvent, Option<v1::Cluster>, String) {
    let message = watch.next().await.unwrap().unwrap();
    (message.event(), message.cluster, message.resume_token)
}

async fn synced(watch: &mut Clusters) -> (Vec<String>, String) {
    let mut names = Vec::new();
    loop {
        match next(watch).await {
            (WatchEvent::Snapshot, Some(cluster), _) => names.push(cluster.name),
            (WatchEvent::Synced, None, token) => return (names, token),
            other => panic!("{other:?}"),
        }
    }
}

async fn freeze(replica: &Replica, scope: &str) {
    let request = rollout::SetStopRequest {
        scope: scope.to_owned(),
        active: true,
        reason: "an incident".to_owned(),
        request_id: uuid::Uuid::new_v4().to_string(),
        validate_only: false,
    };
    let api = super::rollout::Api::of(&replica.controller);
    api.set_stop(Request::new(request)).await.unwrap();
}

#[tokio::test]
async fn a_watch_of_clusters_hears_of_stops_and_goes_on_from_a_token() {
    let stand = Stand::new();
    let replica = stand.active().await;
    let mut first = watch(&replica, "").await;
    let (names, token) = synced(&mut first).await;
    assert_eq!(names, ["clusters/c1", "clusters/m1", "clusters/m2"]);
    freeze(&replica, "wave/canary").await;
    let (event, cluster, _) = next(&mut first).await;
    let cluster = cluster.unwrap();
    assert_eq!(
        (event, cluster.name.as_str()),
        (WatchEvent::Changed, "clusters/c1")
    );
    assert_eq!(cluster.stops, ["freeze wave/canary: an incident"]);
    // A client that comes back hears of what it missed, and of nothing else.
    drop(first);
    let mut second = watch(&replica, &token).await;
    assert_eq!(next(&mut second).await.1, Some(cluster));
    let (event, _, token) = next(&mut second).await;
    assert_eq!(event, WatchEvent::Bookmark);
    // Another replica goes on from the same token: it tells all that it knows.
    let standby = stand.standby().await;
    let mut third = watch(&standby, &token).await;
    for _ in 0..3 {
        assert_eq!(next(&mut third).await.0, WatchEvent::Changed);
    }
    assert_eq!(next(&mut third).await.0, WatchEvent::Bookmark);
}

#[tokio::test]
async fn a_cluster_that_leaves_the_fleet_is_told_to_those_who_watch() {
    let stand = Stand::new();
    let replica = stand.active().await;
    let mut watching = watch(&replica, "").await;
    let (_, token) = synced(&mut watching).await;
    stand.remove("m2");
    let (event, cluster, _) = next(&mut watching).await;
    let cluster = cluster.unwrap();
    assert_eq!(
        (event, cluster.name.as_str()),
        (WatchEvent::Changed, "clusters/m2")
    );
    assert!(cluster.member.clone().unwrap().removed);
    // Whoever comes back later hears of it too, from any replica; who is new does not.
    assert_eq!(
        next(&mut watch(&replica, &token).await).await.1,
        Some(cluster.clone())
    );
    let standby = stand.standby().await;
    let mut told = Vec::new();
    let mut resumed = watch(&standby, &token).await;
    while let (WatchEvent::Changed, Some(cluster), _) = next(&mut resumed).await {
        told.push(cluster);
    }
    assert!(told.contains(&cluster), "{told:?}");
    let (names, _) = synced(&mut watch(&standby, "").await).await;
    assert_eq!(names, ["clusters/c1", "clusters/m1"]);
}

#[tokio::test]
async fn what_can_not_be_watched_is_refused() {
    let stand = Stand::new();
    let replica = stand.active().await;
    let api = Api::of(&replica.controller);
    let rollouts = super::rollout::Api::of(&replica.controller);
    let opened = |resume_token: &str, name: &str| {
        let request = v1::WatchClustersRequest {
            resume_token: resume_token.to_owned(),
            name: name.to_owned(),
        };
        api.watch_clusters(Request::new(request))
    };
    let code = |opened: Result<_, tonic::Status>| opened.err().map(|status: tonic::Status| status.code());
    assert_eq!(code(opened("", "c1").await), Some(Code::InvalidArgument));
    assert_eq!(code(opened("", "clusters/c9").await), Some(Code::NotFound));
    assert_eq!(code(opened("", "clusters/c1").await), None);
    assert_eq!(code(opened("bm9uc2Vuc2U", "").await), Some(Code::OutOfRange));
    // A token of a watch of rollouts is none of clusters.
    let request = rollout::WatchRolloutsRequest::default();
    let mut watch = rollouts
        .watch_rollouts(Request::new(request))
        .await
        .unwrap()
        .into_inner();
    let token = watch.next().await.unwrap().unwrap().resume_token;
    assert_eq!(code(opened(&token, "").await), Some(Code::OutOfRange));
}
