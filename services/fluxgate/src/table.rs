//! Tables as kubectl writes them: upper-case headers, two spaces between columns, no borders. Words that say
//! good or bad are coloured; colour never carries anything alone.

use anstream::adapter::strip_str;
use clap::builder::styling::{AnsiColor, Style};

/// A table of text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    headers: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(headers: &[&'static str]) -> Self {
        Self {
            headers: headers.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with as many cells as there are headers.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|cell| one_line(&cell)).collect());
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Lines without the last line's end, each behind `indent`.
    pub(crate) fn render(&self, header: bool, indent: &str) -> String {
        let headers: Vec<String> = self.headers.iter().map(ToString::to_string).collect();
        let widths = self.widths(header.then_some(&headers));
        let head = header.then(|| line(&headers, &widths, indent));
        let rows = self.rows.iter().map(|row| line(row, &widths, indent));
        head.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
    }

    /// Lines under those that were printed before: columns are never narrower than `widths`, which grow.
    pub(crate) fn render_below(&self, header: bool, widths: &mut Vec<usize>) -> String {
        let headers: Vec<String> = self.headers.iter().map(ToString::to_string).collect();
        let own = self.widths(Some(&headers));
        widths.resize(own.len(), 0);
        for (width, own) in widths.iter_mut().zip(own) {
            *width = (*width).max(own);
        }
        let head = header.then(|| line(&headers, widths, ""));
        let rows = self.rows.iter().map(|row| line(row, widths, ""));
        head.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
    }

    /// The rows without these columns.
    pub(crate) fn rows_without(&self, columns: &[&str]) -> Vec<Vec<String>> {
        let kept = |row: &Vec<String>| {
            let cells = self.headers.iter().zip(row);
            let kept = cells.filter(|(header, _)| !columns.contains(header));
            kept.map(|(_, cell)| cell.clone()).collect()
        };
        self.rows.iter().map(kept).collect()
    }

    fn widths(&self, headers: Option<&Vec<String>>) -> Vec<usize> {
        let mut widths = vec![0; self.headers.len()];
        for row in headers.into_iter().chain(&self.rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }
}

fn line(cells: &[String], widths: &[usize], indent: &str) -> String {
    let mut text = indent.to_owned();
    for (cell, width) in cells.iter().zip(widths) {
        text.push_str(&paint(cell));
        let gap = width.saturating_sub(cell.chars().count()).saturating_add(2);
        text.extend(std::iter::repeat_n(' ', gap));
    }
    text.trim_end().to_owned()
}

/// A cell is one line, and nothing from outside can steer the terminal.
fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text from outside as one line, without anything that steers a terminal or turns its writing around.
pub(crate) fn clean(text: &str) -> String {
    let turns = |c: &char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let spaced = |c: char| if c.is_whitespace() { ' ' } else { c };
    strip_str(text)
        .to_string()
        .chars()
        .map(spaced)
        .filter(|c| !c.is_control() && !turns(c))
        .collect()
}

/// The text in the colour of its first word, where that says good, bad or not sure.
pub(crate) fn paint(text: &str) -> String {
    let style = match text.split([' ', ',', ':']).next().unwrap_or_default() {
        "PASSED" | "ALLOW" | "HEALTHY" | "UPGRADED" | "COMPLETED" | "BAKED" | "FINISHED" | "OPEN"
        | "DONE" => AnsiColor::Green,
        "FAILED" | "DENY" | "UNHEALTHY" | "REFUSED" | "HALTED" => AnsiColor::Red,
        "NOT_CHECKED" | "WAIT" | "NEEDS_APPROVAL" | "INCONCLUSIVE" | "UNKNOWN" | "DEMO" | "CLOSED"
        | "PAUSED" | "ACTIVE" | "NEEDS" | "WAITING" | "WAITS" => AnsiColor::Yellow,
        _ => return text.to_owned(),
    };
    let style: Style = style.on_default();
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_headers_whatever_the_colour() {
        let mut table = Table::new(&["A", "RESULT", "B"]);
        table.row(["x".to_owned(), "FAILED".to_owned(), "1".to_owned()]);
        table.row(["longer".to_owned(), "-".to_owned(), "2".to_owned()]);
        let text = table.render(true, "");
        assert!(text.contains("\u{1b}[31mFAILED\u{1b}[0m"), "{text:?}");
        let plain = strip_str(&text).to_string();
        assert_eq!(plain, "A       RESULT  B\nx       FAILED  1\nlonger  -       2");
        assert!(!table.render(false, "").contains("RESULT"));
    }

    #[test]
    fn text_from_outside_can_not_steer_the_terminal() {
        let mut table = Table::new(&["A"]);
        table.row(["\u{1b}[2Jgood\r\n\u{7}\u{202e}news".to_owned()]);
        assert_eq!(table.render(false, ""), "good news");
    }
}
