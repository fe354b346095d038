//! The whole story of one resource, as text in sections. Pure: messages and the time in, text out.

mod cluster;
mod decision;
mod release;
mod rollout;

use crate::lists::Look;
use crate::table::{Table, clean, paint};
use crate::words;

pub(crate) use cluster::cluster;
pub(crate) use decision::decision;
pub(crate) use release::{Story, release};
pub(crate) use rollout::rollout;

/// A text that is being written.
#[derive(Debug, Default)]
struct Page {
    lines: Vec<String>,
}

impl Page {
    /// `Name:   value`, with the values of a section under each other.
    fn field(&mut self, name: &str, value: &str) {
        let label = format!("{name}:");
        self.lines.push(
            format!("{label:<15} {}", paint(&clean(value)))
                .trim_end()
                .to_owned(),
        );
    }

    /// A heading behind an empty line.
    fn section(&mut self, title: &str) {
        self.lines.push(String::new());
        self.lines.push(title.to_owned());
    }

    /// A table under a heading.
    fn table(&mut self, table: &Table) {
        if table.is_empty() {
            self.line("-");
        } else {
            self.lines.push(table.render(true, "  "));
        }
    }

    /// A line under a heading.
    fn line(&mut self, text: &str) {
        self.lines.push(format!("  {text}"));
    }

    /// What each reason code means and what to do, once for each; `otherwise` where there is no code.
    fn reasons<'a>(&mut self, codes: impl IntoIterator<Item = &'a str>, otherwise: &str) {
        self.section("What to do");
        let mut seen: Vec<&str> = Vec::new();
        for code in codes {
            if code.is_empty() || seen.contains(&code) {
                continue;
            }
            seen.push(code);
            self.line(&clean(code));
            if let Some((meaning, next)) = words::explain(code) {
                self.line(&format!("  means: {meaning}"));
                self.line(&format!("  next:  {next}"));
            } else {
                self.line("  this version of fluxgate does not know this code: update it");
            }
        }
        if seen.is_empty() {
            self.line(otherwise);
        }
    }

    fn text(self) -> String {
        self.lines.join("\n")
    }
}
