//! `get`.

use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use tonic::Code;
use wire::audit::v1::ListEntriesRequest;
use wire::fleet::v1::GetClusterRequest;
use wire::policy::v1::{DecisionView, GetDecisionRequest};
use wire::release::v1::{GetReleaseRequest, Release};
use wire::rollout::v1::GetRolloutRequest;
use wire::verification::v1::Verification;

use super::Context;
use crate::cli::{Format, GetArgs, Kind};
use crate::client::{Client, List, MOST, failed};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lists::{self, Look};
use crate::names;
use crate::output::Sign;
use crate::table::Table;

/// Verifications that are asked for at a time.
const AT_A_TIME: usize = 8;

pub(super) async fn run(args: &GetArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let kind = args.wanted.kind;
    let name = one_name(args)?;
    refuse_filters(args, kind, name)?;
    let client = context.connect().await?;
    match (kind, name) {
        (Kind::Releases, name) => releases(&client, name, context).await?,
        (Kind::Decisions, name) => decisions(&client, args, name, context).await?,
        (Kind::Policies, name) => policies(&client, name, context).await?,
        (Kind::Rollouts, name) => rollouts(&client, name, context).await?,
        (Kind::Clusters, name) => clusters(&client, name, context).await?,
        (Kind::Stops, _) => {
            let list = client.all_stops(args.lifted).await?;
            show(context, Kind::Stops, &list, |items| {
                lists::stops(items, look(context))
            })?;
        }
        (Kind::Entries, _) => {
            let list = client.all_entries(filter(args)).await?;
            show(context, Kind::Entries, &list, |items| {
                lists::entries(items, look(context))
            })?;
        }
    }
    Ok(Exit::Done)
}

/// The name that is asked for: behind the slash or as an argument of its own, but not both.
pub(super) fn one_name(args: &GetArgs) -> Result<Option<&str>, Failure> {
    match (args.wanted.name.as_deref(), args.name.as_deref()) {
        (Some(_), Some(_)) => Err(Failure::Argument {
            argument: "a second name",
            instead: "give one name, or none to list all",
        }),
        (one, other) => Ok(one.or(other)),
    }
}

pub(super) fn refuse_filters(args: &GetArgs, kind: Kind, name: Option<&str>) -> Result<(), Failure> {
    let entries = kind == Kind::Entries;
    if entries && name.is_some() {
        let instead = "use --release, --cluster, --decision or --trace";
        return Err(Failure::Argument {
            argument: "a name of an entry",
            instead,
        });
    }
    if kind == Kind::Stops && name.is_some() {
        return Err(Failure::Argument {
            argument: "a name of a stop",
            instead: "`fluxgate get stops` lists them all; --lifted adds those that were lifted",
        });
    }
    if args.lifted && kind != Kind::Stops {
        return Err(Failure::Argument {
            argument: "--lifted",
            instead: "it goes with `get stops`",
        });
    }
    let release = entries || (kind == Kind::Decisions && name.is_none());
    let given = [
        ("--release", args.release.is_some() && !release),
        ("--cluster", args.cluster.is_some() && !entries),
        ("--decision", args.decision.is_some() && !entries),
        ("--trace", args.trace.is_some() && !entries),
    ];
    match given.into_iter().find(|(_, wrong)| *wrong) {
        Some((argument, _)) => {
            let instead =
                "--release goes with `get decisions` and `get entries`, the others with `get entries`";
            Err(Failure::Argument { argument, instead })
        }
        None => Ok(()),
    }
}

fn filter(args: &GetArgs) -> ListEntriesRequest {
    ListEntriesRequest {
        release: args.release.as_deref().map(names::release).unwrap_or_default(),
        cluster: args
            .cluster
            .as_deref()
            .map(|name| names::in_collection("clusters", name))
            .unwrap_or_default(),
        decision: args
            .decision
            .as_deref()
            .map(|id| names::in_collection("decisions", id))
            .unwrap_or_default(),
        trace_id: args.trace.clone().unwrap_or_default(),
        ..ListEntriesRequest::default()
    }
}

pub(super) fn look(context: &Context<'_>) -> Look {
    Look {
        wide: context.screen.format() == Format::Wide,
        now: context.clock(),
    }
}

async fn releases(client: &Client, name: Option<&str>, context: &Context<'_>) -> Result<(), Failure> {
    let json = context.screen.format() == Format::Json;
    let Some(name) = name else {
        let list = client.all_releases().await?;
        if json {
            return show(context, Kind::Releases, &list, |items| {
                lists::releases_seen(items, look(context))
            });
        }
        let found = judged(client, &list.items, String::new()).await?;
        return show(context, Kind::Releases, &list, |items| {
            lists::releases(items, &found.0, &found.1, look(context))
        });
    };
    let name = names::release(name);
    let doing = format!("getting {name}");
    let request = GetReleaseRequest { name: name.clone() };
    let answer = client.releases().get_release(request).await;
    let release = answer.map_err(failed(doing))?.into_inner();
    if json {
        return one(context, release, |items| {
            lists::releases_seen(items, look(context))
        });
    }
    let items = [release];
    let found = judged(client, &items, name).await?;
    let [release] = items;
    one(context, release, |items| {
        lists::releases(items, &found.0, &found.1, look(context))
    })
}

