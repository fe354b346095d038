//! What a client asks the hub.

use std::time::{Duration, Instant};

use wire::audit::v1::audit_service_client::AuditServiceClient;
use wire::fleet::v1::fleet_service_client::FleetServiceClient;
use wire::policy::v1::policy_service_client::PolicyServiceClient;
use wire::release::v1::release_service_client::ReleaseServiceClient;
use wire::rollout::v1::rollout_service_client::RolloutServiceClient;
use wire::verification::v1::verification_service_client::VerificationServiceClient;
use wire::{audit, common, fleet, policy, release, rollout, verification};

use super::{Hub, Service};
use crate::stage::StageError;

const POLL: Duration = Duration::from_millis(200);

impl Hub {
    /// Looks for releases now.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn reconcile(&self) -> Result<release::v1::ReconcileReleasesResponse, StageError> {
        let request = release::v1::ReconcileReleasesRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            validate_only: false,
        };
        let mut client = ReleaseServiceClient::new(self.channel(Service::ReleaseWatcher));
        Ok(client.reconcile_releases(request).await?.into_inner())
    }

    /// The newest verification of a release.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn verification(&self, release: &str) -> Result<verification::v1::Verification, StageError> {
        let request = verification::v1::GetVerificationRequest {
            release: release.to_owned(),
        };
        let mut client = VerificationServiceClient::new(self.channel(Service::SignatureVerifier));
        Ok(client.get_verification(request).await?.into_inner())
    }

    /// Has a release verified once more.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn reverify(
        &self,
        release: &str,
    ) -> Result<verification::v1::ReverifyReleaseResponse, StageError> {
        let request = verification::v1::ReverifyReleaseRequest {
            release: release.to_owned(),
            request_id: uuid::Uuid::new_v4().to_string(),
            validate_only: false,
        };
        let mut client = VerificationServiceClient::new(self.channel(Service::SignatureVerifier));
        Ok(client.reverify_release(request).await?.into_inner())
    }

    /// The newest decisions about a release.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn decisions(&self, release: &str) -> Result<Vec<policy::v1::DecisionView>, StageError> {
        let request = policy::v1::ListDecisionsRequest {
            release: release.to_owned(),
            ..Default::default()
        };
        let mut client = PolicyServiceClient::new(self.channel(Service::PolicyEngine));
        Ok(client.list_decisions(request).await?.into_inner().decisions)
    }

    /// A cluster as the hub knows it.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn cluster(&self, name: &str) -> Result<fleet::v1::Cluster, StageError> {
        let request = fleet::v1::GetClusterRequest {
            name: format!("clusters/{name}"),
        };
        let mut client = FleetServiceClient::new(self.channel(Service::RolloutController));
        Ok(client.get_cluster(request).await?.into_inner())
    }

    /// All rollouts, newest first.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn rollouts(&self) -> Result<Vec<rollout::v1::Rollout>, StageError> {
        let mut client = RolloutServiceClient::new(self.channel(Service::RolloutController));
        let request = rollout::v1::ListRolloutsRequest::default();
        Ok(client.list_rollouts(request).await?.into_inner().rollouts)
    }

    /// Says whether fluxgate may write in a wave.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn set_mode(&self, wave: &str, mode: common::v1::Mode) -> Result<(), StageError> {
        let request = rollout::v1::EnforceRequest {
            scope: format!("wave/{wave}"),
            mode: mode.into(),
            request_id: uuid::Uuid::new_v4().to_string(),
            validate_only: false,
        };
        let mut client = RolloutServiceClient::new(self.channel(Service::RolloutController));
        client.enforce(request).await?;
        Ok(())
    }

    /// Stops a scope, or lifts its stop.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn set_stop(
        &self,
        scope: &str,
        active: bool,
        reason: &str,
    ) -> Result<rollout::v1::SetStopResponse, StageError> {
        let request = rollout::v1::SetStopRequest {
            scope: scope.to_owned(),
            active,
            reason: reason.to_owned(),
            request_id: uuid::Uuid::new_v4().to_string(),
            validate_only: false,
        };
        let mut client = RolloutServiceClient::new(self.channel(Service::RolloutController));
        Ok(client.set_stop(request).await?.into_inner())
    }

    /// Asks for another attempt after a rollout was halted; the name of the next one.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn retry(&self, name: &str, reason: &str) -> Result<String, StageError> {
        let request = rollout::v1::RetryRolloutRequest {
            name: name.to_owned(),
            reason: reason.to_owned(),
            request_id: uuid::Uuid::new_v4().to_string(),
            validate_only: false,
        };
        let mut client = RolloutServiceClient::new(self.channel(Service::RolloutController));
        Ok(client.retry_rollout(request).await?.into_inner().next)
    }

    /// Watches rollouts, from a token or from the beginning.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn watch_rollouts(
        &self,
        resume_token: &str,
    ) -> Result<tonic::Streaming<rollout::v1::WatchRolloutsResponse>, StageError> {
        let request = rollout::v1::WatchRolloutsRequest {
            resume_token: resume_token.to_owned(),
            name: String::new(),
        };
        // A watch outlives every time-out of a call.
        let mut client = RolloutServiceClient::new(self.lasting(Service::RolloutController));
        Ok(client.watch_rollouts(request).await?.into_inner())
    }

    /// Entries of the ledger from an index on, at most a thousand.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn entries(&self, page_token: &str) -> Result<audit::v1::ListEntriesResponse, StageError> {
        let request = audit::v1::ListEntriesRequest {
            page_size: 1000,
            page_token: page_token.to_owned(),
            ..Default::default()
        };
        let mut client = AuditServiceClient::new(self.channel(Service::AuditLog));
        Ok(client.list_entries(request).await?.into_inner())
    }

    /// How the ledger stands.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn ledger(&self) -> Result<audit::v1::LedgerStatus, StageError> {
        let mut client = AuditServiceClient::new(self.channel(Service::AuditLog));
        Ok(client
            .get_ledger_status(audit::v1::GetLedgerStatusRequest {})
            .await?
            .into_inner())
    }
}

/// Asks again and again until there is an answer, for at most `seconds`. Each look answers `Ok`, or what it
/// saw instead.
///
/// # Errors
/// [`StageError::Late`] with what was seen last, or what a look could not find out.
pub async fn until<T>(
    (what, seconds): (&str, u64),
    mut look: impl AsyncFnMut() -> Result<Result<T, String>, StageError>,
) -> Result<T, StageError> {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        let seen = match look().await? {
            Ok(found) => return Ok(found),
            Err(seen) => seen,
        };
        if Instant::now() > deadline {
            return Err(StageError::Late {
                seconds,
                what: what.to_owned(),
                seen,
            });
        }
        tokio::time::sleep(POLL).await;
    }
}
