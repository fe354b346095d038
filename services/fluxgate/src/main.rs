//! The command line of fluxgate.

use std::process::ExitCode;

fn main() -> ExitCode {
    fluxgate::main(std::env::args_os())
}
