//! The tests of the whole, on real parts. Each trial has its own lab: parts, folder, ports. Where one fails its
//! folder with all logs stays and stands in the message.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "trials are tests, though none is marked as one: they assert"
)]

mod agent;
mod contract;
mod demo;
mod factory;
mod killed;
mod lab;
mod layers;
mod ledger;
mod manifests;
mod no_change;
mod stops;
mod story;
mod traces;
mod trial;
mod within;

use std::process::ExitCode;

use integration_tests::lab::tether;
use libtest_mimic::Arguments;

/// Trials at once, where nobody says otherwise: a cluster takes half a gigabyte.
const THREADS: usize = 3;

fn main() -> ExitCode {
    tether::run_if_asked();
    if lab::ending::is_victim() {
        return lab::ending::be_victim();
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(THREADS));
    // The longest first: what is left for the end is short.
    let groups = [
        killed::trials(),
        agent::trials(),
        no_change::trials(),
        ledger::trials(),
        stops::trials(),
        demo::trials(),
        factory::trials(),
        traces::trials(),
        lab::trials(),
        contract::trials(),
        layers::trials(),
        manifests::trials(),
    ];
    let mut trials: Vec<_> = groups.into_iter().flatten().collect();
    // It waits out two deliveries of half a minute each.
    trials.sort_by_key(|trial| trial.name() != "bus::a_slow_handler_is_not_delivered_twice");
    let ended = libtest_mimic::run(&arguments, trials);
    trial::tell_the_longest();
    ended.exit_code()
}
