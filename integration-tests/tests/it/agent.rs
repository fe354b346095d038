//! What an agent does on a real API server, driven by hand: the hub of these trials is the test, so each
//! assignment can be wrong in exactly one way, and what the agent says and writes is counted.

mod bench;
mod changes;
mod checklist;
mod customised;
mod faults;
mod listen;
mod owners;
mod rows;
mod world;

use libtest_mimic::Trial;

use crate::trial::trial;

pub(crate) fn trials() -> Vec<Trial> {
    // The longest first.
    vec![
        trial(
            "agent::upgrades_through_a_bad_api_server",
            faults::upgrades_through,
        ),
        trial("agent::each_check_of_the_protocol_refuses", checklist::every_row),
        trial("agent::customisations_are_found_and_kept", customised::every_row),
        trial(
            "agent::other_owners_are_refused_with_what_was_seen",
            owners::every_row,
        ),
    ]
}
