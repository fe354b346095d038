//! Tags, manifests and blobs: the three things that a registry serves.

use std::sync::Arc;

use bytes::Bytes;
use domain::{Digest, ImageRef};
use serde::Deserialize;

use crate::cache::Cache;
use crate::config::{Config, ConfigError};
use crate::endpoint::{Endpoint, Endpoints};
use crate::error::{Error, Failure, Operation};
use crate::manifest::{ACCEPT, MAX_MANIFEST_BYTES, Manifest};
use crate::transport::{Get, Reply, Transport};

/// Longest page of a tag list: 1,000 tags of at most 128 bytes, with room to spare.
const MAX_PAGE_BYTES: u64 = 1 << 20;
/// Most pages of a tag list; `flux-manifests` has one.
const MAX_PAGES: usize = 64;

/// A client for every registry. Cloning is cheap; clones share cache, tokens and connections.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    endpoints: Endpoints,
    transport: Transport,
    cache: Cache,
}

#[derive(Debug, Deserialize)]
struct TagsPage {
    tags: Option<Vec<String>>,
}

/// An object that has a digest.
struct Wanted<'a> {
    repository: &'a str,
    kind: &'static str,
    accept: &'static str,
    digest: Digest,
    max_bytes: u64,
}

impl Client {
    /// A client with these mirrors and limits; nothing is connected yet.
    ///
    /// # Errors
    /// If a mirror is malformed or would send plain HTTP to another machine.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let endpoints = Endpoints::new(config)?;
        let transport = Transport::new(config)?;
        Ok(Self {
            inner: Arc::new(Inner {
                endpoints,
                transport,
                cache: Cache::default(),
            }),
        })
    }

    /// All tags of a repository (upstream name with host), in the registry's order. Unlike everything else
    /// here, a list cannot be checked: it is a hint, and leaving a tag out is all that a lie can do.
    ///
    /// # Errors
    /// If the list cannot be fetched, is no list, or is longer than 64 pages of 1 MiB.
    pub async fn tags(&self, repository: &str) -> Result<Vec<String>, Error> {
        self.all_tags(repository)
            .await
            .map_err(|failure| Error::new(Operation::Tags, repository, failure))
    }

    /// The manifest or index of an image: by digest if it has one, else by tag; nothing where the registry
    /// has no such thing.
    ///
    /// # Errors
    /// If it cannot be fetched, has another digest than the wanted one, is longer than 4 MiB, or is not
    /// what the OCI image-spec describes.
    pub async fn manifest(&self, image: &ImageRef) -> Result<Option<Manifest>, Error> {
        self.any_manifest(image)
            .await
            .map_err(|failure| Error::new(Operation::Manifest, image, failure))
    }

    /// A blob, with its hash checked.
    ///
    /// # Errors
    /// If it cannot be fetched, does not exist, is longer than `max_bytes`, or has another digest.
    pub async fn blob(&self, repository: &str, digest: Digest, max_bytes: u64) -> Result<Vec<u8>, Error> {
        match self.any_blob(repository, digest, max_bytes).await {
            Ok(bytes) => Ok(bytes.to_vec()),
            Err(failure) => Err(Error::new(
                Operation::Blob,
                format!("{repository}@{digest}"),
                failure,
            )),
        }
    }

    async fn all_tags(&self, repository: &str) -> Result<Vec<String>, Failure> {
        let endpoint = self.inner.endpoints.of(repository)?;
        let mut next = Some(endpoint.url("tags", "list?n=1000")?);
        let mut tags = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = next else { return Ok(tags) };
            let get = Get {
                url,
                accept: "application/json",
                path: &endpoint.path,
                max_bytes: MAX_PAGE_BYTES,
                held: None,
            };
            let answer = self.inner.transport.get(&get).await?.ok_or(Failure::Missing)?;
            let page: TagsPage = serde_json::from_slice(&answer.bytes).map_err(Failure::Json)?;
            // What is no tag by OCI's grammar cannot be named in an ImageRef, and so cannot be fetched.
            let named = page.tags.unwrap_or_default().into_iter();
            tags.extend(named.filter(|tag| ImageRef::tagged(repository, tag).is_ok()));
            next = answer.next;
        }
        if next.is_some() {
            return Err(Failure::TooMany {
                what: "pages of tags",
                cap: MAX_PAGES,
            });
        }
        Ok(tags)
    }

    pub(crate) async fn any_manifest(&self, image: &ImageRef) -> Result<Option<Manifest>, Failure> {
        let found = match (image.digest(), image.tag()) {
            (Some(digest), _) => {
                let wanted = Wanted {
                    repository: image.repository(),
                    kind: "manifests",
                    accept: ACCEPT,
                    digest,
                    max_bytes: MAX_MANIFEST_BYTES,
                };
                self.pinned(&wanted).await?.map(|bytes| (digest, bytes))
            }
            (None, Some(tag)) => self.by_tag(image, tag).await?,
            // An ImageRef has at least one of them.
            (None, None) => None,
        };
        found
            .map(|(digest, bytes)| Manifest::read(image, digest, bytes))
            .transpose()
    }

    pub(crate) async fn any_blob(
        &self,
        repository: &str,
        digest: Digest,
        max_bytes: u64,
    ) -> Result<Bytes, Failure> {
        let wanted = Wanted {
            repository,
            kind: "blobs",
            accept: "*/*",
            digest,
            max_bytes,
        };
        self.pinned(&wanted).await?.ok_or(Failure::Missing)
    }

    /// What a tag names now. Where the registry says that it is what was fetched before, that is not fetched again:
    /// a lie about it can only bring back what the registry has served under this tag already.
    async fn by_tag(&self, image: &ImageRef, tag: &str) -> Result<Option<(Digest, Bytes)>, Failure> {
        let endpoint = self.inner.endpoints.of(image.repository())?;
        let url = endpoint.url("manifests", tag)?;
        let name = url.to_string();
        let _turn = self.turn(Digest::of(name.as_bytes())).await?;
        let held = self.inner.cache.tagged(&name);
        let get = Get {
            url,
            accept: ACCEPT,
            path: &endpoint.path,
            max_bytes: MAX_MANIFEST_BYTES,
            held: held.as_ref().map(|(digest, _)| *digest),
        };
        match self.inner.transport.reply(&get).await? {
            Reply::Nothing => Ok(None),
            Reply::Unchanged => Ok(held),
            Reply::Body(answer) => {
                let digest = Digest::of(&answer.bytes);
                self.inner.cache.insert(digest, answer.bytes.clone());
                self.inner.cache.tag(name, digest);
                Ok(Some((digest, answer.bytes)))
            }
        }
    }

    /// The turn to fetch an object, when whoever has it now is done.
    async fn turn(&self, object: Digest) -> Result<tokio::sync::OwnedMutexGuard<()>, Failure> {
        let timeout = self.inner.transport.timeout();
        let turn = tokio::time::timeout(timeout, self.inner.cache.turn(object)).await;
        turn.map_err(|_late| Failure::Deadline(timeout))
    }

    /// The bytes of a digest, from the cache or by one fetch at a time.
    async fn pinned(&self, wanted: &Wanted<'_>) -> Result<Option<Bytes>, Failure> {
        let endpoint = self.inner.endpoints.of(wanted.repository)?;
        let _turn = self.turn(wanted.digest).await?;
        if let Some(bytes) = self.inner.cache.get(wanted.digest) {
            return within(bytes, wanted.max_bytes).map(Some);
        }
        let Some(bytes) = self.fetched(&endpoint, wanted).await? else {
            return Ok(None);
        };
        let found = Digest::of(&bytes);
        if found != wanted.digest {
            return Err(Failure::DigestMismatch {
                wanted: wanted.digest,
                found,
            });
        }
        self.inner.cache.insert(found, bytes.clone());
        Ok(Some(bytes))
    }

    async fn fetched(&self, endpoint: &Endpoint, wanted: &Wanted<'_>) -> Result<Option<Bytes>, Failure> {
        let get = Get {
            url: endpoint.url(wanted.kind, &wanted.digest.to_string())?,
            accept: wanted.accept,
            path: &endpoint.path,
            max_bytes: wanted.max_bytes,
            held: None,
        };
        Ok(self.inner.transport.get(&get).await?.map(|answer| answer.bytes))
    }
}

fn within(bytes: Bytes, cap: u64) -> Result<Bytes, Failure> {
    if bytes.len() as u64 > cap {
        Err(Failure::TooLarge { cap })
    } else {
        Ok(bytes)
    }
}
