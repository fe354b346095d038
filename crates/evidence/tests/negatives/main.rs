//! One negative vector for each way in which the verification of a signature can fail. Numbers name rows of
//! the threat table in `reference/signatures.md` section 4.

#![expect(clippy::unwrap_used, reason = "a test ends where its scene can't be set")]

use domain::evidence::SignatureMaterial;
use domain::identity::{Claims, IdentityProfile};
use domain::{CheckResult, Digest, ImageRef, Reason};
use evidence::{Expectation, TrustRoot, Verdict, verify_signatures};
use jiff::{SignedDuration, Timestamp};
use testkit::sigstore::{DemoSigstore, Fault, Workflow, simplesigning};

mod forms;
mod trust;
mod who;

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const REPOSITORY: &str = "ghcr.io/fluxcd/source-controller";

/// What a vector does to a good signature.
type Change = fn(&mut SignatureMaterial);

/// A demo Sigstore, an image, and what its signature must be.
struct Scene {
    demo: DemoSigstore,
    trust: TrustRoot,
    image: ImageRef,
    digest: Digest,
    profile: IdentityProfile,
    signed_at: Timestamp,
    now: Timestamp,
}

impl Scene {
    fn new() -> Self {
        let signed_at: Timestamp = "2026-08-07T10:00:00Z".parse().unwrap();
        let demo = DemoSigstore::new(signed_at).unwrap();
        let trust = TrustRoot::from_json(&demo.trusted_root_json().unwrap()).unwrap();
        Self {
            demo,
            trust,
            image: format!("{REPOSITORY}:v1.9.4").parse().unwrap(),
            digest: Digest::of(b"index"),
            profile: profile(),
            signed_at,
            now: signed_at + SignedDuration::from_hours(80),
        }
    }

    fn payload(&self) -> Vec<u8> {
        simplesigning(REPOSITORY, self.digest)
    }

    fn workflow(&self) -> Workflow {
        Workflow::demanded_by(&self.profile)
    }

    fn good(&self) -> SignatureMaterial {
        self.demo
            .sign_image(&self.image, self.digest, &self.workflow(), self.signed_at)
            .unwrap()
    }

    fn signed_by(&self, change: impl FnOnce(&mut Workflow)) -> SignatureMaterial {
        let mut workflow = self.workflow();
        change(&mut workflow);
        self.demo
            .sign(&self.payload(), &workflow, self.signed_at)
            .unwrap()
    }

    fn with_fault(&self, fault: Fault) -> SignatureMaterial {
        self.demo
            .sign_with_fault(&self.payload(), &self.workflow(), self.signed_at, fault)
            .unwrap()
    }

    fn changed(&self, change: impl FnOnce(&mut SignatureMaterial)) -> SignatureMaterial {
        let mut material = self.good();
        change(&mut material);
        material
    }

    fn verify(&self, material: &[SignatureMaterial]) -> Verdict {
        let expect = Expectation {
            image: &self.image,
            digest: self.digest,
            profile: &self.profile,
        };
        verify_signatures(material, &expect, &self.trust, self.now)
    }

    /// The verdict over this one signature, which must be a failure with this reason.
    fn refused(&self, material: SignatureMaterial, reason: Reason) -> Verdict {
        let verdict = self.verify(&[material]);
        assert_eq!(
            (verdict.result, verdict.reason),
            (CheckResult::Failed, reason),
            "{}",
            verdict.detail
        );
        assert_eq!(verdict.integrated_time, None);
        verdict
    }
}

fn profile() -> IdentityProfile {
    IdentityProfile {
        subject_alternative_names: vec![
            "https://github.com/fluxcd/source-controller/.github/workflows/release.yml@refs/tags/v1.9.4".into(),
            "https://github.com/fluxcd/gha-workflows/.github/workflows/controller-release.yaml@refs/tags/v0.11.0"
                .into(),
        ],
        issuer: ISSUER.into(),
        claims: Claims {
            source_repository: "https://github.com/fluxcd/source-controller".into(),
            source_ref: "refs/tags/v1.9.4".into(),
            source_owner: "https://github.com/fluxcd".into(),
            trigger: "push".into(),
            runner: "github-hosted".into(),
        },
    }
}

#[test]
fn a_good_signature_passes() {
    let scene = Scene::new();
    let verdict = scene.verify(&[scene.good()]);
    assert_eq!(
        (verdict.result, verdict.reason),
        (CheckResult::Passed, Reason::SignatureVerified),
        "{verdict:?}"
    );
    assert_eq!(verdict.integrated_time, Some(scene.signed_at));
    let found = verdict.found.unwrap();
    assert_eq!(
        found.source_repository,
        "https://github.com/fluxcd/source-controller"
    );
    assert_eq!(found.source_ref, "refs/tags/v1.9.4");
    assert_eq!((found.trigger.as_str(), found.issuer.as_str()), ("push", ISSUER));
    assert_eq!(found.source_digest.len(), 40);
}

#[test]
fn any_allowed_name_passes() {
    let scene = Scene::new();
    let second = scene.profile.subject_alternative_names[1].clone();
    let verdict = scene.verify(&[scene.signed_by(|w| w.subject = second)]);
    assert_eq!(verdict.result, CheckResult::Passed, "{verdict:?}");
}

#[test]
fn a_saved_sigstore_signs_what_its_root_trusts() {
    let mut scene = Scene::new();
    scene.demo = DemoSigstore::load(&scene.demo.save().unwrap()).unwrap();
    assert_eq!(scene.verify(&[scene.good()]).result, CheckResult::Passed);
    assert_eq!(
        scene.trust.digest(),
        Digest::of(&scene.demo.trusted_root_json().unwrap())
    );
    assert!(scene.trust.is_demo());
}

#[test]
fn nothing_found_is_not_checked() {
    let verdict = Scene::new().verify(&[]);
    assert_eq!(
        (verdict.result, verdict.reason),
        (CheckResult::NotChecked, Reason::SignatureMissing)
    );
}
