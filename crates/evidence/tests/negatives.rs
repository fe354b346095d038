//! One negative vector for each way in which the verification of a signature can fail. Numbers name rows of
//! the threat table in `reference/signatures.md` section 4.

#![expect(clippy::unwrap_used, reason = "a test ends where its scene can't be set")]

use domain::evidence::SignatureMaterial;
use domain::identity::{Claims, IdentityProfile};
use domain::{CheckResult, Digest, ImageRef, Reason};
use evidence::{Expectation, MAX_MATERIALS, TrustRoot, Verdict, verify_signatures};
use jiff::{SignedDuration, Timestamp};
use testkit::sigstore::{DemoSigstore, Fault, Workflow, simplesigning};

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

/// Rows 11 and 13: a workflow of the same organisation that is not the release.
#[test]
fn another_workflow_is_named() {
    let scene = Scene::new();
    let e2e = scene.workflow().end_to_end_test();
    let material = scene.demo.sign(&scene.payload(), &e2e, scene.signed_at).unwrap();
    let verdict = scene.refused(material, Reason::IdentityMismatch);
    assert!(verdict.detail.contains(&e2e.subject), "{}", verdict.detail);
    assert_eq!(verdict.found.unwrap().subject_alternative_name, e2e.subject);
}

/// Row 11: no prefix, suffix, case or pattern of an allowed name.
#[test]
fn a_name_that_almost_fits_is_another_identity() {
    let scene = Scene::new();
    let name = scene.workflow().subject;
    let almost = [
        format!("{name}0"),
        name[..name.len() - 1].to_owned(),
        name.replace("fluxcd", "Fluxcd"),
        name.replace("github.com", "githubxcom"),
        String::from("https://github.com/fluxcd"),
    ];
    for subject in almost {
        scene.refused(scene.signed_by(|w| w.subject = subject), Reason::IdentityMismatch);
    }
}

/// Row 15 (GHSA-8gw7-4j42-w388): right name, other issuer.
#[test]
fn another_issuer_is_another_identity() {
    let scene = Scene::new();
    let other = scene.signed_by(|w| w.issuer = "https://token.actions.example.com".into());
    scene.refused(other, Reason::IdentityMismatch);
}

#[test]
fn a_profile_that_allows_nobody_allows_nobody() {
    let mut scene = Scene::new();
    let good = scene.good();
    scene.profile.subject_alternative_names.clear();
    scene.refused(good, Reason::IdentityMismatch);
}

/// Row 13: the shared release workflow, called by another repository.
#[test]
fn another_repository_is_a_claim_mismatch() {
    let scene = Scene::new();
    let other = scene.signed_by(|w| w.source_repository = "https://github.com/fluxcd/helm-controller".into());
    let verdict = scene.refused(other, Reason::ClaimMismatch);
    assert!(verdict.detail.contains("helm-controller"), "{}", verdict.detail);
}

/// Row 14: a branch build under the release's name. cosign looks at `.6`, we at `.14`.
#[test]
fn another_ref_is_a_claim_mismatch() {
    let scene = Scene::new();
    for reference in ["refs/heads/main", "refs/tags/v1.9.40", ""] {
        scene.refused(
            scene.signed_by(|w| w.source_ref = reference.into()),
            Reason::ClaimMismatch,
        );
    }
}

#[test]
fn another_owner_is_a_claim_mismatch() {
    let scene = Scene::new();
    let other = scene.signed_by(|w| w.source_owner = "https://github.com/somebody".into());
    scene.refused(other, Reason::ClaimMismatch);
}

/// Row 14: started by hand.
#[test]
fn another_trigger_is_a_claim_mismatch() {
    let scene = Scene::new();
    scene.refused(
        scene.signed_by(|w| w.trigger = "workflow_dispatch".into()),
        Reason::ClaimMismatch,
    );
}

#[test]
fn another_runner_is_a_claim_mismatch() {
    let scene = Scene::new();
    scene.refused(
        scene.signed_by(|w| w.runner = "self-hosted".into()),
        Reason::ClaimMismatch,
    );
}

/// Row 8: another instance altogether. Its log key is unknown, which is reported first.
#[test]
fn another_sigstore_is_not_trusted() {
    let scene = Scene::new();
    let other = Scene::new();
    scene.refused(other.good(), Reason::LogEntryInvalid);
}

