//! A release, from its key to its summary.
//!
//! Everything is derived from the manifests' bytes, which the key fixes by digest. Each step is published
//! once and read back: a second run, or another replica, goes on with what is stored. Tags are resolved
//! once: where contents are stored, they count, whatever a tag says by then.
//!
//! One attempt is made for each release, and a further one where what was said before was signed by a key that
//! does not act any more.

use std::collections::BTreeMap;

use attest::Role;
use bus::subject::{self, Scope};
use bus::{Area, Fact, Journal, ViewError};
use domain::assignment::StatementRef;
use domain::evidence::SummaryLine;
use domain::trace::TraceId;
use domain::{
    Artifact, CheckResult, Component, Digest, Evidence, ImageContents, ImageRef, Reason, ReleaseContents,
    ReleaseKey, RoleSummary,
};
use jiff::{SignedDuration, Timestamp};
use wire::verification::v1;

use crate::Verifier;

/// Manifests are never larger than this, unpacked.
const MAX_DOCUMENT: u64 = 4 * 1024 * 1024;

/// A release that has no message of its own is looked at again when it is this old.
const SETTLED: SignedDuration = SignedDuration::from_mins(1);

/// Why an attempt did not end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReleaseError {
    #[error("fetching an artifact of {0}")]
    Registry(ReleaseKey, #[source] registry::Error),
    #[error("the registry has no {0}")]
    Missing(ImageRef),
    #[error("reading the view")]
    View(#[from] ViewError),
    #[error("publishing about {0}")]
    Journal(ReleaseKey, #[source] bus::journal::JournalError),
    #[error("storing the manifests of {0}")]
    Blob(ReleaseKey, #[source] bus::blobs::BlobError),
    #[error("reading a statement about {0}")]
    Read(ReleaseKey, #[source] wire::ReadError),
    #[error("naming the manifests of {0}")]
    Name(ReleaseKey, #[source] domain::image::ParseImageRefError),
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The summary is stored.
    Summarised,
    /// Something is not there or not signed yet, and upstream still has time.
    Early,
}

/// What the manifests' bytes say about the release.
enum Derived {
    /// Everything that they name was found.
    Contents(ReleaseContents),
    /// They can't be read: a fact.
    Unreadable(String),
    /// The registry lacks an image that they name.
    Missing(ImageRef),
}

/// The attempt that is under way.
#[derive(Debug, Clone, Copy)]
struct Work<'a> {
    release: &'a ReleaseKey,
    attempt: u64,
    /// Upstream still has time.
    early: bool,
}

/// The number of the attempt that is to be made now: the first, or one after the newest summary, where what
/// that says was signed by a key that does not act any more. `None` where the newest summary stands.
async fn open_attempt(journal: &Journal, release: &ReleaseKey) -> Result<Option<u64>, ViewError> {
    let view = journal.view();
    let series = subject::verification_summary(release, 1);
    let Some(summary) = view.latest(series.series()).await? else {
        return Ok(Some(1));
    };
    let attempt = summary.subject.n();
    let name = subject::verification_contents(Scope::Release(release), attempt);
    let contents = view.get(&name).await?;
    let orphaned = [Some(summary), contents]
        .iter()
        .flatten()
        .any(|fact| journal.is_orphaned(fact, Role::Verifier));
    Ok(orphaned.then(|| attempt.saturating_add(1)))
}

impl Verifier {
    /// Releases that were discovered a while ago and have no summary that stands. One that can't be verified
    /// is logged, waits, and keeps none of the others from being verified.
    ///
    /// # Errors
    /// If the view can't be read.
    pub(crate) async fn unsummarised(&self) -> Result<(), ViewError> {
        for fact in self.hub.view.list(Area::Release, "discovered").await? {
            let found =
                wire::decode::<wire::release::v1::ReleaseDiscovered, wire::Discovered>(&fact.statement);
            let Ok(wire::Discovered { release, .. }) = found else {
                continue;
            };
            let now = self.hub.clock.now();
            if now <= fact.time + SETTLED || !self.releases.is_due(&release, now) {
                continue;
            }
            match self.verify(&release, fact.time).await {
                Ok(Attempt::Summarised) => self.releases.done(&release),
                Ok(Attempt::Early) => self.releases.failed(release, now),
                Err(error) => {
                    let error = runtime::errors::chain(&error);
                    tracing::warn!(%release, error, "a release could not be verified");
                    self.releases.failed(release, now);
                }
            }
        }
        Ok(())
    }

    /// Verifies a release, as far as it can be now. Where it is fetched is not taken from the hint: anyone
    /// could have written that.
    pub(crate) async fn verify(
        &self,
        release: &ReleaseKey,
        discovered: Timestamp,
    ) -> Result<Attempt, ReleaseError> {
        let Some(attempt) = open_attempt(&self.hub.journal, release).await? else {
            return Ok(Attempt::Summarised);
        };
        let grace = SignedDuration::try_from(self.settings.signature_grace).unwrap_or(SignedDuration::MAX);
        let early = discovered
            .checked_add(grace)
            .is_ok_and(|end| self.hub.clock.now() < end);
        let work = Work {
            release,
            attempt,
            early,
        };
        let fetched = self.fetch(release).await?;
        let mut manifests = self
            .artifact(release, Artifact::FluxManifests, &fetched.0, release.manifests)
            .await?;
        if manifests.result == CheckResult::NotChecked && early {
            return Ok(Attempt::Early);
        }
        if manifests.result != CheckResult::Passed {
            return self.summarise(work, None, vec![manifests]).await;
        }
        match self.derive(release, &fetched.1).await? {
            Derived::Missing(_) if early => Ok(Attempt::Early),
            Derived::Missing(image) => {
                let detail = format!("the registry has no {image}, which the manifests name");
                withdraw(
                    &mut manifests,
                    CheckResult::NotChecked,
                    Reason::ArtifactMissing,
                    detail,
                );
                self.summarise(work, None, vec![manifests]).await
            }
            Derived::Unreadable(why) => {
                withdraw(
                    &mut manifests,
                    CheckResult::Failed,
                    Reason::ManifestsUnreadable,
                    why,
                );
                self.summarise(work, None, vec![manifests]).await
            }
            Derived::Contents(contents) => self.images(work, (contents, fetched.1), manifests).await,
        }
    }

    /// The manifests artifact, by the digest of the key.
    async fn fetch(&self, release: &ReleaseKey) -> Result<(ImageRef, registry::FluxManifests), ReleaseError> {
        let repository = flux::identity::repository(Artifact::FluxManifests);
        let image = ImageRef::tagged(&repository, &release.version.to_string())
            .map_err(|error| ReleaseError::Name(release.clone(), error))?;
        let pinned = image.pinned(release.manifests);
        match self.registry.flux_manifests(&pinned).await {
            Ok(Some(fetched)) => Ok((pinned, fetched)),
            Ok(None) => Err(ReleaseError::Missing(pinned)),
            Err(error) => Err(ReleaseError::Registry(release.clone(), error)),
        }
    }

    async fn artifact(
        &self,
        release: &ReleaseKey,
        artifact: Artifact,
        image: &ImageRef,
        digest: Digest,
    ) -> Result<Evidence, ReleaseError> {
        self.check(release, artifact, image, digest)
            .await
            .map_err(|error| ReleaseError::Registry(release.clone(), error))
    }

    /// The contents: those that are stored, under whichever attempt, else what the bytes say and the tags
    /// resolve to now.
    async fn derive(
        &self,
        release: &ReleaseKey,
        fetched: &registry::FluxManifests,
    ) -> Result<Derived, ReleaseError> {
        let stored = subject::verification_contents(Scope::Release(release), 1);
        if let Some(fact) = self.hub.view.latest(stored.series()).await? {
            return self.stored_contents(release, &fact).map(Derived::Contents);
        }
        let read = registry::document(&fetched.layer_bytes, MAX_DOCUMENT)
            .map_err(|error| runtime::errors::chain(&error))
            .and_then(|document| named_images(&document).map(|images| (document, images)));
        let (document, named) = match read {
            Ok(read) => read,
            Err(why) => return Ok(Derived::Unreadable(why)),
        };
        let mut images: BTreeMap<Component, ImageContents> = BTreeMap::new();
        for (component, image) in named {
            let resolved = self.registry.resolve_image(&image).await;
            match resolved.map_err(|error| ReleaseError::Registry(release.clone(), error))? {
                Some(contents) => images.insert(component, contents),
                None => return Ok(Derived::Missing(image)),
            };
        }
        Ok(Derived::Contents(ReleaseContents {
            release: release.clone(),
            layer: fetched.layer,
            document: Digest::of(document.as_bytes()),
            images,
        }))
    }

    fn stored_contents(&self, release: &ReleaseKey, fact: &Fact) -> Result<ReleaseContents, ReleaseError> {
        wire::decode::<v1::ReleaseContents, _>(&fact.statement)
            .map_err(|error| ReleaseError::Read(release.clone(), error))
    }

    /// Contents first, then every image, then the summary.
    async fn images(
        &self,
        work: Work<'_>,
        (contents, fetched): (ReleaseContents, registry::FluxManifests),
        manifests: Evidence,
    ) -> Result<Attempt, ReleaseError> {
        let release = work.release;
        self.hub
            .blobs
            .put(&fetched.layer_bytes)
            .await
            .map_err(|error| ReleaseError::Blob(release.clone(), error))?;
        let name = subject::verification_contents(Scope::Release(release), work.attempt);
        let fact = self
            .publish(release, &name, &v1::ReleaseContents::from(&contents))
            .await?;
        let contents = self.stored_contents(release, &fact)?;
        let mut evidence = vec![manifests];
        for (component, image) in &contents.images {
            let artifact = Artifact::Image(*component);
            let checked = self
                .artifact(release, artifact, &image.image, image.index)
                .await?;
            if checked.result == CheckResult::NotChecked && work.early {
                return Ok(Attempt::Early);
            }
            evidence.push(checked);
        }
        self.summarise(work, Some(fact.digest()), evidence).await
    }

    /// Publishes the evidence, then the summary that names it. What is stored counts, also where another
    /// replica was faster.
    async fn summarise(
        &self,
        Work { release, attempt, .. }: Work<'_>,
        contents: Option<Digest>,
        evidence: Vec<Evidence>,
    ) -> Result<Attempt, ReleaseError> {
        let mut checks = Vec::with_capacity(evidence.len());
        for checked in evidence {
            let name = subject::verification_evidence(release, checked.artifact, checked.check, attempt);
            let fact = self
                .publish(release, &name, &v1::Evidence::from(&checked))
                .await?;
            let stored: Evidence = wire::decode::<v1::Evidence, _>(&fact.statement)
                .map_err(|error| ReleaseError::Read(release.clone(), error))?;
            let evidence = StatementRef {
                subject: fact.subject.to_string(),
                digest: fact.digest(),
            };
            checks.push(line(&stored, evidence));
        }
        let summary = RoleSummary {
            release: release.clone(),
            attempt,
            contents,
            checks,
        };
        let name = subject::verification_summary(release, attempt);
        self.publish(release, &name, &v1::RoleSummary::from(&summary))
            .await?;
        tracing::info!(%release, attempt, result = %summary.worst(), "release verified");
        Ok(Attempt::Summarised)
    }

    async fn publish<C: attest::Claim + Sync>(
        &self,
        release: &ReleaseKey,
        name: &bus::Subject,
        claim: &C,
    ) -> Result<Fact, ReleaseError> {
        let traceparent = TraceId::of_release(release).traceparent();
        let written = self.hub.journal.once(name, claim, &traceparent).await;
        written
            .map(bus::Written::into_fact)
            .map_err(|error| ReleaseError::Journal(release.clone(), error))
    }
}

/// The signature is good, but what it covers is not: that counts for the artifact.
fn withdraw(evidence: &mut Evidence, result: CheckResult, reason: Reason, detail: String) {
    evidence.result = result;
    evidence.reason = Some(reason);
    evidence.detail = detail;
}

fn line(evidence: &Evidence, stored: StatementRef) -> SummaryLine {
    SummaryLine {
        artifact: evidence.artifact,
        digest: evidence.digest,
        check: evidence.check,
        result: evidence.result,
        reason: evidence.reason,
        subject: stored.subject,
        evidence: stored.digest,
    }
}

fn named_images(document: &str) -> Result<BTreeMap<Component, ImageRef>, String> {
    let objects = flux::manifest::parse(document).map_err(|error| runtime::errors::chain(&error))?;
    flux::manifest::images(&objects).map_err(|error| runtime::errors::chain(&error))
}

#[cfg(test)]
mod tests;
