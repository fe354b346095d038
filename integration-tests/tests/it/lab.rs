//! The lab's own tests: that parts end when we do, that they keep what they promised, and that the fake kubelet
//! tells what a real one would.

mod bus;
mod cluster;
pub(crate) mod ending;
mod images;

use libtest_mimic::Trial;

use crate::trial::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "lab::kubelet_tells_each_fault_and_its_end",
            cluster::tells_each_fault,
        ),
        trial(
            "lab::kubelet_finishes_deletions_and_passes_the_lease_on",
            cluster::passes_the_lease_on,
        ),
        trial(
            "lab::image_ids_have_the_form_of_the_runtime",
            images::have_the_form_of_the_runtime,
        ),
        trial(
            "lab::image_that_is_not_in_the_registry_is_refused_until_it_is",
            images::refused_until_pushed,
        ),
        trial(
            "lab::two_clusters_over_one_etcd_do_not_see_each_other",
            cluster::do_not_see_each_other,
        ),
        trial(
            "lab::parts_end_when_their_starter_is_killed",
            ending::parts_end_when_their_starter_is_killed,
        ),
        trial(
            "lab::parts_outlive_the_thread_that_started_them",
            ending::parts_outlive_the_thread_that_started_them,
        ),
        trial(
            "lab::bus_keeps_what_it_acknowledged_over_kill_and_restart",
            bus::keeps_what_it_acknowledged,
        ),
        trial(
            "lab::bus_refuses_strangers_when_users_are_configured",
            bus::refuses_strangers,
        ),
        trial(
            "lab::part_that_does_not_start_is_named_with_its_log",
            bus::names_the_log_of_a_failed_start,
        ),
    ]
}
