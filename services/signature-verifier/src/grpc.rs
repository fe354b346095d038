//! `fluxgate.verification.v1.VerificationService`.

use std::sync::Arc;

use bus::{Area, subject};
use domain::{Evidence, ReleaseKey, RoleSummary};
use hub::grpc::{invalid, not_found, unavailable};
use hub::names::ReleaseName;
use tonic::{Request, Response, Status};
use wire::verification::v1;
use wire::verification::v1::verification_service_server::{VerificationService, VerificationServiceServer};

use crate::Verifier;

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
        let name = request.into_inner().release;
        let Some(wanted) = ReleaseName::parse(&name) else {
            return Err(*invalid("release", "is not like releases/flux/v2.9.4"));
        };
        match self.0.newest(&wanted).await {
            Ok(Some(found)) => Ok(Response::new(found)),
            Ok(None) => Err(*not_found(&name)),
            Err(error) => Err(*unavailable(&error)),
        }
    }
}

impl Verifier {
    async fn newest(&self, wanted: &ReleaseName) -> Result<Option<v1::Verification>, bus::ViewError> {
        let discovered = self.hub.view.list(Area::Release, "discovered").await?;
        let release = discovered.iter().find_map(|fact| {
            let found: wire::Discovered =
                wire::decode::<wire::release::v1::ReleaseDiscovered, _>(&fact.statement).ok()?;
            wanted.names(&found.release).then_some(found.release)
        });
        let Some(release) = release else { return Ok(None) };
        Ok(Some(self.verification(&release).await?))
    }

    async fn verification(&self, release: &ReleaseKey) -> Result<v1::Verification, bus::ViewError> {
        let series = subject::verification_summary(release, 1);
        let Some(fact) = self.hub.view.latest(series.series()).await? else {
            return Ok(v1::Verification {
                release: release.to_string(),
                ..v1::Verification::default()
            });
        };
        let summary = wire::decode::<v1::RoleSummary, RoleSummary>(&fact.statement).ok();
        let mut evidence = Vec::new();
        for line in summary.iter().flat_map(|summary| &summary.checks) {
            let Ok(name) = line.subject.parse() else { continue };
            let Some(found) = self.hub.view.get(&name).await? else {
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
        })
    }
}