/// Row 8: certificate of another Fulcio, entry of ours.
#[test]
fn a_foreign_fulcio_is_not_trusted() {
    let scene = Scene::new();
    let foreign = scene.with_fault(Fault::ForeignFulcio);
    scene.refused(foreign, Reason::CertificateInvalid);
}

/// Row 7.
#[test]
fn a_certificate_without_sct_is_invalid() {
    let scene = Scene::new();
    scene.refused(scene.with_fault(Fault::NoSct), Reason::CertificateInvalid);
}

/// Row 7, conformance `invalid-ct-key_fail`.
#[test]
fn an_sct_of_a_foreign_log_is_invalid() {
    let scene = Scene::new();
    scene.refused(scene.with_fault(Fault::ForeignCtLog), Reason::CertificateInvalid);
}

#[test]
fn a_certificate_for_another_use_is_invalid() {
    let scene = Scene::new();
    scene.refused(
        scene.with_fault(Fault::TlsCertificate),
        Reason::CertificateInvalid,
    );
}

/// Rows 3 and 4: logged when the certificate was over.
#[test]
fn an_entry_outside_the_certificates_validity_is_invalid() {
    let scene = Scene::new();
    scene.refused(scene.with_fault(Fault::LoggedTooLate), Reason::CertificateInvalid);
}

/// Row 8.
#[test]
fn a_promise_of_a_foreign_rekor_is_invalid() {
    let scene = Scene::new();
    scene.refused(scene.with_fault(Fault::ForeignRekor), Reason::LogEntryInvalid);
}

/// Row 2 (TOB-SIGSTORE-3): the time moved by a second.
#[test]
fn a_changed_integrated_time_is_invalid() {
    let scene = Scene::new();
    let seconds = scene.signed_at.as_second();
    let material = scene.changed(|m| {
        m.bundle = m.bundle.replace(&seconds.to_string(), &(seconds + 1).to_string());
    });
    scene.refused(material, Reason::LogEntryInvalid);
}

/// cosign 2.6 accepts this one.
#[test]
fn an_entry_from_the_future_is_invalid() {
    let mut scene = Scene::new();
    let good = scene.good();
    scene.now = scene.signed_at - SignedDuration::from_secs(301);
    let verdict = scene.refused(good.clone(), Reason::LogEntryInvalid);
    assert!(verdict.detail.contains("is after"), "{}", verdict.detail);
    scene.now = scene.signed_at - SignedDuration::from_secs(300);
    assert_eq!(scene.verify(&[good]).result, CheckResult::Passed);
}

/// Row 1 (CVE-2022-36056): a genuine entry of another payload.
#[test]
fn an_entry_of_another_payload_is_invalid() {
    let scene = Scene::new();
    scene.refused(scene.with_fault(Fault::OtherEntry), Reason::LogEntryInvalid);
}

/// Rows 1 and 33: parts of two good signatures of the same image never make one.
#[test]
fn parts_of_two_signatures_never_make_one() {
    let scene = Scene::new();
    let other = scene.good();
    let mixes: [fn(&mut SignatureMaterial, SignatureMaterial); 3] = [
        |m, o| m.bundle = o.bundle,
        |m, o| m.certificate = o.certificate,
        |m, o| m.signature = o.signature,
    ];
    for mix in mixes {
        let mixed = scene.changed(|m| mix(m, other.clone()));
        assert_eq!(
            scene.verify(std::slice::from_ref(&mixed)).result,
            CheckResult::Failed
        );
        // Not even when every part of a good one lies somewhere in the list.
        let half = scene.changed(|m| m.bundle.clear());
        assert_eq!(scene.verify(&[mixed, half]).result, CheckResult::Failed);
    }
}

#[test]
fn a_changed_payload_is_not_signed() {
    let scene = Scene::new();
    scene.refused(scene.changed(|m| m.payload.push(b' ')), Reason::SignatureInvalid);
}

