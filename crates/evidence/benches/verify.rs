//! One verification by this crate against the same signature by `sigstore-verify` alone:
//! `cargo bench -p evidence --bench verify`. Aim: at most 1.3 times.
//!
//! Alone it gets the signature as a bundle v0.1 and checks chain, SCT, promise, identity and signature. Ours reads
//! the annotations of a `.sig` layer strictly, and checks claims, payload and our own `now` as well. Times are the
//! least of many runs, which says what the work takes and not what else the machine did.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench ends where its scene can't be set, and prints its table"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::evidence::SignatureMaterial;
use domain::identity::{Claims, IdentityProfile};
use domain::{CheckResult, Digest, ImageRef};
use evidence::{Expectation, TrustRoot, verify_signatures};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::Bundle;
use sigstore_verify::{IdentityMatcher, VerificationPolicy, Verifier};
use testkit::sigstore::{DemoSigstore, Workflow};

const RUNS: usize = 2000;
const AIM: f64 = 1.3;

struct Scene {
    root: Vec<u8>,
    image: ImageRef,
    digest: Digest,
    profile: IdentityProfile,
    material: SignatureMaterial,
    now: Timestamp,
}

fn scene() -> Scene {
    let signed_at: Timestamp = "2026-08-07T10:00:00Z".parse().unwrap();
    let demo = DemoSigstore::new(signed_at).unwrap();
    let image: ImageRef = "ghcr.io/fluxcd/source-controller:v1.9.4".parse().unwrap();
    let digest = Digest::of(b"index");
    let repository = "https://github.com/fluxcd/source-controller";
    let profile = IdentityProfile {
        subject_alternative_names: vec![format!(
            "{repository}/.github/workflows/release.yml@refs/tags/v1.9.4"
        )],
        issuer: "https://token.actions.githubusercontent.com".to_owned(),
        claims: Claims {
            source_repository: repository.to_owned(),
            source_ref: "refs/tags/v1.9.4".to_owned(),
            source_owner: "https://github.com/fluxcd".to_owned(),
            trigger: "push".to_owned(),
            runner: "github-hosted".to_owned(),
        },
    };
    let workflow = Workflow::demanded_by(&profile);
    Scene {
        root: demo.trusted_root_json().unwrap(),
        material: demo.sign_image(&image, digest, &workflow, signed_at).unwrap(),
        image,
        digest,
        profile,
        now: signed_at + SignedDuration::from_hours(80),
    }
}

/// The same signature as a Sigstore bundle v0.1.
fn bundle(material: &SignatureMaterial) -> String {
    let annotation: Value = serde_json::from_str(&material.bundle).unwrap();
    let entry = &annotation["Payload"];
    let pem = material.certificate.trim();
    let inner = pem.strip_prefix("-----BEGIN CERTIFICATE-----").unwrap();
    let leaf: String = inner
        .strip_suffix("-----END CERTIFICATE-----")
        .unwrap()
        .lines()
        .collect();
    let log_id = hex::decode(entry["logID"].as_str().unwrap()).unwrap();
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "verificationMaterial": {
            "x509CertificateChain": { "certificates": [{ "rawBytes": leaf }] },
            "tlogEntries": [{
                "logIndex": entry["logIndex"].to_string(),
                "logId": { "keyId": STANDARD.encode(log_id) },
                "kindVersion": { "kind": "hashedrekord", "version": "0.0.1" },
                "integratedTime": entry["integratedTime"].to_string(),
                "inclusionPromise": { "signedEntryTimestamp": annotation["SignedEntryTimestamp"] },
                "canonicalizedBody": entry["body"],
            }],
        },
        "messageSignature": {
            "messageDigest": {
                "algorithm": "SHA2_256",
                "digest": STANDARD.encode(Digest::of(&material.payload).as_bytes()),
            },
            "signature": material.signature,
        },
    })
    .to_string()
}

/// The least time of all runs, after some to warm up.
fn least(mut run: impl FnMut()) -> Duration {
    for _ in 0..RUNS / 10 {
        run();
    }
    let timed = |_| {
        let started = Instant::now();
        run();
        started.elapsed()
    };
    (0..RUNS).map(timed).min().unwrap()
}

fn main() {
    let scene = scene();
    let text = bundle(&scene.material);
    let root = TrustedRoot::from_json(std::str::from_utf8(&scene.root).unwrap()).unwrap();
    let verifier = Verifier::new(&root).unwrap();
    let name = scene.profile.subject_alternative_names.first().unwrap().clone();
    let policy = VerificationPolicy::new(IdentityMatcher::Uri(name), scene.profile.issuer.clone());
    let ready = Bundle::from_json(&text).unwrap();
    let payload = scene.material.payload.as_slice();
    let verify = |bundle: &Bundle| verifier.verify(payload, bundle, &policy).unwrap();

    let trust = TrustRoot::from_json(&scene.root).unwrap();
    let expect = Expectation {
        image: &scene.image,
        digest: scene.digest,
        profile: &scene.profile,
    };
    let materials = [scene.material.clone()];
    let alone = least(|| drop(black_box(verify(&ready))));
    let reading = least(|| drop(black_box(verify(&Bundle::from_json(&text).unwrap()))));
    let ours = least(|| {
        let verdict = verify_signatures(black_box(&materials), &expect, &trust, scene.now);
        assert_eq!(verdict.result, CheckResult::Passed, "{}", verdict.detail);
    });

    let ratio = |time: Duration| time.as_secs_f64() / alone.as_secs_f64();
    println!("one legacy signature, least of {RUNS} runs, one core");
    for (what, time) in [
        ("sigstore-verify, bundle read before", alone),
        ("sigstore-verify, bundle read each time", reading),
        ("evidence::verify_signatures", ours),
    ] {
        println!(
            "{what:<40}{:>8.1} us  {:>5.2}x",
            time.as_secs_f64() * 1e6,
            ratio(time)
        );
    }
    let met = if ratio(ours) <= AIM { "met" } else { "MISSED" };
    println!("aim: at most {AIM}x of sigstore-verify alone: {met}");
}
