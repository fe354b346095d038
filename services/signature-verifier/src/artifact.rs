//! One artifact: fetch its signatures, check them, say what was found.

use domain::{Artifact, CheckKind, CheckResult, Digest, Evidence, ImageRef, ReleaseKey, Version};
use evidence::Expectation;
use jiff::Timestamp;

use crate::Verifier;

/// What is checked: the artifact, its upstream name, the digest that must be signed.
pub(crate) type Subject<'a> = (Artifact, &'a ImageRef, Digest);

impl Verifier {
    /// Checks the signature of one artifact.
    ///
    /// # Errors
    /// If the registry gives no answer: that is no result.
    pub(crate) async fn check(
        &self,
        release: &ReleaseKey,
        (artifact, image, digest): Subject<'_>,
        now: Timestamp,
    ) -> Result<Evidence, registry::Error> {
        let material = self.registry.signatures(image, digest).await?;
        let expected = flux::identity::profile(artifact, &tag(image, release));
        let expect = Expectation {
            image,
            digest,
            profile: &expected,
        };
        let verdict = evidence::verify_signatures(&material, &expect, &self.trust, now);
        let passed = verdict.result == CheckResult::Passed;
        Ok(Evidence {
            release: release.clone(),
            artifact,
            image: image.clone(),
            digest,
            check: CheckKind::Signature,
            result: verdict.result,
            reason: (!passed).then_some(verdict.reason),
            detail: verdict.detail,
            expected,
            found: verdict.found,
            integrated_time: verdict.integrated_time,
            material,
        })
    }
}

/// The version that an artifact must have been built for: that of its own tag.
fn tag(image: &ImageRef, release: &ReleaseKey) -> Version {
    image
        .tag()
        .and_then(|tag| tag.parse().ok())
        .unwrap_or_else(|| release.version.clone())
}
