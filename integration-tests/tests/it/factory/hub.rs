//! Every release of the factory through the real services: watcher, verifier, policy. One hub and one cluster for
//! all, a version for each.

use anyhow::{Context as _, ensure};
use domain::{Artifact, Component, Reason, Version};
use integration_tests::lab::Lab;
use integration_tests::stage::{Hub, Stage};
use testkit::factory::{Flavour, Published, ReleaseSpec};
use wire::common::v1::Outcome;
use wire::policy::v1::Decision;

use crate::story::{ONE, set};
use crate::within::within;

const IMAGE: Artifact = Artifact::Image(Component::SourceController);
const MANIFESTS: Artifact = Artifact::FluxManifests;

/// How long a release takes that others stand in the queue before.
const PATIENCE: u64 = 120;

pub(super) async fn denies_what_is_wrong(lab: Lab) -> anyhow::Result<()> {
    let (stage, hub) = set(&lab, &ONE).await?;
    let mut wrong = Flavour::wrong(IMAGE);
    wrong.extend([
        Flavour::WrongWorkflow(MANIFESTS),
        Flavour::SwappedAfterSigning(MANIFESTS),
    ]);
    let late = publish(&stage, 90, Flavour::Late).await?;
    let mut made = Vec::new();
    for (patch, flavour) in (100..).zip(wrong) {
        // Nothing is held against what is not signed until upstream's time is over, which is hours.
        if !matches!(flavour, Flavour::Unsigned(_)) {
            made.push((flavour, publish(&stage, patch, flavour).await?));
        }
    }
    let good = publish(&stage, 200, Flavour::Good).await?;
    let mended = publish(&stage, 201, Flavour::Good).await?;
    hub.reconcile().await?;

    for (flavour, published) in &made {
        let (_, reason) = flavour.finding();
        let decision = decided(&hub, &name(published), Outcome::Deny).await;
        let decision = decision.with_context(|| format!("{flavour:?}"))?;
        says(&decision, reason).with_context(|| format!("{flavour:?}"))?;
    }
    decided(&hub, &name(&good), Outcome::Allow).await?;
    decided(&hub, &name(&mended), Outcome::Allow).await?;

    tag_moved(&stage, &hub, &good).await?;
    signed_late(&stage, &hub, &late).await?;
    again_on_request(&stage, &hub, made.first().map(|(_, published)| published)).await
}

async fn publish(stage: &Stage, patch: u64, flavour: Flavour) -> anyhow::Result<Published> {
    let spec = ReleaseSpec::flavoured(Version::new(2, 9, patch), flavour);
    Ok(stage.publish(&spec).await?)
}

fn name(published: &Published) -> String {
    format!("releases/{}", published.key())
}

/// The newest decision about a release, once it is this.
async fn decided(hub: &Hub, release: &str, outcome: Outcome) -> anyhow::Result<Decision> {
    let what = format!("{outcome:?} for {release}");
    within(PATIENCE, &what, async || {
        let decisions = hub.decisions(release).await?;
        let newest = decisions.into_iter().find_map(|view| view.decision);
        Ok(newest.filter(|decision| decision.outcome() == outcome))
    })
    .await
}

fn says(decision: &Decision, reason: Reason) -> anyhow::Result<()> {
    let said = |rule: &wire::policy::v1::RuleResult| rule.reason == reason.code();
    ensure!(decision.rules.iter().any(said), "{reason}: {:?}", decision.rules);
    Ok(())
}

/// A second digest of a version that is allowed: denied, signed or not, and the first stays allowed.
async fn tag_moved(stage: &Stage, hub: &Hub, first: &Published) -> anyhow::Result<()> {
    let spec = ReleaseSpec::good(first.version.clone());
    let signed = stage.factory.move_tag(&spec).await?;
    hub.reconcile().await?;
    let decision = decided(hub, &name(&signed), Outcome::Deny).await?;
    says(&decision, Reason::TagMoved)?;
    // Not for its signature: that is upstream's.
    let verification = hub.verification(&name(&signed)).await?;
    let summary = verification.summary.context("a summary")?;
    let passed = wire::common::v1::CheckResult::Passed;
    ensure!(
        summary.checks.len() == 8 && summary.checks.iter().all(|line| line.result() == passed),
        "{:?}",
        summary.checks
    );
    let spec = ReleaseSpec::flavoured(first.version.clone(), Flavour::WrongWorkflow(MANIFESTS));
    let stolen = stage.factory.move_tag(&spec).await?;
    hub.reconcile().await?;
    let decision = decided(hub, &name(&stolen), Outcome::Deny).await?;
    says(&decision, Reason::TagMoved)?;
    says(&decision, Reason::IdentityMismatch)?;
    decided(hub, &name(first), Outcome::Allow).await?;
    Ok(())
}

/// Nothing is said about a release that is not signed yet; when it is, the timer finds it, and no message is
/// delivered again for that.
async fn signed_late(stage: &Stage, hub: &Hub, late: &Published) -> anyhow::Result<()> {
    let verification = hub.verification(&name(late)).await?;
    ensure!(verification.summary.is_none(), "{verification:?}");
    ensure!(
        hub.decisions(&name(late)).await?.is_empty(),
        "decided without evidence"
    );
    let before = deliveries(stage).await?;
    stage.factory.sign_late(late).await?;
    let decision = decided(hub, &name(late), Outcome::Allow).await?;
    says(&decision, Reason::SignatureVerified)?;
    let after = deliveries(stage).await?;
    ensure!(after == before, "delivered {} messages again", after - before);
    Ok(())
}

/// How many messages were ever delivered to signature-verifier.
async fn deliveries(stage: &Stage) -> anyhow::Result<u64> {
    let client = async_nats::connect(stage.nats.url()).await?;
    let stream = async_nats::jetstream::new(client)
        .get_stream("FLUXGATE_EVENTS")
        .await?;
    let consumer = stream.consumer_info("signature-verifier").await?;
    Ok(consumer.delivered.consumer_sequence)
}

/// What failed stays failed until a person asks: upstream has signed again.
async fn again_on_request(stage: &Stage, hub: &Hub, failed: Option<&Published>) -> anyhow::Result<()> {
    let failed = failed.context("one that failed")?;
    let mended = stage.publish(&ReleaseSpec::good(failed.version.clone())).await?;
    ensure!(
        mended == *failed || mended.key() == failed.key(),
        "another release"
    );
    // Until the release has rested from its last attempt, the hub refuses and stores nothing.
    let answer = within(PATIENCE, "another attempt", async || {
        Ok(Some(hub.reverify(&name(failed)).await?))
    })
    .await?;
    let summary = answer.summary.context("a summary")?;
    ensure!(
        answer.attempt == 2 && answer.sequence > 0,
        "attempt {}",
        answer.attempt
    );
    let passed = wire::common::v1::CheckResult::Passed;
    ensure!(
        summary.checks.iter().all(|line| line.result() == passed),
        "{:?}",
        summary.checks
    );
    decided(hub, &name(failed), Outcome::Allow).await?;
    Ok(())
}
