//! The service alone in its process.

use std::process::ExitCode;

fn main() -> ExitCode {
    hub::process::main(release_watcher::NAME, release_watcher::start)
}
