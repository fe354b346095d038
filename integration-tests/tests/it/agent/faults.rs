//! The API server is slow, busy, gone, or answers by half: the upgrade ends well all the same, with each report
//! said once, in a number of requests that is bounded.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use domain::Health;
use domain::fleet::{HealthReport, ReportKind};
use integration_tests::lab::Lab;
use integration_tests::lab::proxy::{Call, Fault, Verbs, What};
use jiff::Timestamp;

use super::bench::Bench;
use super::listen::Said;
use super::world::World;
use crate::within::within;

/// An undisturbed upgrade takes about 190 requests: facts, 32 objects looked at, dry-run twice and written.
const REQUESTS: usize = 450;

/// One way for an API server to be bad.
struct Weather {
    name: &'static str,
    faults: Vec<Fault>,
    /// What the log must say of it: somebody has to find out why it takes so long.
    told: Option<&'static str>,
    /// Within which time it must be over.
    seconds: u64,
}

fn weather(name: &'static str, faults: Vec<Fault>) -> Weather {
    Weather {
        name,
        faults,
        told: Some("asking again"),
        seconds: 40,
    }
}

fn all() -> Vec<Weather> {
    let slow = |part, time| Fault::new(Verbs::Reads, part, What::Delay(Duration::from_millis(time)));
    let conflict = What::status(409, "Conflict");
    vec![
        Weather {
            told: None,
            ..weather(
                "every read is slow, and the slowest takes eight seconds",
                vec![
                    slow("/customresourcedefinitions?", 8000).times(1),
                    slow("/leases/", 3000).times(1),
                    slow("", 200),
                ],
            )
        },
        weather(
            "somebody else is faster at the first write of each object",
            vec![Fault::new(Verbs::Writes, "", conflict).once_each()],
        ),
        weather(
            "the first read of everything has expired",
            vec![
                Fault::new(Verbs::Reads, "", What::status(410, "Expired"))
                    .once_each()
                    .times(12),
            ],
        ),
        weather(
            "too many requests, with a time to wait",
            vec![
                Fault::new(Verbs::Writes, "/deployments/", What::too_many(1)).times(1),
                Fault::new(Verbs::Reads, "/pods", What::too_many(3600)).times(1),
                Fault::new(Verbs::Any, "", What::too_many(1)).times(4),
            ],
        ),
        weather(
            "answers that break off",
            vec![
                Fault::new(Verbs::Writes, "/deployments/", What::Lose).once_each(),
                Fault::new(Verbs::Writes, "/leases", What::Lose).times(1),
                Fault::new(Verbs::Writes, "/configmaps/", What::Lose).times(1),
                Fault::new(Verbs::Reads, "", What::Cut(200)).once_each().times(12),
                Fault::new(Verbs::Any, "/networkpolicies/", What::Cut(100)).times(4),
            ],
        ),
        Weather {
            told: Some("trying again"),
            ..weather(
                "an API server that goes away in the middle of the writing",
                vec![
                    Fault::new(Verbs::Writes, "/services/", What::page(503)).times(5),
                    Fault::new(Verbs::Writes, "/deployments/", What::status(500, "InternalError")).times(5),
                    Fault::new(Verbs::Reads, "/pods", What::page(502)).times(1),
                ],
            )
        },
        Weather {
            told: Some("trying again"),
            ..weather(
                "a token that has ended, before anything and in the middle of the writing",
                vec![
                    Fault::new(Verbs::Reads, "/configmaps/", What::status(401, "Unauthorized")).times(2),
                    Fault::new(Verbs::Writes, "/deployments/", What::status(401, "Unauthorized")).times(2),
                    Fault::new(Verbs::Reads, "/deployments", What::status(403, "Forbidden")).times(2),
                ],
            )
        },
    ]
}

