//! A trace backend of ours: takes spans by OTLP over gRPC and keeps them, to be looked at.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status};

use super::Error;

/// A span with the process that sent it.
#[derive(Debug, Clone)]
pub struct Received {
    /// `service.name` of the process.
    pub service: String,
    /// The span.
    pub span: Span,
}

/// A running sink; it ends when dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    spans: Spans,
    task: JoinHandle<()>,
}

type Spans = Arc<Mutex<Vec<Received>>>;

#[derive(Debug)]
struct Api(Spans);

impl Sink {
    /// Starts it on a port of its own.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start() -> Result<Self, Error> {
        let failed = |source| Error::File {
            operation: "listening on",
            path: "127.0.0.1:0".into(),
            source,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let spans = Spans::default();
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let serving = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(Api(Arc::clone(&spans))))
            .serve_with_incoming(incoming);
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::warn!(error = %error, "the span sink ended");
            }
        });
        Ok(Self { address, spans, task })
    }

    /// Where spans are sent to.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans that have come so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Received> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tonic::async_trait]
impl TraceService for Api {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for sent in request.into_inner().resource_spans {
            let attributes = sent
                .resource
                .map(|resource| resource.attributes)
                .unwrap_or_default();
            let service = attributes
                .into_iter()
                .find(|attribute| attribute.key == "service.name")
                .and_then(|attribute| attribute.value)
                .map(|value| format!("{:?}", value.value))
                .unwrap_or_default();
            let own = sent.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(own.map(|span| Received {
                service: service.clone(),
                span,
            }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
