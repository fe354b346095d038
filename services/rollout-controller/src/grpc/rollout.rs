//! `fluxgate.rollout.v1.RolloutService`.

use std::sync::Arc;

use domain::rollout::RolloutRetried;
use domain::{Mode, RolloutKey, StopScope, StopSetting};
use hub::grpc::{invalid, not_found, not_stored, unavailable};
use hub::page::page;
use hub::watch::{Message, Wish};
use tonic::{Request, Response, Status};
use wire::rollout::v1;
use wire::rollout::v1::rollout_service_server::{RolloutService, RolloutServiceServer};

use super::resources::Scene;
use super::{LOCAL, active, reason, refused, request_id, resources};
use crate::Controller;
use crate::said::{Said, Word};
use crate::world::Known;

mod modes;

/// The service for a host.
pub(crate) fn server(controller: Arc<Controller>) -> RolloutServiceServer<Api> {
    RolloutServiceServer::new(Api(controller))
}

/// The inbound adapter.
#[derive(Debug)]
pub(crate) struct Api(Arc<Controller>);

/// The rollout of a resource name.
fn rollout(name: &str) -> Result<RolloutKey, Status> {
    let wanted = name.strip_prefix("rollouts/").and_then(|key| key.parse().ok());
    wanted.ok_or_else(|| *invalid("name", "is not like rollouts/flux-v2.9.4-1"))
}

fn message(message: Message<v1::Rollout>) -> v1::WatchRolloutsResponse {
    v1::WatchRolloutsResponse {
        event: message.event.into(),
        rollout: message.resource,
        resume_token: message.token,
    }
}

impl Api {
    #[cfg(test)]
    pub(crate) fn of(controller: &Arc<Controller>) -> Self {
        Self(Arc::clone(controller))
    }

    async fn known(&self) -> Result<Known, Status> {
        self.0.known().await.map_err(|error| *unavailable(&error))
    }

    async fn all(&self) -> Result<Vec<v1::Rollout>, Status> {
        let known = self.known().await?;
        let plan = planner::plan(&known.world(&self.0.strategy));
        let scene = Scene {
            known: &known,
            strategy: &self.0.strategy,
            plan: &plan,
        };
        Ok(scene.rollouts())
    }

    /// Refuses the scope of a stop that nothing goes by, where it is to be set. One that is in force can be lifted
    /// whatever became of its scope.
    async fn exists(&self, scope: &StopScope) -> Result<(), Status> {
        let known = self.0.known().await.map_err(|error| *not_stored(&error, false))?;
        if known.exists(&self.0.strategy, scope) {
            return Ok(());
        }
        Err(*not_found(&match scope {
            StopScope::Wave(_) => format!("{scope} in strategy {}", self.0.strategy.id.name),
            StopScope::Rollout(key) => format!("rollouts/{key}"),
            StopScope::Fleet | StopScope::Label { .. } | StopScope::Cluster(_) | StopScope::Version(_) => {
                scope.to_string()
            }
        }))
    }
}

#[tonic::async_trait]
impl RolloutService for Api {
    type WatchRolloutsStream = super::Watch<v1::WatchRolloutsResponse>;

    async fn watch_rollouts(
        &self,
        request: Request<v1::WatchRolloutsRequest>,
    ) -> Result<Response<Self::WatchRolloutsStream>, Status> {
        let request = request.into_inner();
        if !request.name.is_empty() {
            rollout(&request.name)?;
        }
        let wish = Wish {
            token: &request.resume_token,
            name: &request.name,
        };
        super::watch(&self.0, &self.0.boards.rollouts, wish, message).await
    }

    async fn set_stop(
        &self,
        request: Request<v1::SetStopRequest>,
    ) -> Result<Response<v1::SetStopResponse>, Status> {
        let request = request.into_inner();
        let Ok(scope) = request.scope.parse::<StopScope>() else {
            let forms = "is none of fleet, wave/NAME, label/KEY=VALUE, cluster/NAME, rollout/flux-vX.Y.Z-N and \
                         version/vX.Y.Z";
            return Err(*invalid("scope", forms));
        };
        let setting = StopSetting {
            scope,
            active: request.active,
            reason: reason(&request.reason)?,
            principal: LOCAL.to_owned(),
            request_id: request_id(&request.request_id)?,
        };
        active(&self.0)?;
        if setting.active {
            self.exists(&setting.scope).await?;
        }
        let said = self
            .0
            .say(&Word::Stop(setting.clone()), request.validate_only)
            .await;
        let said = said.map_err(|error| refused(&error))?;
        let would = || v1::Stop {
            set: Some(v1::StopSet::from(&setting)),
            set_time: Some(wire::time::timestamp(self.0.hub.clock.now())),
            sequence: 0,
        };
        let known = self.known().await?;
        let members = known.in_scope(&self.0.strategy, &setting.scope);
        Ok(Response::new(v1::SetStopResponse {
            stop: Some(said.as_ref().and_then(resources::stop).unwrap_or_else(would)),
            clusters: members.iter().map(|member| member.cluster.to_string()).collect(),
            in_work: known.in_work(&members),
        }))
    }

