//! `wait`: until a field has a value.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use wire::fleet::v1::Cluster;
use wire::policy::v1::{DecisionView, GetDecisionRequest};
use wire::rollout::v1::Rollout;

use super::get::look;
use super::{Context, watch};
use crate::cli::{Field, Format, Goal, Kind, WaitArgs};
use crate::client::{Client, failed};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lists::{self, Look};
use crate::names;
use crate::output::Sign;
use crate::watch::{AWAY, Event, Watch, Watched};
use crate::words;

/// How long it waits where nobody said otherwise.
const LONG: Duration = Duration::from_secs(30 * 60);
/// How long one look may take.
const ONE: Duration = Duration::from_secs(30);
/// Between two looks at what can't be watched.
const BETWEEN: Duration = Duration::from_secs(2);

/// How a field stands.
struct Standing {
    /// Its value.
    value: String,
    /// Why it can't become anything else than this any more.
    last: Option<&'static str>,
}

pub(super) async fn run(args: &WaitArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let kind = args.what.kind;
    let Some(name) = &args.what.name else {
        return Err(Failure::Argument {
            argument: "a type without a name",
            instead: "write TYPE/NAME, like rollouts/flux-v2.9.4-1",
        });
    };
    if !args.goal.field.is_of(kind) {
        return Err(Failure::Argument {
            argument: "this field of this type",
            instead: "rollouts have state=, clusters health= and version=, releases and decisions outcome=",
        });
    }
    let name = match kind {
        Kind::Releases => names::release(name),
        _ => names::in_collection(kind.plural(), name),
    };
    let client = context.connect().await?;
    let mut waiting = Waiting {
        goal: &args.goal,
        name,
        end: watch::end(context, Some(LONG)),
        value: None,
        context,
    };
    match kind {
        Kind::Rollouts => {
            waiting
                .watch::<Rollout>(client, |item, _, _| of_rollout(item))
                .await
        }
        Kind::Clusters => waiting.watch::<Cluster>(client, of_cluster).await,
        Kind::Releases | Kind::Decisions | Kind::Policies | Kind::Entries | Kind::Stops => {
            waiting.ask(client, kind).await
        }
    }
}

/// One wait.
struct Waiting<'a> {
    goal: &'a Goal,
    name: String,
    end: Instant,
    /// The value that was seen last.
    value: Option<String>,
    context: &'a Context<'a>,
}

