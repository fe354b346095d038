//! A rollout: its waves, their clusters, what is waited for.

use wire::rollout::v1::{Rollout, RolloutEnd, RolloutStarted, Wave, WaveState};

use super::{Look, Page};
use crate::lists::{rollout_state, rollout_waits};
use crate::table::{Table, clean};
use crate::words::{self, NOTHING, instant, instant_and_age, or_nothing};

/// The text.
pub(crate) fn rollout(rollout: &Rollout, look: Look) -> String {
    let mut page = Page::default();
    page.field("Name", &rollout.name);
    page.field("State", &rollout_state(rollout));
    if let Some(finished) = &rollout.finished {
        page.field("Detail", &or_nothing(&finished.detail));
    }
    if let Some(started) = &rollout.started {
        page.field("Release", &started.release);
        let digest = words::digest(started.strategy_digest.as_ref());
        page.field("Strategy", &format!("{} {digest}", started.strategy));
    }
    page.field("Started", &instant_and_age(rollout.start_time, look.now));
    page.field("Trace id", &rollout.trace_id);
    page.section("Waves");
    page.table(&waves(rollout));
    for wave in rollout.started.iter().flat_map(|started| &started.waves) {
        page.section(&format!("Clusters of wave {}", clean(&wave.wave)));
        page.line(&clean(&or_nothing(&wave.clusters.join(", "))));
    }
    page.section("Waits");
    let mut table = Table::new(&["SCOPE", "REASON", "UNTIL", "DETAIL"]);
    for wait in rollout_waits(rollout) {
        table.row([
            wait.scope.clone(),
            wait.reason.clone(),
            instant(wait.until_time),
            or_nothing(&wait.detail),
        ]);
    }
    page.table(&table);
    let halted = rollout
        .finished
        .as_ref()
        .is_some_and(|finished| finished.end() == RolloutEnd::Halted);
    let otherwise = if halted {
        "Nothing more is begun. See what was wrong: `fluxgate get clusters`, `fluxgate describe clusters/NAME`."
    } else {
        "Nothing to do."
    };
    page.reasons(rollout_waits(rollout).map(|wait| wait.reason.as_str()), otherwise);
    page.text()
}

fn waves(rollout: &Rollout) -> Table {
    let mut table = Table::new(&["WAVE", "STATE", "POLICY", "CLUSTERS", "AT ONCE", "BAKE"]);
    for wave in &rollout.waves {
        let snapshot = rollout
            .started
            .as_ref()
            .and_then(|started| snapshot(started, wave));
        let bake = snapshot.and_then(|snapshot| snapshot.bake_duration);
        let bake = wire::time::read_duration("bake_duration", bake).map(words::span);
        let of = |value: Option<String>| value.unwrap_or_else(|| NOTHING.to_owned());
        table.row([
            wave.wave.clone(),
            state(wave),
            of(snapshot.map(|snapshot| snapshot.policy.clone())),
            of(snapshot.map(|snapshot| snapshot.clusters.len().to_string())),
            of(snapshot.map(|snapshot| snapshot.max_concurrency.to_string())),
            of(bake.ok()),
        ]);
    }
    table
}

fn snapshot<'a>(started: &'a RolloutStarted, wave: &Wave) -> Option<&'a wire::rollout::v1::WaveSnapshot> {
    started.waves.iter().find(|snapshot| snapshot.wave == wave.wave)
}

fn state(wave: &Wave) -> String {
    match wave.state() {
        WaveState::Unspecified => "UNSPECIFIED",
        WaveState::Pending => "PENDING",
        WaveState::Open => "OPEN",
        WaveState::Baked => "BAKED",
    }
    .to_owned()
}
