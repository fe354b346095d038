//! What the programs here have in common: lines on standard output, and work that Ctrl-C ends.

use std::io::Write as _;
use std::process::ExitCode;

/// Writes a line. A reader that has gone away must not end the work half-way: it still has to tidy up.
pub fn write(line: &str) {
    let mut out = std::io::stdout().lock();
    let _written = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Does the work on threads of its own, until it ends or Ctrl-C is typed (exit code 130). What was started ends with
/// it.
pub fn run(work: impl Future<Output = ExitCode>) -> ExitCode {
    let executor = match tokio::runtime::Runtime::new() {
        Ok(executor) => executor,
        Err(error) => {
            write(&format!("error: threads can't be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    executor.block_on(async {
        tokio::select! {
            code = work => code,
            _ = tokio::signal::ctrl_c() => {
                write("interrupted; everything that was started is ended");
                ExitCode::from(130)
            }
        }
    })
}
