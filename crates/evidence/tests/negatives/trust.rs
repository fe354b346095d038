//! Certificates, SCTs and log entries that prove nothing.

use super::*;

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

/// Row 7: by the trusted log, but not of this certificate.
#[test]
fn an_sct_of_another_certificate_is_invalid() {
    let scene = Scene::new();
    scene.refused(scene.with_fault(Fault::OtherSct), Reason::CertificateInvalid);
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

/// What the release factory says of its own faults is what is found: demo, trials and peers rely on it.
#[test]
fn every_fault_of_the_demo_is_found_for_what_it_is() {
    let scene = Scene::new();
    for fault in Fault::ALL {
        let verdict = scene.verify(&[scene.with_fault(fault)]);
        assert_eq!(
            (verdict.result, verdict.reason),
            (CheckResult::Failed, fault.reason()),
            "{fault:?}: {}",
            verdict.detail
        );
    }
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
