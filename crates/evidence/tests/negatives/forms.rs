//! Payloads and material that say something else, or that two readers could read as two things.

use evidence::MAX_MATERIALS;

use super::*;

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
