//! Drawing traces as text of a given width.

use super::{Row, Trace};
use crate::table::clean;

/// The bars are never narrower.
const NARROWEST: usize = 12;
/// Labels are cut here.
const LONGEST: usize = 44;
/// A column of times.
const TIME: usize = 8;

/// What bars are made of.
struct Glyphs {
    point: char,
    line: char,
    edge: char,
    branch: &'static str,
}

const UNICODE: Glyphs = Glyphs {
    point: '█',
    line: '─',
    edge: '│',
    branch: "↳ ",
};
const ASCII: Glyphs = Glyphs {
    point: '#',
    line: '-',
    edge: '|',
    branch: "> ",
};

/// A line of the picture.
struct Line {
    label: String,
    /// Offset, took and waited; none for a group.
    times: Option<[i64; 3]>,
    /// From and to in milliseconds.
    extent: (i64, i64),
    point: bool,
}

/// The traces, one below the other, without the last line's end.
pub(crate) fn draw(traces: &[Trace], width: usize, ascii: bool) -> String {
    let glyphs = if ascii { &ASCII } else { &UNICODE };
    let drawn: Vec<(&Trace, Vec<Line>)> = traces.iter().map(|trace| (trace, lines(trace, glyphs))).collect();
    let longest = drawn
        .iter()
        .flat_map(|(_, lines)| lines)
        .map(|line| line.label.chars().count());
    let label = longest.max().unwrap_or(0).clamp(10, LONGEST);
    let fixed = label + 3 * (TIME + 1) + 3;
    let bars = width.saturating_sub(fixed).max(NARROWEST);
    let parts = drawn.iter().map(|(trace, lines)| {
        let mut text = vec![title(trace), head(label, traces, trace)];
        text.extend(
            lines
                .iter()
                .map(|line| render(line, trace.duration_ms, (label, bars), glyphs)),
        );
        text.join("\n")
    });
    parts.collect::<Vec<_>>().join("\n\n")
}

fn title(trace: &Trace) -> String {
    let start = trace.start.as_deref().unwrap_or_default();
    let start = start
        .split_once('.')
        .map_or(start.to_owned(), |(seconds, _)| format!("{seconds}Z"));
    format!(
        "{}\ntrace {}, {} statements in {}, from {start}",
        clean(&trace.name),
        clean(&trace.trace_id),
        trace.rows.len(),
        span(trace.duration_ms),
    )
}

/// The heads of the columns, and what the trace is linked with.
fn head(label: usize, traces: &[Trace], trace: &Trace) -> String {
    let others = traces.iter().filter(|other| other.trace_id != trace.trace_id);
    let linked: Vec<String> = others.map(|other| other.trace_id.clone()).collect();
    let head = format!(
        "{:<label$} {:>TIME$} {:>TIME$} {:>TIME$}",
        "STATEMENT", "AT", "TOOK", "WAITED"
    );
    if linked.is_empty() {
        head
    } else {
        format!("linked with {}\n{head}", linked.join(", "))
    }
}

/// Each service with its statements.
fn lines(trace: &Trace, glyphs: &Glyphs) -> Vec<Line> {
    let mut authors: Vec<&str> = Vec::new();
    for row in &trace.rows {
        if !authors.contains(&row.author.as_str()) {
            authors.push(&row.author);
        }
    }
    let mut lines = Vec::new();
    for author in authors {
        let rows: Vec<&Row> = trace.rows.iter().filter(|row| row.author == author).collect();
        let name = if author.is_empty() {
            "nobody who may"
        } else {
            author
        };
        lines.push(group(clean(name), &rows));
        lines.extend(rows.iter().map(|row| {
            let root = trace
                .root_span_id
                .as_deref()
                .is_none_or(|root| root == row.span_id);
            statement(row, if root { "  " } else { "    " }, glyphs)
        }));
    }
    lines
}

fn group(label: String, rows: &[&Row]) -> Line {
    let from = rows.iter().map(|row| row.offset_ms).min().unwrap_or(0);
    let to = rows
        .iter()
        .map(|row| row.offset_ms + row.took_ms)
        .max()
        .unwrap_or(0);
    Line {
        label,
        times: None,
        extent: (from, to),
        point: false,
    }
}

fn statement(row: &Row, indent: &str, glyphs: &Glyphs) -> Line {
    let branch = if indent.len() > 2 { glyphs.branch } else { "" };
    Line {
        label: format!("{indent}{branch}{}", clean(&row.label)),
        times: Some([row.offset_ms, row.took_ms, row.waited_ms]),
        extent: (row.offset_ms, row.offset_ms + row.took_ms),
        point: true,
    }
}

fn render(line: &Line, total: i64, (label, bars): (usize, usize), glyphs: &Glyphs) -> String {
    let name: String = if line.label.chars().count() > label {
        line.label
            .chars()
            .take(label.saturating_sub(1))
            .chain(['…'])
            .collect()
    } else {
        line.label.clone()
    };
    let times = match line.times {
        Some(times) => times.map(|time| format!("{:>TIME$}", span(time))).join(" "),
        None => " ".repeat(3 * TIME + 2),
    };
    let bar = bar(line, total, bars, glyphs);
    let edge = glyphs.edge;
    format!("{name:<label$} {times} {edge}{bar}{edge}")
        .trim_end()
        .to_owned()
}

fn bar(line: &Line, total: i64, width: usize, glyphs: &Glyphs) -> String {
    let last = width.saturating_sub(1);
    let column = |time: i64| {
        let (time, total) = (time.max(0), total.max(1));
        let place = i128::from(time) * last as i128 / i128::from(total);
        usize::try_from(place).unwrap_or(last).min(last)
    };
    let (from, to) = (column(line.extent.0), column(line.extent.1));
    let glyph = if line.point { glyphs.point } else { glyphs.line };
    (0..width)
        .map(|place| if (from..=to).contains(&place) { glyph } else { ' ' })
        .collect()
}

/// A length of time in at most eight letters.
fn span(millis: i64) -> String {
    let seconds = millis / 1000;
    match millis {
        ..1000 => format!("{millis}ms"),
        1000..60_000 => format!("{}.{}s", seconds, millis % 1000 / 100),
        60_000..3_600_000 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600_000..172_800_000 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short_and_tell_their_unit() {
        let texts = [0, 999, 1_500, 61_000, 3_660_000, 200_000_000].map(span);
        assert_eq!(texts, ["0ms", "999ms", "1.5s", "1m01s", "1h01m", "2d07h"]);
        assert_eq!(span(9_999 * 86_400_000).len(), TIME);
    }
}
