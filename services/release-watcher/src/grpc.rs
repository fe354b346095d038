//! `fluxgate.release.v1.ReleaseService`.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use domain::trace::TraceId;
use domain::{ReleaseKey, Version};
use hub::grpc::{invalid, not_found, request_id, unavailable};
use hub::names::{self, ReleaseName};
use hub::page::page;
use runtime::errors::chain;
use tonic::{Code, Request, Response, Status};
use wire::release::v1;
use wire::release::v1::release_service_server::{ReleaseService, ReleaseServiceServer};

use crate::Watcher;
use crate::poll::PollError;

/// The service for a host.
pub(crate) fn server(watcher: Arc<Watcher>) -> ReleaseServiceServer<Api> {
    ReleaseServiceServer::new(Api(watcher))
}

/// Why a look did not end, as a client is told.
fn refused(error: &PollError) -> Status {
    match error {
        PollError::Registry(..) => {
            let text = format!(
                "{}; it is looked at again by itself, or ask again when it answers",
                chain(error)
            );
            runtime::grpc::status(Code::Unavailable, error.reason().code(), text, [])
        }
        PollError::Journal(..) | PollError::View(_) => *unavailable(error),
    }
}

/// The inbound adapter.
#[derive(Debug)]
pub(crate) struct Api(Arc<Watcher>);

impl Api {
    /// Every release that was seen, newest version first; of one version the first seen first.
    async fn all(&self) -> Result<Vec<v1::Release>, PollError> {
        let mut found = self.0.discovered().await?;
        found.sort_by_key(|(release, time)| (Reverse(release.version.clone()), *time));
        let mut versions: BTreeSet<Version> = BTreeSet::new();
        let resource = |(release, time): (ReleaseKey, jiff::Timestamp)| {
            let moved = !versions.insert(release.version.clone());
            v1::Release {
                name: names::release(&release, moved),
                release: release.to_string(),
                discover_time: Some(wire::time::timestamp(time)),
                tag_moved: moved,
                trace_id: TraceId::of_release(&release).to_string(),
            }
        };
        Ok(found.into_iter().map(resource).collect())
    }
}

#[tonic::async_trait]
impl ReleaseService for Api {
    async fn list_releases(
        &self,
        request: Request<v1::ListReleasesRequest>,
    ) -> Result<Response<v1::ListReleasesResponse>, Status> {
        let request = request.into_inner();
        let all = self.all().await.map_err(|error| *unavailable(&error))?;
        let paged = page(all, request.page_size, &request.page_token, |release| {
            release.release.clone()
        });
        let (releases, next_page_token) = paged.map_err(|status| *status)?;
        Ok(Response::new(v1::ListReleasesResponse {
            releases,
            next_page_token,
        }))
    }

    async fn get_release(
        &self,
        request: Request<v1::GetReleaseRequest>,
    ) -> Result<Response<v1::Release>, Status> {
        let name = request.into_inner().name;
        let Some(wanted) = ReleaseName::parse(&name) else {
            return Err(*invalid("name", "is not like releases/flux/v2.9.4"));
        };
        let all = self.all().await.map_err(|error| *unavailable(&error))?;
        let named = |release: &v1::Release| release.release.parse().is_ok_and(|key| wanted.names(&key));
        match all.into_iter().find(named) {
            Some(release) => Ok(Response::new(release)),
            None => Err(*not_found(&name)),
        }
    }

    async fn reconcile_releases(
        &self,
        request: Request<v1::ReconcileReleasesRequest>,
    ) -> Result<Response<v1::ReconcileReleasesResponse>, Status> {
        let request = request.into_inner();
        let id = request_id(&request.request_id).map_err(|status| *status)?;
        let found = if request.validate_only {
            self.0.poll(true).await
        } else {
            self.0.poll_for(id).await
        };
        let found = found.map_err(|error| refused(&error))?;
        let names = |keys: &[ReleaseKey]| keys.iter().map(ReleaseKey::to_string).collect();
        Ok(Response::new(v1::ReconcileReleasesResponse {
            releases: names(&found.releases),
            announced: names(&found.announced),
        }))
    }

    async fn get_release_source(
        &self,
        _request: Request<v1::GetReleaseSourceRequest>,
    ) -> Result<Response<v1::ReleaseSource>, Status> {
        Ok(Response::new(self.0.looks.source(&self.0.repository)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_is_away_is_told_as_such() {
        let away = registry::Error {
            operation: registry::Operation::Tags,
            object: "ghcr.io/fluxcd/flux-manifests".to_owned(),
            failure: registry::Failure::Status(503),
        };
        let status = refused(&PollError::Registry(
            "ghcr.io/fluxcd/flux-manifests".to_owned(),
            away,
        ));
        let details = String::from_utf8_lossy(status.details()).into_owned();
        assert!(details.contains("REGISTRY_UNREACHABLE"), "{details}");
        assert_eq!(status.code(), Code::Unavailable);
        assert!(
            status
                .message()
                .contains("HTTP status 503; it is looked at again"),
            "{status}"
        );
    }
}
