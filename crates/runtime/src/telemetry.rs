//! Logs and spans, set up once for a process.
//!
//! Logs go to stderr. Spans always exist, so that every unit of work has a trace id that its signed events
//! can name; they are exported by OTLP where an endpoint is configured. Telemetry is lossy by design: the
//! ledger, not the trace backend, answers what happened.
//!
//! Several services in one process (`fluxgate serve`, `fluxgate dev`) share what `main` sets up: the
//! resource's `service.name` is then that of the process, and `code.module.name` of each span says which
//! service's code it came from. A service's `run` therefore never calls [`init`]; a second call is an error.

mod context;
mod ids;

use std::io::IsTerminal as _;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanProcessor, TracerProviderBuilder,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer};

pub use context::{ContextError, current_traceparent, link, remote_parent, root_span, send_span, work_span};

/// Spans that wait for export; 2,048, the default, lost most of a burst.
const QUEUE: usize = 16_384;
/// Longest wait for the last export.
const FLUSH: Duration = Duration::from_secs(3);
/// Libraries whose spans would be about exporting spans.
const SILENT: [&str; 7] = [
    "tonic",
    "h2",
    "hyper",
    "hyper_util",
    "tower",
    "async_nats",
    "opentelemetry",
];

/// The `[telemetry]` part of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// What is logged: `info`, or directives like `info,policy=debug` (`tracing_subscriber::EnvFilter`).
    pub filter: String,
    /// How it is written.
    pub format: LogFormat,
    /// Where spans are exported by OTLP over gRPC, like `http://127.0.0.1:4317`; off where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is no list of directives.
    #[error("telemetry.filter {filter:?} is not a list of directives like info,policy=debug")]
    Filter {
        /// As configured.
        filter: String,
        /// Why.
        source: ParseError,
    },
    /// The endpoint cannot be used.
    #[error("telemetry.otlp_endpoint {endpoint:?} cannot be used; set an address like http://127.0.0.1:4317")]
    Exporter {
        /// As configured.
        endpoint: String,
        /// Why.
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Exporting needs a running tokio.
    #[error("telemetry with an OTLP endpoint is set up outside of a tokio runtime")]
    NoRuntime,
    /// Set up twice in one process.
    #[error("setting up telemetry, which is done once for a process")]
    Twice(#[source] TryInitError),
}

/// Telemetry of this process; [`Telemetry::shutdown`] before the end exports the last spans.
#[derive(Debug)]
#[must_use = "the last spans are lost without a shutdown"]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            filter: "info,async_nats=warn".to_owned(),
            format: LogFormat::default(),
            otlp_endpoint: None,
        }
    }
}

impl TelemetryError {
    /// Whether the same call may succeed later: never.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        false
    }
}

/// Sets up logs and spans for this process; called once, by `main`, inside tokio.
///
/// # Errors
/// If the filter or the endpoint cannot be used, or if telemetry is set up already.
pub fn init(service_name: &str, config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|source| TelemetryError::Filter {
        filter: config.filter.clone(),
        source,
    })?;
    let builder = match &config.otlp_endpoint {
        Some(endpoint) => provider(service_name).with_span_processor(exporter(endpoint)?),
        None => provider(service_name),
    };
    let provider = builder.build();
    // Colours are for a person at a terminal; in a file they stand between a field and its value.
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(colours)
        .with_writer(std::io::stderr);
    let lines = match config.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(spans(&provider))
        .try_init()
        .map_err(TelemetryError::Twice)?;
    Ok(Telemetry { provider })
}

impl Telemetry {
    /// Exports what is waiting, for at most three seconds. Losing spans is no failure of the service, so it
    /// is said and nothing more.
    pub async fn shutdown(self) {
        // On the runtime's own thread this would wait for itself.
        let flushed = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH)).await;
        match flushed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = %error, "the last spans are lost"),
            Err(error) => tracing::warn!(error = %error, "the last spans are lost"),
        }
    }
}

fn provider(service_name: &str) -> TracerProviderBuilder {
    SdkTracerProvider::builder()
        .with_id_generator(ids::ChosenIds::default())
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(
            Resource::builder_empty()
                .with_service_name(service_name.to_owned())
                .build(),
        )
}

fn exporter(endpoint: &str) -> Result<impl SpanProcessor + 'static, TelemetryError> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(TelemetryError::NoRuntime);
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(FLUSH)
        .build()
        .map_err(|source| TelemetryError::Exporter {
            endpoint: endpoint.to_owned(),
            source,
        })?;
    let batches = BatchConfigBuilder::default().with_max_queue_size(QUEUE).build();
    Ok(BatchSpanProcessor::builder(exporter)
        .with_batch_config(batches)
        .build())
}

/// The layer that makes spans, whatever the filter of the log lines says.
fn spans<S>(provider: &SdkTracerProvider) -> impl Layer<S> + Send + Sync + 'static
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let silent = SILENT.map(|target| (target, LevelFilter::OFF));
    let filter = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_targets(silent);
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("fluxgate"))
        .with_threads(false)
        .with_filter(filter)
}

#[cfg(test)]
mod tests;
