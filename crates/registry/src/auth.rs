//! Anonymous bearer tokens, as ghcr.io wants them even for public images.
//!
//! Source: distribution-spec, token authentication (`WWW-Authenticate: Bearer realm=,service=,scope=`). No
//! credential is ever sent: a token says no more than that someone asked for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use tokio::time::Instant;

use crate::endpoint::may_follow;
use crate::error::{Denial, Failure, transport};
use crate::transport::body;

/// Tokens of ghcr.io have about 50 bytes, those of Docker Hub about 5 KiB.
const MAX_TOKEN_BYTES: u64 = 64 << 10;
/// The lifetime where the answer names none (distribution-spec: 60 seconds).
const DEFAULT_LIFETIME: u64 = 60;
/// Longest time that a token is kept.
const MAX_LIFETIME: u64 = 3600;
/// A token is not used in the last seconds of its life.
const MARGIN: Duration = Duration::from_secs(5);
/// Repositories with a token at a time; beyond it all are forgotten and asked for again.
const MAX_TOKENS: usize = 256;

/// Tokens by origin and repository path.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    tokens: Mutex<HashMap<(String, String), Token>>,
}

#[derive(Debug)]
struct Token {
    header: HeaderValue,
    until: Instant,
}

#[derive(Debug, Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Tokens {
    /// The `Authorization` header for a repository, if there is one that still lives.
    pub(crate) fn get(&self, url: &Url, path: &str) -> Option<HeaderValue> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let token = tokens.get(&key(url, path))?;
        (token.until > Instant::now()).then(|| token.header.clone())
    }

    /// Follows `challenge` and keeps the token for the next request.
    pub(crate) async fn fetch(
        &self,
        http: &reqwest::Client,
        url: &Url,
        path: &str,
        challenge: &str,
    ) -> Result<(), Failure> {
        let asked = token_url(url, path, challenge)?;
        let response = http.get(asked).send().await.map_err(transport)?;
        if response.status() != StatusCode::OK {
            return Err(Failure::Denied(Denial::Token));
        }
        let bytes = body(response, MAX_TOKEN_BYTES).await?;
        let answer: TokenAnswer = serde_json::from_slice(&bytes).map_err(Failure::Json)?;
        let token = answer
            .token
            .or(answer.access_token)
            .ok_or(Failure::Denied(Denial::Token))?;
        let Ok(mut header) = HeaderValue::try_from(format!("Bearer {token}")) else {
            return Err(Failure::Denied(Denial::Token));
        };
        header.set_sensitive(true);
        let lifetime = Duration::from_secs(answer.expires_in.unwrap_or(DEFAULT_LIFETIME).min(MAX_LIFETIME));
        let until = Instant::now() + lifetime.saturating_sub(MARGIN);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_TOKENS {
            tokens.clear();
        }
        tokens.insert(key(url, path), Token { header, until });
        Ok(())
    }
}

/// The address that gives a token for pulling from one repository. The scope is our own: a challenge
/// cannot make us ask for more.
fn token_url(url: &Url, path: &str, challenge: &str) -> Result<Url, Failure> {
    let parameters = bearer_parameters(challenge).ok_or(Failure::Denied(Denial::Challenge))?;
    let realm = parameters.get("realm").and_then(|realm| Url::parse(realm).ok());
    let mut asked = realm.ok_or(Failure::Denied(Denial::Challenge))?;
    if !may_follow(url, &asked) {
        return Err(Failure::Denied(Denial::Realm));
    }
    let mut query = asked.query_pairs_mut();
    if let Some(service) = parameters.get("service") {
        query.append_pair("service", service);
    }
    query.append_pair("scope", &format!("repository:{path}:pull"));
    drop(query);
    Ok(asked)
}

/// The parameters of a `Bearer` challenge, each `name="value"` or `name=value` (RFC 6750, section 3).
fn bearer_parameters(challenge: &str) -> Option<HashMap<String, String>> {
    let (scheme, mut rest) = challenge.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut parameters = HashMap::new();
    while let Some((name, value)) = rest.split_once('=') {
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_at(value.find(',').unwrap_or(value.len())),
        };
        parameters.insert(
            name.trim_matches([' ', ',']).to_ascii_lowercase(),
            value.to_owned(),
        );
        rest = after;
    }
    Some(parameters)
}

fn key(url: &Url, path: &str) -> (String, String) {
    (url.origin().ascii_serialization(), path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(registry: &str, challenge: &str) -> Result<String, Failure> {
        token_url(&Url::parse(registry).unwrap(), "fluxcd/x", challenge).map(|url| url.to_string())
    }

    #[test]
    fn a_challenge_of_ghcr_is_followed() {
        let challenge =
            r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:fluxcd/x:push,pull""#;
        assert_eq!(
            asked("https://ghcr.io", challenge).unwrap(),
            "https://ghcr.io/token?service=ghcr.io&scope=repository%3Afluxcd%2Fx%3Apull"
        );
    }

    #[test]
    fn a_realm_in_plain_http_is_refused() {
        let plain = asked(
            "https://ghcr.io",
            r#"Bearer realm="http://evil.example.org/token""#,
        );
        assert!(matches!(plain, Err(Failure::Denied(Denial::Realm))));
        let inward = asked("https://ghcr.io", r#"Bearer realm="http://127.0.0.1:8080/token""#);
        assert!(matches!(inward, Err(Failure::Denied(Denial::Realm))));
        assert!(
            asked(
                "http://127.0.0.1:5000",
                r#"Bearer realm="http://127.0.0.1:8080/token""#
            )
            .is_ok()
        );
    }

    #[test]
    fn what_is_no_bearer_challenge_is_refused() {
        for bad in [
            "",
            "Bearer",
            "Basic realm=\"https://x\"",
            "Bearer service=\"x\"",
            "Bearer realm=\"x",
        ] {
            assert!(
                matches!(asked("https://x", bad), Err(Failure::Denied(Denial::Challenge))),
                "{bad}"
            );
        }
    }
}
