//! Gives each call a trace id of its own, and writes it on answers that are errors.
//!
//! The server's spans of the call stand under that trace; an error without it could not be found there.

use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderValue, Request, Response};
use tonic::transport::Channel;
use tonic::transport::Error;

/// Header of an error that names the trace of its call.
pub(crate) const TRACE_ID: &str = "fluxgate-trace-id";
const TRACEPARENT: &str = "traceparent";
/// Where a failed call says so: tonic answers errors with headers alone.
const GRPC_STATUS: &str = "grpc-status";

/// A channel whose calls can be traced.
#[derive(Debug, Clone)]
pub(crate) struct Traced(pub(super) Channel);

impl Service<Request<Body>> for Traced {
    type Response = Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let trace = uuid::Uuid::new_v4().simple().to_string();
        let span: String = uuid::Uuid::new_v4()
            .simple()
            .to_string()
            .chars()
            .take(16)
            .collect();
        if let Ok(parent) = HeaderValue::from_str(&format!("00-{trace}-{span}-01")) {
            request.headers_mut().insert(TRACEPARENT, parent);
        }
        let answering = self.0.call(request);
        Box::pin(async move {
            let mut answer = answering.await?;
            let headers = answer.headers_mut();
            let failed = headers.get(GRPC_STATUS).is_some_and(|code| code != "0");
            if failed
                && !headers.contains_key(TRACE_ID)
                && let Ok(trace) = HeaderValue::from_str(&trace)
            {
                headers.insert(TRACE_ID, trace);
            }
            Ok(answer)
        })
    }
}
