//! One GET: caps, deadline, redirects, tokens and tries.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::Digest;
use reqwest::header::{ACCEPT, AUTHORIZATION, IF_NONE_MATCH, LINK, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode, Url};
use tokio::time::Instant;

use crate::auth::Tokens;
use crate::config::{Config, ConfigError};
use crate::endpoint::{may_follow, same_origin};
use crate::error::{Denial, Failure, transport};

/// Registries redirect once to their blob store, and that one maybe once more.
const MAX_REDIRECTS: usize = 5;
/// How often one object is asked for when the registry says 429 or 503.
const MAX_TRIES: u32 = 3;
/// The wait where the registry names none.
const DEFAULT_WAIT: Duration = Duration::from_secs(1);

/// HTTP with the rules of this crate.
#[derive(Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    tokens: Tokens,
    timeout: Duration,
}

/// What to get.
#[derive(Debug)]
pub(crate) struct Get<'a> {
    pub(crate) url: Url,
    /// The `Accept` header.
    pub(crate) accept: &'static str,
    /// Path of the repository at its registry, for the token's scope.
    pub(crate) path: &'a str,
    /// Cap of the body in bytes.
    pub(crate) max_bytes: u64,
    /// What is held already: the registry may answer that it is still that (RFC 9110 section 13.1.2; the entity tag
    /// of a manifest is its digest).
    pub(crate) held: Option<Digest>,
}

/// What came back.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A body.
    Body(Answer),
    /// What is held already.
    Unchanged,
    /// Nothing: 404.
    Nothing,
}

/// A complete body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) bytes: Bytes,
    /// Target of a `Link: <...>; rel="next"` header (RFC 8288), at the same origin.
    pub(crate) next: Option<Url>,
}

impl Transport {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        if config.timeout.is_zero() {
            return Err(ConfigError::Timeout);
        }
        let http = reqwest::Client::builder()
            .user_agent(&config.user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(config.timeout)
            .build()
            .map_err(ConfigError::Http)?;
        Ok(Self {
            http,
            tokens: Tokens::default(),
            timeout: config.timeout,
        })
    }

    /// How long one object may take.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The body, or nothing where the registry answers 404.
    pub(crate) async fn get(&self, get: &Get<'_>) -> Result<Option<Answer>, Failure> {
        match self.reply(get).await? {
            Reply::Body(answer) => Ok(Some(answer)),
            Reply::Nothing => Ok(None),
            // It was not asked for.
            Reply::Unchanged => Err(Failure::Status(StatusCode::NOT_MODIFIED.as_u16())),
        }
    }

    /// The same, and whether it is what is held already.
    pub(crate) async fn reply(&self, get: &Get<'_>) -> Result<Reply, Failure> {
        let deadline = Instant::now() + self.timeout;
        match tokio::time::timeout_at(deadline, Box::pin(self.tried(get, deadline))).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Deadline(self.timeout)),
        }
    }

    async fn tried(&self, get: &Get<'_>, deadline: Instant) -> Result<Reply, Failure> {
        let mut tries = 1;
        let mut challenged = false;
        loop {
            let response = self.sent(get).await?;
            match response.status() {
                StatusCode::OK => return answer(response, get).await.map(Reply::Body),
                StatusCode::NOT_FOUND => return Ok(Reply::Nothing),
                StatusCode::NOT_MODIFIED if get.held.is_some() => return Ok(Reply::Unchanged),
                StatusCode::UNAUTHORIZED if !challenged => {
                    challenged = true;
                    self.authorise(get, &response).await?;
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    return Err(Failure::Denied(Denial::Refused));
                }
                status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                    let wait = wait(&response);
                    if tries >= MAX_TRIES || Instant::now() + wait >= deadline {
                        return Err(Failure::Status(status.as_u16()));
                    }
                    tracing::debug!(%status, tries, wait_seconds = wait.as_secs(), "registry asks to wait");
                    tries += 1;
                    tokio::time::sleep(wait).await;
                }
                status => return Err(Failure::Status(status.as_u16())),
            }
        }
    }

    /// The first answer that is no redirect. The token goes to the registry's own origin alone.
    async fn sent(&self, get: &Get<'_>) -> Result<Response, Failure> {
        let token = self.tokens.get(&get.url, get.path);
        let mut url = get.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.http.get(url.clone()).header(ACCEPT, get.accept);
            if let Some(token) = token.as_ref().filter(|_| same_origin(&url, &get.url)) {
                request = request.header(AUTHORIZATION, token.clone());
            }
            if let Some(held) = get.held {
                request = request.header(IF_NONE_MATCH, format!("\"{held}\""));
            }
            let response = request.send().await.map_err(transport)?;
            if !is_redirect(response.status()) {
                return Ok(response);
            }
            let location = response
                .headers()
                .get(LOCATION)
                .and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            url = next.ok_or(Failure::Malformed("redirect names no location"))?;
            if !may_follow(&get.url, &url) {
                return Err(redirect(&url));
            }
        }
        Err(redirect(&url))
    }

    /// Follows the bearer challenge of a 401 (distribution-spec, token authentication).
    async fn authorise(&self, get: &Get<'_>, response: &Response) -> Result<(), Failure> {
        let challenge = response
            .headers()
            .get(WWW_AUTHENTICATE)
            .and_then(|value| value.to_str().ok());
        let challenge = challenge.ok_or(Failure::Denied(Denial::Challenge))?;
        self.tokens.fetch(&self.http, &get.url, get.path, challenge).await
    }
}

async fn answer(response: Response, get: &Get<'_>) -> Result<Answer, Failure> {
    let next = next_page(&response, &get.url)?;
    Ok(Answer {
        bytes: body(response, get.max_bytes).await?,
        next,
    })
}

/// The whole body, unless it is longer than `cap`: nothing beyond it is kept, whatever was announced.
pub(crate) async fn body(mut response: Response, cap: u64) -> Result<Bytes, Failure> {
    if response.content_length().is_some_and(|announced| announced > cap) {
        return Err(Failure::TooLarge { cap });
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if (bytes.len() as u64).saturating_add(chunk.len() as u64) > cap {
            return Err(Failure::TooLarge { cap });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn next_page(response: &Response, origin: &Url) -> Result<Option<Url>, Failure> {
    let Some(link) = response.headers().get(LINK).and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let next = link
        .split(',')
        .find(|part| part.contains("rel=\"next\"") || part.contains("rel=next"));
    let target = next
        .and_then(|part| part.split_once('<')?.1.split_once('>'))
        .map(|(target, _)| target);
    let Some(target) = target else { return Ok(None) };
    match response.url().join(target) {
        Ok(url) if same_origin(&url, origin) => Ok(Some(url)),
        Ok(url) => Err(redirect(&url)),
        Err(_) => Err(Failure::Malformed("next page is not an address")),
    }
}

/// Seconds of `Retry-After` (RFC 9110, section 10.2.3); the form with a date is read as the default.
fn wait(response: &Response) -> Duration {
    let header = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    header
        .and_then(|text| text.trim().parse().ok())
        .map_or(DEFAULT_WAIT, Duration::from_secs)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// Scheme and host alone: a query may hold a signature.
fn redirect(url: &Url) -> Failure {
    Failure::Redirect(format!(
        "{}://{}",
        url.scheme(),
        url.host_str().unwrap_or_default()
    ))
}
