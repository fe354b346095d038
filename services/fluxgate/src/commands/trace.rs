//! `trace`: the waterfall of a release and its rollouts, from the ledger's statements alone. No trace backend is
//! asked: the ledger has every statement with its trace, its span and its times.

use std::collections::BTreeSet;
use std::str::FromStr;

use clap::Args;
use domain::trace::TraceId;
use domain::{ReleaseKey, RolloutKey};
use wire::audit::v1::{Entry, ListEntriesRequest};

use super::Context;
use crate::cli::Format;
use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::names;
use crate::output::Sign;
use crate::waterfall::{self, Trace};

pub(crate) const LONG: &str = "\
Draws what happened to a release, from its discovery to its decisions, and in its rollouts, as the ledger's \
statements tell it: who said what, when, and what was waited for. Both are traces of their own, linked to each \
other; either id, or the name of the release, the rollout, a decision or a cluster, leads to both. No trace \
backend is needed.";

pub(crate) const MORE: &str = "\
Examples:
  fluxgate trace releases/v2.9.4
  fluxgate trace rollouts/flux-v2.9.4-1
  fluxgate trace 0123456789abcdef0123456789abcdef
  fluxgate trace clusters/prod-eu-7         the newest rollout that reached it
  fluxgate trace releases/v2.9.4 -o json | jq '.traces[].rows[] | {author, kind, offsetMs}'";

/// Arguments of `trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// A release, rollout, decision or cluster, or a trace id (32 hex digits)
    #[arg(value_name = "TYPE/NAME|TRACE_ID")]
    pub what: Traced,
}

/// What is to be traced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Traced {
    /// A trace id.
    Id(String),
    /// A release by name.
    Release(String),
    /// A rollout by name.
    Rollout(String),
    /// A decision by name.
    Decision(String),
    /// A cluster by name.
    Cluster(String),
}

impl FromStr for Traced {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self::Id(text.to_ascii_lowercase()));
        }
        let name = |name: &str| name.to_owned();
        match text.split_once('/') {
            Some(("release" | "releases", rest)) if !rest.is_empty() => Ok(Self::Release(name(rest))),
            Some(("rollout" | "rollouts", rest)) if !rest.is_empty() => Ok(Self::Rollout(name(rest))),
            Some(("decision" | "decisions", rest)) if !rest.is_empty() => Ok(Self::Decision(name(rest))),
            Some(("cluster" | "clusters", rest)) if !rest.is_empty() => Ok(Self::Cluster(name(rest))),
            Some(_) | None => {
                Err("write releases/NAME, rollouts/NAME, decisions/ID, clusters/NAME or a trace id")
            }
        }
    }
}

/// What belongs together: a release and those of its rollouts that are to be shown.
#[derive(Debug, Default, PartialEq, Eq)]
struct Subjects {
    release: Option<ReleaseKey>,
    rollouts: BTreeSet<RolloutKey>,
    /// The trace that was asked for, where it is neither's.
    other: Option<String>,
}

pub(super) async fn run(args: &TraceArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let client = context.connect().await?;
    let subjects = resolve(&client, &args.what).await?;
    let mut traces = Vec::new();
    if let Some(release) = &subjects.release {
        let id = TraceId::of_release(release);
        let entries = by_trace(&client, &id.to_string()).await?;
        traces.push(Trace::new(
            format!("release {release}"),
            &id.to_string(),
            Some(id.root_span()),
            &entries,
        ));
    }
    for rollout in &subjects.rollouts {
        let id = TraceId::of_rollout(rollout);
        let entries = by_trace(&client, &id.to_string()).await?;
        traces.push(Trace::new(
            format!("rollout {rollout}"),
            &id.to_string(),
            Some(id.root_span()),
            &entries,
        ));
    }
    if let Some(id) = &subjects.other {
        let entries = by_trace(&client, id).await?;
        traces.push(Trace::new("trace".to_owned(), id, None, &entries));
    }
    traces.retain(|trace| !trace.is_empty());
    let screen = context.screen;
    match screen.format() {
        Format::Json => screen.json(&serde_json::json!({ "traces": traces }))?,
        Format::Table | Format::Wide if traces.is_empty() => {
            screen.hint(Sign::Warning, "the ledger has no statement with that trace");
        }
        Format::Table | Format::Wide => {
            screen.data(&waterfall::draw(&traces, screen.width(), screen.is_ascii()));
        }
    }
    Ok(Exit::Done)
}

