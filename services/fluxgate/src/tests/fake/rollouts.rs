//! What the hub says about rollouts, stops and clusters.

use tonic::{Code, Request, Response, Status};
use wire::fleet::v1::{self as fleet, fleet_service_server as fleet_server};
use wire::rollout::v1::{self as rollout, rollout_service_server as rollout_server};

use super::super::data;
use super::{Hub, not_found, page, request_id};

/// Whether one of these is meant, or all.
fn known<'a>(name: &str, mut names: impl Iterator<Item = &'a str>) -> Result<(), Status> {
    if name.is_empty() || names.any(|known| known == name) {
        Ok(())
    } else {
        Err(not_found(name))
    }
}

#[tonic::async_trait]
impl rollout_server::RolloutService for Hub {
    type WatchRolloutsStream = tonic::codegen::BoxStream<rollout::WatchRolloutsResponse>;

    async fn watch_rollouts(
        &self,
        request: Request<rollout::WatchRolloutsRequest>,
    ) -> Result<Response<Self::WatchRolloutsStream>, Status> {
        let request = self.ready(request).await?;
        known(
            &request.name,
            self.rollouts.iter().map(|rollout| rollout.name.as_str()),
        )?;
        self.rollout_watch
            .connect(&request.resume_token)
            .map(Response::new)
    }

    async fn set_stop(
        &self,
        request: Request<rollout::SetStopRequest>,
    ) -> Result<Response<rollout::SetStopResponse>, Status> {
        let request = self.ready(request).await?;
        request_id(&request.request_id);
        assert!(!request.reason.is_empty(), "the server wants a reason");
        let scope: domain::StopScope = request.scope.parse().unwrap();
        let clusters = match scope {
            domain::StopScope::Fleet => vec!["canary-1".to_owned(), "edge-1".to_owned()],
            domain::StopScope::Cluster(name) if name.as_str() == "nowhere" => {
                return Err(not_found("cluster/nowhere"));
            }
            domain::StopScope::Cluster(name) => vec![name.to_string()],
            domain::StopScope::Rollout(_) => vec!["prod-us-1".to_owned()],
            domain::StopScope::Wave(_) | domain::StopScope::Label { .. } | domain::StopScope::Version(_) => {
                Vec::new()
            }
        };
        let stop = data::stop(
            &request.scope,
            request.active,
            &request.reason,
            &request.request_id,
        );
        Ok(Response::new(rollout::SetStopResponse {
            stop: Some(rollout::Stop {
                sequence: if request.validate_only { 0 } else { 501 },
                ..stop
            }),
            in_work: clusters
                .iter()
                .filter(|name| *name == "edge-1")
                .cloned()
                .collect(),
            clusters,
        }))
    }

    async fn list_stops(
        &self,
        request: Request<rollout::ListStopsRequest>,
    ) -> Result<Response<rollout::ListStopsResponse>, Status> {
        let request = self.ready(request).await?;
        let wanted = |stop: &&rollout::Stop| request.show_lifted || stop.set.as_ref().unwrap().active;
        let all: Vec<_> = self.stops.iter().filter(wanted).cloned().collect();
        let (stops, next_page_token) = page(&all, &request.page_token);
        Ok(Response::new(rollout::ListStopsResponse {
            stops,
            next_page_token,
        }))
    }

    async fn retry_rollout(
        &self,
        request: Request<rollout::RetryRolloutRequest>,
    ) -> Result<Response<rollout::RetryRolloutResponse>, Status> {
        let request = self.ready(request).await?;
        request_id(&request.request_id);
        let found = self.rollouts.iter().find(|rollout| rollout.name == request.name);
        let found = found.ok_or_else(|| not_found(&request.name))?;
        let halted = found
            .finished
            .as_ref()
            .is_some_and(|end| end.end() == rollout::RolloutEnd::Halted);
        if !halted {
            let message = format!("{} is not halted", request.name);
            let code = Code::FailedPrecondition;
            return Err(runtime::grpc::status(code, "PRECONDITION_FAILED", message, []));
        }
        Ok(Response::new(rollout::RetryRolloutResponse {
            next: "rollouts/flux-v2.9.2-2".to_owned(),
            sequence: if request.validate_only { 0 } else { 502 },
        }))
    }

    async fn list_rollouts(
        &self,
        request: Request<rollout::ListRolloutsRequest>,
    ) -> Result<Response<rollout::ListRolloutsResponse>, Status> {
        let request = self.ready(request).await?;
        let (rollouts, next_page_token) = page(&self.rollouts, &request.page_token);
        Ok(Response::new(rollout::ListRolloutsResponse {
            rollouts,
            next_page_token,
        }))
    }

    async fn get_rollout(
        &self,
        request: Request<rollout::GetRolloutRequest>,
    ) -> Result<Response<rollout::Rollout>, Status> {
        let name = self.ready(request).await?.name;
        let found = self.rollouts.iter().find(|rollout| rollout.name == name);
        found.cloned().map(Response::new).ok_or_else(|| not_found(&name))
    }

    async fn enforce(
        &self,
        request: Request<rollout::EnforceRequest>,
    ) -> Result<Response<rollout::EnforceResponse>, Status> {
        let request = self.ready(request).await?;
        request_id(&request.request_id);
        match request.scope.as_str() {
            "wave/main" => Ok(Response::new(rollout::EnforceResponse {
                clusters: vec!["prod-eu-7".to_owned(), "prod-us-1".to_owned()],
                capped: vec!["prod-us-1: maxMode is Observe in the fleet's file".to_owned()],
                sequence: if request.validate_only { 0 } else { 412 },
            })),
            "cluster/edge-1" => Ok(Response::new(rollout::EnforceResponse {
                clusters: vec!["edge-1".to_owned()],
                capped: Vec::new(),
                sequence: 413,
            })),
            other => Err(not_found(other)),
        }
    }
}

#[tonic::async_trait]
impl fleet_server::FleetService for Hub {
    type WatchClustersStream = tonic::codegen::BoxStream<fleet::WatchClustersResponse>;

    async fn watch_clusters(
        &self,
        request: Request<fleet::WatchClustersRequest>,
    ) -> Result<Response<Self::WatchClustersStream>, Status> {
        let request = self.ready(request).await?;
        known(
            &request.name,
            self.clusters.iter().map(|cluster| cluster.name.as_str()),
        )?;
        self.cluster_watch
            .connect(&request.resume_token)
            .map(Response::new)
    }

    async fn list_clusters(
        &self,
        request: Request<fleet::ListClustersRequest>,
    ) -> Result<Response<fleet::ListClustersResponse>, Status> {
        let request = self.ready(request).await?;
        if let Some(status) = &self.no_clusters {
            return Err(status.clone());
        }
        let (clusters, next_page_token) = page(&self.clusters, &request.page_token);
        Ok(Response::new(fleet::ListClustersResponse {
            clusters,
            next_page_token,
        }))
    }

    async fn get_cluster(
        &self,
        request: Request<fleet::GetClusterRequest>,
    ) -> Result<Response<fleet::Cluster>, Status> {
        let name = self.ready(request).await?.name;
        let found = self.clusters.iter().find(|cluster| cluster.name == name);
        found.cloned().map(Response::new).ok_or_else(|| not_found(&name))
    }
}
