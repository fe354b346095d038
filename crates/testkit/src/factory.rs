//! The release factory: whole Flux releases in upstream's formats, in the lab's registry.
//!
//! What upstream publishes (`reference/signatures.md` 1.2, rows 8, 8a and 10): an OCI image index for each
//! controller, the OCI artifact `flux-manifests`, and a `.sig` tag for the digest of each. Repositories are
//! `fluxcd/<name>` on the lab's host; `docker-reference` and identities are those of `ghcr.io/fluxcd`.
//!
//! Content is deterministic: an image follows from its name and tag, so one version has the same digests
//! wherever it is made; signatures differ. Releases that share a controller's tag share its image, and the
//! one made last says how that tag is signed and where it points.

mod archive;
mod content;
mod flavour;
mod signature;

use std::collections::BTreeMap;

use domain::evidence::SignatureMaterial;
use domain::image::ParseImageRefError;
use domain::version::ParseVersionError;
use domain::{Artifact, Component, Digest, ImageRef, ReleaseKey, Version};
use jiff::{SignedDuration, Timestamp};

use crate::push::{PushError, Pusher};
use crate::sigstore::{DemoSigstore, SigstoreError, Workflow};

use content::Content;
pub use flavour::Flavour;
use flavour::Signing;

/// How old a release is when nothing is said: more than the 72 h that the default policy demands.
pub const DEFAULT_AGE: SignedDuration = SignedDuration::from_hours(80);

/// Between two signatures of one release.
const BETWEEN: SignedDuration = SignedDuration::from_secs(2);

/// How long after a release that is signed late its signatures are logged.
pub const LATE: SignedDuration = SignedDuration::from_mins(2);

/// Makes releases in one registry.
#[derive(Debug)]
pub struct Factory {
    pusher: Pusher,
    sigstore: DemoSigstore,
}

/// What to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseSpec {
    /// Upstream version of Flux.
    pub version: Version,
    /// Good, or wrong in which way.
    pub flavour: Flavour,
    /// How long ago it was signed.
    pub age: SignedDuration,
}

/// What was made: what the tags point to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Upstream version.
    pub version: Version,
    /// Digest of the OCI manifest of `flux-manifests`.
    pub manifests: Digest,
    /// Digest of the index of each image that the manifests name.
    pub indexes: BTreeMap<Component, Digest>,
    /// Upstream name and tag of each image.
    pub images: BTreeMap<Component, ImageRef>,
    /// The latest integrated time among its signatures.
    pub signed_at: Timestamp,
}

