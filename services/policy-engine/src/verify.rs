//! Verifying upstream's signatures again: same material, own trust root, own profiles, own expectations.
//! Nothing that signature-verifier concluded is taken over.

use domain::{Artifact, CheckResult, Digest, Evidence, ImageRef, ReleaseContents, ReleaseKey, Version};
use evidence::Expectation;
use jiff::Timestamp;
use policy::Verified;

use crate::Engine;

/// An artifact as it must be.
struct Wanted {
    artifact: Artifact,
    image: ImageRef,
    digest: Digest,
    tag: Version,
}

impl Engine {
    /// Verifies the manifests and every image of the contents. An artifact without evidence has no result. What
    /// passed does so as long as the process and with it the trust root lives; what failed may fail by the clock.
    pub(crate) fn verify(
        &self,
        release: &ReleaseKey,
        contents: Option<&ReleaseContents>,
        evidence: &[Evidence],
        now: Timestamp,
    ) -> Vec<Verified> {
        wanted(release, contents)
            .into_iter()
            .filter_map(|wanted| {
                let found = evidence
                    .iter()
                    .find(|evidence| evidence.artifact == wanted.artifact)?;
                Some(self.verify_one(&wanted, found, now))
            })
            .collect()
    }

    fn verify_one(&self, wanted: &Wanted, found: &Evidence, now: Timestamp) -> Verified {
        let profile = flux::identity::profile(wanted.artifact, &wanted.tag);
        let expect = Expectation {
            image: &wanted.image,
            digest: wanted.digest,
            profile: &profile,
        };
        let verdict = evidence::verify_signatures(&found.material, &expect, &self.trust, now);
        let passed = verdict.result == CheckResult::Passed;
        Verified {
            artifact: wanted.artifact,
            digest: wanted.digest,
            result: verdict.result,
            reason: (!passed).then_some(verdict.reason),
            detail: verdict.detail,
            integrated_time: verdict.integrated_time,
        }
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
