//! Lies in the objects: indexes, platforms, signatures, the manifests artifact.

use domain::{Digest, ImageRef};
use serde_json::json;

use super::liar::{Liar, REPOSITORY};
use crate::Failure;

const FLUX_LAYER: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

fn tag(tag: &str) -> ImageRef {
    ImageRef::tagged(REPOSITORY, tag).unwrap()
}

fn image(config: Digest, layers: &serde_json::Value) -> String {
    let config =
        json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 1});
    json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string()
}

fn entry(manifest: &str, os: &str, architecture: &str, variant: Option<&str>) -> serde_json::Value {
    let mut platform = json!({"os": os, "architecture": architecture});
    if let Some(variant) = variant {
        platform["variant"] = variant.into();
    }
    json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": Digest::of(manifest.as_bytes()),
        "size": manifest.len(),
        "platform": platform,
    })
}

fn index(entries: &[serde_json::Value]) -> String {
    json!({"schemaVersion": 2, "manifests": entries}).to_string()
}

#[tokio::test]
async fn an_index_is_resolved_to_its_platforms_without_attestations() {
    let liar = Liar::start().await;
    let amd64 = image(Digest::of(b"amd64"), &json!([]));
    let arm = image(Digest::of(b"arm"), &json!([]));
    liar.manifest(&amd64);
    liar.manifest(&arm);
    let index = index(&[
        entry(&amd64, "linux", "amd64", None),
        entry(&arm, "linux", "arm", Some("v7")),
        entry("attestation", "unknown", "unknown", None),
    ]);
    liar.serve("manifests", "v1", index.as_str());
    let contents = liar.client().resolve_image(&tag("v1")).await.unwrap().unwrap();
    assert_eq!(contents.index, Digest::of(index.as_bytes()));
    assert_eq!(contents.image, tag("v1").pinned(contents.index));
    let platforms: Vec<_> = contents
        .platforms
        .iter()
        .map(|p| p.platform.to_string())
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm/v7"]);
    assert!(contents.covers(Digest::of(amd64.as_bytes())) && contents.covers(Digest::of(b"arm")));
    assert!(liar.client().resolve_image(&tag("v2")).await.unwrap().is_none());
}

#[tokio::test]
async fn an_image_without_index_has_the_platform_of_its_config() {
    let liar = Liar::start().await;
    let config = liar.blob(br#"{"os":"linux","architecture":"arm64","variant":""}"#);
    let manifest = liar.manifest(&image(config, &json!([])));
    let contents = liar
        .client()
        .resolve_image(&tag("v1").pinned(manifest))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((contents.index, contents.platforms.len()), (manifest, 1));
    assert_eq!(contents.platforms[0].platform.to_string(), "linux/arm64");
    assert_eq!(contents.platforms[0].config, config);
}

#[tokio::test]
async fn a_platform_whose_bytes_are_swapped_missing_or_an_index_is_refused() {
    let liar = Liar::start().await;
    let good = image(Digest::of(b"config"), &json!([]));
    liar.serve("manifests", "v1", index(&[entry(&good, "linux", "amd64", None)]));
    let resolve = || async { liar.client().resolve_image(&tag("v1")).await };
    assert!(matches!(resolve().await.unwrap_err().failure, Failure::Missing));

    let evil = image(Digest::of(b"evil"), &json!([]));
    liar.serve("manifests", &Digest::of(good.as_bytes()).to_string(), evil);
    assert!(matches!(
        resolve().await.unwrap_err().failure,
        Failure::DigestMismatch { .. }
    ));

    let inner = index(&[entry(&good, "linux", "amd64", None)]);
    liar.manifest(&inner);
    liar.serve("manifests", "v1", index(&[entry(&inner, "linux", "amd64", None)]));
    assert!(matches!(
        resolve().await.unwrap_err().failure,
        Failure::Malformed(_)
    ));

    liar.serve("manifests", "v1", index(&[]));
    assert!(matches!(
        resolve().await.unwrap_err().failure,
        Failure::Malformed(_)
    ));
}

fn signatures(liar: &Liar, subject: Digest, layers: &serde_json::Value) {
    liar.serve(
        "manifests",
        &format!("sha256-{}.sig", subject.hex()),
        image(Digest::of(b""), layers),
    );
}

#[tokio::test]
async fn signatures_are_handed_over_as_they_lie_there() {
    let liar = Liar::start().await;
    let (subject, payload) = (Digest::of(b"index"), liar.blob(b"payload"));
    assert!(
        liar.client()
            .signatures(&tag("v1"), subject)
            .await
            .unwrap()
            .is_empty()
    );
    let layer = json!({"mediaType": SIMPLE_SIGNING, "digest": payload, "size": 7, "annotations": {
        "dev.cosignproject.cosign/signature": "s", "dev.sigstore.cosign/certificate": "c",
        "dev.sigstore.cosign/bundle": "b"}});
    let bare = json!({"mediaType": SIMPLE_SIGNING, "digest": payload, "size": 7});
    let other = json!({"mediaType": "application/octet-stream", "digest": subject, "size": 7});
    signatures(&liar, subject, &json!([layer, bare, other]));
    let found = liar.client().signatures(&tag("v1"), subject).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[0].payload.as_slice(), found[0].signature.as_str()),
        (&b"payload"[..], "s")
    );
    assert_eq!(
        (found[0].certificate.as_str(), found[0].bundle.as_str()),
        ("c", "b")
    );
    assert_eq!((found[1].signature.as_str(), found[1].bundle.as_str()), ("", ""));
}

