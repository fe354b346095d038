//! `fluxgate.verification.v1.VerificationService`.

use std::sync::Arc;

use bus::subject;
use domain::{Evidence, Reason, ReleaseKey, RoleSummary};
use hub::grpc::{invalid, not_found, precondition, unavailable};
use hub::names::ReleaseName;
use runtime::errors::chain;
use tonic::{Code, Request, Response, Status};
use wire::verification::v1;
use wire::verification::v1::verification_service_server::{VerificationService, VerificationServiceServer};

use crate::Verifier;
use crate::baseline::Standing;
use crate::release::ReleaseError;
use crate::reverify::{Found, Reverified, ReverifyError};

/// The service for a host.
pub(crate) fn server(verifier: Arc<Verifier>) -> VerificationServiceServer<Api> {
    VerificationServiceServer::new(Api(verifier))
}

/// The inbound adapter.
#[derive(Debug)]
pub(crate) struct Api(Arc<Verifier>);

#[tonic::async_trait]
impl VerificationService for Api {
    async fn get_verification(
        &self,
        request: Request<v1::GetVerificationRequest>,
    ) -> Result<Response<v1::Verification>, Status> {
        let found = self.found(&request.into_inner().release).await?;
        let verification = self.0.verification(&found.release).await;
        verification
            .map(Response::new)
            .map_err(|error| *unavailable(&error))
    }

    async fn reverify_release(
        &self,
        request: Request<v1::ReverifyReleaseRequest>,
    ) -> Result<Response<v1::ReverifyReleaseResponse>, Status> {
        let v1::ReverifyReleaseRequest {
            release,
            request_id,
            validate_only,
        } = request.into_inner();
        let Ok(request) = request_id.parse::<uuid::Uuid>() else {
            return Err(*invalid("request_id", "is not a UUID"));
        };
        let found = self.found(&release).await?;
        let mut response = v1::ReverifyReleaseResponse {
            release: found.release.to_string(),
            grace_end_time: Some(wire::time::timestamp(self.0.grace_end(found.time))),
            ..v1::ReverifyReleaseResponse::default()
        };
        if validate_only {
            let attempt = self.0.next_attempt(&found.release).await;
            response.attempt = attempt.map_err(|error| *unavailable(&error))?;
            let rested = self.0.rested(&found.release, self.0.clock.now()).await;
            rested.map_err(|error| refused(&error))?;
            return Ok(Response::new(response));
        }
        let reverified = self
            .0
            .reverify(&found, &request.to_string(), self.0.clock.now())
            .await;
        match reverified.map_err(|error| refused(&error))? {
            Reverified::Early(attempt) => {
                response.attempt = attempt;
                let missing = self.0.waiting.of(&found.release);
                response.wait_detail = missing.map(|missing| missing.what).unwrap_or_default();
            }
            Reverified::Stored(summary) => {
                response.attempt = summary.subject.n();
                response.sequence = summary.sequence;
                response.summary = summary.claim::<v1::RoleSummary>().ok();
            }
        }
        Ok(Response::new(response))
    }

    async fn get_baseline_status(
        &self,
        request: Request<v1::GetBaselineStatusRequest>,
    ) -> Result<Response<v1::BaselineStatus>, Status> {
        let name = request.into_inner().name;
        let cluster = name.strip_prefix("clusters/").and_then(|name| name.parse().ok());
        let Some(cluster) = cluster else {
            return Err(*invalid("name", "is not like clusters/prod-eu"));
        };
        let standing = self.0.standing(&cluster).await;
        let mut status = v1::BaselineStatus {
            name,
            ..v1::BaselineStatus::default()
        };
        match standing.map_err(|error| *unavailable(&error))? {
            Some(Standing::Baseline(baseline)) => status.baseline = baseline.key().to_string(),
            Some(Standing::Obstacle(obstacle, met)) => {
                obstacle.reason.code().clone_into(&mut status.reason);
                status.detail = obstacle.detail;
                status.check_time = Some(wire::time::timestamp(met));
            }
            None => {}
        }
        Ok(Response::new(status))
    }
}

impl Api {
    async fn found(&self, name: &str) -> Result<Found, Status> {
        let Some(wanted) = ReleaseName::parse(name) else {
            return Err(*invalid("release", "is not like releases/flux/v2.9.4"));
        };
        match self.0.found(&wanted).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(*not_found(name)),
            Err(error) => Err(*unavailable(&error)),
        }
    }
}

fn refused(error: &ReverifyError) -> Status {
    match error {
        ReverifyError::Reused { .. } => runtime::grpc::status(
            Code::AlreadyExists,
            Reason::FieldInvalid.code(),
            chain(error),
            [("field", "request_id".to_owned())],
        ),
        ReverifyError::Young { release, wait, .. } => {
            let resource = format!("releases/{release}");
            runtime::grpc::retry_after(&precondition(&resource, error), *wait)
        }
        ReverifyError::Release(ReleaseError::Registry(release, _)) => {
            let text = format!("{}; nothing was stored, ask again when it answers", chain(error));
            let release = ("release", release.to_string());
            runtime::grpc::status(
                Code::Unavailable,
                Reason::RegistryUnreachable.code(),
                text,
                [release],
            )
        }
        ReverifyError::Release(_) | ReverifyError::View(_) | ReverifyError::Crowded { .. } => {
            *unavailable(error)
        }
    }
}

impl Verifier {
    async fn verification(&self, release: &ReleaseKey) -> Result<v1::Verification, bus::ViewError> {
        let series = subject::verification_summary(release, 1);
        let Some(fact) = self.view.latest(series.series()).await? else {
            let mut waiting = v1::Verification {
                release: release.to_string(),
                ..v1::Verification::default()
            };
            if let Some(missing) = self.waiting.of(release) {
                waiting.wait_detail = missing.what;
                waiting.grace_end_time = wire::time::optional_timestamp(missing.until);
            }
            return Ok(waiting);
        };
        let summary = wire::decode::<v1::RoleSummary, RoleSummary>(&fact.statement).ok();
        let mut evidence = Vec::new();
        for line in summary.iter().flat_map(|summary| &summary.checks) {
            let Ok(name) = line.subject.parse() else { continue };
            let Some(found) = self.view.get(&name).await? else {
                continue;
            };
            if let Ok(found) = wire::decode::<v1::Evidence, Evidence>(&found.statement) {
                // The material is for those who verify again; they read the log.
                evidence.push(v1::Evidence {
                    material: Vec::new(),
                    ..v1::Evidence::from(&found)
                });
            }
        }
        Ok(v1::Verification {
            release: release.to_string(),
            summary: summary.as_ref().map(v1::RoleSummary::from),
            evidence,
            verify_time: Some(wire::time::timestamp(fact.time)),
            ..v1::Verification::default()
        })
    }
}

#[cfg(test)]
mod tests;
