//! `describe`.

use serde::Serialize;
use wire::fleet::v1::GetClusterRequest;
use wire::policy::v1::GetDecisionRequest;
use wire::release::v1::GetReleaseRequest;
use wire::rollout::v1::GetRolloutRequest;

use super::Context;
use super::get::{exact, look, verification};
use crate::cli::{DescribeArgs, Described, Format};
use crate::client::{Client, failed};
use crate::describe::{self, Story};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lists::Look;
use crate::names::{bare, in_collection, release, without_digest};

pub(super) async fn run(args: &DescribeArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let client = context.connect().await?;
    match &args.what {
        Described::Release(name) => {
            let story = story(&client, release(name)).await?;
            show(context, &story, describe::release)?;
        }
        Described::Decision(id) => {
            let name = in_collection("decisions", id);
            let doing = format!("getting {name}");
            let answer = client.policies().get_decision(GetDecisionRequest { name }).await;
            show(
                context,
                &answer.map_err(failed(doing))?.into_inner(),
                describe::decision,
            )?;
        }
        Described::Rollout(id) => {
            let name = in_collection("rollouts", id);
            let doing = format!("getting {name}");
            let answer = client.rollouts().get_rollout(GetRolloutRequest { name }).await;
            show(
                context,
                &answer.map_err(failed(doing))?.into_inner(),
                describe::rollout,
            )?;
        }
        Described::Cluster(name) => {
            let name = in_collection("clusters", name);
            let doing = format!("getting {name}");
            let answer = client.fleet().get_cluster(GetClusterRequest { name }).await;
            let cluster = answer.map_err(failed(doing))?.into_inner();
            // Where what runs is known there is nothing to ask for.
            let unknown = cluster.facts.is_some() && cluster.version.is_empty();
            let baseline = if unknown {
                let asked = client.baseline_status(&cluster.name).await;
                Some(asked.map_err(|failure| failure.to_string()))
            } else {
                None
            };
            show(context, &cluster, |cluster, look| {
                describe::cluster(cluster, baseline.as_ref(), look)
            })?;
        }
    }
    Ok(Exit::Done)
}

async fn story(client: &Client, name: String) -> Result<Story, Failure> {
    let doing = format!("getting {name}");
    let answer = client.releases().get_release(GetReleaseRequest { name }).await;
    let release = answer.map_err(failed(doing))?.into_inner();
    let name = exact(&release);
    let verification = verification(client, &name).await?;
    let decisions = client.all_decisions(name).await?.items;
    // Everything else is known without rollout-controller.
    let asked = client.all_stops(false).await;
    let recall_unknown = asked.as_ref().err().map(ToString::to_string);
    let stops = asked.map(|stops| stops.items).unwrap_or_default();
    let version = bare(without_digest(&release.release)).to_owned();
    let recall = stops.into_iter().find(|stop| {
        let set = stop.set.as_ref();
        set.is_some_and(|set| set.active && set.scope.strip_prefix("version/") == Some(version.as_str()))
    });
    Ok(Story {
        release,
        verification,
        decisions,
        recall,
        recall_unknown,
    })
}

fn show<T: Serialize>(
    context: &Context<'_>,
    resource: &T,
    text: impl FnOnce(&T, Look) -> String,
) -> Result<(), Failure> {
    let screen = context.screen;
    let look = look(context);
    match screen.format() {
        Format::Json => {
            screen.json(resource)?;
            screen.summary(&text(resource, look));
        }
        Format::Table | Format::Wide => screen.data(&text(resource, look)),
    }
    Ok(())
}
