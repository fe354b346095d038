//! Span ids that can be chosen.
//!
//! OpenTelemetry has no way to start a root span with a given trace id: a remote parent would be exported
//! as a parent that nobody ever sees. So the generator, which is asked while a span starts, hands out what
//! was chosen for this thread a moment before.

use std::cell::Cell;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

thread_local! {
    static CHOSEN_TRACE: Cell<Option<TraceId>> = const { Cell::new(None) };
    static CHOSEN_SPAN: Cell<Option<SpanId>> = const { Cell::new(None) };
}

/// Random ids, unless [`choose`] chose.
#[derive(Debug, Default)]
pub(super) struct ChosenIds {
    random: RandomIdGenerator,
}

/// The choice; it ends with this value, used or not.
#[derive(Debug)]
pub(super) struct Choice(());

/// Chooses the ids of the next span that starts on this thread, if it is a root.
pub(super) fn choose(trace: domain::trace::TraceId) -> Choice {
    CHOSEN_TRACE.set(Some(TraceId::from_bytes(trace.0)));
    CHOSEN_SPAN.set(Some(SpanId::from_bytes(trace.root_span().0)));
    Choice(())
}

impl Drop for Choice {
    fn drop(&mut self) {
        CHOSEN_TRACE.set(None);
        CHOSEN_SPAN.set(None);
    }
}

impl IdGenerator for ChosenIds {
    fn new_trace_id(&self) -> TraceId {
        CHOSEN_TRACE.take().unwrap_or_else(|| self.random.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        CHOSEN_SPAN.take().unwrap_or_else(|| self.random.new_span_id())
    }
}
