//! Steps that the trials have in common, and the two looks that prove that nothing changed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use domain::{Component, Reason};
use integration_tests::lab::Lab;
use integration_tests::stage::{COMING, Hub, Plan, Site, Stage, TWO};
use testkit::factory::{Published, ReleaseSpec};
use wire::common::v1::{Mode, Outcome};
use wire::fleet::v1::ReportKind;
use wire::policy::v1::Decision;
use wire::rollout::v1::RolloutEnd;

use crate::within::{eventually, within};

/// One cluster is enough where it is about what an agent does.
pub(crate) const ONE: [Plan; 1] = [TWO[0]];

/// How long nothing may change after the dangerous thing was seen: an agent's poll (2 s) and 5 s more.
const WATCHED: Duration = Duration::from_secs(7);

/// The objects of each cluster at one moment.
pub(crate) type Seen = Vec<BTreeMap<String, String>>;

/// A stage with a hub in one process and agents, whose clusters have a verified baseline.
pub(crate) async fn set(lab: &Lab, plans: &[Plan]) -> anyhow::Result<(Stage, Hub)> {
    let mut stage = Stage::build(lab, plans).await?;
    let hub = stage.start_hub().await?;
    stage.start_agents().await?;
    settled(&stage, &hub).await?;
    Ok((stage, hub))
}

/// Every cluster has a verified baseline: only then does silence mean something.
pub(crate) async fn settled(stage: &Stage, hub: &Hub) -> anyhow::Result<()> {
    for site in &stage.sites {
        eventually("a verified baseline", async || {
            let cluster = hub.cluster(&site.name).await?;
            Ok((!cluster.baseline.is_empty()).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Upstream publishes 2.9.4, and the hub is told to look.
pub(crate) async fn publish(stage: &Stage, hub: &Hub) -> anyhow::Result<Published> {
    let published = stage.publish(&ReleaseSpec::good(COMING)).await?;
    hub.reconcile().await?;
    Ok(published)
}

/// A person lets fluxgate write in the wave of each cluster; again, where the controller has just been started and
/// does not take it yet.
pub(crate) async fn enforce(stage: &Stage, hub: &Hub) -> anyhow::Result<()> {
    for site in &stage.sites {
        eventually("a mode that is taken", async || {
            hub.set_mode(&site.wave, Mode::Enforce).await?;
            Ok(Some(()))
        })
        .await?;
    }
    Ok(())
}

/// The newest decision about 2.9.4 with this outcome.
pub(crate) async fn decided(hub: &Hub, outcome: Outcome) -> anyhow::Result<Decision> {
    eventually(&format!("{outcome:?} for {COMING}"), async || {
        let decisions = hub.decisions("").await?;
        let found = decisions.into_iter().filter_map(|view| view.decision).next();
        Ok(found.filter(|decision| decision.outcome() == outcome))
    })
    .await
}

/// The cluster's agent has said that it would upgrade.
pub(crate) async fn would_upgrade(hub: &Hub, name: &str) -> anyhow::Result<()> {
    eventually(&format!("WOULD_UPGRADE of {name}"), async || {
        let cluster = hub.cluster(name).await?;
        let said = |report: &wire::fleet::v1::Report| report.kind() == ReportKind::WouldUpgrade;
        Ok(cluster.reports.iter().any(said).then_some(()))
    })
    .await
}

/// The only rollout has ended as it should.
pub(crate) async fn completed(hub: &Hub) -> anyhow::Result<()> {
    let end = within(120, "the end of the rollout", async || {
        let rollouts = hub.rollouts().await?;
        ensure!(rollouts.len() <= 1, "more than one rollout: {rollouts:?}");
        Ok(rollouts.into_iter().next().and_then(|rollout| rollout.finished))
    })
    .await?;
    ensure!(
        end.end() == RolloutEnd::Completed,
        "{:?}: {}",
        end.end(),
        end.detail
    );
    Ok(())
}

/// The agent's log has one of these texts after the first `from` bytes.
async fn agent_says(site: &Site, from: usize, texts: &[String]) -> anyhow::Result<()> {
    let said = || site.agent_log().get(from..).unwrap_or_default().to_owned();
    let what = format!("{} in the log of {}'s agent", texts.join(" or "), site.name);
    let look = async || Ok(texts.iter().any(|text| said().contains(text)).then_some(()));
    eventually(&what, look)
        .await
        .with_context(|| format!("the log ends: {}", tail(&said())))
}

/// The agent refuses for this reason: by a report where the assignment is genuine, else by an alarm.
pub(crate) async fn agent_refuses(site: &Site, from: usize, reason: Reason) -> anyhow::Result<()> {
    let texts = [format!("Refused({reason:?})"), format!("reason={reason} ")];
    agent_says(site, from, &texts).await
}

/// The agent begins to carry out what it was given.
pub(crate) async fn agent_accepts(site: &Site, from: usize) -> anyhow::Result<()> {
    agent_says(site, from, &["kind=Accepted".to_owned()]).await
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

/// All objects of all clusters, once the clusters have come to rest.
pub(crate) async fn look(stage: &Stage) -> anyhow::Result<Seen> {
    let mut last = objects(stage).await?;
    eventually("clusters that are at rest", async || {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = objects(stage).await?;
        let rest = (now == last).then(|| now.clone());
        last = now;
        Ok(rest)
    })
    .await
}

async fn objects(stage: &Stage) -> anyhow::Result<Seen> {
    Ok(futures::future::try_join_all(stage.sites.iter().map(Site::objects)).await?)
}

/// Watches for a while that nothing changes, and that nothing has changed since the look before.
pub(crate) async fn nothing_changed(stage: &Stage, before: &Seen) -> anyhow::Result<()> {
    tokio::time::sleep(WATCHED).await;
    let after = objects(stage).await?;
    for (site, (before, after)) in stage.sites.iter().zip(before.iter().zip(&after)) {
        ensure!(
            before.len() > 100,
            "{} was not really looked at: {before:?}",
            site.name
        );
        let differs = |(name, version): &(&String, &String)| before.get(*name) != Some(*version);
        let changed: Vec<_> = after.iter().filter(differs).map(|(name, _)| name).collect();
        let gone: Vec<_> = before.keys().filter(|name| !after.contains_key(*name)).collect();
        if !changed.is_empty() || !gone.is_empty() {
            bail!("{} changed: {changed:?}, gone: {gone:?}", site.name);
        }
    }
    Ok(())
}

/// Every Deployment names, and every pod runs, what was verified.
pub(crate) async fn runs(site: &Site, published: &Published) -> anyhow::Result<()> {
    let (deployments, pods) = (site.deployment_images().await?, site.pod_images().await?);
    for component in Component::DEFAULT {
        let wanted = published
            .indexes
            .get(&component)
            .context("an index of each")?
            .to_string();
        let named = deployments
            .get(component.name())
            .map(String::as_str)
            .unwrap_or_default();
        ensure!(
            named.ends_with(&wanted),
            "{component} names {named}, not {wanted}"
        );
        let running = pods.get(component.name()).map(Vec::as_slice).unwrap_or_default();
        let right = |(image, id): &(String, String)| image.ends_with(&wanted) && id.ends_with(&wanted);
        ensure!(
            !running.is_empty() && running.iter().all(right),
            "{component} runs {running:?}"
        );
    }
    Ok(())
}

/// Waits until [`runs`] holds.
pub(crate) async fn comes_to_run(site: &Site, published: &Published) -> anyhow::Result<()> {
    let name = format!("{} to run the verified images", site.name);
    within(60, &name, async || runs(site, published).await.map(Some)).await
}
