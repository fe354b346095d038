//! The service alone in its process.

use std::process::ExitCode;

fn main() -> ExitCode {
    hub::process::main(audit_log::NAME, audit_log::start)
}
