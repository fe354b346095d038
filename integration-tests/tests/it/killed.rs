//! Whoever is killed with SIGKILL, wherever it is: after a restart the story ends as if nothing had been.

mod agent;
mod services;

use libtest_mimic::Trial;

use crate::trial::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("killed::agent_killed_in_mid_apply", agent::in_mid_apply),
        trial("killed::policy_engine_killed", services::policy_engine),
        trial("killed::controller_killed", services::controller),
    ]
}
