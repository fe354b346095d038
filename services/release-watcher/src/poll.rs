//! Looking at the repository.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::trace::TraceId;
use domain::{ImageRef, Reason, ReleaseKey, Version};
use runtime::errors::chain;
use uuid::Uuid;
use wire::release::v1;

use crate::Watcher;

/// Why a poll did not end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PollError {
    #[error("looking at {0}")]
    Registry(String, #[source] registry::Error),
    #[error("announcing {0}")]
    Journal(ReleaseKey, #[source] bus::journal::JournalError),
    #[error("reading the view")]
    View(#[from] bus::ViewError),
}

impl PollError {
    /// As which reason others are told of it.
    pub(crate) const fn reason(&self) -> Reason {
        match self {
            Self::Registry(..) => Reason::RegistryUnreachable,
            Self::Journal(..) | Self::View(_) => Reason::HubUnavailable,
        }
    }
}

/// What a poll found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// Releases in the range that the repository has now.
    pub(crate) releases: Vec<ReleaseKey>,
    /// Those of them that were not announced before.
    pub(crate) announced: Vec<ReleaseKey>,
}

impl Watcher {
    /// Polls at every interval until the stop.
    pub(crate) async fn run(&self, interval: Duration) {
        loop {
            match self.poll(false).await {
                Ok(found) if found.announced.is_empty() => {}
                Ok(found) => tracing::info!(announced = found.announced.len(), "releases found"),
                Err(error) => tracing::warn!(error = %chain(&error), "the repository could not be polled"),
            }
            tokio::select! {
                () = self.hub.shutdown.requested() => return,
                () = tokio::time::sleep(interval) => {}
            }
        }
    }

    /// Looks at the repository now; announces what is new unless told to `only_look`.
    pub(crate) async fn poll(&self, only_look: bool) -> Result<Found, PollError> {
        let _alone = self.polling.lock().await;
        self.look(only_look).await
    }

    /// Looks for a request. The same request again is answered by what was found for it, without another look.
    pub(crate) async fn poll_for(&self, request: Uuid) -> Result<Found, PollError> {
        let mut answered = self.polling.lock().await;
        if let Some(found) = answered.find(request) {
            return Ok(found.clone());
        }
        let found = self.look(false).await?;
        answered.keep(request, found.clone());
        Ok(found)
    }

    async fn look(&self, only_look: bool) -> Result<Found, PollError> {
        let found = self.find(only_look).await;
        self.looks.note(self.hub.clock.now(), found.as_ref().err());
        found
    }

    async fn find(&self, only_look: bool) -> Result<Found, PollError> {
        let known = self.known().await?;
        let mut found = Found::default();
        for version in self.versions().await? {
            let Some(release) = self.pin(&version).await? else {
                continue;
            };
            if !known.contains(&release) {
                if !only_look {
                    self.announce(&release).await?;
                }
                found.announced.push(release.clone());
            }
            found.releases.push(release);
        }
        Ok(found)
    }

    async fn known(&self) -> Result<BTreeSet<ReleaseKey>, PollError> {
        Ok(self
            .discovered()
            .await?
            .into_iter()
            .map(|(release, _)| release)
            .collect())
    }

    /// What was announced so far, with the time of each.
    pub(crate) async fn discovered(&self) -> Result<Vec<(ReleaseKey, jiff::Timestamp)>, PollError> {
        let facts = self.hub.view.list(bus::Area::Release, "discovered").await?;
        let read = |fact: &bus::Fact| {
            let found: wire::Discovered = wire::decode::<v1::ReleaseDiscovered, _>(&fact.statement).ok()?;
            Some((found.release, fact.time))
        };
        Ok(facts.iter().filter_map(read).collect())
    }

    /// Versions in the range, lowest first.
    async fn versions(&self) -> Result<BTreeSet<Version>, PollError> {
        let tags = self.registry.tags(&self.repository).await;
        let tags = tags.map_err(|error| PollError::Registry(self.repository.clone(), error))?;
        let parsed = tags.iter().filter_map(|tag| tag.parse::<Version>().ok());
        Ok(parsed
            .filter(|version| self.range.matches(version.semver()))
            .collect())
    }

    /// The release that a tag names now.
    async fn pin(&self, version: &Version) -> Result<Option<ReleaseKey>, PollError> {
        let Ok(image) = ImageRef::tagged(&self.repository, &version.to_string()) else {
            return Ok(None);
        };
        let manifest = self.registry.manifest(&image).await;
        let manifest = manifest.map_err(|error| PollError::Registry(image.to_string(), error))?;
        Ok(manifest.map(|manifest| ReleaseKey {
            version: version.clone(),
            manifests: manifest.digest,
        }))
    }

    async fn announce(&self, release: &ReleaseKey) -> Result<(), PollError> {
        let claim = v1::ReleaseDiscovered {
            release: release.to_string(),
            repository: self.repository.clone(),
        };
        let subject = bus::subject::release_discovered(release);
        let trace = TraceId::of_release(release);
        // The root of the release's trace: everything up to its decisions hangs below it.
        let _root = runtime::telemetry::root_span(trace, "release");
        let published = self
            .hub
            .journal
            .publish_hint(&subject, &claim, &trace.traceparent())
            .await;
        published.map_err(|error| PollError::Journal(release.clone(), error))?;
        tracing::info!(%release, "release discovered");
        Ok(())
    }
}
