//! The waterfall of a trace, from statements alone: pure.
//!
//! A row for each statement, under the service that may speak so, in the order of their first words. A
//! statement whose `traceparent` names another span than the trace's root stands one step further in, under that
//! span. A bar goes from when its maker says that it was made to when the stream stored it; `WAIT` is the time
//! since the statement before it in the trace was stored.

mod draw;

use domain::trace::SpanId;
use jiff::Timestamp;
use serde::Serialize;
use wire::audit::v1::Entry;

use crate::words;

pub(crate) use draw::draw;

/// A trace as the ledger tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trace {
    /// What it is about, like `release flux/v2.9.4@sha256:...`.
    pub(crate) name: String,
    /// Its id.
    pub(crate) trace_id: String,
    /// Its root span; none for a trace that is neither a release's nor a rollout's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) root_span_id: Option<String>,
    /// When the first statement was made.
    pub(crate) start: Option<String>,
    /// From there to when the last one was stored.
    pub(crate) duration_ms: i64,
    /// The statements, in stream order.
    pub(crate) rows: Vec<Row>,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    /// Stream sequence.
    pub(crate) sequence: u64,
    /// Who may speak under its subject; empty where nobody may.
    pub(crate) author: String,
    /// Kind of claim.
    pub(crate) kind: String,
    /// What it is about in two words.
    pub(crate) label: String,
    /// Subject.
    pub(crate) subject: String,
    /// Span that it names.
    pub(crate) span_id: String,
    /// Made so long after the trace's start.
    pub(crate) offset_ms: i64,
    /// From when it was made to when it was stored.
    pub(crate) took_ms: i64,
    /// Since the statement before it was stored.
    pub(crate) waited_ms: i64,
    /// One line for people.
    pub(crate) summary: String,
}

impl Trace {
    /// The trace of these entries, in stream order.
    pub(crate) fn new(name: String, trace_id: &str, root: Option<SpanId>, entries: &[Entry]) -> Self {
        let times: Vec<(&Entry, Timestamp, Timestamp)> = entries.iter().filter_map(times).collect();
        let start = times.iter().map(|(_, made, _)| *made).min();
        let end = times.iter().map(|(_, _, stored)| *stored).max();
        let since = |time: Timestamp| start.map_or(0, |start| millis(start, time));
        let mut before = start;
        let rows = times.iter().map(|(entry, made, stored)| {
            let waited_ms = before.map_or(0, |before| millis(before, *made).max(0));
            before = Some(*stored);
            Row {
                sequence: entry.sequence,
                author: entry.author.clone(),
                kind: entry.kind.clone(),
                label: label(entry),
                subject: entry.subject.clone(),
                span_id: entry.span_id.clone(),
                offset_ms: since(*made),
                took_ms: millis(*made, *stored),
                waited_ms,
                summary: entry.summary.clone(),
            }
        });
        let rows = rows.collect();
        Self {
            name,
            trace_id: trace_id.to_owned(),
            root_span_id: root.map(|root| root.to_string()),
            start: start.map(|start| start.to_string()),
            duration_ms: end.map_or(0, since),
            rows,
        }
    }

    /// Whether there is no statement.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// When a statement was made and stored. A maker whose clock is ahead has made it when it was stored.
fn times(entry: &Entry) -> Option<(&Entry, Timestamp, Timestamp)> {
    let stored = words::at(entry.store_time)?;
    let made = words::at(entry.make_time).unwrap_or(stored).min(stored);
    Some((entry, made, stored))
}

fn millis(from: Timestamp, to: Timestamp) -> i64 {
    i64::try_from(to.duration_since(from).as_millis()).unwrap_or(i64::MAX)
}

/// `decision`, `evidence source-controller-signature`, `assignment canary`.
fn label(entry: &Entry) -> String {
    let mut tokens = entry.subject.rsplit('.');
    let (n, step) = (
        tokens.next().unwrap_or_default(),
        tokens.next().unwrap_or_default(),
    );
    let kind = if entry.kind.is_empty() {
        "no statement"
    } else {
        entry.kind.as_str()
    };
    let what = match kind {
        // The step says more than the kind.
        "report" => return format!("{step} {}", entry.cluster),
        "evidence" => step,
        // `opened-canary` is the wave `canary`.
        "wave-opened" | "wave-baked" => step.split_once('-').map_or(step, |(_, wave)| wave),
        _ => entry.cluster.as_str(),
    };
    // A later one of a series, or another attempt.
    let again = if n == "1" { String::new() } else { format!(" {n}") };
    let what = if what.is_empty() {
        String::new()
    } else {
        format!(" {what}")
    };
    format!("{kind}{what}{again}")
}
