//! `fluxgate.fleet.v1.FleetService`.

use std::sync::Arc;

use domain::ClusterName;
use hub::grpc::{invalid, not_found, unavailable};
use hub::page::page;
use hub::watch::{Message, Wish};
use planner::Gates;
use tonic::{Request, Response, Status};
use wire::fleet::v1;
use wire::fleet::v1::fleet_service_server::{FleetService, FleetServiceServer};

use super::resources::Scene;
use crate::Controller;

/// The service for a host.
pub(crate) fn server(controller: Arc<Controller>) -> FleetServiceServer<Api> {
    FleetServiceServer::new(Api(controller))
}

/// The inbound adapter.
#[derive(Debug)]
pub(crate) struct Api(Arc<Controller>);

/// The cluster of a resource name.
fn cluster(name: &str) -> Result<ClusterName, Status> {
    let wanted = name.strip_prefix("clusters/").and_then(|name| name.parse().ok());
    wanted.ok_or_else(|| *invalid("name", "is not like clusters/prod-eu-7"))
}

impl Api {
    #[cfg(test)]
    pub(crate) fn of(controller: &Arc<Controller>) -> Self {
        Self(Arc::clone(controller))
    }

    /// What `look` makes of the fleet as it is now.
    async fn drawn<T>(&self, look: impl FnOnce(&Scene<'_>, &Gates<'_>) -> T) -> Result<T, Status> {
        let known = self.0.known().await.map_err(|error| *unavailable(&error))?;
        let world = known.world(&self.0.strategy);
        let (gates, plan) = (Gates::new(&world), planner::plan(&world));
        let scene = Scene {
            known: &known,
            strategy: &self.0.strategy,
            plan: &plan,
        };
        Ok(look(&scene, &gates))
    }
}

fn message(message: Message<v1::Cluster>) -> v1::WatchClustersResponse {
    v1::WatchClustersResponse {
        event: message.event.into(),
        cluster: message.resource,
        resume_token: message.token,
    }
}

#[tonic::async_trait]
impl FleetService for Api {
    type WatchClustersStream = super::Watch<v1::WatchClustersResponse>;

    async fn watch_clusters(
        &self,
        request: Request<v1::WatchClustersRequest>,
    ) -> Result<Response<Self::WatchClustersStream>, Status> {
        let request = request.into_inner();
        if !request.name.is_empty() {
            cluster(&request.name)?;
        }
        let wish = Wish {
            token: &request.resume_token,
            name: &request.name,
        };
        super::watch(&self.0, &self.0.boards.clusters, wish, message).await
    }

    async fn list_clusters(
        &self,
        request: Request<v1::ListClustersRequest>,
    ) -> Result<Response<v1::ListClustersResponse>, Status> {
        let request = request.into_inner();
        let all = self.drawn(|scene, gates| scene.clusters(gates)).await?;
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
        let wanted = cluster(&name)?;
        let found = self
            .drawn(|scene, gates| {
                let members = &scene.known.members;
                let member = members.iter().find(|member| member.cluster == wanted);
                member.map(|member| scene.cluster(gates, member))
            })
            .await?;
        found.map(Response::new).ok_or_else(|| *not_found(&name))
    }
}
