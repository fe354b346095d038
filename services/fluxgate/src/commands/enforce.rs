//! `enforce`.

use wire::common::v1::Mode;
use wire::rollout::v1::{EnforceRequest, EnforceResponse};

use super::{Context, mutation};
use crate::cli::{EnforceArgs, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::names;
use crate::output::Sign;
use crate::table::Table;

pub(super) async fn run(args: &EnforceArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let scope = match (&args.wave, &args.cluster) {
        (Some(wave), _) => format!("wave/{}", wave.strip_prefix("wave/").unwrap_or(wave)),
        (None, Some(cluster)) => format!("cluster/{}", names::bare(cluster)),
        (None, None) => {
            let instead = "give --wave or --cluster";
            return Err(Failure::Argument {
                argument: "enforce without a scope",
                instead,
            });
        }
    };
    let mode = if args.observe {
        Mode::Observe
    } else {
        Mode::Enforce
    };
    let id = mutation::request_id(&args.mutation, context);
    let request = EnforceRequest {
        scope: scope.clone(),
        mode: mode.into(),
        request_id: id.clone(),
        validate_only: args.mutation.dry_run,
    };
    let doing = format!("setting {} for {scope}", word(mode));
    let mut rollouts = context.connect().await?.rollouts();
    let answer = mutation::answer(context, &id, doing, rollouts.enforce(request)).await?;
    if context.screen.format() == Format::Json {
        context.screen.json(&answer)?;
    } else if !answer.clusters.is_empty() {
        context
            .screen
            .data(&effects(&answer, mode).render(context.screen.header(), ""));
    }
    hints(&answer, &scope, mode, context);
    Ok(Exit::Done)
}

const fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "ENFORCE",
        Mode::Observe | Mode::Unspecified => "OBSERVE",
    }
}

const fn other(mode: Mode) -> Mode {
    match mode {
        Mode::Enforce => Mode::Observe,
        Mode::Observe | Mode::Unspecified => Mode::Enforce,
    }
}

fn effects(answer: &EnforceResponse, mode: Mode) -> Table {
    let mut table = Table::new(&["CLUSTER", "MODE", "WHY"]);
    for cluster in &answer.clusters {
        let why = answer
            .capped
            .iter()
            .find_map(|line| line.strip_prefix(cluster)?.strip_prefix(": "));
        let row = match why {
            // Another mode than the one that was asked for holds for this cluster.
            Some(why) => [cluster.clone(), word(other(mode)).to_owned(), why.to_owned()],
            None => [cluster.clone(), word(mode).to_owned(), "-".to_owned()],
        };
        table.row(row);
    }
    table
}

fn hints(answer: &EnforceResponse, scope: &str, mode: Mode, context: &Context<'_>) {
    let screen = context.screen;
    if answer.sequence == 0 {
        screen.hint(
            Sign::Good,
            &format!(
                "dry run: {} for {scope} would be accepted; nothing was stored",
                word(mode)
            ),
        );
    } else {
        let sequence = answer.sequence;
        screen.hint(
            Sign::Good,
            &format!(
                "{} for {scope} is stored as event {sequence} of the log",
                word(mode)
            ),
        );
    }
    if answer.clusters.is_empty() {
        screen.hint(Sign::Warning, "there is no cluster in this scope yet");
    }
    if mode == Mode::Enforce {
        screen.hint(
            Sign::Warning,
            "an agent's own file can cap its cluster at Observe: see `fluxgate get clusters`",
        );
    }
}
