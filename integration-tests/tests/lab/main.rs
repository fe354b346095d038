//! The lab's own tests, on real parts: that they end when we do, that they keep what they promised, and that the
//! fake kubelet tells what a real one would.

mod bus;
mod cluster;
mod ending;
mod images;
mod within;

use std::process::ExitCode;
use std::sync::Arc;

use integration_tests::lab::{Lab, tether};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::sync::OnceCell;

/// One lab for all tests, started by the first that needs it.
type Shared = Arc<OnceCell<Lab>>;

fn main() -> ExitCode {
    tether::run_if_asked();
    if ending::is_victim() {
        return ending::be_victim();
    }
    let lab = Shared::default();
    let conclusion = libtest_mimic::run(&Arguments::from_args(), tests(&lab));
    if let Some(lab) = lab.get().filter(|_| conclusion.has_failed()) {
        lab.keep_logs();
    }
    conclusion.exit_code()
}

fn tests(lab: &Shared) -> Vec<Trial> {
    vec![
        test(
            lab,
            "bus_keeps_what_it_acknowledged_over_kill_and_restart",
            bus::keeps_what_it_acknowledged,
        ),
        test(
            lab,
            "bus_refuses_strangers_when_users_are_configured",
            bus::refuses_strangers,
        ),
        test(
            lab,
            "part_that_does_not_start_is_named_with_its_log",
            bus::names_the_log_of_a_failed_start,
        ),
        test(
            lab,
            "parts_end_when_their_starter_is_killed",
            ending::parts_end_when_their_starter_is_killed,
        ),
        test(
            lab,
            "parts_outlive_the_thread_that_started_them",
            ending::parts_outlive_the_thread_that_started_them,
        ),
        test(
            lab,
            "two_clusters_over_one_etcd_do_not_see_each_other",
            cluster::do_not_see_each_other,
        ),
        test(
            lab,
            "kubelet_tells_each_fault_and_its_end",
            cluster::tells_each_fault,
        ),
        test(
            lab,
            "kubelet_finishes_deletions_and_passes_the_lease_on",
            cluster::passes_the_lease_on,
        ),
        test(
            lab,
            "image_ids_have_the_form_of_the_runtime",
            images::have_the_form_of_the_runtime,
        ),
        test(
            lab,
            "image_that_is_not_in_the_registry_is_refused_until_it_is",
            images::refused_until_pushed,
        ),
    ]
}

fn test<F>(lab: &Shared, name: &str, body: impl FnOnce(Lab) -> F + Send + 'static) -> Trial
where
    F: Future<Output = anyhow::Result<()>>,
{
    let lab = lab.clone();
    Trial::test(name, move || {
        let runtime = tokio::runtime::Runtime::new()?;
        let result = runtime.block_on(async {
            let lab = lab.get_or_try_init(Lab::start).await?.clone();
            Box::pin(body(lab)).await
        });
        result.map_err(|error| Failed::from(format!("{error:#}")))
    })
}