/// Row 17, SwappedAfterSigning of the demo: the signature of the image that was there before.
#[test]
fn a_payload_about_another_digest_is_a_payload_mismatch() {
    let scene = Scene::new();
    let other = scene
        .demo
        .sign_image(
            &scene.image,
            Digest::of(b"other"),
            &scene.workflow(),
            scene.signed_at,
        )
        .unwrap();
    let verdict = scene.refused(other, Reason::PayloadMismatch);
    assert!(
        verdict.detail.contains(&Digest::of(b"other").to_string()),
        "{}",
        verdict.detail
    );
    assert!(verdict.found.is_some());
}

#[test]
fn a_payload_about_another_repository_is_a_payload_mismatch() {
    let scene = Scene::new();
    for repository in [
        "ghcr.io/fluxcd/helm-controller",
        "127.0.0.1:5000/fluxcd/source-controller",
    ] {
        let payload = simplesigning(repository, scene.digest);
        let other = scene
            .demo
            .sign(&payload, &scene.workflow(), scene.signed_at)
            .unwrap();
        scene.refused(other, Reason::PayloadMismatch);
    }
}

#[test]
fn a_payload_of_another_type_is_a_payload_mismatch() {
    let scene = Scene::new();
    let text = String::from_utf8(scene.payload()).unwrap();
    let payload = text.replace("cosign container image signature", "atomic container signature");
    let other = scene
        .demo
        .sign(payload.as_bytes(), &scene.workflow(), scene.signed_at)
        .unwrap();
    scene.refused(other, Reason::PayloadMismatch);
}

