//! `audit list`.

use wire::audit::v1::ListEntriesRequest;

use super::args::ListArgs;
use crate::cli::Kind;
use crate::commands::{Context, get};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::names;

pub(super) async fn run(args: &ListArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let client = context.connect().await?;
    let list = client.all_entries(filter(args, context)).await?;
    get::show(context, Kind::Entries, &list, |items| {
        crate::lists::entries(items, get::look(context))
    })?;
    Ok(Exit::Done)
}

fn filter(args: &ListArgs, context: &Context<'_>) -> ListEntriesRequest {
    let text = |given: &Option<String>| given.clone().unwrap_or_default();
    let within = |collection: &'static str, given: &Option<String>| {
        let name = given
            .as_deref()
            .map(|name| names::in_collection(collection, name));
        name.unwrap_or_default()
    };
    let time =
        |given: Option<super::args::When>| given.map(|when| wire::time::timestamp(when.from(context.now)));
    ListEntriesRequest {
        release: args.release.as_deref().map(names::release).unwrap_or_default(),
        cluster: within("clusters", &args.cluster),
        decision: within("decisions", &args.decision),
        trace_id: text(&args.trace),
        kind: text(&args.kind),
        since_time: time(args.since),
        until_time: time(args.until),
        ..ListEntriesRequest::default()
    }
}
