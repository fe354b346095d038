//! Pushing into the lab's registry: OCI distribution-spec 1.1, "Pushing blobs monolithically" (POST, then
//! PUT) and "Pushing manifests".
//!
//! Plain HTTP, and therefore loopback only. Nothing that is sent is larger than [`MAX_BYTES`]; of answers
//! only status and headers are read.

use std::net::IpAddr;
use std::time::Duration;

use domain::Digest;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};

/// Largest body: manifests documents have some hundred KB.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A client that pushes to one registry.
#[derive(Debug, Clone)]
pub struct Pusher {
    client: Client,
    host: String,
}

/// Why something could not be pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The registry is not on this machine.
    #[error("registry {host:?} is not a loopback address with a port, like 127.0.0.1:5000")]
    NotLoopback {
        /// What was named.
        host: String,
    },
    /// The HTTP client could not be made.
    #[error("making the HTTP client")]
    Client(#[source] reqwest::Error),
    /// Larger than [`MAX_BYTES`].
    #[error("pushing {bytes} bytes to {repository}, more than {MAX_BYTES}")]
    Size {
        /// Where to.
        repository: String,
        /// How many.
        bytes: usize,
    },
    /// The registry did not answer.
    #[error("sending {method} {url}")]
    Send {
        /// Of the request.
        method: Method,
        /// Of the request.
        url: String,
        /// What happened.
        source: reqwest::Error,
    },
    /// The registry answered something else than it should.
    #[error("{method} {url} was answered with {status}")]
    Status {
        /// Of the request.
        method: Method,
        /// Of the request.
        url: String,
        /// The answer.
        status: StatusCode,
    },
    /// The registry named no place on itself to upload to.
    #[error("registry named no upload location on itself for {repository}")]
    Location {
        /// Where the blob belongs.
        repository: String,
    },
}

impl Pusher {
    /// A client for the registry at this host, like `127.0.0.1:5000`.
    ///
    /// # Errors
    /// If the host is not a loopback address with a port.
    pub fn new(host: &str) -> Result<Self, PushError> {
        if !is_loopback(host) {
            return Err(PushError::NotLoopback {
                host: host.to_owned(),
            });
        }
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(PushError::Client)?;
        Ok(Self {
            client,
            host: host.to_owned(),
        })
    }

    /// Host and port of the registry.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Pushes a blob, unless the registry has it; its digest.
    ///
    /// # Errors
    /// If it is too large, or the registry does not take it.
    pub async fn blob(&self, repository: &str, bytes: Vec<u8>) -> Result<Digest, PushError> {
        bounded(repository, bytes.len())?;
        let digest = Digest::of(&bytes);
        let head = self.request(Method::HEAD, &format!("/v2/{repository}/blobs/{digest}"));
        if head.send().await?.status() == StatusCode::OK {
            return Ok(digest);
        }
        let start = self.request(Method::POST, &format!("/v2/{repository}/blobs/uploads/"));
        let started = start.expect(StatusCode::ACCEPTED).await?;
        let location = started
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        let path = location
            .and_then(|location| self.path_on_host(location))
            .ok_or_else(|| PushError::Location {
                repository: repository.to_owned(),
            })?;
        let separator = if path.contains('?') { '&' } else { '?' };
        self.request(Method::PUT, &format!("{path}{separator}digest={digest}"))
            .with_body("application/octet-stream", bytes)
            .expect(StatusCode::CREATED)
            .await?;
        Ok(digest)
    }

    /// Pushes a manifest under a tag, or under its digest where none is named; its digest.
    ///
    /// # Errors
    /// If it is too large, or the registry does not take it.
    pub async fn manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<Digest, PushError> {
        bounded(repository, bytes.len())?;
        let digest = Digest::of(&bytes);
        let reference = tag.map_or_else(|| digest.to_string(), str::to_owned);
        self.request(Method::PUT, &format!("/v2/{repository}/manifests/{reference}"))
            .with_body(media_type, bytes)
            .expect(StatusCode::CREATED)
            .await?;
        Ok(digest)
    }

    fn request(&self, method: Method, path: &str) -> Request {
        let url = format!("http://{}{path}", self.host);
        Request {
            builder: self.client.request(method.clone(), &url),
            method,
            url,
        }
    }

    /// An upload location as a path; registries answer with a path or a whole URL.
    fn path_on_host<'a>(&self, location: &'a str) -> Option<&'a str> {
        let whole = location
            .strip_prefix("http://")
            .and_then(|rest| rest.strip_prefix(self.host.as_str()));
        whole.or(Some(location)).filter(|path| path.starts_with('/'))
    }
}

/// A request with what an error has to name.
struct Request {
    builder: RequestBuilder,
    method: Method,
    url: String,
}

impl Request {
    fn with_body(self, media_type: &str, bytes: Vec<u8>) -> Self {
        Self {
            builder: self.builder.header(CONTENT_TYPE, media_type).body(bytes),
            ..self
        }
    }

    async fn send(self) -> Result<Response, PushError> {
        let Self { builder, method, url } = self;
        builder
            .send()
            .await
            .map_err(|source| PushError::Send { method, url, source })
    }

    async fn expect(self, wanted: StatusCode) -> Result<Response, PushError> {
        let (method, url) = (self.method.clone(), self.url.clone());
        let response = self.send().await?;
        match response.status() {
            status if status == wanted => Ok(response),
            status => Err(PushError::Status { method, url, status }),
        }
    }
}

fn bounded(repository: &str, bytes: usize) -> Result<(), PushError> {
    if bytes > MAX_BYTES {
        return Err(PushError::Size {
            repository: repository.to_owned(),
            bytes,
        });
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    let Some((name, port)) = host.rsplit_once(':') else {
        return false;
    };
    let name = name
        .strip_prefix('[')
        .and_then(|n| n.strip_suffix(']'))
        .unwrap_or(name);
    let local = name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    local && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_pushed_to() {
        for good in ["127.0.0.1:5000", "localhost:1", "[::1]:5000"] {
            assert!(Pusher::new(good).is_ok(), "{good}");
        }
        for bad in [
            "ghcr.io",
            "ghcr.io:443",
            "127.0.0.1",
            "10.0.0.1:5000",
            "localhost.example.com:1",
            "",
        ] {
            assert!(
                matches!(Pusher::new(bad), Err(PushError::NotLoopback { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn uploads_go_nowhere_else() {
        let pusher = Pusher::new("127.0.0.1:5000").unwrap();
        assert_eq!(
            pusher.path_on_host("/v2/x/blobs/uploads/1"),
            Some("/v2/x/blobs/uploads/1")
        );
        assert_eq!(
            pusher.path_on_host("http://127.0.0.1:5000/v2/x?a=b"),
            Some("/v2/x?a=b")
        );
        assert_eq!(pusher.path_on_host("http://10.0.0.1/v2/x"), None);
        assert_eq!(pusher.path_on_host("http://127.0.0.1:50001/v2/x"), None);
    }
}
