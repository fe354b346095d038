//! The service alone in its process.

use std::process::ExitCode;

fn main() -> ExitCode {
    hub::process::main(signature_verifier::NAME, signature_verifier::start)
}
