//! Pulling images, as far as a kubelet's status shows it: does the image exist, and which digest is it known by.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::ACCEPT;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::life::Pull;
use crate::lab::probe;

/// A refused pull is tried again after this time.
const RETRY_AFTER: Duration = Duration::from_millis(500);
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// Which digest a runtime reports as `imageID`. All three occur in the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageIdForm {
    /// `ghcr.io/x/y@sha256:...`, the digest of what the reference names: the index of a multi-platform image.
    Index,
    /// `ghcr.io/x/y@sha256:...`, the digest of the platform's manifest.
    Platform,
    /// `sha256:...`, the digest of the image's configuration.
    Config,
}

/// Where a kubelet looks for images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// Any image exists; digests that are not in its name are made up from it.
    Any,
    /// The first mirror that fits serves the image; without one, the image does not exist.
    Registry(Vec<Mirror>),
}

/// Images whose name begins with `from` are fetched from `to` instead, over plain HTTP: `ghcr.io/` from
/// `127.0.0.1:5000/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The beginning of the name that a pod spec uses.
    pub from: String,
    /// What stands in its place.
    pub to: String,
}

/// Pulls images and remembers those that it got, as a node does.
#[derive(Debug)]
pub(super) struct Puller {
    source: ImageSource,
    form: ImageIdForm,
    http: reqwest::Client,
    pulled: HashMap<String, String>,
    refused: HashMap<String, (Instant, String)>,
}

impl Puller {
    pub(super) fn new(source: ImageSource, form: ImageIdForm) -> Self {
        let (pulled, refused) = (HashMap::new(), HashMap::new());
        Self {
            source,
            form,
            http: probe::client(),
            pulled,
            refused,
        }
    }

    /// The image id, or why there is none.
    pub(super) async fn pull(&mut self, image: &str) -> Pull {
        if let Some(id) = self.pulled.get(image) {
            return Ok(id.clone());
        }
        if let Some((_, message)) = self
            .refused
            .get(image)
            .filter(|(at, _)| at.elapsed() < RETRY_AFTER)
        {
            return Err(message.clone());
        }
        let reference = Reference::parse(image);
        let digests = match &self.source {
            ImageSource::Any => Ok(reference.made_up()),
            ImageSource::Registry(mirrors) => resolve(&self.http, mirrors, &reference).await,
        };
        match digests {
            Ok(digests) => {
                let id = digests.id(self.form, &reference);
                self.refused.remove(image);
                self.pulled.insert(image.to_owned(), id.clone());
                Ok(id)
            }
            Err(message) => {
                self.refused
                    .insert(image.to_owned(), (Instant::now(), message.clone()));
                Err(message)
            }
        }
    }
}

/// `name:tag@digest`, where tag or digest may be missing.
#[derive(Debug, PartialEq, Eq)]
struct Reference<'a> {
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    fn parse(image: &'a str) -> Self {
        let (rest, digest) = image
            .split_once('@')
            .map_or((image, None), |(rest, digest)| (rest, Some(digest)));
        // A colon before the last slash belongs to the host's port.
        match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => Self {
                name,
                tag: Some(tag),
                digest,
            },
            _ => Self {
                name: rest,
                tag: None,
                digest,
            },
        }
    }

    /// The digest decides, where there is one, as in any runtime.
    fn version(&self) -> &str {
        self.digest.or(self.tag).unwrap_or("latest")
    }

    fn made_up(&self) -> Digests {
        let index = self.digest.map_or_else(
            || digest_of(format!("{}:{}", self.name, self.version())),
            str::to_owned,
        );
        let (platform, config) = (
            digest_of(format!("platform of {index}")),
            digest_of(format!("config of {index}")),
        );
        Digests {
            index,
            platform,
            config,
        }
    }
}

/// The three digests that an image is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Digests {
    index: String,
    platform: String,
    config: String,
}

impl Digests {
    fn id(&self, form: ImageIdForm, reference: &Reference<'_>) -> String {
        match form {
            ImageIdForm::Index => format!("{}@{}", reference.name, self.index),
            ImageIdForm::Platform => format!("{}@{}", reference.name, self.platform),
            ImageIdForm::Config => self.config.clone(),
        }
    }
}