impl Waiting<'_> {
    /// Waits for what the hub tells.
    async fn watch<T: Watched>(
        &mut self,
        client: Client,
        of: fn(&T, Field, Look) -> Standing,
    ) -> Result<Exit, Failure> {
        let doing = format!("waiting for {} of {}", self.goal, self.name);
        let mut watch = Watch::<T>::new(client, doing, self.name.clone());
        loop {
            let next = tokio::time::timeout_at(self.end, watch.next(self.context.screen)).await;
            let item = match next {
                Err(_) => return self.late(watch.is_away()),
                Ok(event) => match event? {
                    Event::Snapshot(item) | Event::Changed(item) => item,
                    Event::Synced | Event::Alive => continue,
                },
            };
            let standing = of(&item, self.goal.field, look(self.context));
            if let Some(exit) = self.seen(standing)? {
                return Ok(exit);
            }
        }
    }

    /// Waits for what has to be asked for again and again.
    async fn ask(&mut self, client: Client, kind: Kind) -> Result<Exit, Failure> {
        let mut away: Option<Instant> = None;
        loop {
            let asked = client.until(ONE);
            let asking = outcome(&asked, kind, &self.name, look(self.context));
            let Ok(standing) = tokio::time::timeout_at(self.end, asking).await else {
                return self.late(away.is_some());
            };
            match standing {
                Ok(standing) => {
                    away = None;
                    if let Some(exit) = self.seen(standing)? {
                        return Ok(exit);
                    }
                }
                // A hub that answered once may be away for a while.
                Err(failure) if failure.retryable() && self.value.is_some() => {
                    let since = away.get_or_insert_with(|| {
                        let text = format!("{failure}: asking again");
                        self.context.screen.hint(Sign::Warning, &text);
                        Instant::now()
                    });
                    if since.elapsed() >= AWAY {
                        return Err(failure);
                    }
                }
                Err(failure) => return Err(failure),
            }
            if tokio::time::timeout_at(self.end, tokio::time::sleep(BETWEEN))
                .await
                .is_err()
            {
                return self.late(away.is_some());
            }
        }
    }

    /// Whether the wait is over with this.
    fn seen(&mut self, standing: Standing) -> Result<Option<Exit>, Failure> {
        let screen = self.context.screen;
        let word = self.goal.field.word();
        let new = self.value.as_ref() != Some(&standing.value);
        let value = self.value.insert(standing.value);
        if *value == self.goal.value {
            screen.hint(Sign::Good, &format!("{} has {}", self.name, self.goal));
            self.answer(true)?;
            return Ok(Some(Exit::Done));
        }
        if let Some(why) = standing.last {
            let (name, goal) = (&self.name, self.goal);
            screen.hint(
                Sign::Bad,
                &format!("{name} has {word}={value} and never {goal}: {why}"),
            );
            self.answer(false)?;
            return Ok(Some(Exit::No));
        }
        if new {
            screen.hint(Sign::Begin, &format!("{} has {word}={value}", self.name));
        }
        Ok(None)
    }

    /// The time is over. Where the hub is away, or has said nothing, that is no answer.
    fn late(&self, away: bool) -> Result<Exit, Failure> {
        let Some(value) = self.value.as_ref().filter(|_| !away) else {
            return Err(self
                .context
                .deadline_of(self.context.asked_timeout().unwrap_or(LONG)));
        };
        let text = format!(
            "{} still has {}={value} (--timeout)",
            self.name,
            self.goal.field.word()
        );
        self.context.screen.hint(Sign::Warning, &text);
        self.answer(false)?;
        Ok(Exit::Pending)
    }

    fn answer(&self, reached: bool) -> Result<(), Failure> {
        let screen = self.context.screen;
        let (word, value) = (
            self.goal.field.word(),
            self.value.as_deref().unwrap_or(words::NOTHING),
        );
        match screen.format() {
            Format::Json => screen.json(
                &json!({ "name": self.name, "field": word, "value": value, "wanted": self.goal.value, "reached": reached }),
            ),
            Format::Table | Format::Wide => {
                screen.data(&crate::table::clean(&format!("{} {word}={value}", self.name)));
                Ok(())
            }
        }
    }
}

fn of_rollout(rollout: &Rollout) -> Standing {
    Standing {
        value: lists::rollout_state(rollout),
        last: rollout.finished.as_ref().map(|_| "the rollout has ended"),
    }
}

fn of_cluster(cluster: &Cluster, field: Field, look: Look) -> Standing {
    let removed = cluster.member.as_ref().is_some_and(|member| member.removed);
    let value = match field {
        Field::Version => words::or_nothing(&cluster.version),
        Field::Health | Field::State | Field::Outcome => lists::health(cluster, look),
    };
    Standing {
        value,
        last: removed.then_some("the cluster is no longer in the fleet"),
    }
}

/// The worst outcome of a release's decisions, or that of one decision.
async fn outcome(client: &Client, kind: Kind, name: &str, look: Look) -> Result<Standing, Failure> {
    let views = if kind == Kind::Decisions {
        let request = GetDecisionRequest {
            name: name.to_owned(),
        };
        let answer = client.policies().get_decision(request).await;
        vec![answer.map_err(failed(format!("getting {name}")))?.into_inner()]
    } else {
        client.all_decisions(name.to_owned()).await?.items
    };
    let decisions = views
        .iter()
        .filter_map(|view: &DecisionView| view.decision.as_ref());
    let worst = decisions
        .filter(|decision| !lists::is_moot(decision))
        .max_by_key(|decision| decision.outcome);
    let value = worst.map_or_else(
        || words::NOTHING.to_owned(),
        |worst| lists::outcome_of(worst, look.now),
    );
    let last = (value == "DENY").then_some("what was denied is not allowed by waiting");
    Ok(Standing { value, last })
}
