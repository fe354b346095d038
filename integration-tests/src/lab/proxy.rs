//! Between a client and a cluster's API server: plain HTTP in, TLS out, every request counted, and faults in
//! between, as slow links, rate limits and dying load balancers make them.
//!
//! What the API server itself answers is real; a fault only keeps a request from it, or an answer from the client.

mod fault;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use futures::StreamExt as _;
use futures::stream;
use tokio::task::JoinHandle;

pub use fault::{Fault, Verbs, What};

use super::Error;
use super::cluster::Cluster;

/// No request of an agent is larger.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// Within this time the first bytes of an answer have left.
const ON_ITS_WAY: Duration = Duration::from_millis(20);

/// A request that came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `GET`, `PATCH` and so on.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// What the client was answered; none where no answer was given.
    pub status: Option<u16>,
}

impl Call {
    /// Whether it was meant to change an object; a dry run is not.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.method != "GET" && !self.path.contains("dryRun=All")
    }
}

/// A proxy on loopback in front of one cluster. It ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    cluster: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    upstream: String,
    authorization: String,
    faults: Mutex<Vec<Fault>>,
    calls: Mutex<Vec<Call>>,
}

impl Proxy {
    /// Starts on a port of the system's choice, without faults.
    ///
    /// # Errors
    /// Where no port is to be had, or the cluster's credentials can't be used.
    pub async fn start(cluster: &Cluster) -> Result<Self, Error> {
        let (http, authorization) = cluster.http()?;
        let shared = Arc::new(Shared {
            http,
            upstream: cluster.url(),
            authorization,
            faults: Mutex::default(),
            calls: Mutex::default(),
        });
        let failed = |source| Error::Process {
            operation: "listening for",
            part: format!("the proxy of {}", cluster.name()),
            source,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = Router::new().fallback(pass).with_state(shared.clone());
        let task = tokio::spawn(async move {
            let ended = axum::serve(listener, router).await;
            tracing::debug!(?ended, "a proxy ended");
        });
        Ok(Self {
            url: format!("http://{address}"),
            cluster: cluster.name().to_owned(),
            shared,
            task,
        })
    }

    /// A kubeconfig by which a client comes through here as cluster-admin.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {name}\nclusters:\n- name: {name}\n  cluster:\n    \
             server: {url}\nusers:\n- name: admin\n  user: {{}}\ncontexts:\n- name: {name}\n  context:\n    \
             cluster: {name}\n    user: admin\n",
            name = self.cluster,
            url = self.url,
        )
    }

    /// From now on this fault strikes; earlier ones stay, and the first that fits a request has it.
    pub fn inject(&self, fault: Fault) {
        lock(&self.shared.faults).push(fault);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        lock(&self.shared.faults).clear();
    }

    /// How often a fault has still to strike, for all faults that end by themselves.
    #[must_use]
    pub fn still_to_strike(&self) -> u32 {
        lock(&self.shared.faults).iter().filter_map(Fault::left).sum()
    }

    /// Every request since the last call of this, in the order of their answers.
    #[must_use]
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *lock(&self.shared.calls))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request on its way.
async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let path = uri
        .path_and_query()
        .map_or_else(|| uri.path().to_owned(), ToString::to_string);
    let what = lock(&shared.faults)
        .iter_mut()
        .find_map(|fault| fault.strikes(&method, &path));
    let answer = shared.answer(request, &method, &path, what.as_ref()).await;
    // An answer whose head is a fault of ours may never arrive: what was meant is counted.
    let status = answer.as_ref().map(|answer| answer.status().as_u16());
    lock(&shared.calls).push(Call {
        method: method.to_string(),
        path,
        status,
    });
    answer.unwrap_or_else(broken)
}

impl Shared {
    /// `None` where the client is to get no answer.
    async fn answer(
        &self,
        request: Request,
        method: &Method,
        path: &str,
        what: Option<&What>,
    ) -> Option<Response> {
        match what {
            None => Some(self.forward(request, method, path).await),
            Some(What::Delay(time)) => {
                tokio::time::sleep(*time).await;
                Some(self.forward(request, method, path).await)
            }
            Some(What::Answer(refusal)) => Some(refusal.response()),
            Some(What::Lose) => {
                self.forward(request, method, path).await;
                None
            }
            Some(What::Cut(after)) => Some(cut(self.forward(request, method, path).await, *after).await),
        }
    }

    async fn forward(&self, request: Request, method: &Method, path: &str) -> Response {
        let (parts, body) = request.into_parts();
        let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, Bytes::new());
        };
        let url = format!("{}{path}", self.upstream);
        let mut forwarded = self
            .http
            .request(method.clone(), url)
            .header("authorization", &self.authorization)
            .body(body);
        for name in ["accept", "content-type"] {
            if let Some(value) = parts.headers.get(name) {
                forwarded = forwarded.header(name, value);
            }
        }
        let Ok(answer) = forwarded.send().await else {
            return plain(StatusCode::BAD_GATEWAY, Bytes::new());
        };
        let (status, kind) = (answer.status(), answer.headers().get("content-type").cloned());
        let mut response = plain(status, answer.bytes().await.unwrap_or_default());
        if let Some(kind) = kind {
            response.headers_mut().insert("content-type", kind);
        }
        response
    }
}

fn plain(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
}

/// The first bytes of an answer, and then the end of the connection in the middle of its body.
async fn cut(whole: Response, after: usize) -> Response {
    let (parts, body) = whole.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let begin = bytes.slice(..after.min(bytes.len() / 2));
    // What is not on its way yet when the connection ends is never sent.
    let end = stream::once(async {
        tokio::time::sleep(ON_ITS_WAY).await;
        Err(std::io::Error::other("cut"))
    });
    let chunks = stream::iter([Ok(begin)]).chain(end);
    Response::from_parts(parts, Body::from_stream(chunks))
}

/// A connection that ends before the answer's first byte of body.
fn broken() -> Response {
    let chunks = stream::iter([Err::<Bytes, _>(std::io::Error::other("lost"))]);
    Response::new(Body::from_stream(chunks))
}
