//! An HTTP server in this process whose every answer a test chooses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, IF_NONE_MATCH};
use axum::response::{IntoResponse, Response};
use domain::Digest;

use crate::{Client, Config, Mirror};

pub(super) const REPOSITORY: &str = "ghcr.io/fluxcd/x";

/// One request as the server saw it: path with query, and the `Authorization` header.
pub(super) type Seen = (String, Option<String>);
type Answers = HashMap<String, Box<dyn Fn(usize, Option<&str>) -> Response + Send>>;
type Conditional = HashMap<String, Box<dyn Fn(Option<&str>) -> Response + Send>>;

#[derive(Clone, Default)]
pub(super) struct Liar {
    answers: Arc<Mutex<Answers>>,
    conditional: Arc<Mutex<Conditional>>,
    conditions: Arc<Mutex<Vec<Option<String>>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    address: String,
}

impl Liar {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let liar = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            ..Self::default()
        };
        let state = liar.clone();
        let app = axum::Router::new().fallback(move |request: Request| {
            let response = state.answer(&request);
            async move { response }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        liar
    }

    fn answer(&self, request: &Request) -> Response {
        let path = request.uri().to_string();
        let token = request
            .headers()
            .get(AUTHORIZATION)
            .map(|value| value.to_str().unwrap().to_owned());
        let mut seen = self.seen.lock().unwrap();
        let before = seen.iter().filter(|(other, _)| *other == path).count();
        seen.push((path.clone(), token.clone()));
        if let Some(answer) = self.conditional.lock().unwrap().get(&path) {
            let condition = request.headers().get(IF_NONE_MATCH);
            let condition = condition.map(|value| value.to_str().unwrap().to_owned());
            self.conditions.lock().unwrap().push(condition.clone());
            return answer(condition.as_deref());
        }
        match self.answers.lock().unwrap().get(&path) {
            Some(answer) => answer(before, token.as_deref()),
            None => (axum::http::StatusCode::NOT_FOUND, "not here").into_response(),
        }
    }

    /// Answers `path` (with query) by a function of how often it was asked before, and of the token.
    pub(super) fn on(&self, path: &str, answer: impl Fn(usize, Option<&str>) -> Response + Send + 'static) {
        self.answers
            .lock()
            .unwrap()
            .insert(path.to_owned(), Box::new(answer));
    }

    /// Answers `path` by a function of the request's `If-None-Match`.
    pub(super) fn on_condition(
        &self,
        path: &str,
        answer: impl Fn(Option<&str>) -> Response + Send + 'static,
    ) {
        self.conditional
            .lock()
            .unwrap()
            .insert(path.to_owned(), Box::new(answer));
    }

    /// The `If-None-Match` of each request to such a path.
    pub(super) fn conditions(&self) -> Vec<Option<String>> {
        self.conditions.lock().unwrap().clone()
    }

    /// Serves a body below the repository `fluxcd/x`, like `("manifests", "v1", ...)`.
    pub(super) fn serve(&self, kind: &str, name: &str, body: impl Into<Vec<u8>>) {
        let body = body.into();
        self.on(&format!("/v2/fluxcd/x/{kind}/{name}"), move |_, _| {
            Body::from(body.clone()).into_response()
        });
    }

    /// Serves a manifest by its digest.
    pub(super) fn manifest(&self, body: &str) -> Digest {
        let digest = Digest::of(body.as_bytes());
        self.serve("manifests", &digest.to_string(), body);
        digest
    }

    /// Serves a blob by its digest.
    pub(super) fn blob(&self, body: &[u8]) -> Digest {
        let digest = Digest::of(body);
        self.serve("blobs", &digest.to_string(), body);
        digest
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// A client that fetches `ghcr.io` from here.
    pub(super) fn client(&self) -> Client {
        self.client_within(Duration::from_secs(5))
    }

    pub(super) fn client_within(&self, timeout: Duration) -> Client {
        let mirrors = vec![Mirror {
            from: "ghcr.io".into(),
            to: self.address.clone(),
        }];
        Client::new(&Config {
            mirrors,
            timeout,
            ..Config::default()
        })
        .unwrap()
    }
}

/// An answer with a status, headers and a body.
pub(super) fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body.to_owned())).unwrap()
}
