//! `reconcile releases`, or one of them.

use wire::release::v1::ReconcileReleasesRequest;

use super::{Context, mutation, reverify};
use crate::cli::{Format, Mutation, ReconcileArgs, Reconciled};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::names;
use crate::output::Sign;
use crate::table::Table;

pub(super) async fn run(args: &ReconcileArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    match &args.what {
        Reconciled::Releases => releases(&args.mutation, context).await,
        Reconciled::Release(name) => reverify::run(name, &args.mutation, context).await,
    }
}

async fn releases(mutation: &Mutation, context: &Context<'_>) -> Result<Exit, Failure> {
    let screen = context.screen;
    screen.hint(Sign::Begin, "looking for releases");
    let id = mutation::request_id(mutation, context);
    let request = ReconcileReleasesRequest {
        request_id: id.clone(),
        validate_only: mutation.dry_run,
    };
    let mut releases = context.connect().await?.releases();
    let asking = releases.reconcile_releases(request);
    let answer = mutation::answer(context, &id, "reconciling releases".to_owned(), asking).await?;
    if screen.format() == Format::Json {
        screen.json(&answer)?;
    } else {
        let mut table = Table::new(&["RELEASE", "ANNOUNCED"]);
        for release in &answer.releases {
            let announced = answer.announced.contains(release);
            let others = answer.releases.iter().map(String::as_str);
            let name = match screen.format() {
                Format::Wide => release.clone(),
                Format::Table | Format::Json => names::among(release, others),
            };
            table.row([name, if announced { "now" } else { "-" }.to_owned()]);
        }
        screen.data(&table.render(screen.header(), ""));
    }
    let (seen, announced) = (answer.releases.len(), answer.announced.len());
    let sum = if mutation.dry_run {
        format!("the source has {seen} releases in range; dry run: nothing was announced")
    } else {
        format!("the source has {seen} releases in range; announced now: {announced}")
    };
    screen.hint(Sign::Good, &sum);
    Ok(Exit::Done)
}