#[tokio::test]
async fn a_flood_of_signatures_is_cut_and_a_swapped_payload_is_refused() {
    let liar = Liar::start().await;
    let subject = Digest::of(b"index");
    let layer = json!({"mediaType": SIMPLE_SIGNING, "digest": Digest::of(b"payload"), "size": 7});
    liar.serve("blobs", &Digest::of(b"payload").to_string(), "payload");
    signatures(&liar, subject, &vec![layer.clone(); 17].into());
    assert_eq!(
        liar.client().signatures(&tag("v1"), subject).await.unwrap().len(),
        16
    );

    signatures(&liar, subject, &json!([layer]));
    liar.serve("blobs", &Digest::of(b"payload").to_string(), "swapped");
    let error = liar.client().signatures(&tag("v1"), subject).await.unwrap_err();
    assert!(matches!(error.failure, Failure::DigestMismatch { .. }));
}

#[tokio::test]
async fn an_index_in_place_of_signatures_holds_no_signature() {
    let liar = Liar::start().await;
    let subject = Digest::of(b"index");
    liar.serve("manifests", &format!("sha256-{}.sig", subject.hex()), index(&[]));
    assert!(
        liar.client()
            .signatures(&tag("v1"), subject)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn the_manifests_artifact_has_exactly_one_flux_layer() {
    let liar = Liar::start().await;
    let digest = liar.blob(b"layer");
    let layer = json!({"mediaType": FLUX_LAYER, "digest": digest, "size": 5});
    let manifest = image(Digest::of(b""), &json!([layer]));
    liar.serve("manifests", "v1", manifest.as_str());
    let found = liar.client().flux_manifests(&tag("v1")).await.unwrap().unwrap();
    assert_eq!(
        (found.manifest, found.layer),
        (Digest::of(manifest.as_bytes()), digest)
    );
    assert_eq!(found.layer_bytes, b"layer");
    assert!(liar.client().flux_manifests(&tag("v2")).await.unwrap().is_none());

    let other = json!({"mediaType": "application/octet-stream", "digest": digest, "size": 5});
    for layers in [json!([]), json!([layer, layer]), json!([other])] {
        liar.serve("manifests", "v1", image(Digest::of(b""), &layers));
        let error = liar.client().flux_manifests(&tag("v1")).await.unwrap_err();
        assert!(matches!(error.failure, Failure::Malformed(_)));
    }
}
