//! Verifying upstream's signatures again: same material, own trust root, own profiles, own expectations.
//! Nothing that signature-verifier concluded is taken over.

use std::collections::HashMap;
use std::sync::Mutex;

use domain::assignment::StatementRef;
use domain::{Artifact, CheckResult, Digest, Evidence, ImageRef, ReleaseContents, ReleaseKey, Version};
use evidence::Expectation;
use jiff::Timestamp;
use policy::Verified;

use crate::Engine;

/// Results by digest of the evidence: the same bytes give the same answer, a bad one too, as long as the
/// process and with it the trust root lives.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<HashMap<(Digest, Artifact, Digest), Verified>>);

/// An artifact as it must be.
struct Wanted {
    artifact: Artifact,
    image: ImageRef,
    digest: Digest,
    tag: Version,
}

impl Engine {
    /// Verifies the manifests and every image of the contents. An artifact without evidence has no result.
    pub(crate) fn verify(
        &self,
        release: &ReleaseKey,
        contents: Option<&ReleaseContents>,
        evidence: &[(StatementRef, Evidence)],
        now: Timestamp,
    ) -> Vec<Verified> {
        wanted(release, contents)
            .into_iter()
            .filter_map(|wanted| {
                let found = evidence
                    .iter()
                    .find(|(_, evidence)| evidence.artifact == wanted.artifact)?;
                Some(self.verify_one(&wanted, found, now))
            })
            .collect()
    }

    fn verify_one(
        &self,
        wanted: &Wanted,
        (name, found): &(StatementRef, Evidence),
        now: Timestamp,
    ) -> Verified {
        let key = (name.digest, wanted.artifact, wanted.digest);
        if let Some(known) = self
            .verified
            .0
            .lock()
            .ok()
            .and_then(|cache| cache.get(&key).cloned())
        {
            return known;
        }
        let profile = flux::identity::profile(wanted.artifact, &wanted.tag);
        let expect = Expectation {
            image: &wanted.image,
            digest: wanted.digest,
            profile: &profile,
        };
        let verdict = evidence::verify_signatures(&found.material, &expect, &self.trust, now);
        let passed = verdict.result == CheckResult::Passed;
        let verified = Verified {
            artifact: wanted.artifact,
            digest: wanted.digest,
            result: verdict.result,
            reason: (!passed).then_some(verdict.reason),
            detail: verdict.detail,
            integrated_time: verdict.integrated_time,
        };
        if let Ok(mut cache) = self.verified.0.lock() {
            cache.insert(key, verified.clone());
        }
        verified
    }
}

/// Every artifact that has to be signed, by upstream's names and the digests of key and contents.
fn wanted(release: &ReleaseKey, contents: Option<&ReleaseContents>) -> Vec<Wanted> {
    let named = |artifact, tag: &Version, digest| {
        let image = ImageRef::tagged(&flux::identity::repository(artifact), &tag.to_string()).ok()?;
        Some(Wanted {
            artifact,
            image,
            digest,
            tag: tag.clone(),
        })
    };
    let manifests = named(Artifact::FluxManifests, &release.version, release.manifests);
    let images = contents
        .into_iter()
        .flat_map(|contents| &contents.images)
        .filter_map(|(component, image)| {
            let tag: Version = image.image.tag()?.parse().ok()?;
            named(Artifact::Image(*component), &tag, image.index)
        });
    manifests.into_iter().chain(images).collect()
}
