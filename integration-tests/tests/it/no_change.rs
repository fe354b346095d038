//! "No cluster changes while ...": each trial proves that the dangerous thing was really offered, that nothing
//! but Lease and Event changed in the clusters, and, where it can, that the honest thing in the same place would
//! have been carried out.

mod assignments;
mod forge;
mod images;
mod keys;
mod ledger;
mod observe;

use libtest_mimic::Trial;

use crate::trial::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "no_change::ledger_silent_for_six_minutes",
            ledger::silent_for_six_minutes,
        ),
        trial("no_change::ledger_never_heard", ledger::never_heard),
        trial(
            "no_change::image_swapped_in_the_registry",
            images::swapped_in_the_registry,
        ),
        trial(
            "no_change::image_swapped_in_the_assignment",
            images::swapped_in_the_assignment,
        ),
        trial(
            "no_change::assignment_of_the_other_cluster",
            assignments::of_the_other_cluster,
        ),
        trial("no_change::older_assignment", assignments::older),
        trial("no_change::mode_observe", observe::mode_observe),
        trial("no_change::key_exchanged_verifier", keys::verifier),
        trial("no_change::key_exchanged_policy", keys::policy),
        trial("no_change::key_exchanged_controller", keys::controller),
        trial(
            "no_change::statements_of_strangers_reach_the_agent",
            keys::strangers_reach_the_agent,
        ),
    ]
}
