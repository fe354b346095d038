//! Who hears what the lab is doing. The lab itself prints nowhere else.

use std::fmt::Debug;

/// Hears one line at a time, without a line end. Called from any thread, so it must not block for long.
pub trait Progress: Debug + Send + Sync {
    /// One line for a person to read.
    fn line(&self, line: &str);
}

/// Writes each line to stderr.
#[derive(Debug, Clone, Copy, Default)]
pub struct StderrLines;

impl Progress for StderrLines {
    #[expect(
        clippy::print_stderr,
        reason = "the one place where the lab prints, chosen by its caller"
    )]
    fn line(&self, line: &str) {
        eprintln!("{line}");
    }
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn line(&self, _line: &str) {}
}