/// What was found out about releases and what was decided.
type Judged = (Vec<Option<Verification>>, Vec<DecisionView>);

async fn judged(client: &Client, releases: &[Release], name: String) -> Result<Judged, Failure> {
    let decisions = client.all_decisions(name).await?.items;
    Ok((verifications(client, releases).await?, decisions))
}

/// The verification of each release, in the same order; none where the verifier has not heard of it.
async fn verifications(client: &Client, releases: &[Release]) -> Result<Vec<Option<Verification>>, Failure> {
    let names: Vec<String> = releases.iter().map(exact).collect();
    let asked = names.iter().map(|name| verification(client, name));
    futures::stream::iter(asked)
        .buffered(AT_A_TIME)
        .try_collect()
        .await
}

/// The name with the digest in it, which names this release and no other.
pub(super) fn exact(release: &Release) -> String {
    format!("releases/{}", release.release)
}

pub(super) async fn verification(client: &Client, name: &str) -> Result<Option<Verification>, Failure> {
    match client.verification(name).await {
        Ok(found) => Ok(Some(found)),
        Err(Failure::Call { source, .. }) if source.code() == Code::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

async fn decisions(
    client: &Client,
    args: &GetArgs,
    name: Option<&str>,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let Some(name) = name else {
        let release = args.release.as_deref().map(names::release).unwrap_or_default();
        let list = client.all_decisions(release).await?;
        return show(context, Kind::Decisions, &list, |items| {
            lists::decisions(items, look(context))
        });
    };
    let name = names::in_collection("decisions", name);
    let doing = format!("getting {name}");
    let answer = client.policies().get_decision(GetDecisionRequest { name }).await;
    one(context, answer.map_err(failed(doing))?.into_inner(), |items| {
        lists::decisions(items, look(context))
    })
}

async fn policies(client: &Client, name: Option<&str>, context: &Context<'_>) -> Result<(), Failure> {
    let mut list = client.all_policies().await?;
    let Some(name) = name else {
        return show(context, Kind::Policies, &list, |items| {
            lists::policies(items, look(context))
        });
    };
    let name = names::in_collection("policies", name);
    match list
        .items
        .iter()
        .position(|policy| policy.policy == names::bare(&name))
    {
        Some(index) => {
            let policy = list.items.swap_remove(index);
            one(context, policy, |items| lists::policies(items, look(context)))
        }
        None => Err(Failure::Missing { name }),
    }
}

async fn rollouts(client: &Client, name: Option<&str>, context: &Context<'_>) -> Result<(), Failure> {
    let Some(name) = name else {
        let list = client.all_rollouts().await?;
        return show(context, Kind::Rollouts, &list, |items| {
            lists::rollouts(items, look(context))
        });
    };
    let name = names::in_collection("rollouts", name);
    let doing = format!("getting {name}");
    let answer = client.rollouts().get_rollout(GetRolloutRequest { name }).await;
    one(context, answer.map_err(failed(doing))?.into_inner(), |items| {
        lists::rollouts(items, look(context))
    })
}

async fn clusters(client: &Client, name: Option<&str>, context: &Context<'_>) -> Result<(), Failure> {
    let Some(name) = name else {
        let list = client.all_clusters().await?;
        return show(context, Kind::Clusters, &list, |items| {
            lists::clusters(items, look(context))
        });
    };
    let name = names::in_collection("clusters", name);
    let doing = format!("getting {name}");
    let answer = client.fleet().get_cluster(GetClusterRequest { name }).await;
    one(context, answer.map_err(failed(doing))?.into_inner(), |items| {
        lists::clusters(items, look(context))
    })
}

/// Shows one resource: as JSON itself, as a table with one row.
fn one<T: Serialize>(
    context: &Context<'_>,
    item: T,
    table: impl FnOnce(&[T]) -> Table,
) -> Result<(), Failure> {
    let screen = context.screen;
    match screen.format() {
        Format::Json => {
            screen.json(&item)?;
            screen.summary(&table(&[item]).render(true, ""));
        }
        Format::Table | Format::Wide => screen.data(&table(&[item]).render(screen.header(), "")),
    }
    Ok(())
}

pub(super) fn show<T: Serialize>(
    context: &Context<'_>,
    kind: Kind,
    list: &List<T>,
    table: impl FnOnce(&[T]) -> Table,
) -> Result<(), Failure> {
    let screen = context.screen;
    if screen.format() == Format::Json {
        screen.json(list)?;
    }
    if list.items.is_empty() {
        screen.hint(Sign::Warning, &format!("there are no {kind}"));
    } else if screen.format() == Format::Json {
        let (count, noun) = match list.items.len() {
            1 => (1, kind.singular()),
            count => (count, kind.plural()),
        };
        screen.summary(&format!(
            "{count} {noun}\n{}",
            table(&list.items).render(true, "")
        ));
    } else {
        screen.data(&table(&list.items).render(screen.header(), ""));
    }
    if !list.next_page_token.is_empty() {
        screen.hint(
            Sign::Warning,
            &format!("there are more than {MOST} {kind}: these are the first"),
        );
    }
    Ok(())
}
