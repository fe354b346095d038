//! An OCI registry in memory that counts what is fetched (distribution-spec 1.1: what [`crate::push`] and the
//! client of `crates/registry` use, and no more).
//!
//! For tests of services that fetch; the lab has a real one. The release factory pushes the same releases to
//! both, and the same client reads them back from both.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, IF_NONE_MATCH, LOCATION};
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use domain::Digest;

use crate::push::MAX_BYTES;

/// The registry. Clones share it; it serves as long as the runtime lives.
#[derive(Debug, Clone, Default)]
pub struct MemoryRegistry {
    state: Arc<Mutex<State>>,
    host: String,
}

#[derive(Debug, Default)]
struct State {
    /// Media type and bytes, by path below `/v2/`.
    objects: BTreeMap<String, (String, Bytes)>,
    fetches: BTreeMap<String, usize>,
    pause: Duration,
    broken: bool,
}

impl MemoryRegistry {
    /// Starts one on a loopback port that the system picks.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start() -> io::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let registry = Self {
            host: listener.local_addr()?.to_string(),
            ..Self::default()
        };
        let serving = registry.clone();
        let app = axum::Router::new().fallback(move |request: Request| {
            let registry = serving.clone();
            async move { registry.answer(request).await }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(registry)
    }

    /// Host and port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// How often each object was fetched since [`Self::forget`]: path below `/v2/`, like
    /// `fluxcd/source-controller/manifests/v1.9.4`. What was asked for and is not there counts as well; what the
    /// client holds already does not.
    #[must_use]
    pub fn fetches(&self) -> BTreeMap<String, usize> {
        self.lock().fetches.clone()
    }

    /// Counts from zero.
    pub fn forget(&self) {
        self.lock().fetches.clear();
    }

    /// How long each answer takes from now on: two who ask at once then overlap.
    pub fn answer_after(&self, pause: Duration) {
        self.lock().pause = pause;
    }

    /// Whether every answer is 503 from now on.
    pub fn set_broken(&self, broken: bool) {
        self.lock().broken = broken;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let Some(path) = parts.uri.path().strip_prefix("/v2/").map(str::to_owned) else {
            return status(StatusCode::NOT_FOUND);
        };
        let Ok(body) = to_bytes(body, MAX_BYTES).await else {
            return status(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let (pause, broken) = {
            let state = self.lock();
            (state.pause, state.broken)
        };
        tokio::time::sleep(pause).await;
        if broken {
            return status(StatusCode::SERVICE_UNAVAILABLE);
        }
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let media_type = header(CONTENT_TYPE);
        match parts.method {
            Method::GET => self.get(&path, header(IF_NONE_MATCH)),
            Method::HEAD if self.lock().objects.contains_key(&path) => status(StatusCode::OK),
            Method::POST => started(&path),
            Method::PUT => self.put(&parts.uri, &path, media_type.unwrap_or_default(), &body),
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    fn get(&self, path: &str, held: Option<&str>) -> Response {
        let mut state = self.lock();
        if let Some((_, bytes)) = state.objects.get(path)
            && held == Some(&format!("\"{}\"", Digest::of(bytes)))
        {
            return status(StatusCode::NOT_MODIFIED);
        }
        *state.fetches.entry(path.to_owned()).or_default() += 1;
        match state.objects.get(path) {
            Some((media_type, bytes)) => Response::builder()
                .header(CONTENT_TYPE, media_type)
                .body(Body::from(bytes.clone()))
                .unwrap_or_default(),
            None => status(StatusCode::NOT_FOUND),
        }
    }

    /// Stores a blob that was uploaded, or a manifest: under the name that was said and under its digest.
    fn put(&self, uri: &Uri, path: &str, media_type: &str, bytes: &Bytes) -> Response {
        let digest = Digest::of(bytes);
        let names = match path.split_once("/blobs/uploads/") {
            Some((repository, _)) => {
                if uri.query() != Some(&format!("digest={digest}")) {
                    return status(StatusCode::BAD_REQUEST);
                }
                vec![format!("{repository}/blobs/{digest}")]
            }
            None => match path.split_once("/manifests/") {
                Some((repository, _)) => {
                    vec![path.to_owned(), format!("{repository}/manifests/{digest}")]
                }
                None => return status(StatusCode::NOT_FOUND),
            },
        };
        let mut state = self.lock();
        for name in names {
            state.objects.insert(name, (media_type.to_owned(), bytes.clone()));
        }
        status(StatusCode::CREATED)
    }
}

/// An upload is one PUT: nothing has to be remembered of it.
fn started(path: &str) -> Response {
    Response::builder()
        .status(StatusCode::ACCEPTED)
        .header(LOCATION, format!("/v2/{path}upload"))
        .body(Body::empty())
        .unwrap_or_default()
}

fn status(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}
