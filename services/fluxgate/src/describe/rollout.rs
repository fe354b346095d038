//! A rollout: its waves, their clusters, what is waited for.

use wire::rollout::v1::{Rollout, RolloutStarted, RolloutState, StopKind, Superseding, Wave, WaveSnapshot};

use super::{Look, Page};
use crate::lists::{self, rollout_state, rollout_waits};
use crate::names;
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
        budgets(&mut page, started);
    }
    page.field("Started", &instant_and_age(rollout.start_time, look.now));
    page.field("Trace id", &rollout.trace_id);
    page.section("Waves");
    page.table(&waves(rollout));
    for wave in rollout.started.iter().flat_map(|started| &started.waves) {
        page.section(&format!("Wave {}", clean(&wave.wave)));
        page.field("Clusters", &or_nothing(&wave.clusters.join(", ")));
        let shown = rollout.waves.iter().find(|shown| shown.wave == wave.wave);
        if let Some(opened) = shown.filter(|shown| shown.open_time.is_some()) {
            let at = instant_and_age(opened.open_time, look.now);
            page.field("Opened", &format!("{at}: {}", or_nothing(&opened.open_detail)));
        }
        if let Some(baked) = shown.filter(|shown| shown.bake_end_time.is_some()) {
            page.field("Baked", &instant_and_age(baked.bake_end_time, look.now));
        }
    }
    stops(&mut page, rollout, look);
    waits(&mut page, rollout);
    let ended = lists::rollout_state_of(rollout);
    let halted = lists::halted_for(rollout)
        .0
        .filter(|_| ended == RolloutState::Halted);
    let codes = rollout_waits(rollout).map(|wait| wait.reason.as_str());
    let otherwise = match ended {
        RolloutState::Halted => {
            "See what was wrong: `fluxgate get clusters`, `fluxgate describe clusters/NAME`."
        }
        _ => "Nothing to do.",
    };
    page.reasons(codes.chain(halted), otherwise);
    if ended == RolloutState::Halted {
        let again = format!("fluxgate rollout retry {} --reason TEXT", clean(&rollout.name));
        let sets = rollout.stops.iter().filter_map(|stop| stop.set.as_ref());
        let mut recalls = sets.filter(|set| set.active && set.kind() == StopKind::Recall);
        page.line(&match recalls.next() {
            Some(set) => format!(
                "Nothing more is begun, and no retry begins while the version is recalled. When the cause is gone: `{}`, \
                 then `{again}`.",
                clean(&names::lift(&set.scope))
            ),
            None => format!("Nothing more is begun. When the cause is gone: `{again}`."),
        });
    }
    page.text()
}

fn stops(page: &mut Page, rollout: &Rollout, look: Look) {
    page.section("Stops");
    page.table(&lists::stops(&rollout.stops, look));
    for set in rollout.stops.iter().filter_map(|stop| stop.set.as_ref()) {
        page.line(&format!("lift it with `{}`", clean(&names::lift(&set.scope))));
    }
}

fn waits(page: &mut Page, rollout: &Rollout) {
    page.section("Waits");
    let mut table = Table::new(&["SCOPE", "REASON", "UNTIL", "DETAIL"]);
    for wait in rollout_waits(rollout) {
        table.row([
            names::scope(&wait.scope),
            wait.reason.clone(),
            instant(wait.until_time),
            or_nothing(&wait.detail),
        ]);
    }
    page.table(&table);
}

/// How many failures are tolerated, and what a newer release does.
fn budgets(page: &mut Page, started: &RolloutStarted) {
    let failures = match started.failure_budget {
        Some(budget) => format!("{budget} tolerated in all waves together"),
        None => "each wave's own budget counts".to_owned(),
    };
    let silent = match started.unreachable_budget {
        Some(budget) => format!("{budget} tolerated in opened waves"),
        None => "any number: silence never halts, it waits".to_owned(),
    };
    page.field("Failures", &failures);
    page.field("Silent", &silent);
    let superseding = match started.superseding() {
        Superseding::Unspecified => NOTHING,
        Superseding::FinishRollout => "a newer release waits until this rollout is done",
        Superseding::FinishWave => "a newer release takes over when the open wave is baked",
    };
    page.field("Superseding", superseding);
}

fn waves(rollout: &Rollout) -> Table {
    let headers = [
        "WAVE", "STATE", "POLICY", "CLUSTERS", "AT ONCE", "BAKE", "FAILURES",
    ];
    let mut table = Table::new(&headers);
    for wave in &rollout.waves {
        let snapshot = rollout
            .started
            .as_ref()
            .and_then(|started| snapshot(started, wave));
        let of = |value: Option<String>| value.unwrap_or_else(|| NOTHING.to_owned());
        table.row([
            wave.wave.clone(),
            lists::wave_state(wave),
            of(snapshot.map(|snapshot| snapshot.policy.clone())),
            of(snapshot.map(clusters)),
            of(snapshot.map(|snapshot| snapshot.max_concurrency.to_string())),
            of(snapshot.map(bake)),
            of(snapshot.map(|snapshot| format!("{} tolerated", snapshot.failure_budget))),
        ]);
    }
    table
}

fn clusters(snapshot: &WaveSnapshot) -> String {
    let (count, least) = (snapshot.clusters.len(), snapshot.min_clusters);
    if least == 0 {
        count.to_string()
    } else {
        format!("{count} (at least {least})")
    }
}

/// What a bake needs: time, clusters, reconciliations.
fn bake(snapshot: &WaveSnapshot) -> String {
    let time = wire::time::read_duration("bake_duration", snapshot.bake_duration).map(words::span);
    let mut text = time.unwrap_or_else(|_| NOTHING.to_owned());
    if snapshot.bake_clusters > 0 {
        text.push_str(&format!(", {} clusters", snapshot.bake_clusters));
    }
    if snapshot.bake_reconciles > 0 {
        text.push_str(&format!(", {} reconciles", snapshot.bake_reconciles));
    }
    text
}

fn snapshot<'a>(started: &'a RolloutStarted, wave: &Wave) -> Option<&'a WaveSnapshot> {
    started.waves.iter().find(|snapshot| snapshot.wave == wave.wave)
}
