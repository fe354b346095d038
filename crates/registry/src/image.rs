//! An image with all its platforms, resolved once.

use domain::{ImageContents, ImageRef, PlatformImage};

use crate::client::Client;
use crate::error::{Error, Failure, Operation};
use crate::manifest::{Content, Descriptor, Manifest, PlatformFields};

/// Most entries of an index; Flux images have three platforms and three attestation manifests.
const MAX_ENTRIES: usize = 64;
/// Longest image config that is read.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// The annotation that BuildKit puts on attestation manifests.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

impl Client {
    /// The index of an image, and for each platform below it the digests of manifest and config: every form
    /// in which a runtime may report it. An image without an index has the one platform of its config.
    /// Nothing where the registry has no such image.
    ///
    /// # Errors
    /// If anything that the index names is missing, has another digest, or is malformed.
    pub async fn resolve_image(&self, image: &ImageRef) -> Result<Option<ImageContents>, Error> {
        self.resolved(image)
            .await
            .map_err(|failure| Error::new(Operation::Image, image, failure))
    }

    async fn resolved(&self, image: &ImageRef) -> Result<Option<ImageContents>, Failure> {
        let Some(manifest) = self.any_manifest(image).await? else {
            return Ok(None);
        };
        let platforms = match manifest.content()? {
            Content::Index(entries) => self.platforms(image, &entries).await?,
            Content::Image { config, .. } => vec![self.platform(&manifest, &config, None).await?],
        };
        Ok(Some(ImageContents {
            image: manifest.image,
            index: manifest.digest,
            platforms,
        }))
    }

    async fn platforms(
        &self,
        image: &ImageRef,
        entries: &[Descriptor],
    ) -> Result<Vec<PlatformImage>, Failure> {
        if entries.len() > MAX_ENTRIES {
            return Err(Failure::TooMany {
                what: "entries of an index",
                cap: MAX_ENTRIES,
            });
        }
        let mut platforms = Vec::new();
        for entry in entries.iter().filter(|entry| is_platform(entry)) {
            let pinned = image.pinned(entry.digest);
            let manifest = self.any_manifest(&pinned).await?.ok_or(Failure::Missing)?;
            if manifest.bytes.len() as u64 != entry.size {
                return Err(Failure::Malformed(
                    "index names another size than its manifest has",
                ));
            }
            match manifest.content()? {
                Content::Image { config, .. } => {
                    platforms.push(self.platform(&manifest, &config, entry.platform.clone()).await?);
                }
                Content::Index(_) => return Err(Failure::Malformed("index lies below an index")),
            }
        }
        if platforms.is_empty() {
            return Err(Failure::Malformed("index names no platform"));
        }
        Ok(platforms)
    }

    async fn platform(
        &self,
        manifest: &Manifest,
        config: &Descriptor,
        named: Option<PlatformFields>,
    ) -> Result<PlatformImage, Failure> {
        let fields = match named {
            Some(fields) => fields,
            None => {
                let repository = manifest.image.repository();
                let bytes = self.any_blob(repository, config.digest, MAX_CONFIG_BYTES).await?;
                serde_json::from_slice(&bytes).map_err(Failure::Json)?
            }
        };
        Ok(PlatformImage {
            platform: fields.platform(),
            manifest: manifest.digest,
            config: config.digest,
        })
    }
}

/// Attestation manifests stand in an index, but nothing runs them.
fn is_platform(entry: &Descriptor) -> bool {
    let unknown = entry.platform.as_ref().is_some_and(PlatformFields::is_unknown);
    !unknown && !entry.annotations.contains_key(REFERENCE_TYPE)
}