pub(crate) async fn upgrades_through(lab: Lab) -> anyhow::Result<()> {
    let bench = Bench::start(&lab).await?;
    let mut failed = Vec::new();
    for (round, weather) in all().iter().enumerate() {
        if round > 0 {
            bench.reset().await?;
        }
        if let Err(error) = weather.endured(&bench).await {
            failed.push(format!("{}: {error:#}", weather.name));
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n\n"));
    restarted(&bench).await.context("restarted in between")?;
    silence(&bench).await
}

impl Weather {
    async fn endured(&self, bench: &Bench) -> anyhow::Result<()> {
        let world = bench.base.world()?;
        bench.assign(&world).await?;
        bench.ear.forget();
        drop(bench.proxy.take_calls());
        for fault in &self.faults {
            bench.proxy.inject(fault.clone());
        }
        let agent = bench.agent(&world, &bench.memory())?;
        let ended = ends_well(bench, self.seconds).await;
        let log = agent.stop().await?;
        let calls = bench.proxy.take_calls();
        let told = ended
            .and_then(|()| self.told(&log))
            .and_then(|()| self.bounded(bench, &calls));
        told.with_context(|| format!("{} requests; the agent's log:\n{log}", calls.len()))?;
        bench.runs(&world).await
    }

    fn told(&self, log: &str) -> anyhow::Result<()> {
        if let Some(text) = self.told {
            ensure!(log.contains(text), "the log does not say {text:?}");
        }
        ensure!(!log.contains("ERROR"), "nobody has to act, but the log says so");
        Ok(())
    }

    fn bounded(&self, bench: &Bench, calls: &[Call]) -> anyhow::Result<()> {
        ensure!(
            bench.proxy.still_to_strike() == 0,
            "some of the faults never struck"
        );
        ensure!(calls.len() < REQUESTS, "{} requests", calls.len());
        let health: Vec<_> = healths(bench)?;
        let news = health.windows(2).all(|pair| pair[0] != pair[1]);
        ensure!(
            news && health.len() < 10,
            "health said again and again: {health:?}"
        );
        Ok(())
    }
}

/// What was said about health, without its times.
fn healths(bench: &Bench) -> anyhow::Result<Vec<HealthReport>> {
    let health = |said| match said {
        Said::Health(health) => Some(HealthReport {
            observed: Timestamp::UNIX_EPOCH,
            ..health
        }),
        Said::Report(_) | Said::Heartbeat(_) | Said::Facts => None,
    };
    Ok(bench.ear.heard()?.into_iter().filter_map(health).collect())
}

/// Each report is said once, and the last one is good.
async fn ends_well(bench: &Bench, seconds: u64) -> anyhow::Result<()> {
    let done = ReportKind::Finished(Health::Healthy);
    let wanted = [ReportKind::Accepted, ReportKind::Applied, done];
    let kinds = || -> anyhow::Result<Vec<ReportKind>> {
        let reports = bench.ear.reports()?;
        Ok(reports.into_iter().map(|report| report.kind).collect())
    };
    within(seconds, "the last report", async || {
        let last = kinds()?.last().cloned();
        Ok(matches!(last, Some(ReportKind::Finished(_) | ReportKind::Refused(_))).then_some(()))
    })
    .await?;
    let kinds = kinds()?;
    ensure!(kinds == wanted, "{kinds:?}");
    Ok(())
}

/// The API server fails in the middle of the writing for as long as the agent lives, and its next one is met by an
/// ended token: what was begun is taken up and brought to its end.
async fn restarted(bench: &Bench) -> anyhow::Result<()> {
    bench.reset().await?;
    let (world, folder) = (bench.base.world()?, bench.memory());
    bench.assign(&world).await?;
    bench.ear.forget();
    bench
        .proxy
        .inject(Fault::new(Verbs::Writes, "/deployments/helm", What::page(503)));
    let first = bench.agent(&world, &folder)?;
    let stuck = within(30, "a write that fails", async || {
        Ok(first.log().contains("writing did not end").then_some(()))
    })
    .await;
    let log = first.stop().await?;
    stuck.with_context(|| format!("the first agent's log:\n{log}"))?;
    let images = bench.images().await?;
    let new = images.values().filter(|image| image.contains('@')).count();
    ensure!((1..4).contains(&new), "nothing is half done: {images:?}");

    // Its Lease would be waited out; a trial of its own does that.
    bench.proxy.heal();
    bench.forget_lease().await?;
    let ended = What::status(401, "Unauthorized");
    bench
        .proxy
        .inject(Fault::new(Verbs::Reads, "/configmaps/", ended).times(2));
    let second = bench.agent(&world, &folder)?;
    let done = ReportKind::Finished(Health::Healthy);
    // What the first one may not have been heard with is said again.
    let wanted = [
        ReportKind::Accepted,
        ReportKind::Accepted,
        ReportKind::Applied,
        done,
    ];
    let ended = within(30, "the last report", async || {
        let kinds: Vec<_> = bench
            .ear
            .reports()?
            .into_iter()
            .map(|report| report.kind)
            .collect();
        Ok((kinds == wanted).then_some(()))
    })
    .await;
    let log = second.stop().await?;
    ended.with_context(|| format!("the second agent's log:\n{log}"))?;
    ensure!(
        log.contains("can't be taken up yet"),
        "the token had not ended:\n{log}"
    );
    bench.runs(&world).await
}

/// An API server that gives no answer at all: the agent begins nothing, says that it can't judge, stays awake,
/// and asks ever more rarely.
async fn silence(bench: &Bench) -> anyhow::Result<()> {
    bench.reset().await?;
    let world: World = bench.base.world()?;
    bench.assign(&world).await?;
    let before = bench.objects().await?;
    bench.ear.forget();
    drop(bench.proxy.take_calls());
    bench.proxy.inject(Fault::new(Verbs::Any, "", What::page(503)));
    let agent = bench.agent(&world, &bench.memory())?;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let calls = bench.proxy.take_calls();
    ensure!(calls.len() < 60, "{} requests in 8 s of silence", calls.len());
    ensure!(!calls.iter().any(Call::writes), "it tried to write: {calls:?}");
    let beats: Vec<Health> = bench
        .ear
        .heard()?
        .into_iter()
        .filter_map(|said| match said {
            Said::Heartbeat(heartbeat) => Some(heartbeat.health),
            Said::Report(_) | Said::Health(_) | Said::Facts => None,
        })
        .collect();
    ensure!(beats.len() > 5, "{} heartbeats in 8 s", beats.len());
    ensure!(
        beats.iter().all(|health| *health == Health::Inconclusive),
        "{beats:?}"
    );
    ensure!(bench.ear.reports()?.is_empty(), "{:?}", bench.ear.reports()?);
    super::rows::unchanged(&before, &bench.objects().await?)?;
    // Once it answers again the upgrade is carried out.
    bench.proxy.heal();
    let ended = ends_well(bench, 40).await;
    let log = agent.stop().await?;
    ended.with_context(|| format!("the agent's log:\n{log}"))?;
    bench.runs(&world).await
}
