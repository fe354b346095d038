//! The service alone in its process.

use std::process::ExitCode;

fn main() -> ExitCode {
    hub::process::main(rollout_controller::NAME, rollout_controller::start)
}
