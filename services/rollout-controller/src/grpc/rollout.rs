//! `fluxgate.rollout.v1.RolloutService`.

use std::sync::Arc;

use domain::trace::TraceId;
use domain::{ClusterMember, Mode, Reason};
use hub::grpc::{invalid, not_found, unavailable};
use hub::page::page;
use jiff::Timestamp;
use planner::Plan;
use planner::reducer::{RolloutView, Scope, Wait};
use runtime::errors::chain;
use tonic::{Code, Request, Response, Status};
use wire::rollout::v1;
use wire::rollout::v1::rollout_service_server::{RolloutService, RolloutServiceServer};

use super::scope_name;
use crate::Controller;
use crate::modes::{self, SetModeError};

/// Who acts while there are no identities: every port is loopback only.
const LOCAL: &str = "local operator (loopback)";

/// Why a standby stores nothing.
#[derive(Debug, thiserror::Error)]
#[error(
    "another replica of rollout-controller is the active one, or is about to be: ask that one, or again in a few \
     seconds"
)]
struct Standby;

/// The service for a host.
pub(crate) fn server(controller: Arc<Controller>) -> RolloutServiceServer<Api> {
    RolloutServiceServer::new(Api(controller))
}

/// The inbound adapter.
#[derive(Debug)]
pub(crate) struct Api(Arc<Controller>);

fn wait(wait: &Wait) -> v1::RolloutWait {
    v1::RolloutWait {
        scope: scope_name(&wait.scope),
        reason: wait.reason.code().to_owned(),
        detail: wait.detail.clone(),
        until_time: wire::time::optional_timestamp(wait.until),
    }
}

fn wave(view: &RolloutView, name: &str, waits: &[Wait]) -> v1::Wave {
    let state = if view.baked.contains_key(name) {
        v1::WaveState::Baked
    } else if view.opened.contains_key(name) {
        v1::WaveState::Open
    } else {
        v1::WaveState::Pending
    };
    let own = |w: &&Wait| matches!(&w.scope, Scope::Wave(wave) if wave == name);
    v1::Wave {
        wave: name.to_owned(),
        state: state.into(),
        waits: waits.iter().filter(own).map(wait).collect(),
    }
}

fn resource(time: Timestamp, view: &RolloutView, plan: &Plan) -> v1::Rollout {
    let key = &view.started.rollout;
    // What a plan waits for belongs to the rollout that goes on.
    let waits: &[Wait] = if view.finished.is_none() { &plan.waits } else { &[] };
    v1::Rollout {
        name: format!("rollouts/{key}"),
        started: Some(v1::RolloutStarted::from(&view.started)),
        start_time: Some(wire::time::timestamp(time)),
        waves: view
            .started
            .waves
            .iter()
            .map(|snapshot| wave(view, &snapshot.name, waits))
            .collect(),
        finished: view.finished.as_ref().map(v1::RolloutFinished::from),
        waits: waits
            .iter()
            .filter(|w| matches!(w.scope, Scope::Rollout | Scope::Cluster(_)))
            .map(wait)
            .collect(),
        trace_id: TraceId::of_rollout(key).to_string(),
    }
}

impl Api {
    async fn all(&self) -> Result<Vec<v1::Rollout>, Status> {
        let known = self.0.known().await.map_err(|error| *unavailable(&error))?;
        let plan = planner::plan(&known.world(&self.0.strategy));
        Ok(known
            .rollouts
            .iter()
            .rev()
            .map(|(time, view)| resource(*time, view, &plan))
            .collect())
    }

    /// The members that a scope speaks of now.
    async fn in_scope(&self, scope: &wire::Scope) -> Result<Vec<ClusterMember>, Status> {
        let members = self.0.members().await.map_err(|error| *unavailable(&error))?;
        let strategy = &self.0.strategy;
        match scope {
            wire::Scope::Wave(wave) => {
                if !strategy.waves.iter().any(|known| known.name == *wave) {
                    return Err(*not_found(&format!(
                        "wave/{wave} in strategy {}",
                        strategy.id.name
                    )));
                }
                let own = |m: &ClusterMember| strategy.wave_of(m).is_some_and(|w| w.name == *wave);
                Ok(members.into_iter().filter(own).collect())
            }
            wire::Scope::Cluster(cluster) => {
                let found: Vec<_> = members.into_iter().filter(|m| m.cluster == *cluster).collect();
                if found.is_empty() {
                    Err(*not_found(&format!("cluster/{cluster}")))
                } else {
                    Ok(found)
                }
            }
        }
    }

    async fn store(&self, scope: &wire::Scope, mode: Mode, request_id: uuid::Uuid) -> Result<u64, Status> {
        let setting = wire::ModeSetting {
            scope: scope.clone(),
            mode,
            principal: LOCAL.to_owned(),
            request_id: request_id.to_string(),
        };
        let stored = self.0.set_mode(&setting).await;
        stored.map_err(|error| match error {
            SetModeError::Reused { .. } => runtime::grpc::status(
                Code::AlreadyExists,
                Reason::FieldInvalid.code(),
                chain(&error),
                [("field", "request_id".to_owned())],
            ),
            SetModeError::Log(_)
            | SetModeError::View(_)
            | SetModeError::Behind
            | SetModeError::Journal(..)
            | SetModeError::Moving(_) => *unavailable(&error),
        })
    }

    /// What holds for the members of a scope after a mode was set for it, where that is something else.
    async fn differing(
        &self,
        members: &[ClusterMember],
        (scope, mode): (&wire::Scope, Mode),
        validate_only: bool,
    ) -> Result<Vec<String>, Status> {
        let mut modes = self.0.modes().await.map_err(|error| *unavailable(&error))?;
        if validate_only {
            modes = modes::with(modes, scope, mode);
        }
        let why = |member: &ClusterMember| {
            let wave = self.0.strategy.wave_of(member).map(|wave| wave.name.as_str());
            modes::differs(member, wave, (scope, mode), &modes)
        };
        Ok(members.iter().filter_map(why).collect())
    }
}

#[tonic::async_trait]
impl RolloutService for Api {
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
        if !name.starts_with("rollouts/") {
            return Err(*invalid("name", "is not like rollouts/flux-v2.9.4-1"));
        }
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
        let Ok(request_id) = request.request_id.parse::<uuid::Uuid>() else {
            return Err(*invalid("request_id", "is not a UUID"));
        };
        if !self.0.lease.is_held() {
            return Err(*unavailable(&Standby));
        }
        let members = self.in_scope(&scope).await?;
        let sequence = if request.validate_only {
            0
        } else {
            self.store(&scope, mode, request_id).await?
        };
        Ok(Response::new(v1::EnforceResponse {
            clusters: members.iter().map(|member| member.cluster.to_string()).collect(),
            capped: self
                .differing(&members, (&scope, mode), request.validate_only)
                .await?,
            sequence,
        }))
    }
}
