//! A hub that answers from fixed data, or with one error. Pages are small, so that lists have several.

mod entries;
mod rollouts;
mod verifications;
mod watches;

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};
use wire::audit::v1::{self as audit, audit_service_server as audit_server};
use wire::fleet::v1::{self as fleet, fleet_service_server as fleet_server};
use wire::policy::v1::{self as policy, policy_service_server as policy_server};
use wire::release::v1::{self as release, release_service_server as release_server};
use wire::rollout::v1::{self as rollout, rollout_service_server as rollout_server};
use wire::verification::v1::{self as verification, verification_service_server as verification_server};

use super::data;

pub(super) use watches::{Script, Step};

/// Items of a page, whatever was asked for.
const PAGE: usize = 2;

/// What the hub says.
#[derive(Debug, Clone, Default)]
pub(super) struct Hub {
    pub(super) releases: Vec<release::Release>,
    pub(super) source: release::ReleaseSource,
    pub(super) verifications: Vec<verification::Verification>,
    /// Requests for one more verification that stored something.
    pub(super) answered: verifications::Answered,
    pub(super) decisions: Vec<policy::DecisionView>,
    pub(super) policies: Vec<policy::PolicyText>,
    pub(super) rollouts: Vec<rollout::Rollout>,
    pub(super) clusters: Vec<fleet::Cluster>,
    pub(super) baselines: Vec<verification::BaselineStatus>,
    pub(super) entries: Vec<audit::Entry>,
    pub(super) ledger: audit::LedgerStatus,
    pub(super) stops: Vec<rollout::Stop>,
    /// What a watch of rollouts says, one connection after the other.
    pub(super) rollout_watch: Script<rollout::WatchRolloutsResponse>,
    /// What a watch of clusters says, one connection after the other.
    pub(super) cluster_watch: Script<fleet::WatchClustersResponse>,
    /// Answers every call with this.
    pub(super) error: Option<Status>,
    /// Answers a list of clusters with this.
    pub(super) no_clusters: Option<Status>,
    /// Answers nothing, ever.
    pub(super) silent: bool,
    /// Services that say they do not serve.
    pub(super) down: bool,
}

impl Hub {
    /// The hub with the data of `data`.
    pub(super) fn full() -> Self {
        Self {
            releases: data::releases(),
            source: data::source(),
            verifications: data::verifications(),
            decisions: data::decisions(),
            policies: data::policies(),
            rollouts: data::rollouts(),
            clusters: data::clusters(),
            baselines: data::baselines(),
            entries: data::entries(),
            ledger: data::ledger(),
            stops: data::stops(),
            ..Self::default()
        }
    }

    /// Serves on a port of its own until the test's runtime ends.
    pub(super) async fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (health, health_service) = tonic_health::server::health_reporter();
        let status = if self.down {
            tonic_health::ServingStatus::NotServing
        } else {
            tonic_health::ServingStatus::Serving
        };
        health
            .set_service_status("fluxgate.release.v1.ReleaseService", status)
            .await;
        health
            .set_serving::<verification_server::VerificationServiceServer<Hub>>()
            .await;
        health
            .set_serving::<policy_server::PolicyServiceServer<Hub>>()
            .await;
        health
            .set_serving::<rollout_server::RolloutServiceServer<Hub>>()
            .await;
        health
            .set_serving::<fleet_server::FleetServiceServer<Hub>>()
            .await;
        if !self.down {
            health
                .set_serving::<audit_server::AuditServiceServer<Hub>>()
                .await;
        }
        let server = tonic::transport::Server::builder()
            .add_service(health_service)
            .add_service(release_server::ReleaseServiceServer::new(self.clone()))
            .add_service(verification_server::VerificationServiceServer::new(self.clone()))
            .add_service(policy_server::PolicyServiceServer::new(self.clone()))
            .add_service(rollout_server::RolloutServiceServer::new(self.clone()))
            .add_service(fleet_server::FleetServiceServer::new(self.clone()))
            .add_service(audit_server::AuditServiceServer::new(self));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        format!("http://{address}")
    }

    async fn ready<T>(&self, request: Request<T>) -> Result<T, Status> {
        assert!(
            request.metadata().contains_key("grpc-timeout"),
            "each call has a deadline"
        );
        if self.silent {
            std::future::pending::<()>().await;
        }
        match &self.error {
            Some(status) => Err(status.clone()),
            None => Ok(request.into_inner()),
        }
    }
}

/// A NOT_FOUND as the services make it.
fn not_found(name: &str) -> Status {
    let message = format!("there is no {name}");
    runtime::grpc::status(
        Code::NotFound,
        "RESOURCE_NOT_FOUND",
        message,
        [("resource", name.to_owned())],
    )
}

fn page<T: Clone>(items: &[T], token: &str) -> (Vec<T>, String) {
    let from: usize = if token.is_empty() {
        0
    } else {
        token.parse().unwrap()
    };
    let until = (from + PAGE).min(items.len());
    let next = if until < items.len() {
        until.to_string()
    } else {
        String::new()
    };
    (items[from..until].to_vec(), next)
}