async fn list(client: &Client, filter: ListEntriesRequest) -> Result<Vec<Entry>, Failure> {
    Ok(client.all_entries(filter).await?.items)
}

async fn by_trace(client: &Client, id: &str) -> Result<Vec<Entry>, Failure> {
    let filter = ListEntriesRequest {
        trace_id: id.to_owned(),
        ..ListEntriesRequest::default()
    };
    list(client, filter).await
}

async fn by_release(client: &Client, name: &str) -> Result<Vec<Entry>, Failure> {
    let filter = ListEntriesRequest {
        release: name.to_owned(),
        ..ListEntriesRequest::default()
    };
    list(client, filter).await
}

async fn resolve(client: &Client, what: &Traced) -> Result<Subjects, Failure> {
    match what {
        Traced::Id(id) => {
            let entries = by_trace(client, id).await?;
            if entries.is_empty() {
                return Err(Failure::Missing {
                    name: format!("trace {id}"),
                });
            }
            let found = linked(client, &entries, id).await?;
            let known = found.release.is_some() || !found.rollouts.is_empty();
            Ok(if known {
                found
            } else {
                Subjects {
                    other: Some(id.clone()),
                    ..Subjects::default()
                }
            })
        }
        Traced::Release(name) => of_release(client, &names::release(name)).await,
        Traced::Rollout(name) => {
            let missing = || Failure::Missing {
                name: format!("rollouts/{name}"),
            };
            let rollout: RolloutKey = name.parse().or(Err(missing()))?;
            let id = TraceId::of_rollout(&rollout).to_string();
            let entries = by_trace(client, &id).await?;
            if entries.is_empty() {
                return Err(missing());
            }
            linked(client, &entries, &id).await
        }
        Traced::Decision(name) => {
            let decision = names::in_collection("decisions", name);
            let filter = ListEntriesRequest {
                decision: decision.clone(),
                ..ListEntriesRequest::default()
            };
            let release = list(client, filter).await?.iter().find_map(release_of);
            match release {
                Some(release) => of_release(client, &format!("releases/{release}")).await,
                None => Err(Failure::Missing { name: decision }),
            }
        }
        Traced::Cluster(name) => {
            let cluster = names::in_collection("clusters", name);
            let filter = ListEntriesRequest {
                cluster: cluster.clone(),
                ..ListEntriesRequest::default()
            };
            let entries = list(client, filter).await?;
            match entries.iter().rev().find_map(rollout_of) {
                Some(rollout) => {
                    let id = TraceId::of_rollout(&rollout).to_string();
                    linked(client, &by_trace(client, &id).await?, &id).await
                }
                None => Err(Failure::Missing {
                    name: format!("rollout that reached {cluster}"),
                }),
            }
        }
    }
}

/// The release, and every rollout to it.
async fn of_release(client: &Client, name: &str) -> Result<Subjects, Failure> {
    let entries = by_release(client, name).await?;
    let releases: BTreeSet<ReleaseKey> = entries.iter().filter_map(release_of).collect();
    let mut releases = releases.into_iter();
    match (releases.next(), releases.next()) {
        (None, _) => Err(Failure::Missing {
            name: name.to_owned(),
        }),
        (Some(_), Some(_)) => Err(Failure::Argument {
            argument: "a version whose tag moved",
            instead: "name the digest as well, like releases/flux/v2.9.4@sha256:...",
        }),
        (Some(release), None) => Ok(Subjects {
            release: Some(release),
            rollouts: entries.iter().filter_map(rollout_of).collect(),
            other: None,
        }),
    }
}

/// What the trace of a release or of a rollout is linked with: a release with all of its rollouts, a rollout
/// with its release.
async fn linked(client: &Client, entries: &[Entry], id: &str) -> Result<Subjects, Failure> {
    let of = |rollout: &RolloutKey| TraceId::of_rollout(rollout).to_string() == id;
    let release = entries.iter().find_map(release_of);
    match entries.iter().filter_map(rollout_of).find(of) {
        Some(rollout) => Ok(Subjects {
            release,
            rollouts: [rollout].into(),
            other: None,
        }),
        None => match release.filter(|release| TraceId::of_release(release).to_string() == id) {
            Some(release) => of_release(client, &format!("releases/{release}")).await,
            None => Ok(Subjects::default()),
        },
    }
}

fn release_of(entry: &Entry) -> Option<ReleaseKey> {
    entry.release.parse().ok()
}

fn rollout_of(entry: &Entry) -> Option<RolloutKey> {
    entry.rollout.parse().ok()
}
