//! The tests of the whole, on real parts. Each trial has its own lab: parts, folder, ports. Where one fails its
//! folder with all logs stays and stands in the message.

mod contract;
mod demo;
mod factory;
mod killed;
mod lab;
mod layers;
mod no_change;
mod story;
mod trial;
mod within;

use std::process::ExitCode;

use integration_tests::lab::tether;
use libtest_mimic::Arguments;

/// Trials at once, where nobody says otherwise: a cluster takes half a gigabyte.
const THREADS: usize = 2;

fn main() -> ExitCode {
    tether::run_if_asked();
    if lab::ending::is_victim() {
        return lab::ending::be_victim();
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(THREADS));
    // The longest first: what is left for the end is short.
    let trials = [
        killed::trials(),
        no_change::trials(),
        demo::trials(),
        factory::trials(),
        lab::trials(),
        contract::trials(),
        layers::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
