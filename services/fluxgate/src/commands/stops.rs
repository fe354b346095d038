//! `rollout pause|resume|retry`, `freeze`, `hold`, `recall`.

use domain::{StopKind, StopScope};
use wire::rollout::v1::{RetryRolloutRequest, SetStopRequest, SetStopResponse};

use super::{Context, mutation};
use crate::cli::{Act, Format, FreezeArgs, FreezeCommand, HoldArgs, HoldCommand, RecallArgs, RecallCommand};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::names;
use crate::output::Sign;
use crate::table::Table;

pub(super) async fn freeze(args: &FreezeArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    match &args.command {
        FreezeCommand::Set { scope, act } => set(scope, true, act, context).await,
        FreezeCommand::Clear { scope, act } => set(scope, false, act, context).await,
    }
}

pub(super) async fn hold(args: &HoldArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    match &args.command {
        HoldCommand::Set { scope, act } => set(scope, true, act, context).await,
        HoldCommand::Clear { scope, act } => set(scope, false, act, context).await,
    }
}

pub(super) async fn recall(args: &RecallArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    match &args.command {
        RecallCommand::Set { scope, act } => set(scope, true, act, context).await,
        RecallCommand::Clear { scope, act } => set(scope, false, act, context).await,
    }
}

/// Sets a stop or lifts it.
pub(super) async fn set(
    scope: &StopScope,
    active: bool,
    act: &Act,
    context: &Context<'_>,
) -> Result<Exit, Failure> {
    let typed = names::scope(&scope.to_string());
    let doing = if active {
        format!("stopping {typed}")
    } else {
        format!("lifting the stop of {typed}")
    };
    if !active && !act.mutation.dry_run {
        sure(scope, &doing, context)?;
    }
    let id = mutation::request_id(&act.mutation, context);
    let request = SetStopRequest {
        scope: scope.to_string(),
        active,
        reason: act.reason.clone(),
        request_id: id.clone(),
        validate_only: act.mutation.dry_run,
    };
    let mut rollouts = context.connect().await?.rollouts();
    let answer = mutation::answer(context, &id, doing, rollouts.set_stop(request)).await?;
    let screen = context.screen;
    match screen.format() {
        Format::Json => screen.json(&answer)?,
        Format::Table | Format::Wide if answer.clusters.is_empty() => {}
        Format::Table | Format::Wide => screen.data(&touched(&answer, active).render(screen.header(), "")),
    }
    hints(&answer, scope, active, context);
    Ok(Exit::Done)
}

/// Lifting the freeze of the fleet lets work begin everywhere: a person has to say yes. Setting one never
/// asks, since it must be quick and harms nothing.
fn sure(scope: &StopScope, doing: &str, context: &Context<'_>) -> Result<(), Failure> {
    if *scope != StopScope::Fleet || context.global.yes {
        return Ok(());
    }
    match context
        .screen
        .confirm("the whole fleet may go on with what waits. Lift its freeze?")
    {
        Some(true) => Ok(()),
        other => Err(Failure::NoYes {
            doing: doing.to_owned(),
            asked: other.is_some(),
        }),
    }
}

/// The clusters of the scope and what it means for each.
fn touched(answer: &SetStopResponse, active: bool) -> Table {
    let mut table = Table::new(&["CLUSTER", "EFFECT"]);
    for cluster in &answer.clusters {
        let effect = if !active {
            "goes on, unless another stop touches it"
        } else if answer.in_work.contains(cluster) {
            "finishes the task that was begun, then stops"
        } else {
            "begins nothing"
        };
        table.row([cluster.clone(), effect.to_owned()]);
    }
    table
}

fn hints(answer: &SetStopResponse, scope: &StopScope, active: bool, context: &Context<'_>) {
    let screen = context.screen;
    let (kind, scope) = (scope.kind(), scope.to_string());
    let (typed, is) = (
        names::scope(&scope),
        if active { "stopped" } else { "no longer stopped" },
    );
    let sequence = answer.stop.as_ref().map_or(0, |stop| stop.sequence);
    let text = if sequence == 0 {
        format!("dry run: {typed} would be {is}; nothing was stored")
    } else {
        format!("{typed} is {is}: stored as event {sequence} of the log")
    };
    screen.hint(Sign::Good, &text);
    if answer.clusters.is_empty() && matches!(kind, StopKind::Freeze | StopKind::Hold) {
        screen.hint(
            Sign::Warning,
            "there is no cluster in this scope now; it holds for those to come",
        );
    }
    if active && sequence != 0 {
        screen.hint(Sign::Begin, &format!("lift it with `{}`", names::lift(&scope)));
    }
}

/// Asks for another attempt after a rollout was halted.
pub(super) async fn retry(scope: &StopScope, act: &Act, context: &Context<'_>) -> Result<Exit, Failure> {
    let name = names::scope(&scope.to_string());
    let id = mutation::request_id(&act.mutation, context);
    let request = RetryRolloutRequest {
        name: name.clone(),
        reason: act.reason.clone(),
        request_id: id.clone(),
        validate_only: act.mutation.dry_run,
    };
    let mut rollouts = context.connect().await?.rollouts();
    let doing = format!("retrying {name}");
    let answer = mutation::answer(context, &id, doing, rollouts.retry_rollout(request)).await?;
    let screen = context.screen;
    match screen.format() {
        Format::Json => screen.json(&answer)?,
        Format::Table | Format::Wide => screen.data(&answer.next),
    }
    let (next, sequence) = (&answer.next, answer.sequence);
    if sequence == 0 {
        let text = format!("dry run: {next} would be begun; nothing was stored");
        screen.hint(Sign::Good, &text);
    } else {
        let text = format!("{next} will be begun: stored as event {sequence} of the log");
        screen.hint(Sign::Good, &text);
        screen.hint(
            Sign::Begin,
            &format!("follow it with `fluxgate rollout watch {next}`"),
        );
    }
    Ok(Exit::Done)
}
