use domain::trace::TraceId;
use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};

use super::*;

const TRACE: TraceId = TraceId([7; 16]);

/// Runs `work` with our layer and an exporter in memory.
fn spans_of(work: impl FnOnce()) -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let provider = provider("test").with_simple_exporter(exporter.clone()).build();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(spans(&provider)), work);
    exporter.get_finished_spans().unwrap()
}

#[test]
fn a_chosen_trace_id_makes_a_true_root() {
    let spans = spans_of(|| {
        let elsewhere = tracing::info_span!("elsewhere").entered();
        let root = root_span(TRACE, "release");
        drop(elsewhere);
        root.in_scope(|| {
            assert_eq!(current_traceparent().unwrap(), TRACE.traceparent());
            let _child = tracing::info_span!("child").entered();
        });
    });
    let by_name = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (root, child, elsewhere) = (by_name("release"), by_name("child"), by_name("elsewhere"));
    assert_eq!(root.span_context.trace_id().to_string(), TRACE.to_string());
    assert_eq!(
        root.span_context.span_id().to_string(),
        TRACE.root_span().to_string()
    );
    assert_eq!(root.parent_span_id, SpanId::INVALID);
    assert_eq!(child.span_context.trace_id(), root.span_context.trace_id());
    assert_eq!(child.parent_span_id, root.span_context.span_id());
    assert_ne!(elsewhere.span_context.trace_id(), root.span_context.trace_id());
}

#[test]
fn a_choice_does_not_reach_the_next_span() {
    let spans = spans_of(|| {
        let _ = root_span(TRACE, "release");
        let _other = tracing::info_span!("other").entered();
    });
    let other = spans.iter().find(|span| span.name == "other").unwrap();
    assert_ne!(other.span_context.trace_id().to_string(), TRACE.to_string());
    assert_ne!(
        other.span_context.span_id().to_string(),
        TRACE.root_span().to_string()
    );
}

#[test]
fn a_remote_parent_is_the_parent_and_a_link_a_link() {
    let spans = spans_of(|| {
        let span = tracing::info_span!("handler");
        remote_parent(&span, &TRACE.traceparent()).unwrap();
        link(&span, &TraceId([9; 16]).traceparent()).unwrap();
        span.in_scope(|| {
            let handed_on = current_traceparent().unwrap();
            assert!(handed_on.starts_with(&format!("00-{TRACE}-")) && handed_on.ends_with("-01"));
        });
        assert_eq!(
            remote_parent(&span, &TRACE.traceparent()),
            Err(ContextError::Started)
        );
    });
    let [span] = spans.as_slice() else {
        panic!("{spans:?}")
    };
    assert_eq!(span.parent_span_id.to_string(), TRACE.root_span().to_string());
    let linked: Vec<_> = span
        .links
        .iter()
        .map(|link| link.span_context.trace_id().to_string())
        .collect();
    assert_eq!(linked, [TraceId([9; 16]).to_string()]);
}

#[test]
fn a_malformed_parent_is_refused() {
    let zero = "0".repeat(32);
    let span = tracing::Span::none();
    for bad in [
        "",
        "00-x-y-01",
        &TRACE.traceparent().replacen("00", "ff", 1),
        &TRACE.traceparent().replace("07", "0G"),
        &format!("{}-more", TRACE.traceparent()),
        &format!("00-{zero}-{}-01", TRACE.root_span()),
    ] {
        assert!(
            matches!(remote_parent(&span, bad), Err(ContextError::Malformed { .. })),
            "{bad}"
        );
    }
}

#[test]
fn without_telemetry_nothing_fails_and_there_is_no_context() {
    let root = root_span(TRACE, "release");
    assert_eq!(remote_parent(&root, &TRACE.traceparent()), Ok(()));
    assert_eq!(root.in_scope(current_traceparent), None);
}

#[test]
fn spans_of_the_transport_are_left_out() {
    let spans = spans_of(|| {
        let _outer = tracing::info_span!("ours").entered();
        let _inner = tracing::info_span!(target: "h2::proto", "theirs").entered();
        let _detail = tracing::debug_span!("detail").entered();
    });
    let names: Vec<_> = spans.iter().map(|span| span.name.as_ref()).collect();
    assert_eq!(names, ["ours"]);
}

#[tokio::test]
async fn what_cannot_be_used_is_refused() {
    let filter = TelemetryConfig {
        filter: "info,=".into(),
        ..TelemetryConfig::default()
    };
    assert!(matches!(
        init("test", &filter),
        Err(TelemetryError::Filter { .. })
    ));
    let endpoint = TelemetryConfig {
        otlp_endpoint: Some("not an address".into()),
        ..TelemetryConfig::default()
    };
    assert!(matches!(
        init("test", &endpoint),
        Err(TelemetryError::Exporter { .. })
    ));
}

#[test]
fn work_hangs_below_the_current_span_of_its_trace_else_below_the_root() {
    let other = TraceId([9; 16]);
    let spans = spans_of(|| {
        let work = work_span(TRACE, "verify");
        work.in_scope(|| {
            send_span("fluxgate.v1.x.{key}.y", &TRACE.traceparent()).in_scope(|| {});
            send_span("fluxgate.v1.z.{key}.w", &other.traceparent()).in_scope(|| {});
        });
    });
    let by_name = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (work, own) = (by_name("verify"), by_name("send fluxgate.v1.x.{key}.y"));
    assert_eq!(work.span_context.trace_id().to_string(), TRACE.to_string());
    assert_eq!(work.parent_span_id.to_string(), TRACE.root_span().to_string());
    assert_eq!(own.parent_span_id, work.span_context.span_id());
    assert_eq!(own.span_kind, opentelemetry::trace::SpanKind::Producer);
    let foreign = by_name("send fluxgate.v1.z.{key}.w");
    assert_eq!(foreign.span_context.trace_id().to_string(), other.to_string());
    assert_eq!(foreign.parent_span_id.to_string(), other.root_span().to_string());
}
