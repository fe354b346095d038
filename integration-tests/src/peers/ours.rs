//! What fluxgate says about a release that lies in a registry: fetch, check and policy, by the crates that the
//! services use, without the services.

use std::collections::BTreeMap;

use domain::evidence::SummaryLine;
use domain::{
    Artifact, Baseline, CheckKind, CheckResult, Component, CrdSet, Digest, Evidence, ImageContents, ImageRef,
    Outcome, Reason, ReleaseContents, RoleSummary, Version,
};
use evidence::{Expectation, TrustRoot, Verdict};
use jiff::Timestamp;
use policy::{Evaluation, Inputs, Ledger, Policy, Verified};
use testkit::factory::Published;

use super::PeersError;

/// Judges what lies in one registry, under one trust root and the default policy.
#[derive(Debug)]
pub struct Judge {
    client: registry::Client,
    trust: TrustRoot,
    policy: Policy,
}

/// One artifact, read back by its tag, with what its signatures came to.
#[derive(Debug)]
pub struct Judged {
    /// Upstream name and tag.
    pub image: ImageRef,
    /// What the tag names.
    pub digest: Digest,
    /// The check.
    pub verdict: Verdict,
}

/// The decision, in two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The outcome.
    pub outcome: Outcome,
    /// Of the first rule with that outcome.
    pub reason: Reason,
}

impl Judge {
    /// A judge for the registry at this host, whose bytes stand for upstream's.
    ///
    /// # Errors
    /// If trust root or policy can't be read.
    pub fn new(host: &str, trusted_root: &[u8]) -> Result<Self, PeersError> {
        let mirror = registry::Mirror {
            from: "ghcr.io".to_owned(),
            to: format!("http://{host}"),
        };
        let client = registry::Client::new(&registry::Config {
            mirrors: vec![mirror],
            ..registry::Config::default()
        })?;
        let text = include_str!("../../../deploy/policy-default.yaml");
        Ok(Self {
            client,
            trust: TrustRoot::from_json(trusted_root)?,
            policy: Policy::parse("policy-default.yaml", text)?,
        })
    }

    /// Checks the signatures of what an artifact's tag names now.
    ///
    /// # Errors
    /// If the registry does not have it, or does not answer.
    pub async fn artifact(&self, published: &Published, artifact: Artifact) -> Result<Judged, PeersError> {
        let (image, digest) = match artifact {
            Artifact::FluxManifests => {
                let image = manifests_of(published)?;
                let found = self.client.flux_manifests(&image).await?;
                let digest = found.map(|found| found.manifest);
                (image, digest)
            }
            Artifact::Image(component) => {
                let image = published.images.get(&component).cloned();
                let image = image.map_or_else(|| manifests_of(published), Ok)?;
                let found = self.client.resolve_image(&image).await?;
                (image, found.map(|found| found.index))
            }
        };
        let digest = digest.ok_or_else(|| PeersError::Missing(image.clone()))?;
        let profile = flux::identity::profile(artifact, &version_of(&image)?);
        let material = self.client.signatures(&image, digest).await?;
        let expect = Expectation {
            image: &image,
            digest,
            profile: &profile,
        };
        let verdict = evidence::verify_signatures(&material, &expect, &self.trust, Timestamp::now());
        Ok(Judged {
            image,
            digest,
            verdict,
        })
    }

    /// What the default policy says about a release for a cluster that runs `running`.
    ///
    /// # Errors
    /// If the registry does not have all of it, or does not answer.
    pub async fn decide(
        &self,
        published: &Published,
        running: &Published,
        tag_moved: bool,
    ) -> Result<Answer, PeersError> {
        let release = published.key();
        let manifests = self.evidence(published, Artifact::FluxManifests).await?;
        let vouched = manifests.result == CheckResult::Passed;
        let mut evidence = vec![manifests];
        let mut contents = None;
        // Nothing is derived from manifests that nobody vouches for.
        if vouched {
            let images = self.images(published).await?;
            for component in images.keys() {
                evidence.push(self.evidence(published, Artifact::Image(*component)).await?);
            }
            contents = Some(ReleaseContents {
                release: release.clone(),
                layer: Digest::of(b"not looked at by any rule"),
                document: Digest::of(b"not looked at by any rule"),
                images,
            });
        }
        let summary = RoleSummary {
            release: release.clone(),
            attempt: 1,
            contents: contents
                .as_ref()
                .map(|_| Digest::of(b"not looked at by any rule")),
            checks: evidence.iter().map(line).collect(),
        };
        let verified: Vec<Verified> = evidence.iter().map(verified).collect();
        let evaluation = policy::evaluate(&Inputs {
            policy: &self.policy,
            release: &release,
            contents: contents.as_ref(),
            summary: Some(&summary),
            verified: &verified,
            evidence: &evidence,
            baseline: &Baseline {
                version: Some(running.version.clone()),
                layer: None,
                images: self.images(running).await?,
                crds: CrdSet::new(),
            },
            ledger: &Ledger::Confirmed,
            tag_moved,
            now: Timestamp::now(),
        });
        Ok(answer(&evaluation))
    }

    async fn evidence(&self, published: &Published, artifact: Artifact) -> Result<Evidence, PeersError> {
        let Judged {
            image,
            digest,
            verdict,
        } = self.artifact(published, artifact).await?;
        Ok(Evidence {
            release: published.key(),
            artifact,
            expected: flux::identity::profile(artifact, &version_of(&image)?),
            image,
            digest,
            check: CheckKind::Signature,
            result: verdict.result,
            reason: (verdict.result != CheckResult::Passed).then_some(verdict.reason),
            detail: verdict.detail,
            found: verdict.found,
            integrated_time: verdict.integrated_time,
            material: Vec::new(),
        })
    }

    async fn images(&self, published: &Published) -> Result<BTreeMap<Component, ImageContents>, PeersError> {
        let mut images = BTreeMap::new();
        for (component, image) in &published.images {
            let found = self.client.resolve_image(image).await?;
            let found = found.ok_or_else(|| PeersError::Missing(image.clone()))?;
            images.insert(*component, found);
        }
        Ok(images)
    }
}

/// Upstream name and tag of the manifests.
pub(super) fn manifests_of(published: &Published) -> Result<ImageRef, PeersError> {
    let repository = flux::identity::repository(Artifact::FluxManifests);
    Ok(ImageRef::tagged(&repository, &published.version.to_string())?)
}

/// The version that a tag names.
pub(super) fn version_of(image: &ImageRef) -> Result<Version, PeersError> {
    let tag = image.tag().and_then(|tag| tag.parse().ok());
    tag.ok_or_else(|| PeersError::Tag(image.clone()))
}

fn line(evidence: &Evidence) -> SummaryLine {
    SummaryLine {
        artifact: evidence.artifact,
        digest: evidence.digest,
        check: evidence.check,
        result: evidence.result,
        reason: evidence.reason,
        subject: String::new(),
        evidence: Digest::of(b"not looked at by any rule"),
    }
}

fn verified(evidence: &Evidence) -> Verified {
    Verified {
        artifact: evidence.artifact,
        digest: evidence.digest,
        result: evidence.result,
        reason: evidence.reason,
        detail: evidence.detail.clone(),
        integrated_time: evidence.integrated_time,
    }
}

fn answer(evaluation: &Evaluation) -> Answer {
    let outcome = evaluation.outcome;
    let telling = evaluation.rules.iter().find(|rule| rule.outcome == outcome);
    Answer {
        outcome,
        reason: telling.map_or(Reason::EvidenceMissing, |rule| rule.reason),
    }
}