/// Why a release could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FactoryError {
    /// The registry did not take it.
    #[error(transparent)]
    Push(#[from] PushError),
    /// It could not be signed.
    #[error(transparent)]
    Sigstore(#[from] SigstoreError),
    /// An image's name can't be read.
    #[error("reading the name of an image")]
    Image(#[from] ParseImageRefError),
    /// The document is none of Flux.
    #[error("reading the images that the manifests name")]
    Manifests(#[from] flux::manifest::Error),
    /// The manifests name an image whose tag is no version.
    #[error("reading the tag of {image}")]
    Tag {
        /// The image.
        image: ImageRef,
        /// What is wrong with it.
        source: ParseVersionError,
    },
    /// The manifests name no image of Flux.
    #[error("the manifests of {version} name no image of Flux")]
    NoImages {
        /// Of the release.
        version: Version,
    },
    /// An archive could not be written.
    #[error("writing an archive")]
    Archive(#[from] std::io::Error),
    /// JSON could not be written.
    #[error("writing JSON of an image")]
    Json(#[from] serde_json::Error),
    /// The age is no time.
    #[error("computing the time of signing")]
    Time(#[from] jiff::Error),
}

impl ReleaseSpec {
    /// A good release of the default age.
    #[must_use]
    pub const fn good(version: Version) -> Self {
        Self::flavoured(version, Flavour::Good)
    }

    /// A release of the default age.
    #[must_use]
    pub const fn flavoured(version: Version, flavour: Flavour) -> Self {
        Self {
            version,
            flavour,
            age: DEFAULT_AGE,
        }
    }
}

impl Published {
    /// The key under which fluxgate knows it.
    #[must_use]
    pub fn key(&self) -> ReleaseKey {
        ReleaseKey {
            version: self.version.clone(),
            manifests: self.manifests,
        }
    }

    /// The digest of an artifact; none where the release lacks the component.
    #[must_use]
    pub fn digest(&self, artifact: Artifact) -> Option<Digest> {
        match artifact {
            Artifact::FluxManifests => Some(self.manifests),
            Artifact::Image(component) => self.indexes.get(&component).copied(),
        }
    }
}

impl Factory {
    /// A factory for the registry at this loopback host, like `127.0.0.1:5000`.
    ///
    /// # Errors
    /// If the host is not on this machine.
    pub fn new(registry_host: &str, sigstore: DemoSigstore) -> Result<Self, FactoryError> {
        Ok(Self {
            pusher: Pusher::new(registry_host)?,
            sigstore,
        })
    }

    /// The Sigstore that signs.
    #[must_use]
    pub const fn sigstore(&self) -> &DemoSigstore {
        &self.sigstore
    }

    /// Host and port of the registry.
    #[must_use]
    pub fn registry_host(&self) -> &str {
        self.pusher.host()
    }

    /// Makes a release of which [`crate::manifests`] writes the document, signed `spec.age` before now.
    ///
    /// # Errors
    /// If something can't be made, signed or pushed; what was pushed before stays, and a second call
    /// pushes the same digests.
    pub async fn release(&self, spec: &ReleaseSpec) -> Result<Published, FactoryError> {
        let document = crate::manifests::document(&spec.version);
        self.release_of(spec, &document, Timestamp::now()).await
    }

    /// The same, of these manifests and with the time given.
    ///
    /// # Errors
    /// As [`Self::release`].
    pub async fn release_of(
        &self,
        spec: &ReleaseSpec,
        document: &str,
        now: Timestamp,
    ) -> Result<Published, FactoryError> {
        let images = flux::manifest::images(&flux::manifest::parse(document)?)?;
        if images.is_empty() {
            return Err(FactoryError::NoImages {
                version: spec.version.clone(),
            });
        }
        let mut at = now.checked_sub(spec.age)?;
        let mut indexes = BTreeMap::new();
        for (component, image) in &images {
            let artifact = Artifact::Image(*component);
            indexes.insert(
                *component,
                self.make(
                    spec.flavour,
                    Made {
                        artifact,
                        image,
                        document,
                        at,
                    },
                )
                .await?,
            );
            at = at.checked_add(BETWEEN)?;
        }
        let image = flux_manifests(&spec.version)?;
        let made = Made {
            artifact: Artifact::FluxManifests,
            image: &image,
            document,
            at,
        };
        let manifests = self.make(spec.flavour, made).await?;
        Ok(Published {
            version: spec.version.clone(),
            manifests,
            indexes,
            images,
            signed_at: at,
        })
    }

    /// Moves an image's tag to other content that nobody signed; its digest.
    ///
    /// # Errors
    /// If the registry does not take it.
    pub async fn swap_image(&self, component: Component, tag: &str) -> Result<Digest, FactoryError> {
        let image = ImageRef::tagged(&flux::identity::repository(Artifact::Image(component)), tag)?;
        content::push_image(&self.pusher, &image, Content::Swapped).await
    }

    /// Moves the tag of `flux-manifests` to another document that nobody signed; its digest.
    ///
    /// # Errors
    /// If the registry does not take it.
    pub async fn swap_manifests(&self, version: &Version, document: &str) -> Result<Digest, FactoryError> {
        content::push_manifests(
            &self.pusher,
            &flux_manifests(version)?,
            document,
            Content::Swapped,
        )
        .await
    }

    /// Signs every artifact of a release that was made as [`Flavour::Late`], as upstream's job does some minutes
    /// after it has pushed. The entries are logged [`LATE`] after the time at which they should have been.
    ///
    /// # Errors
    /// If something can't be signed or pushed.
    pub async fn sign_late(&self, published: &Published) -> Result<Timestamp, FactoryError> {
        let at = published.signed_at.checked_add(LATE)?;
        for (component, image) in &published.images {
            let Some(digest) = published.indexes.get(component) else {
                continue;
            };
            self.sign(Flavour::Good, (Artifact::Image(*component), image, *digest), at)
                .await?;
        }
        let image = flux_manifests(&published.version)?;
        let subject = (Artifact::FluxManifests, &image, published.manifests);
        self.sign(Flavour::Good, subject, at).await?;
        Ok(at)
    }

    /// Publishes another document under a version that is out already, as `spec` says: a second release of that
    /// version, with another digest. Its images are the same.
    ///
    /// # Errors
    /// As [`Self::release`].
    pub async fn move_tag(&self, spec: &ReleaseSpec) -> Result<Published, FactoryError> {
        let document = crate::manifests::document(&spec.version);
        let document = format!("# moved, {}\n{document}", spec.flavour.about());
        self.release_of(spec, &document, Timestamp::now()).await
    }

    /// Pushes and signs one artifact; what its tag points to at the end.
    async fn make(&self, flavour: Flavour, made: Made<'_>) -> Result<Digest, FactoryError> {
        let Made {
            artifact, image, at, ..
        } = made;
        let digest = self.push(&made, Content::Original).await?;
        let material = self.sign(flavour, (artifact, image, digest), at).await?;
        let (Flavour::SwappedAfterSigning(_), Some(material)) = (flavour.on(artifact), material) else {
            return Ok(digest);
        };
        let other = self.push(&made, Content::Swapped).await?;
        signature::push(&self.pusher, image, other, &material, &self.sigstore.chain_pem()).await?;
        Ok(other)
    }

    /// Signs one artifact as the flavour says; nothing where it says that nobody signs.
    async fn sign(
        &self,
        flavour: Flavour,
        (artifact, image, digest): (Artifact, &ImageRef, Digest),
        at: Timestamp,
    ) -> Result<Option<SignatureMaterial>, FactoryError> {
        let workflow = workflow(artifact, image)?;
        let Some(signing) = flavour.on(artifact).signing(image, digest, workflow) else {
            return Ok(None);
        };
        let Signing {
            payload,
            workflow,
            fault,
        } = signing;
        let material = match fault {
            None => self.sigstore.sign(&payload, &workflow, at)?,
            Some(fault) => self.sigstore.sign_with_fault(&payload, &workflow, at, fault)?,
        };
        signature::push(&self.pusher, image, digest, &material, &self.sigstore.chain_pem()).await?;
        Ok(Some(material))
    }

    async fn push(&self, made: &Made<'_>, content: Content) -> Result<Digest, FactoryError> {
        match made.artifact {
            Artifact::Image(_) => content::push_image(&self.pusher, made.image, content).await,
            Artifact::FluxManifests => {
                content::push_manifests(&self.pusher, made.image, made.document, content).await
            }
        }
    }
}

/// One artifact that is being made.
struct Made<'a> {
    artifact: Artifact,
    image: &'a ImageRef,
    document: &'a str,
    at: Timestamp,
}

fn flux_manifests(version: &Version) -> Result<ImageRef, ParseImageRefError> {
    ImageRef::tagged(
        &flux::identity::repository(Artifact::FluxManifests),
        &version.to_string(),
    )
}

/// The workflow run that signs: the one that the profile demands, under the likeliest name that it allows.
fn workflow(artifact: Artifact, image: &ImageRef) -> Result<Workflow, FactoryError> {
    let tag = image.tag().unwrap_or_default();
    let tag = tag.parse().map_err(|source| FactoryError::Tag {
        image: image.clone(),
        source,
    })?;
    Ok(Workflow::demanded_by(&flux::identity::profile(artifact, &tag)))
}

/// What stands in an image's place in upstream's registry: the path below the lab's host.
fn path(image: &ImageRef) -> &str {
    image
        .repository()
        .split_once('/')
        .map_or_else(|| image.repository(), |(_, path)| path)
}
