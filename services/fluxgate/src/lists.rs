//! Tables of resources. Pure: messages and the time in, rows out.

mod clusters;
mod releases;
mod stops;

use jiff::Timestamp;
use wire::audit::v1::Entry;
use wire::policy::v1::{Decision, DecisionView, PolicyText};
use wire::rollout::v1::{Rollout, RolloutEnd, RolloutFinished, RolloutState, RolloutWait, Wave, WaveState};

use crate::names::{self, without_digest};
use crate::table::Table;
use crate::words::{self, NOTHING, age, at, instant, or_nothing};

pub(crate) use clusters::{acknowledges, clusters, health, refusal, state};
pub(crate) use releases::{is_moot, reason_of, releases, releases_seen, summary_result};
pub(crate) use stops::stops;

/// How a table is to look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// With all columns.
    pub(crate) wide: bool,
    /// What ages are counted from.
    pub(crate) now: Timestamp,
}

/// A table whose last columns are shown only where there is room.
fn table(look: Look, headers: &[&'static str], more: &[&'static str]) -> Table {
    let more = if look.wide { more } else { &[] };
    Table::new(&[headers, more].concat())
}

fn row<const N: usize, const M: usize>(table: &mut Table, look: Look, cells: [String; N], more: [String; M]) {
    table.row(cells.into_iter().chain(more.into_iter().filter(|_| look.wide)));
}

/// `ALLOW`, `DENY` and so on; an ALLOW that is over says so.
pub(crate) fn outcome_of(decision: &Decision, now: Timestamp) -> String {
    let word = words::outcome(decision.outcome);
    let over = at(decision.valid_until_time).is_some_and(|until| until < now);
    if word == "ALLOW" && over {
        format!("{word}, expired")
    } else {
        word
    }
}

/// Decisions, as they come.
pub(crate) fn decisions(items: &[DecisionView], look: Look) -> Table {
    let headers = ["NAME", "RELEASE", "POLICY", "BASELINE", "OUTCOME", "REASON"];
    let mut table = table(look, &headers, &["VALID UNTIL", "DECIDED", "DEMO"]);
    let keys = || {
        items
            .iter()
            .filter_map(|item| item.decision.as_ref())
            .map(|d| d.release.as_str())
    };
    for item in items {
        let Some(decision) = &item.decision else { continue };
        let cells = [
            item.name.clone(),
            names::among(&decision.release, keys()),
            decision.policy.clone(),
            or_nothing(&decision.baseline),
            outcome_of(decision, look.now),
            reason_of(decision),
        ];
        let demo = if decision.demo { "DEMO" } else { "no" };
        let more = [
            instant(decision.valid_until_time),
            instant(decision.decide_time),
            demo.to_owned(),
        ];
        row(&mut table, look, cells, more);
    }
    table
}

/// Policies in force.
pub(crate) fn policies(items: &[PolicyText], look: Look) -> Table {
    let mut table = table(look, &["NAME", "DIGEST"], &["LINES"]);
    for item in items {
        let digest = words::digest(item.digest.as_ref());
        let digest = if look.wide {
            digest
        } else {
            names::short_digest(&digest)
        };
        row(
            &mut table,
            look,
            [format!("policies/{}", item.policy), digest],
            [item.text.lines().count().to_string()],
        );
    }
    table
}

/// `RUNNING`, `PAUSED`, `COMPLETED`, `HALTED`, `SUPERSEDED`.
pub(crate) fn rollout_state(rollout: &Rollout) -> String {
    let word = rollout_state_of(rollout).as_str_name();
    word.strip_prefix("ROLLOUT_STATE_").unwrap_or(word).to_owned()
}

/// The state; a hub of the version before says how a rollout ended alone.
pub(crate) fn rollout_state_of(rollout: &Rollout) -> RolloutState {
    match (
        rollout.state(),
        rollout.finished.as_ref().map(RolloutFinished::end),
    ) {
        (RolloutState::Unspecified, None) => RolloutState::Running,
        (RolloutState::Unspecified, Some(RolloutEnd::Completed)) => RolloutState::Completed,
        (RolloutState::Unspecified, Some(RolloutEnd::Halted)) => RolloutState::Halted,
        (RolloutState::Unspecified, Some(RolloutEnd::Superseded)) => RolloutState::Superseded,
        (state, _) => state,
    }
}

/// Why a rollout ended: the reason code that its detail begins with, and the rest.
pub(crate) fn halted_for(rollout: &Rollout) -> (Option<&str>, &str) {
    let detail = rollout
        .finished
        .as_ref()
        .map_or("", |finished| finished.detail.as_str());
    match detail.split_once(": ") {
        Some((code, why)) if code.parse::<domain::Reason>().is_ok() => (Some(code), why),
        Some(_) | None => (None, detail),
    }
}

/// `PENDING`, `OPEN`, `BAKED`.
pub(crate) fn wave_state(wave: &Wave) -> String {
    let word = wave.state().as_str_name();
    word.strip_prefix("WAVE_STATE_").unwrap_or(word).to_owned()
}

/// Everything that a rollout waits for, the current wave's waits first.
pub(crate) fn rollout_waits(rollout: &Rollout) -> impl Iterator<Item = &RolloutWait> {
    let open = rollout
        .waves
        .iter()
        .filter(|wave| wave.state() != WaveState::Baked);
    open.flat_map(|wave| &wave.waits).chain(&rollout.waits)
}

/// Rollouts, as they come.
pub(crate) fn rollouts(items: &[Rollout], look: Look) -> Table {
    let headers = ["NAME", "RELEASE", "STATE", "WAVE", "WAITING FOR", "AGE"];
    let mut table = table(look, &headers, &["STRATEGY", "DETAIL"]);
    for item in items {
        let started = item.started.as_ref();
        let running = item.finished.is_none();
        let current = item.waves.iter().find(|wave| wave.state() != WaveState::Baked);
        let wait = rollout_waits(item).next().filter(|_| running);
        let cells = [
            item.name.clone(),
            started
                .map_or(NOTHING, |started| without_digest(&started.release))
                .to_owned(),
            rollout_state(item),
            current.map_or(NOTHING, |wave| &wave.wave).to_owned(),
            wait.map_or(NOTHING, |wait| &wait.reason).to_owned(),
            age(item.start_time, look.now),
        ];
        let detail = match &item.finished {
            Some(finished) => finished.detail.as_str(),
            None => wait.map_or("", |wait| &wait.detail),
        };
        let strategy = started.map_or("", |started| &started.strategy);
        row(
            &mut table,
            look,
            cells,
            [or_nothing(strategy), or_nothing(detail)],
        );
    }
    table
}

/// Entries of the ledger, oldest first.
pub(crate) fn entries(items: &[Entry], look: Look) -> Table {
    let mut table = table(
        look,
        &["SEQUENCE", "TIME", "KIND", "SUMMARY"],
        &["INDEX", "SUBJECT", "TRACE", "DIGEST"],
    );
    for item in items {
        let cells = [
            item.sequence.to_string(),
            instant(item.store_time),
            or_nothing(&item.kind),
            or_nothing(&item.summary),
        ];
        let more = [
            item.index.to_string(),
            item.subject.clone(),
            or_nothing(&item.trace_id),
            words::digest(item.payload.as_ref()),
        ];
        row(&mut table, look, cells, more);
    }
    table
}
