//! A row: one thing wrong, one answer, nothing written.

use std::collections::BTreeMap;

use agent::Memory;
use anyhow::{Context as _, bail, ensure};
use domain::Reason;
use domain::fleet::{Report, ReportKind};
use integration_tests::lab::proxy::Call;

use super::bench::{Bench, Running};
use super::listen::Said;
use super::world::World;
use crate::within::within;

/// What an agent must say.
#[derive(Debug, Clone)]
pub(super) enum Want {
    /// A report under the assignment's epoch, for this reason, with these texts in it.
    Refused(Reason, Vec<String>),
    /// Not genuine: an alarm in the heartbeat and no report at all.
    Alarm(Reason),
    /// It would be upgraded.
    WouldUpgrade,
    /// Nothing is said; this stands in the log, since more may come.
    Waits(&'static str),
}

/// One thing wrong.
pub(super) struct Row {
    /// The line of the protocol, section 5.
    pub(super) rule: &'static str,
    /// What is wrong.
    pub(super) name: String,
    pub(super) want: Want,
    pub(super) world: World,
    /// What the agent remembers.
    pub(super) memory: Option<Memory>,
    /// Bytes in the dossier's place.
    pub(super) raw: Option<Vec<u8>>,
}

/// What is expected, seen from what was said.
enum Heard {
    Refused(Report),
    WouldUpgrade,
    Alarm(Reason),
    Accepted,
}

impl Row {
    /// Plays it; the cluster must be as it was `before`, object by object.
    pub(super) async fn play(&self, bench: &Bench, before: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let context = || format!("{}: {}", self.rule, self.name);
        self.judged(bench, before).await.with_context(context)
    }

    async fn judged(&self, bench: &Bench, before: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let folder = bench.memory();
        if let Some(memory) = &self.memory {
            agent::memory::File::open(&folder)?.store(memory)?;
        }
        match &self.raw {
            None => drop(bench.assign(&self.world).await?),
            Some(bytes) => bench.put(bytes.clone()).await?,
        }
        bench.ear.forget();
        drop(bench.proxy.take_calls());
        let running = bench.agent(&self.world, &folder)?;
        let said = self.answer(bench, &running).await;
        let log = running.stop().await?;
        said.with_context(|| format!("the agent's log:\n{log}"))?;
        let writes: Vec<Call> = bench
            .proxy
            .take_calls()
            .into_iter()
            .filter(Call::writes)
            .collect();
        ensure!(writes.is_empty(), "it wrote: {writes:?}");
        unchanged(before, &bench.objects().await?)
    }

    async fn answer(&self, bench: &Bench, running: &Running) -> anyhow::Result<()> {
        if let Want::Waits(text) = self.want {
            within(10, text, async || Ok(running.log().contains(text).then_some(()))).await?;
            return match heard(bench)? {
                None => Ok(()),
                Some(_) => bail!("it said something: {:?}", bench.ear.heard()?),
            };
        }
        let heard = within(10, "an answer", async || heard(bench)).await?;
        match (&self.want, heard) {
            (Want::Refused(reason, texts), Heard::Refused(report)) => {
                ensure!(report.kind == ReportKind::Refused(*reason), "{report:?}");
                ensure!(report.epoch == self.world.assignment.epoch, "{report:?}");
                for text in texts {
                    ensure!(report.detail.contains(text), "no {text:?} in {:?}", report.detail);
                }
                Ok(())
            }
            (Want::Alarm(reason), Heard::Alarm(found)) if *reason == found => {
                // What is not genuine may never stand under an epoch.
                ensure!(bench.ear.reports()?.is_empty(), "{:?}", bench.ear.reports()?);
                Ok(())
            }
            (Want::WouldUpgrade, Heard::WouldUpgrade) => Ok(()),
            (want, _) => bail!("not {want:?}, but: {:?}", bench.ear.heard()?),
        }
    }
}

/// The first word about the assignment.
fn heard(bench: &Bench) -> anyhow::Result<Option<Heard>> {
    let word = |said: Said| match said {
        Said::Report(report) => Some(match report.kind {
            ReportKind::Refused(_) => Heard::Refused(report),
            ReportKind::WouldUpgrade => Heard::WouldUpgrade,
            ReportKind::Accepted | ReportKind::Applied | ReportKind::Finished(_) => Heard::Accepted,
        }),
        Said::Heartbeat(heartbeat) => heartbeat.alarm.map(|alarm| Heard::Alarm(alarm.reason)),
        Said::Health(_) | Said::Facts => None,
    };
    Ok(bench.ear.heard()?.into_iter().find_map(word))
}

/// Nothing was made, changed or removed.
pub(super) fn unchanged(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> anyhow::Result<()> {
    ensure!(before.len() > 100, "the cluster was not really looked at");
    let changed: Vec<_> = after
        .iter()
        .filter(|(name, version)| before.get(*name) != Some(*version))
        .map(|(name, _)| name)
        .collect();
    let gone: Vec<_> = before.keys().filter(|name| !after.contains_key(*name)).collect();
    ensure!(
        changed.is_empty() && gone.is_empty(),
        "changed: {changed:?}, gone: {gone:?}"
    );
    Ok(())
}

/// Plays all of them; gives what failed.
pub(super) async fn played(bench: &Bench, rows: &[Row]) -> anyhow::Result<Vec<String>> {
    let before = bench.objects().await?;
    let mut failed = Vec::new();
    for row in rows {
        if let Err(error) = row.play(bench, &before).await {
            failed.push(format!("{error:#}"));
        }
    }
    Ok(failed)
}

/// Plays all of them and tells of each that failed.
pub(super) async fn play_all(bench: &Bench, rows: &[Row]) -> anyhow::Result<()> {
    all_held(rows.len(), &played(bench, rows).await?)
}

/// None failed.
pub(super) fn all_held(rows: usize, failed: &[String]) -> anyhow::Result<()> {
    ensure!(
        failed.is_empty(),
        "{} of {rows} rows failed:\n{}",
        failed.len(),
        failed.join("\n\n")
    );
    Ok(())
}