/// Row 31: properly signed, but two readers could read two things.
#[test]
fn a_signed_payload_with_doubled_keys_is_malformed() {
    let scene = Scene::new();
    let text = String::from_utf8(scene.payload()).unwrap();
    let key = r#""docker-manifest-digest":"#;
    let doubled = text.replace(key, &format!(r#"{key}"sha256:00",{key}"#));
    assert_ne!(doubled, text);
    let other = scene
        .demo
        .sign(doubled.as_bytes(), &scene.workflow(), scene.signed_at)
        .unwrap();
    scene.refused(other, Reason::MaterialMalformed);
}

/// Rows 29, 30 and 31: sizes, missing parts, doubled and unknown fields, texts that are none.
#[test]
fn material_in_another_form_is_malformed() {
    let scene = Scene::new();
    let vectors: [(&str, Change); 19] = [
        ("no payload", |m| m.payload.clear()),
        ("huge payload", |m| m.payload.resize(16 * 1024 + 1, b' ')),
        ("payload is no JSON", |m| m.payload = b"{".to_vec()),
        ("no signature", |m| m.signature.clear()),
        ("signature is no base64", |m| m.signature.push('!')),
        ("huge signature", |m| m.signature = "A".repeat(4096)),
        ("no certificate", |m| m.certificate.clear()),
        ("huge certificate", |m| {
            m.certificate.push_str(&" ".repeat(16 * 1024))
        }),
        ("two certificates", |m| m.certificate = m.certificate.repeat(2)),
        ("text before the certificate", |m| {
            m.certificate.insert_str(0, "x\n")
        }),
        ("certificate is no DER", |m| {
            m.certificate = m.certificate.replace("MII", "AAA")
        }),
        ("certificate is a key", |m| {
            m.certificate = m.certificate.replace("CERTIFICATE", "PUBLIC KEY")
        }),
        ("no bundle", |m| m.bundle.clear()),
        ("huge bundle", |m| m.bundle.push_str(&" ".repeat(64 * 1024))),
        ("unknown field", |m| m.bundle.insert_str(1, r#""more":1,"#)),
        ("doubled field", |m| {
            m.bundle.insert_str(1, r#""SignedEntryTimestamp":"AAAA","#)
        }),
        ("no promise", |m| {
            m.bundle = m.bundle.replace("SignedEntryTimestamp", "x")
        }),
        ("log id is no hex", |m| {
            m.bundle = m.bundle.replace(r#""logID":""#, r#""logID":"x"#)
        }),
        ("negative index", |m| {
            m.bundle = m.bundle.replace(r#""logIndex":"#, r#""logIndex":-"#)
        }),
    ];
    for (name, change) in vectors {
        let verdict = scene.verify(&[scene.changed(change)]);
        assert_eq!(
            verdict.reason,
            Reason::MaterialMalformed,
            "{name}: {}",
            verdict.detail
        );
        assert_eq!(verdict.result, CheckResult::Failed, "{name}");
    }
}

#[test]
fn an_empty_promise_is_malformed() {
    let scene = Scene::new();
    let material = scene.changed(|m| {
        let start = m.bundle.find(r#""SignedEntryTimestamp":""#).unwrap() + 24;
        let end = start + m.bundle[start..].find('"').unwrap();
        m.bundle.replace_range(start..end, "");
    });
    scene.refused(material, Reason::MaterialMalformed);
}

/// Row 30: whatever byte is changed, nothing passes and nothing panics.
#[test]
fn no_changed_byte_passes() {
    let scene = Scene::new();
    let good = scene.good();
    for index in (0..good.payload.len()).step_by(11) {
        let mut changed = good.clone();
        changed.payload[index] ^= 1;
        assert_ne!(
            scene.verify(&[changed]).result,
            CheckResult::Passed,
            "payload byte {index}"
        );
    }
    let texts: [fn(&mut SignatureMaterial) -> &mut String; 3] =
        [|m| &mut m.signature, |m| &mut m.certificate, |m| &mut m.bundle];
    for text in texts {
        let original = text(&mut good.clone()).clone();
        for index in (0..original.len()).step_by(29) {
            let mut bytes = original.clone().into_bytes();
            bytes[index] ^= 1;
            let flipped = String::from_utf8(bytes).unwrap();
            let mut changed = good.clone();
            *text(&mut changed) = flipped;
            assert_ne!(
                scene.verify(&[changed]).result,
                CheckResult::Passed,
                "{original} byte {index}"
            );
        }
        for end in (0..original.len()).step_by(97) {
            let mut changed = good.clone();
            text(&mut changed).truncate(end);
            assert_ne!(
                scene.verify(&[changed]).result,
                CheckResult::Passed,
                "{original} cut at {end}"
            );
        }
    }
}

#[test]
fn details_are_safe_to_print() {
    let scene = Scene::new();
    let long = format!("ghcr.io/fluxcd/{}", "x".repeat(9000));
    let payload = simplesigning(&long, scene.digest);
    let other = scene
        .demo
        .sign(&payload, &scene.workflow(), scene.signed_at)
        .unwrap();
    let verdict = scene.refused(other, Reason::PayloadMismatch);
    assert!(verdict.detail.len() < 3000, "{}", verdict.detail.len());
    let escape = scene.signed_by(|w| w.source_ref = "refs/tags/\u{1b}[2J".into());
    let verdict = scene.refused(escape, Reason::ClaimMismatch);
    assert!(!verdict.detail.contains(char::is_control), "{:?}", verdict.detail);
}

#[test]
fn one_good_signature_among_bad_ones_is_enough() {
    let scene = Scene::new();
    let e2e = scene.workflow().end_to_end_test();
    let bad = scene.demo.sign(&scene.payload(), &e2e, scene.signed_at).unwrap();
    for materials in [[bad.clone(), scene.good()], [scene.good(), bad.clone()]] {
        assert_eq!(scene.verify(&materials).result, CheckResult::Passed);
    }
}

#[test]
fn the_most_telling_failure_is_reported_in_any_order() {
    let scene = Scene::new();
    let malformed = scene.changed(|m| m.bundle.clear());
    let invalid = scene.changed(|m| m.payload.push(b' '));
    let identity = scene.signed_by(|w| w.subject = "https://github.com/x/y".into());
    let mut materials = vec![malformed, invalid, identity];
    for _ in 0..3 {
        materials.rotate_left(1);
        let verdict = scene.verify(&materials);
        assert_eq!(verdict.reason, Reason::IdentityMismatch, "{}", verdict.detail);
        assert!(verdict.detail.contains("none of 3"), "{}", verdict.detail);
    }
}

/// Row 28 (CVE-2023-46737): the seventeenth is not looked at.
#[test]
fn endless_signatures_are_not_read() {
    let scene = Scene::new();
    let mut materials = vec![scene.changed(|m| m.payload.push(b' ')); MAX_MATERIALS];
    materials.push(scene.good());
    let verdict = scene.verify(&materials);
    assert_eq!(
        (verdict.result, verdict.reason),
        (CheckResult::Failed, Reason::SignatureInvalid)
    );
    materials.remove(0);
    assert_eq!(scene.verify(&materials).result, CheckResult::Passed);
}
