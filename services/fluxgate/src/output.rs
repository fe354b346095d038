//! The only place that prints. stdout carries data, stderr everything else; what can't be written (a closed
//! pipe) is given up silently, as `head` expects it.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::AnsiColor;
use serde::Serialize;

use crate::cli::{Color, Format, Global};
use crate::failure::Failure;

/// What a line is about, as a sign in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Something begins.
    Begin,
    /// Good.
    Good,
    /// Bad.
    Bad,
    /// Worth a look.
    Warning,
}

#[derive(Debug, Clone)]
enum Sink {
    Terminal(ColorChoice),
    Captured(Arc<Mutex<(String, String)>>),
}

/// Where answers go and how they are to look.
#[derive(Debug, Clone)]
pub struct Screen {
    sink: Sink,
    format: Format,
    header: bool,
    quiet: bool,
    verbose: bool,
    ascii: bool,
    interactive: bool,
}

impl Screen {
    /// stdout and stderr of the process.
    #[must_use]
    pub fn terminal(global: &Global) -> Self {
        let choice = match global.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        Self::with(Sink::Terminal(choice), global)
    }

    /// stdout and stderr of the process, before it is known how answers are to look.
    #[must_use]
    pub const fn plain() -> Self {
        let sink = Sink::Terminal(ColorChoice::Auto);
        Self {
            sink,
            format: Format::Table,
            header: true,
            quiet: false,
            verbose: false,
            ascii: false,
            interactive: false,
        }
    }

    /// Keeps what is printed, without colour: for tests.
    #[must_use]
    pub fn captured(global: &Global) -> Self {
        Self::with(Sink::Captured(Arc::default()), global)
    }

    const fn with(sink: Sink, global: &Global) -> Self {
        let (format, header) = (global.output, !global.no_header);
        Self {
            sink,
            format,
            header,
            quiet: global.quiet,
            verbose: global.verbose && !global.quiet,
            ascii: global.ascii,
            interactive: !global.no_input,
        }
    }

    /// Whether it is kept for a test.
    #[must_use]
    pub const fn is_captured(&self) -> bool {
        matches!(self.sink, Sink::Captured(_))
    }

    /// Asks for a yes. `None` where nobody can be asked: stdin and stderr must both be terminals.
    #[must_use]
    pub fn confirm(&self, question: &str) -> Option<bool> {
        let terminals = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if self.is_captured() || !self.interactive || !terminals {
            return None;
        }
        self.note(&self.signed(Sign::Warning, &format!("{question} [y/N]")));
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        Some(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// What was kept: stdout and stderr. Empty for a terminal.
    #[must_use]
    pub fn kept(&self) -> (String, String) {
        match &self.sink {
            Sink::Terminal(_) => (String::new(), String::new()),
            Sink::Captured(kept) => kept.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// How answers are written.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Whether tables begin with their headers.
    #[must_use]
    pub const fn header(&self) -> bool {
        self.header
    }

    /// Whether progress and hints are left out.
    #[must_use]
    pub const fn quiet(&self) -> bool {
        self.quiet
    }

    /// Columns that a line may have: those of the terminal, a hundred elsewhere.
    #[must_use]
    pub fn width(&self) -> usize {
        const ELSEWHERE: u16 = 100;
        let columns = match &self.sink {
            Sink::Terminal(_) => rustix::termios::tcgetwinsize(std::io::stdout())
                .map(|size| size.ws_col)
                .ok(),
            Sink::Captured(_) => None,
        };
        usize::from(columns.filter(|columns| *columns > 0).unwrap_or(ELSEWHERE))
    }

    /// Whether plain letters stand in the place of signs.
    #[must_use]
    pub const fn is_ascii(&self) -> bool {
        self.ascii
    }

    /// Prints data: a text without its last line's end.
    pub fn data(&self, text: &str) {
        match &self.sink {
            Sink::Terminal(choice) => {
                let _gone = writeln!(AutoStream::new(std::io::stdout(), *choice), "{text}");
            }
            Sink::Captured(kept) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.0.push_str(&strip_str(text).to_string());
                kept.0.push('\n');
            }
        }
    }

    /// Prints data as JSON.
    ///
    /// # Errors
    /// If it can't be written as JSON.
    pub fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.data(&serde_json::to_string_pretty(value).map_err(Failure::Json)?);
        Ok(())
    }

    /// Prints data as JSON on one line.
    ///
    /// # Errors
    /// If it can't be written as JSON.
    pub fn json_line(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.data(&serde_json::to_string(value).map_err(Failure::Json)?);
        Ok(())
    }

    /// Prints a summary for people beside an answer for programs, unless quiet: at most ten lines.
    pub fn summary(&self, text: &str) {
        const LINES: usize = 9;
        if self.quiet {
            return;
        }
        let count = text.lines().count();
        for line in text.lines().take(LINES) {
            self.note(line);
        }
        if count > LINES {
            self.note(&format!(
                "... {} more lines with `-o table`",
                count.saturating_sub(LINES)
            ));
        }
    }

    /// Prints what only those want to know who asked for more.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            self.note(text);
        }
    }

    /// Prints progress or a hint, unless quiet.
    pub fn hint(&self, sign: Sign, text: &str) {
        if !self.quiet {
            self.note(&self.signed(sign, text));
        }
    }

    /// Prints for people, on stderr.
    pub fn note(&self, text: &str) {
        match &self.sink {
            Sink::Terminal(choice) => {
                let _gone = writeln!(AutoStream::new(std::io::stderr(), *choice), "{text}");
            }
            Sink::Captured(kept) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.1.push_str(&strip_str(text).to_string());
                kept.1.push('\n');
            }
        }
    }

    /// Prints why a command failed: text, or JSON where the answer would have been JSON.
    pub fn failure(&self, failure: &Failure) {
        let json = match self.format {
            Format::Json => serde_json::to_string_pretty(&failure.to_json()).ok(),
            Format::Table | Format::Wide => None,
        };
        self.note(&json.unwrap_or_else(|| self.signed(Sign::Bad, &failure.to_text())));
    }

    /// The text behind its sign.
    #[must_use]
    pub fn signed(&self, sign: Sign, text: &str) -> String {
        let (plain, glyph, color) = match sign {
            Sign::Begin => (">", "►", AnsiColor::Blue),
            Sign::Good => ("ok:", "✔", AnsiColor::Green),
            Sign::Bad => ("error:", "✗", AnsiColor::Red),
            Sign::Warning => ("warning:", "⚠", AnsiColor::Yellow),
        };
        let style = color.on_default();
        let glyph = if self.ascii { plain } else { glyph };
        format!("{style}{glyph}{style:#} {text}")
    }
}
