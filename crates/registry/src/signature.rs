//! The signatures of an image, as cosign up to version 2 keeps them beside it.
//!
//! Source: cosign `SIGNATURE_SPEC.md`: tag `sha256-<hex>.sig`, one layer for each signature. Nothing is
//! judged here; what is missing stays empty, so that the verifier can say what was wrong with it.

use domain::evidence::SignatureMaterial;
use domain::{Digest, ImageRef};

use crate::client::Client;
use crate::error::{Error, Failure, Operation};
use crate::manifest::{Content, Descriptor};

/// Most signatures of one image. Flux signs once; more than this is not a signature list but a flood.
const MAX_SIGNATURES: usize = 16;
/// Longest simplesigning payload; real ones have about 260 bytes.
const MAX_PAYLOAD_BYTES: u64 = 64 << 10;

const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const BUNDLE: &str = "dev.sigstore.cosign/bundle";

impl Client {
    /// The first 16 signatures of `digest` in the repository of `image`; none where the tag does not exist.
    /// Annotations that a layer lacks are empty texts.
    ///
    /// # Errors
    /// If the manifest or a payload cannot be fetched, is malformed or has another digest.
    pub async fn signatures(
        &self,
        image: &ImageRef,
        digest: Digest,
    ) -> Result<Vec<SignatureMaterial>, Error> {
        let failed = |failure| {
            Error::new(
                Operation::Signatures,
                format!("{}@{digest}", image.repository()),
                failure,
            )
        };
        self.all_signatures(image.repository(), digest)
            .await
            .map_err(failed)
    }

    async fn all_signatures(
        &self,
        repository: &str,
        digest: Digest,
    ) -> Result<Vec<SignatureMaterial>, Failure> {
        let tag = format!("sha256-{}.sig", digest.hex());
        let Ok(tagged) = ImageRef::tagged(repository, &tag) else {
            return Err(Failure::Repository);
        };
        let Some(manifest) = self.any_manifest(&tagged).await? else {
            return Ok(Vec::new());
        };
        let layers = match manifest.content()? {
            Content::Image { layers, .. } => layers,
            // ghcr.io answers some missing fallback tags with the image index itself.
            Content::Index(_) => Vec::new(),
        };
        // No more than are looked at: with an error here whoever can add signatures could keep an artifact
        // from ever getting a result.
        let signatures = layers
            .iter()
            .filter(|layer| layer.media_type == SIMPLE_SIGNING)
            .take(MAX_SIGNATURES);
        let mut material = Vec::with_capacity(MAX_SIGNATURES);
        for layer in signatures {
            let payload = self
                .any_blob(repository, layer.digest, MAX_PAYLOAD_BYTES)
                .await?
                .to_vec();
            material.push(read(layer, payload));
        }
        Ok(material)
    }
}

fn read(layer: &Descriptor, payload: Vec<u8>) -> SignatureMaterial {
    let annotation = |name: &str| layer.annotations.get(name).cloned().unwrap_or_default();
    SignatureMaterial {
        payload,
        signature: annotation(SIGNATURE),
        certificate: annotation(CERTIFICATE),
        bundle: annotation(BUNDLE),
    }
}