    async fn list_stops(
        &self,
        request: Request<v1::ListStopsRequest>,
    ) -> Result<Response<v1::ListStopsResponse>, Status> {
        let request = request.into_inner();
        let all = self.0.stops().await.map_err(|error| *unavailable(&error))?;
        let shown = |said: &&Said| request.show_lifted || said.stop().is_some_and(|stop| stop.active);
        let shown: Vec<v1::Stop> = all.iter().filter(shown).filter_map(resources::stop).collect();
        let scope = |stop: &v1::Stop| stop.set.as_ref().map(|set| set.scope.clone()).unwrap_or_default();
        let paged = page(shown, request.page_size, &request.page_token, scope);
        let (stops, next_page_token) = paged.map_err(|status| *status)?;
        Ok(Response::new(v1::ListStopsResponse {
            stops,
            next_page_token,
        }))
    }

    async fn retry_rollout(
        &self,
        request: Request<v1::RetryRolloutRequest>,
    ) -> Result<Response<v1::RetryRolloutResponse>, Status> {
        let request = request.into_inner();
        let retried = RolloutRetried {
            rollout: rollout(&request.name)?,
            reason: reason(&request.reason)?,
            principal: LOCAL.to_owned(),
            request_id: request_id(&request.request_id)?,
        };
        let next = RolloutKey {
            version: retried.rollout.version.clone(),
            ordinal: retried.rollout.ordinal.saturating_add(1),
        };
        active(&self.0)?;
        let said = self.0.say(&Word::Retry(retried), request.validate_only).await;
        let said = said.map_err(|error| refused(&error))?;
        Ok(Response::new(v1::RetryRolloutResponse {
            next: format!("rollouts/{next}"),
            sequence: said.map_or(0, |said| said.sequence),
        }))
    }

    async fn list_rollouts(
        &self,
        request: Request<v1::ListRolloutsRequest>,
    ) -> Result<Response<v1::ListRolloutsResponse>, Status> {
        let request = request.into_inner();
        let paged = page(
            self.all().await?,
            request.page_size,
            &request.page_token,
            |rollout: &v1::Rollout| rollout.name.clone(),
        );
        let (rollouts, next_page_token) = paged.map_err(|status| *status)?;
        Ok(Response::new(v1::ListRolloutsResponse {
            rollouts,
            next_page_token,
        }))
    }

    async fn get_rollout(
        &self,
        request: Request<v1::GetRolloutRequest>,
    ) -> Result<Response<v1::Rollout>, Status> {
        let name = request.into_inner().name;
        rollout(&name)?;
        match self.all().await?.into_iter().find(|rollout| rollout.name == name) {
            Some(rollout) => Ok(Response::new(rollout)),
            None => Err(*not_found(&name)),
        }
    }

    async fn enforce(
        &self,
        request: Request<v1::EnforceRequest>,
    ) -> Result<Response<v1::EnforceResponse>, Status> {
        let request = request.into_inner();
        let Ok(scope) = request.scope.parse::<wire::Scope>() else {
            return Err(*invalid("scope", "is not like wave/canary or cluster/prod-eu-7"));
        };
        let mode = wire::common::v1::Mode::try_from(request.mode)
            .ok()
            .and_then(|mode| Mode::try_from(mode).ok());
        let Some(mode) = mode else {
            return Err(*invalid("mode", "is neither Observe nor Enforce"));
        };
        let setting = wire::ModeSetting {
            scope: scope.clone(),
            mode,
            principal: LOCAL.to_owned(),
            request_id: request_id(&request.request_id)?,
        };
        active(&self.0)?;
        let members = self.in_scope(&scope).await?;
        let said = self.0.say(&Word::Mode(setting), request.validate_only).await;
        let said = said.map_err(|error| refused(&error))?;
        Ok(Response::new(v1::EnforceResponse {
            clusters: members.iter().map(|member| member.cluster.to_string()).collect(),
            capped: self
                .differing(&members, (&scope, mode), request.validate_only)
                .await?,
            sequence: said.map_or(0, |said| said.sequence),
        }))
    }
}
