//! A release, from its key to its summary.
//!
//! Everything is derived from the manifests' bytes, which the key fixes by digest. Each step is published
//! once and read back: a second run, or another replica, goes on with what is stored. Tags are resolved
//! once: where contents are stored, they count, whatever a tag says by then.
//!
//! When an attempt is made, and when the next one, is `attempt`'s.

use std::collections::BTreeMap;

use bus::subject::{self, Scope};
use bus::{Area, Fact, ViewError};
use domain::assignment::StatementRef;
use domain::evidence::SummaryLine;
use domain::trace::TraceId;
use domain::{
    Artifact, CheckKind, CheckResult, Component, Digest, Evidence, ImageContents, ImageRef, Reason,
    ReleaseContents, ReleaseKey, RoleSummary,
};
use jiff::{SignedDuration, Timestamp};
use tracing::Instrument as _;
use wire::verification::v1;

use crate::Verifier;
use crate::artifact::Subject;

mod attempt;
mod waiting;

pub(crate) use attempt::Ask;
use waiting::Missing;
pub(crate) use waiting::Waiting;

/// Manifests are never larger than this, unpacked.
const MAX_DOCUMENT: u64 = 4 * 1024 * 1024;

/// A release that has no message of its own is looked at again when it is this old.
const SETTLED: SignedDuration = SignedDuration::from_mins(1);

