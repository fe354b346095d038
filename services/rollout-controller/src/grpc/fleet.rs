//! `fluxgate.fleet.v1.FleetService`.

use std::sync::Arc;

use domain::{ClusterMember, ClusterName};
use hub::grpc::{invalid, not_found, unavailable};
use hub::page::page;
use planner::Plan;
use tonic::{Request, Response, Status};
use wire::fleet::v1;
use wire::fleet::v1::fleet_service_server::{FleetService, FleetServiceServer};

use super::of_cluster;
use crate::Controller;
use crate::world::Known;

/// The service for a host.
pub(crate) fn server(controller: Arc<Controller>) -> FleetServiceServer<Api> {
    FleetServiceServer::new(Api(controller))
}

/// The inbound adapter.
#[derive(Debug)]
pub(crate) struct Api(Arc<Controller>);

impl Api {
    async fn known(&self) -> Result<(Known, Plan), Status> {
        let known = self.0.known().await.map_err(|error| *unavailable(&error))?;
        let plan = planner::plan(&known.world(&self.0.strategy));
        Ok((known, plan))
    }

    fn cluster(&self, known: &Known, plan: &Plan, member: &ClusterMember) -> v1::Cluster {
        let name = &member.cluster;
        let wave = self.0.strategy.wave_of(member);
        let facts = known.facts.get(name);
        let course = known.courses.get(name);
        let mode = known.modes.of(wave.map(|wave| wave.name.as_str()), member);
        v1::Cluster {
            name: format!("clusters/{name}"),
            member: Some(v1::ClusterMember::from(member)),
            wave: wave.map(|wave| wave.name.clone()).unwrap_or_default(),
            mode: wire::common::v1::Mode::from(mode).into(),
            facts: facts.map(|(facts, _)| v1::ClusterFacts::from(facts)),
            version: facts
                .and_then(|(_, view)| view.version.as_ref())
                .map(ToString::to_string)
                .unwrap_or_default(),
            baseline: facts
                .and_then(|(_, view)| view.baseline.as_ref())
                .map(ToString::to_string)
                .unwrap_or_default(),
            assignment: course.map(|course| v1::Assignment::from(&course.newest)),
            reports: course
                .iter()
                .flat_map(|c| &c.reports)
                .map(v1::Report::from)
                .collect(),
            health: known.health.get(name).map(v1::HealthReport::from),
            heartbeat: known.heartbeats.get(name).map(v1::Heartbeat::from),
            waits: of_cluster(&plan.waits, name)
                .map(|wait| v1::Wait {
                    reason: wait.reason.code().to_owned(),
                    detail: wait.detail.clone(),
                })
                .collect(),
        }
    }
}

#[tonic::async_trait]
impl FleetService for Api {
    async fn list_clusters(
        &self,
        request: Request<v1::ListClustersRequest>,
    ) -> Result<Response<v1::ListClustersResponse>, Status> {
        let request = request.into_inner();
        let (known, plan) = self.known().await?;
        let mut all: Vec<_> = known
            .members
            .iter()
            .map(|member| self.cluster(&known, &plan, member))
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        let paged = page(
            all,
            request.page_size,
            &request.page_token,
            |cluster: &v1::Cluster| cluster.name.clone(),
        );
        let (clusters, next_page_token) = paged.map_err(|status| *status)?;
        Ok(Response::new(v1::ListClustersResponse {
            clusters,
            next_page_token,
        }))
    }

    async fn get_cluster(
        &self,
        request: Request<v1::GetClusterRequest>,
    ) -> Result<Response<v1::Cluster>, Status> {
        let name = request.into_inner().name;
        let wanted: Option<ClusterName> = name.strip_prefix("clusters/").and_then(|name| name.parse().ok());
        let Some(wanted) = wanted else {
            return Err(*invalid("name", "is not like clusters/prod-eu-7"));
        };
        let (known, plan) = self.known().await?;
        match known.members.iter().find(|member| member.cluster == wanted) {
            Some(member) => Ok(Response::new(self.cluster(&known, &plan, member))),
            None => Err(*not_found(&name)),
        }
    }
}
