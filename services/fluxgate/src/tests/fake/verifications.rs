//! What the hub says about verifications. A release without a summary has time left: one more attempt stores
//! nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use tonic::{Code, Request, Response, Status};
use wire::verification::v1::{self as verification, verification_service_server as verification_server};

use super::{Hub, not_found, release_matches, request_id};

/// Signature grace of the hub.
const GRACE: SignedDuration = SignedDuration::from_hours(6);
/// Sequence of the summary that the first request stores.
const FIRST: u64 = 50;

/// Requests that stored something, with what they were answered.
pub(super) type Answered = Arc<Mutex<BTreeMap<String, verification::ReverifyReleaseResponse>>>;

impl Hub {
    fn verified(&self, name: &str) -> Result<&verification::Verification, Status> {
        if hub::names::ReleaseName::parse(name).is_none() {
            return Err(*hub::grpc::invalid("release", "is not like releases/flux/v2.9.4"));
        }
        let mut all = self.verifications.iter();
        all.find(|found| release_matches(name, &found.release))
            .ok_or_else(|| not_found(name))
    }

    /// The end of the grace of a release that was discovered.
    fn grace_end(&self, release: &str) -> Option<wire::protobuf::Timestamp> {
        let found = self.releases.iter().find(|found| found.release == release)?;
        let discovered = wire::time::read_optional("time", found.discover_time).unwrap()?;
        Some(wire::time::timestamp(discovered + GRACE))
    }

    /// The newest attempt of a release, with those of requests; 0 where none is stored.
    fn attempts(&self, found: &verification::Verification) -> u64 {
        let first = found.summary.as_ref().map_or(0, |summary| summary.attempt);
        let answered = self.answered.lock().unwrap();
        let own = answered.values().filter(|other| other.release == found.release);
        own.map(|other| other.attempt).fold(first, u64::max)
    }
}

#[tonic::async_trait]
impl verification_server::VerificationService for Hub {
    async fn get_verification(
        &self,
        request: Request<verification::GetVerificationRequest>,
    ) -> Result<Response<verification::Verification>, Status> {
        let name = self.ready(request).await?.release;
        self.verified(&name).cloned().map(Response::new)
    }

    async fn get_baseline_status(
        &self,
        request: Request<verification::GetBaselineStatusRequest>,
    ) -> Result<Response<verification::BaselineStatus>, Status> {
        let name = self.ready(request).await?.name;
        let found = self.baselines.iter().find(|status| status.name == name);
        Ok(Response::new(found.cloned().unwrap_or_default()))
    }

    async fn reverify_release(
        &self,
        request: Request<verification::ReverifyReleaseRequest>,
    ) -> Result<Response<verification::ReverifyReleaseResponse>, Status> {
        let request = self.ready(request).await?;
        request_id(&request.request_id);
        let found = self.verified(&request.release)?;
        let mut answer = verification::ReverifyReleaseResponse {
            release: found.release.clone(),
            attempt: self.attempts(found) + 1,
            grace_end_time: self.grace_end(&found.release),
            ..verification::ReverifyReleaseResponse::default()
        };
        if request.validate_only {
            return Ok(Response::new(answer));
        }
        let mut answered = self.answered.lock().unwrap();
        if let Some(before) = answered.get(&request.request_id) {
            return if before.release == found.release {
                Ok(Response::new(before.clone()))
            } else {
                Err(reused(&request.request_id, &before.release))
            };
        }
        if let Some(summary) = &found.summary {
            answer.sequence = FIRST + u64::try_from(answered.len()).unwrap();
            answer.summary = Some(verification::RoleSummary {
                attempt: answer.attempt,
                request_id: request.request_id.clone(),
                ..summary.clone()
            });
            answered.insert(request.request_id, answer.clone());
        }
        Ok(Response::new(answer))
    }
}

/// As the verifier says it.
fn reused(request: &str, release: &str) -> Status {
    let message = format!("request {request} was already used for {release}");
    let field = ("field", "request_id".to_owned());
    runtime::grpc::status(Code::AlreadyExists, "FIELD_INVALID", message, [field])
}