/// Why an attempt did not end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReleaseError {
    #[error("fetching an artifact of {0}")]
    Registry(ReleaseKey, #[source] registry::Error),
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
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Attempt {
    /// The summary is stored; or it was, and there is no need of another.
    Summarised {
        /// The summary that this attempt stored, or that somebody else stored as this attempt; none where it stood
        /// before.
        summary: Option<Box<Fact>>,
    },
    /// Something is not there or not signed yet, and upstream still has time.
    Early {
        /// Number of the attempt that was begun.
        attempt: u64,
        /// What is missing, for people.
        missing: String,
    },
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
    ask: Ask<'a>,
}

impl Verifier {
    /// Releases that were discovered a while ago and have no summary that stands. One that can't be verified
    /// is logged, waits, and keeps none of the others from being verified.
    ///
    /// # Errors
    /// If the view can't be read.
    pub(crate) async fn unsummarised(&self, now: Timestamp) -> Result<(), ViewError> {
        for fact in self.view.list(Area::Release, "discovered").await? {
            let found =
                wire::decode::<wire::release::v1::ReleaseDiscovered, wire::Discovered>(&fact.statement);
            let Ok(wire::Discovered { release, .. }) = found else {
                continue;
            };
            // What the message's own handler has left to the time is in `releases`.
            let settled = now > fact.time + SETTLED || self.releases.holds(&release);
            if !settled || !self.releases.is_due(&release, now) {
                continue;
            }
            match self.verify(&release, fact.time, Ask::time(now)).await {
                Ok(Attempt::Summarised { .. }) => self.releases.done(&release),
                Ok(Attempt::Early { .. }) => self.releases.failed(release, now),
                Err(error) => {
                    let error = runtime::errors::chain(&error);
                    tracing::warn!(%release, error, "a release could not be verified");
                    self.releases.failed(release, now);
                }
            }
        }
        Ok(())
    }

    /// Verifies a release, as far as it can be now, if there is an attempt to be made. Where it is fetched is not
    /// taken from the hint: anyone could have written that.
    pub(crate) async fn verify(
        &self,
        release: &ReleaseKey,
        discovered: Timestamp,
        ask: Ask<'_>,
    ) -> Result<Attempt, ReleaseError> {
        let opened = attempt::open(&self.journal, release, ask, self.settings.signature_retry).await?;
        let Some(attempt) = opened else {
            self.waiting.remove(release);
            return Ok(Attempt::Summarised { summary: None });
        };
        let work = Work {
            release,
            attempt,
            early: ask.now < self.grace_end(discovered),
            ask,
        };
        let span = runtime::telemetry::work_span(TraceId::of_release(release), "verify");
        let ended = self.attempt(work).instrument(span).await;
        match &ended {
            Err(error) => {
                let what = runtime::errors::chain(error);
                self.waiting.insert(release, Missing { what, until: None });
            }
            Ok(Attempt::Early { missing, .. }) => {
                let (what, until) = (missing.clone(), self.grace_end(discovered));
                tracing::info!(%release, what, %until, "a release is not complete yet");
                let until = Some(until);
                self.waiting.insert(release, Missing { what, until });
            }
            Ok(Attempt::Summarised { .. }) => self.waiting.remove(release),
        }
        ended
    }

    /// Manifests, contents, images, summary.
    async fn attempt(&self, work: Work<'_>) -> Result<Attempt, ReleaseError> {
        let Work { release, attempt, .. } = work;
        let early = |missing| Ok(Attempt::Early { attempt, missing });
        let Some((image, fetched)) = self.fetch(release).await? else {
            return if work.early {
                early(format!("the registry does not have {} yet", pinned(release)?))
            } else {
                self.nothing_there(work).await
            };
        };
        let mut manifests = self
            .artifact(work, (Artifact::FluxManifests, &image, release.manifests))
            .await?;
        if manifests.result == CheckResult::NotChecked && work.early {
            return early(missing(&manifests));
        }
        if manifests.result != CheckResult::Passed {
            return self.summarise(work, None, vec![manifests]).await;
        }
        match self.derive(release, &fetched).await? {
            Derived::Missing(image) if work.early => early(format!(
                "the registry does not have {image} yet, which the manifests name"
            )),
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
            Derived::Contents(contents) => self.images(work, (contents, fetched), manifests).await,
        }
    }

    /// Until when something that is not there is not held against a release that was discovered then.
    pub(crate) fn grace_end(&self, discovered: Timestamp) -> Timestamp {
        let grace = SignedDuration::try_from(self.settings.signature_grace).unwrap_or(SignedDuration::MAX);
        discovered.saturating_add(grace).unwrap_or(Timestamp::MAX)
    }

    /// The registry does not have the manifests, and upstream's time is over.
    async fn nothing_there(&self, work: Work<'_>) -> Result<Attempt, ReleaseError> {
        let image = pinned(work.release)?;
        let evidence = Evidence {
            release: work.release.clone(),
            artifact: Artifact::FluxManifests,
            digest: work.release.manifests,
            check: CheckKind::Signature,
            result: CheckResult::NotChecked,
            reason: Some(Reason::ArtifactMissing),
            detail: format!("the registry has no {image}"),
            expected: flux::identity::profile(Artifact::FluxManifests, &work.release.version),
            found: None,
            integrated_time: None,
            material: Vec::new(),
            image,
        };
        self.summarise(work, None, vec![evidence]).await
    }

    /// The manifests artifact, by the digest of the key.
    async fn fetch(
        &self,
        release: &ReleaseKey,
    ) -> Result<Option<(ImageRef, registry::FluxManifests)>, ReleaseError> {
        let image = pinned(release)?;
        let fetched = self.registry.flux_manifests(&image).await;
        let fetched = fetched.map_err(|error| ReleaseError::Registry(release.clone(), error))?;
        Ok(fetched.map(|fetched| (image, fetched)))
    }

    async fn artifact(&self, work: Work<'_>, subject: Subject<'_>) -> Result<Evidence, ReleaseError> {
        self.check(work.release, subject, work.ask.now)
            .await
            .map_err(|error| ReleaseError::Registry(work.release.clone(), error))
    }

    /// The contents: those that are stored, under whichever attempt, else what the bytes say and the tags
    /// resolve to now.
    async fn derive(
        &self,
        release: &ReleaseKey,
        fetched: &registry::FluxManifests,
    ) -> Result<Derived, ReleaseError> {
        let stored = subject::verification_contents(Scope::Release(release), 1);
        if let Some(fact) = self.view.latest(stored.series()).await? {
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
        self.blobs
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
            let checked = self.artifact(work, (artifact, &image.image, image.index)).await?;
            if checked.result == CheckResult::NotChecked && work.early {
                let (attempt, missing) = (work.attempt, missing(&checked));
                return Ok(Attempt::Early { attempt, missing });
            }
            evidence.push(checked);
        }
        self.summarise(work, Some(fact.digest()), evidence).await
    }

    /// Publishes the evidence, then the summary that names it. What is stored counts, also where another
    /// replica was faster.
    async fn summarise(
        &self,
        work: Work<'_>,
        contents: Option<Digest>,
        evidence: Vec<Evidence>,
    ) -> Result<Attempt, ReleaseError> {
        let Work {
            release,
            attempt,
            ask,
            ..
        } = work;
        let mut checks = Vec::with_capacity(evidence.len());
        for checked in evidence {
            let name = subject::verification_evidence(release, checked.artifact, checked.check, attempt);
            let fact = self
                .publish(release, &name, &v1::Evidence::from(&checked))
                .await?;
            let stored: Evidence = wire::decode::<v1::Evidence, _>(&fact.statement)
                .map_err(|error| ReleaseError::Read(release.clone(), error))?;
            checks.push(line(&stored, fact.reference()));
        }
        let summary = RoleSummary {
            release: release.clone(),
            attempt,
            contents,
            checks,
        };
        let name = subject::verification_summary(release, attempt);
        let claim = v1::RoleSummary {
            request_id: ask.request.unwrap_or_default().to_owned(),
            ..v1::RoleSummary::from(&summary)
        };
        let fact = self.publish(release, &name, &claim).await?;
        tracing::info!(%release, attempt, result = %summary.worst(), "release verified");
        let summary = Some(Box::new(fact));
        Ok(Attempt::Summarised { summary })
    }

    async fn publish<C: attest::Claim + Sync>(
        &self,
        release: &ReleaseKey,
        name: &bus::Subject,
        claim: &C,
    ) -> Result<Fact, ReleaseError> {
        let traceparent = TraceId::of_release(release).traceparent();
        let written = self.journal.once(name, claim, &traceparent).await;
        written
            .map(bus::Written::into_fact)
            .map_err(|error| ReleaseError::Journal(release.clone(), error))
    }
}

/// What could not be checked, and why.
fn missing(checked: &Evidence) -> String {
    let reason = checked.reason.map(|reason| reason.code()).unwrap_or_default();
    format!("{}: {reason} {}", checked.image, checked.detail)
        .trim_end()
        .to_owned()
}

/// Upstream's name of the manifests, by the digest of the key.
fn pinned(release: &ReleaseKey) -> Result<ImageRef, ReleaseError> {
    let repository = flux::identity::repository(Artifact::FluxManifests);
    ImageRef::tagged(&repository, &release.version.to_string())
        .map(|image| image.pinned(release.manifests))
        .map_err(|error| ReleaseError::Name(release.clone(), error))
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
