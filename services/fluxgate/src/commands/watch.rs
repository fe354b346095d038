//! `get rollouts|clusters --watch` and `rollout watch`.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::StopScope;
use tokio::time::Instant;
use wire::fleet::v1::Cluster;
use wire::rollout::v1::{Rollout, RolloutState};

use super::Context;
use super::get::{look, one_name, refuse_filters};
use crate::cli::{Format, GetArgs, Kind};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lists::{self, Look};
use crate::names;
use crate::output::Sign;
use crate::table::Table;
use crate::watch::{Event, Watch, Watched};
use crate::words::instant;

/// A time that no watch reaches.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// When a watch is to end: after `--timeout`, or practically never.
pub(super) fn end(context: &Context<'_>, otherwise: Option<Duration>) -> Instant {
    Instant::now()
        + context
            .asked_timeout()
            .or(otherwise)
            .unwrap_or(FOREVER)
            .min(FOREVER)
}

/// `get rollouts --watch`, `get clusters --watch`.
pub(super) async fn get(args: &GetArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let (kind, name) = (args.wanted.kind, one_name(args)?);
    refuse_filters(args, kind, name)?;
    let name = name.map(|name| names::in_collection(kind.plural(), name));
    match kind {
        Kind::Rollouts => follow::<Rollout>(kind, name, context, lists::rollouts).await,
        Kind::Clusters => follow::<Cluster>(kind, name, context, lists::clusters).await,
        Kind::Releases | Kind::Decisions | Kind::Policies | Kind::Entries | Kind::Stops => {
            Err(Failure::Argument {
                argument: "--watch",
                instead: "it goes with `get rollouts` and `get clusters`",
            })
        }
    }
}

async fn follow<T: Watched>(
    kind: Kind,
    name: Option<String>,
    context: &Context<'_>,
    table: fn(&[T], Look) -> Table,
) -> Result<Exit, Failure> {
    let doing = format!("watching {}", name.as_deref().unwrap_or(kind.plural()));
    let mut watch = Watch::<T>::new(context.connect().await?, doing, name.unwrap_or_default());
    let screen = context.screen;
    let (mut first, mut widths) = (Vec::new(), Vec::new());
    let mut printed = Printed::default();
    let mut header = screen.header();
    let end = end(context, None);
    loop {
        let Ok(event) = tokio::time::timeout_at(end, watch.next(screen)).await else {
            screen.hint(Sign::Warning, "the time of the watch is over (--timeout)");
            return Ok(Exit::Done);
        };
        let look = look(context);
        match (event?, screen.format()) {
            (Event::Snapshot(item) | Event::Changed(item), Format::Json) => screen.json_line(&item)?,
            (Event::Snapshot(item), Format::Table | Format::Wide) => first.push(item),
            (Event::Synced, Format::Table | Format::Wide) if first.is_empty() => {
                screen.hint(Sign::Warning, &format!("there are no {kind} yet"));
            }
            (Event::Synced, Format::Table | Format::Wide) => {
                let rows = table(&first, look);
                printed.changes(&rows);
                screen.data(&rows.render_below(header, &mut widths));
                (first, header) = (Vec::new(), false);
            }
            (Event::Changed(item), Format::Table | Format::Wide) => {
                let rows = table(&[item], look);
                if printed.changes(&rows) {
                    screen.data(&rows.render_below(header, &mut widths));
                    header = false;
                }
            }
            (Event::Synced | Event::Alive, _) => {}
        }
    }
}

/// Columns that change by time alone.
const AGES: [&str; 2] = ["AGE", "HEARTBEAT"];

/// What was printed last of each resource: a heartbeat changes a cluster, and seldom what its row shows.
#[derive(Debug, Default)]
struct Printed(BTreeMap<String, Vec<String>>);

impl Printed {
    /// Takes the rows in; whether any of them shows something new, apart from ages.
    fn changes(&mut self, rows: &Table) -> bool {
        let mut new = false;
        for row in rows.rows_without(&AGES) {
            let name = row.first().cloned().unwrap_or_default();
            new |= self.0.insert(name, row.clone()).as_ref() != Some(&row);
        }
        new
    }
}

/// `rollout watch`: until it ends.
pub(super) async fn rollout(scope: &StopScope, context: &Context<'_>) -> Result<Exit, Failure> {
    let name = names::scope(&scope.to_string());
    let doing = format!("watching {name}");
    let mut watch = Watch::<Rollout>::new(context.connect().await?, doing, name.clone());
    let screen = context.screen;
    let mut before: Vec<String> = Vec::new();
    let end = end(context, None);
    loop {
        let Ok(event) = tokio::time::timeout_at(end, watch.next(screen)).await else {
            screen.hint(
                Sign::Warning,
                &format!("{name} goes on; the time of the watch is over (--timeout)"),
            );
            return Ok(Exit::Pending);
        };
        let item = match event? {
            Event::Snapshot(item) | Event::Changed(item) => item,
            Event::Synced => continue,
            Event::Alive => {
                screen.hint(Sign::Begin, &format!("{:.0} nothing new", context.clock()));
                continue;
            }
        };
        if screen.format() == Format::Json {
            screen.json_line(&item)?;
        } else {
            let now = lines(&item);
            for line in now.iter().filter(|line| !before.contains(line)) {
                screen.data(&format!("{:.0}  {line}", context.clock()));
            }
            before = now;
        }
        if let Some(exit) = ended(&item) {
            return Ok(exit);
        }
    }
}

/// How a command ends that followed the rollout; none while it goes on.
fn ended(rollout: &Rollout) -> Option<Exit> {
    match lists::rollout_state_of(rollout) {
        RolloutState::Completed => Some(Exit::Done),
        RolloutState::Halted | RolloutState::Superseded => Some(Exit::No),
        RolloutState::Unspecified | RolloutState::Running | RolloutState::Paused => None,
    }
}

/// A rollout as lines of which each tells one thing.
fn lines(rollout: &Rollout) -> Vec<String> {
    let detail = rollout.finished.as_ref().map(|finished| finished.detail.as_str());
    let detail = detail.filter(|detail| !detail.is_empty());
    let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
    let mut lines = vec![format!(
        "{} {}{detail}",
        rollout.name,
        lists::rollout_state(rollout)
    )];
    for wave in &rollout.waves {
        lines.push(format!("waves/{} {}", wave.wave, lists::wave_state(wave)));
    }
    if rollout.finished.is_none() {
        let stops = rollout.stops.iter().filter_map(|stop| stop.set.as_ref());
        lines.extend(stops.map(|set| format!("stopped by {}: {}", names::scope(&set.scope), set.reason)));
        lines.extend(lists::rollout_waits(rollout).map(|wait| {
            let until = match wait.until_time {
                Some(_) => format!(" until {}", instant(wait.until_time)),
                None => String::new(),
            };
            format!(
                "{} {}{until}: {}",
                names::scope(&wait.scope),
                wait.reason,
                wait.detail
            )
        }));
    }
    lines.iter().map(|line| crate::table::clean(line)).collect()
}
