//! What does not fit how things are: nothing to lift, nothing to pause, nothing to try again.

use domain::rollout::RolloutEnd;
use domain::{RolloutKey, StopScope};
use planner::reducer::RolloutView;

use super::{Said, Word};
use crate::fold::Rollouts;

/// Why a word does not fit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Objection {
    #[error("there is no {kind} of {0} in force, so there is nothing to lift", kind = .0.kind())]
    NotStopped(StopScope),
    #[error("rollouts/{0} is over: there is nothing to pause")]
    Over(RolloutKey),
    #[error("there is no rollouts/{0}")]
    Unknown(RolloutKey),
    #[error("rollouts/{0} goes on: only one that was halted is tried again")]
    Running(RolloutKey),
    #[error("rollouts/{0} was {1}, not halted: there is nothing to try again")]
    NotHalted(RolloutKey, &'static str),
    #[error(
        "rollouts/{0} was tried again already, as rollouts/{1}: try that one again, if it was halted too"
    )]
    NotLast(RolloutKey, RolloutKey),
    #[error(
        "another attempt after rollouts/{0} was asked for already; it begins as soon as nothing keeps it"
    )]
    Retried(RolloutKey),
}

/// Looks whether a word fits what was said and done before.
pub(super) fn look(wanted: &Word, stored: &[Said], rollouts: &Rollouts) -> Result<(), Objection> {
    match wanted {
        Word::Mode(_) => Ok(()),
        Word::Stop(stop) if stop.active => match &stop.scope {
            StopScope::Rollout(key) => match find(rollouts, key) {
                None => Err(Objection::Unknown(key.clone())),
                Some(view) if view.finished.is_some() => Err(Objection::Over(key.clone())),
                Some(_) => Ok(()),
            },
            StopScope::Fleet
            | StopScope::Wave(_)
            | StopScope::Label { .. }
            | StopScope::Cluster(_)
            | StopScope::Version(_) => Ok(()),
        },
        Word::Stop(stop) => {
            let newest = stored
                .iter()
                .rev()
                .filter_map(Said::stop)
                .find(|said| said.scope == stop.scope);
            if newest.is_some_and(|newest| newest.active) {
                Ok(())
            } else {
                Err(Objection::NotStopped(stop.scope.clone()))
            }
        }
        Word::Retry(retried) => retriable(&retried.rollout, stored, rollouts),
    }
}

fn retriable(key: &RolloutKey, stored: &[Said], rollouts: &Rollouts) -> Result<(), Objection> {
    let Some(view) = find(rollouts, key) else {
        return Err(Objection::Unknown(key.clone()));
    };
    match view.finished.as_ref().map(|finished| finished.end) {
        None => return Err(Objection::Running(key.clone())),
        Some(RolloutEnd::Completed) => return Err(Objection::NotHalted(key.clone(), "completed")),
        Some(RolloutEnd::Superseded) => return Err(Objection::NotHalted(key.clone(), "superseded")),
        Some(RolloutEnd::Halted) => {}
    }
    let keys = rollouts.iter().map(|(_, view)| &view.started.rollout);
    let same = keys.filter(|other| other.version == key.version && other.ordinal > key.ordinal);
    if let Some(later) = same.max() {
        return Err(Objection::NotLast(key.clone(), later.clone()));
    }
    if stored.iter().any(|said| said.retried() == Some(key)) {
        return Err(Objection::Retried(key.clone()));
    }
    Ok(())
}

fn find<'r>(rollouts: &'r Rollouts, key: &RolloutKey) -> Option<&'r RolloutView> {
    let found = rollouts.iter().find(|(_, view)| view.started.rollout == *key);
    found.map(|(_, view)| view.as_ref())
}