fn release_matches(name: &str, key: &str) -> bool {
    let bare = name.strip_prefix("releases/").unwrap_or(name);
    bare == key || key.split_once('@').is_some_and(|(version, _)| bare == version)
}

fn request_id(id: &str) {
    assert!(
        uuid::Uuid::parse_str(id).is_ok_and(|id| id.get_version_num() == 4),
        "{id}"
    );
}

#[tonic::async_trait]
impl release_server::ReleaseService for Hub {
    async fn list_releases(
        &self,
        request: Request<release::ListReleasesRequest>,
    ) -> Result<Response<release::ListReleasesResponse>, Status> {
        let request = self.ready(request).await?;
        let (releases, next_page_token) = page(&self.releases, &request.page_token);
        Ok(Response::new(release::ListReleasesResponse {
            releases,
            next_page_token,
        }))
    }

    async fn get_release(
        &self,
        request: Request<release::GetReleaseRequest>,
    ) -> Result<Response<release::Release>, Status> {
        let name = self.ready(request).await?.name;
        let found = self
            .releases
            .iter()
            .find(|release| release_matches(&name, &release.release));
        found.cloned().map(Response::new).ok_or_else(|| not_found(&name))
    }

    async fn get_release_source(
        &self,
        request: Request<release::GetReleaseSourceRequest>,
    ) -> Result<Response<release::ReleaseSource>, Status> {
        self.ready(request).await?;
        Ok(Response::new(self.source.clone()))
    }

    async fn reconcile_releases(
        &self,
        request: Request<release::ReconcileReleasesRequest>,
    ) -> Result<Response<release::ReconcileReleasesResponse>, Status> {
        let request = self.ready(request).await?;
        request_id(&request.request_id);
        let releases: Vec<String> = self
            .releases
            .iter()
            .map(|release| release.release.clone())
            .collect();
        let announced = if request.validate_only {
            Vec::new()
        } else {
            releases[..1].to_vec()
        };
        Ok(Response::new(release::ReconcileReleasesResponse {
            releases,
            announced,
        }))
    }
}

#[tonic::async_trait]
impl policy_server::PolicyService for Hub {
    async fn list_decisions(
        &self,
        request: Request<policy::ListDecisionsRequest>,
    ) -> Result<Response<policy::ListDecisionsResponse>, Status> {
        let request = self.ready(request).await?;
        let wanted = |view: &&policy::DecisionView| {
            let key = &view.decision.as_ref().unwrap().release;
            request.release.is_empty() || release_matches(&request.release, key)
        };
        let all: Vec<_> = self.decisions.iter().filter(wanted).cloned().collect();
        let (decisions, next_page_token) = page(&all, &request.page_token);
        Ok(Response::new(policy::ListDecisionsResponse {
            decisions,
            next_page_token,
        }))
    }

    async fn get_decision(
        &self,
        request: Request<policy::GetDecisionRequest>,
    ) -> Result<Response<policy::DecisionView>, Status> {
        let name = self.ready(request).await?.name;
        let found = self.decisions.iter().find(|view| view.name == name);
        found.cloned().map(Response::new).ok_or_else(|| not_found(&name))
    }

    async fn get_decision_inputs(
        &self,
        request: Request<policy::GetDecisionInputsRequest>,
    ) -> Result<Response<policy::DecisionInputs>, Status> {
        let name = self.ready(request).await?.name;
        super::policy::inputs_of(&name)
            .map(Response::new)
            .ok_or_else(|| not_found(&name))
    }

    async fn list_policies(
        &self,
        request: Request<policy::ListPoliciesRequest>,
    ) -> Result<Response<policy::ListPoliciesResponse>, Status> {
        let request = self.ready(request).await?;
        let (policies, next_page_token) = page(&self.policies, &request.page_token);
        Ok(Response::new(policy::ListPoliciesResponse {
            policies,
            next_page_token,
        }))
    }
}

#[tonic::async_trait]
impl audit_server::AuditService for Hub {
    async fn list_entries(
        &self,
        request: Request<audit::ListEntriesRequest>,
    ) -> Result<Response<audit::ListEntriesResponse>, Status> {
        let request = self.ready(request).await?;
        let all = entries::wanted(&self.entries, &request);
        let (entries, next_page_token) = page(&all, &request.page_token);
        Ok(Response::new(audit::ListEntriesResponse {
            entries,
            next_page_token,
        }))
    }

    async fn get_entry(
        &self,
        request: Request<audit::GetEntryRequest>,
    ) -> Result<Response<audit::EntryProof>, Status> {
        self.ready(request).await?;
        Err(not_found("entries/0"))
    }

    type ExportEntriesStream = futures::stream::Empty<Result<audit::ExportEntriesResponse, Status>>;

    async fn export_entries(
        &self,
        request: Request<audit::ExportEntriesRequest>,
    ) -> Result<Response<Self::ExportEntriesStream>, Status> {
        self.ready(request).await?;
        Err(Status::unimplemented("the fake has no ledger to export"))
    }

    async fn get_ledger_status(
        &self,
        request: Request<audit::GetLedgerStatusRequest>,
    ) -> Result<Response<audit::LedgerStatus>, Status> {
        self.ready(request).await?;
        Ok(Response::new(self.ledger.clone()))
    }
}