async fn resolve(
    http: &reqwest::Client,
    mirrors: &[Mirror],
    reference: &Reference<'_>,
) -> Result<Digests, String> {
    let mirrored = mirrors
        .iter()
        .find_map(|m| Some(format!("{}{}", m.to, reference.name.strip_prefix(&m.from)?)));
    let mirrored = mirrored.ok_or_else(|| format!("no mirror for {}", reference.name))?;
    let (host, repository) = mirrored
        .split_once('/')
        .ok_or_else(|| format!("no host in {mirrored}"))?;
    let base = format!("http://{host}/v2/{repository}/manifests/");
    let (index, manifest) = manifest(http, &base, reference.version()).await?;
    let (platform, manifest) = match platform_digest(&manifest) {
        Some(platform) => self::manifest(http, &base, &platform).await?,
        // Not an index: an image for one platform has one digest for both.
        None => (index.clone(), manifest),
    };
    let config = manifest.pointer("/config/digest").and_then(Value::as_str);
    let config = config
        .ok_or_else(|| format!("{platform} has no config"))?
        .to_owned();
    Ok(Digests {
        index,
        platform,
        config,
    })
}

/// The digest and the contents of a manifest.
async fn manifest(http: &reqwest::Client, base: &str, version: &str) -> Result<(String, Value), String> {
    let url = format!("{base}{version}");
    let answer = http.get(&url).header(ACCEPT, MANIFESTS).send().await;
    let answer = answer.map_err(|error| format!("fetching {url}: {error}"))?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err(format!("{url}: not found")),
        status => return Err(format!("{url}: {status}")),
    }
    let bytes = answer
        .bytes()
        .await
        .map_err(|error| format!("reading {url}: {error}"))?;
    let digest = digest_of(&bytes);
    if version.starts_with("sha256:") && version != digest {
        return Err(format!("{url}: the contents are {digest}"));
    }
    let value = serde_json::from_slice(&bytes).map_err(|error| format!("parsing {url}: {error}"))?;
    Ok((digest, value))
}

/// The manifest that a linux/amd64 node takes out of an index; `None` where this is no index.
fn platform_digest(index: &Value) -> Option<String> {
    let manifests = index.get("manifests")?.as_array()?;
    let ours = |entry: &&Value| {
        let platform = |key: &str| entry.pointer(&format!("/platform/{key}")).and_then(Value::as_str);
        platform("os") == Some("linux") && platform("architecture") == Some("amd64")
    };
    let entry = manifests.iter().find(ours).or_else(|| manifests.first())?;
    Some(entry.get("digest")?.as_str()?.to_owned())
}

fn digest_of(bytes: impl AsRef<[u8]>) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_come_apart() {
        let parse = Reference::parse;
        let (name, tag) = ("ghcr.io/fluxcd/source-controller", Some("v1.9.4"));
        assert_eq!(
            parse("ghcr.io/fluxcd/source-controller:v1.9.4"),
            Reference {
                name,
                tag,
                digest: None
            }
        );
        let both = parse("ghcr.io/fluxcd/source-controller:v1.9.4@sha256:ab");
        assert_eq!((both.tag, both.version()), (tag, "sha256:ab"));
        let port = parse("127.0.0.1:5000/a/b");
        assert_eq!((port.name, port.version()), ("127.0.0.1:5000/a/b", "latest"));
    }

    #[tokio::test]
    async fn made_up_ids_have_the_form_of_the_runtime() {
        let image = "ghcr.io/fluxcd/source-controller:v1.9.4@sha256:ab";
        let index = Puller::new(ImageSource::Any, ImageIdForm::Index)
            .pull(image)
            .await
            .unwrap();
        assert_eq!(index, "ghcr.io/fluxcd/source-controller@sha256:ab");
        let config = Puller::new(ImageSource::Any, ImageIdForm::Config)
            .pull(image)
            .await
            .unwrap();
        assert!(config.starts_with("sha256:") && config.len() == 71, "{config}");
    }

    #[tokio::test]
    async fn image_without_a_mirror_does_not_exist() {
        let mut puller = Puller::new(ImageSource::Registry(Vec::new()), ImageIdForm::Index);
        assert!(
            puller
                .pull("ghcr.io/a/b:v1")
                .await
                .unwrap_err()
                .contains("no mirror")
        );
    }
}
