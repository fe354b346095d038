//! The `.sig` tag beside an artifact (cosign SIGNATURE_SPEC).

use domain::evidence::SignatureMaterial;
use domain::{Digest, ImageRef};
use serde_json::json;

use super::content::{Manifest, OCI_CONFIG, OCI_MANIFEST, blob};
use super::{FactoryError, path};
use crate::push::Pusher;

const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// Puts one signature beside the artifact with this digest, in place of any other.
pub(super) async fn push(
    pusher: &Pusher,
    image: &ImageRef,
    digest: Digest,
    material: &SignatureMaterial,
    chain: &str,
) -> Result<(), FactoryError> {
    let repository = path(image);
    let config = format!(
        r#"{{"architecture":"","config":{{}},"created":"0001-01-01T00:00:00Z","history":[{{"created":"0001-01-01T00:00:00Z"}}],"os":"","rootfs":{{"diff_ids":["{}"],"type":"layers"}}}}"#,
        Digest::of(&material.payload),
    );
    let config = blob(pusher, repository, OCI_CONFIG, config.into_bytes()).await?;
    let mut layer = blob(pusher, repository, SIMPLE_SIGNING, material.payload.clone()).await?;
    layer.annotations = Some(json!({
        "dev.cosignproject.cosign/signature": material.signature,
        "dev.sigstore.cosign/bundle": material.bundle,
        "dev.sigstore.cosign/certificate": material.certificate,
        "dev.sigstore.cosign/chain": chain,
    }));
    let manifest = serde_json::to_vec(&Manifest::new(config, vec![layer]))?;
    let tag = format!("sha256-{}.sig", digest.hex());
    pusher
        .manifest(repository, Some(&tag), OCI_MANIFEST, manifest)
        .await?;
    Ok(())
}
