//! The service alone in its process.

use std::process::ExitCode;

fn main() -> ExitCode {
    hub::process::main(policy_engine::NAME, policy_engine::start)
}
