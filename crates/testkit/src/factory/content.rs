//! What is pushed under an artifact's tag (OCI image-spec 1.1).

use domain::{Digest, ImageRef};
use serde::Serialize;
use serde_json::json;

use super::{FactoryError, archive, path};
use crate::push::Pusher;

pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const FLUX_CONFIG: &str = "application/vnd.cncf.flux.config.v1+json";
const FLUX_CONTENT: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";

/// Platforms of an image: upstream has a third, linux/arm/v7.
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// Which of an artifact's two contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// What upstream made.
    Original,
    /// What somebody put in its place.
    Swapped,
}

/// A manifest, of an image or of an artifact.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    schema_version: u8,
    media_type: &'static str,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<serde_json::Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
}

/// What names a blob or manifest.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    media_type: &'static str,
    digest: Digest,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
}

#[derive(Serialize)]
struct Platform {
    architecture: &'static str,
    os: &'static str,
}

impl Manifest {
    pub(super) const fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: OCI_MANIFEST,
            config,
            layers,
            annotations: None,
        }
    }
}

/// Pushes a blob and describes it.
pub(super) async fn blob(
    pusher: &Pusher,
    repository: &str,
    media_type: &'static str,
    bytes: Vec<u8>,
) -> Result<Descriptor, FactoryError> {
    let size = bytes.len();
    let digest = pusher.blob(repository, bytes).await?;
    Ok(Descriptor {
        media_type,
        digest,
        size,
        annotations: None,
        platform: None,
    })
}

/// Pushes an image for each platform and the index over them, under the image's tag.
pub(super) async fn push_image(
    pusher: &Pusher,
    image: &ImageRef,
    content: Content,
) -> Result<Digest, FactoryError> {
    let mut manifests = Vec::new();
    for architecture in ARCHITECTURES {
        manifests.push(push_platform(pusher, image, architecture, content).await?);
    }
    let index = Index {
        schema_version: 2,
        media_type: OCI_INDEX,
        manifests,
    };
    Ok(pusher
        .manifest(path(image), image.tag(), OCI_INDEX, serde_json::to_vec(&index)?)
        .await?)
}

/// An image with one layer of a few bytes, distinct for each image, platform and content.
async fn push_platform(
    pusher: &Pusher,
    image: &ImageRef,
    architecture: &'static str,
    content: Content,
) -> Result<Descriptor, FactoryError> {
    let repository = path(image);
    let text = format!("{image} linux/{architecture} {}\n", content.word());
    let archive = archive::of_one_file("fluxgate-demo.txt", text.as_bytes())?;
    // Written as text: the order of keys of a JSON map depends on how serde_json is built.
    let config = format!(
        r#"{{"architecture":"{architecture}","config":{{"Entrypoint":["/{}"]}},"created":"1970-01-01T00:00:00Z","history":[{{"created":"1970-01-01T00:00:00Z"}}],"os":"linux","rootfs":{{"diff_ids":["{}"],"type":"layers"}}}}"#,
        image.short_name(),
        Digest::of(&archive.tar),
    );
    let layer = blob(pusher, repository, OCI_LAYER, archive.gzip).await?;
    let config = blob(pusher, repository, OCI_CONFIG, config.into_bytes()).await?;
    let bytes = serde_json::to_vec(&Manifest::new(config, vec![layer]))?;
    let size = bytes.len();
    let digest = pusher.manifest(repository, None, OCI_MANIFEST, bytes).await?;
    let platform = Some(Platform {
        architecture,
        os: "linux",
    });
    Ok(Descriptor {
        media_type: OCI_MANIFEST,
        digest,
        size,
        annotations: None,
        platform,
    })
}

/// Pushes `flux-manifests` as `flux push artifact` does: an empty config, and a layer with the document.
pub(super) async fn push_manifests(
    pusher: &Pusher,
    image: &ImageRef,
    document: &str,
    content: Content,
) -> Result<Digest, FactoryError> {
    let repository = path(image);
    let document = match content {
        Content::Original => document.to_owned(),
        Content::Swapped => format!("# swapped\n{document}"),
    };
    let archive = archive::of_one_file("gotk-components.yaml", document.as_bytes())?;
    let layer = blob(pusher, repository, FLUX_CONTENT, archive.gzip).await?;
    let config = blob(pusher, repository, FLUX_CONFIG, b"{}".to_vec()).await?;
    let annotations = json!({ "org.opencontainers.image.source": "https://github.com/fluxcd/flux2" });
    let manifest = Manifest {
        annotations: Some(annotations),
        ..Manifest::new(config, vec![layer])
    };
    Ok(pusher
        .manifest(
            repository,
            image.tag(),
            OCI_MANIFEST,
            serde_json::to_vec(&manifest)?,
        )
        .await?)
}

impl Content {
    const fn word(self) -> &'static str {
        match self {
            Self::Original => "as released",
            Self::Swapped => "swapped",
        }
    }
}
