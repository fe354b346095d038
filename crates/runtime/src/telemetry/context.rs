//! Where a span stands: chosen roots, remote parents, links, and the `traceparent` to hand on.
//!
//! Source: W3C Trace Context, section 3.2 (`traceparent`). `tracestate` is not used.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::{OpenTelemetrySpanExt as _, SetParentError};

use super::ids;

/// Why a span is not put below a remote parent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// Not a `traceparent` of version 00.
    #[error("traceparent {text:?} is not 00-<trace id>-<span id>-<flags>")]
    Malformed {
        /// What was read.
        text: String,
    },
    /// The span has been entered, or its own context was asked for; its parent is fixed.
    #[error("span has started, so its parent cannot be chosen any more")]
    Started,
}

impl ContextError {
    /// Whether the same call may succeed later: never.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        false
    }
}

/// A new span without parent that has this trace id and the span id that is derived from it: the true root
/// of its trace. A root made twice, because its handler ran twice, has the same ids.
#[must_use]
pub fn root_span(trace: domain::trace::TraceId, name: &str) -> Span {
    let span = tracing::info_span!(parent: None, "root", otel.name = name, trace = %trace);
    let _choice = ids::choose(trace);
    // Asking for the context starts the span, on this thread, now.
    let _ = span.context();
    span
}

/// A new span for a piece of work that belongs to a trace: below the current span where that one belongs to
/// the same trace, else below the trace's root. It has not been entered yet.
#[must_use]
pub fn work_span(trace: domain::trace::TraceId, name: &str) -> Span {
    let span = tracing::info_span!("work", otel.name = name, trace = %trace);
    below(&span, &trace.traceparent());
    span
}

/// A new span for handing a statement to the bus, as the conventions for messaging name it; below the current
/// span where that one belongs to the trace of the statement, else below the span that the statement names.
///
/// `template` is the subject without its key, like `fluxgate.v1.policy.{key}.decision`.
#[must_use]
pub fn send_span(template: &str, traceparent: &str) -> Span {
    let span = tracing::info_span!(
        "send",
        otel.name = format!("send {template}"),
        otel.kind = "producer",
        messaging.system = "nats",
        messaging.operation.type = "send",
        messaging.destination.template = template,
        fluxgate.sequence = tracing::field::Empty,
    );
    below(&span, traceparent);
    span
}

/// Puts a new span below the remote one, unless the current span is in the same trace.
fn below(span: &Span, traceparent: &str) {
    let here = current_traceparent();
    let trace = |text: &str| text.get(3..35).map(str::to_owned);
    if here.as_deref().and_then(trace) == trace(traceparent) {
        return;
    }
    if let Err(error) = remote_parent(span, traceparent) {
        tracing::debug!(error = %error, "trace context of a statement is not used");
    }
}

/// Puts a span that has not been entered yet below the parent that a message or call names. Without
/// telemetry this does nothing.
///
/// # Errors
/// If the text is malformed or the span has started; the span is then a root of its own.
pub fn remote_parent(span: &Span, traceparent: &str) -> Result<(), ContextError> {
    let parent = parse(traceparent)?;
    match span.set_parent(Context::new().with_remote_span_context(parent)) {
        Err(SetParentError::AlreadyStarted) => Err(ContextError::Started),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Links a span to another trace: release and rollout name each other in this way.
///
/// # Errors
/// If the text is malformed.
pub fn link(span: &Span, traceparent: &str) -> Result<(), ContextError> {
    span.add_link(parse(traceparent)?);
    Ok(())
}

/// The `traceparent` of the current span, for headers and signed events; nothing outside of every span.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| {
        format!(
            "00-{}-{}-{:02x}",
            span.trace_id(),
            span.span_id(),
            span.trace_flags().to_u8()
        )
    })
}

fn parse(text: &str) -> Result<SpanContext, ContextError> {
    let malformed = || ContextError::Malformed {
        text: text.chars().take(64).collect(),
    };
    let mut parts = text.split('-');
    let (Some("00"), Some(trace), Some(span), Some(flags), None) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return Err(malformed());
    };
    let hex = |part: &str, length| {
        part.len() == length
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    if !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
        return Err(malformed());
    }
    let (Ok(trace), Ok(span), Ok(flags)) = (
        TraceId::from_hex(trace),
        SpanId::from_hex(span),
        u8::from_str_radix(flags, 16),
    ) else {
        return Err(malformed());
    };
    let context = SpanContext::new(trace, span, TraceFlags::new(flags), true, TraceState::default());
    if context.is_valid() {
        Ok(context)
    } else {
        Err(malformed())
    }
}
