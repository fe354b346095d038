//! `reconcile releases`.

use wire::release::v1::ReconcileReleasesRequest;

use super::Context;
use crate::cli::{Format, ReconcileArgs, Reconciled};
use crate::client::failed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::names;
use crate::output::Sign;
use crate::table::Table;

pub(super) async fn run(args: &ReconcileArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let Reconciled::Releases = args.what;
    let screen = context.screen;
    screen.hint(Sign::Begin, "looking for releases");
    let request = ReconcileReleasesRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        validate_only: args.dry_run,
    };
    let answer = context
        .connect()
        .await?
        .releases()
        .reconcile_releases(request)
        .await;
    let answer = answer.map_err(failed("reconciling releases"))?.into_inner();
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
    let sum = if args.dry_run {
        format!("the source has {seen} releases in range; dry run: nothing was announced")
    } else {
        format!("the source has {seen} releases in range; announced now: {announced}")
    };
    screen.hint(Sign::Good, &sum);
    Ok(Exit::Done)
}
