//! What was verified is what runs, whoever swaps an image and where.

use anyhow::{Context as _, ensure};
use attest::{Dossier, Role};
use domain::{Component, Digest, ImageRef, Mode, Reason};
use integration_tests::lab::Lab;
use integration_tests::stage::{Hub, Site, Stage};
use wire::common::v1::Outcome;

use super::forge::{Forge, reissued};
use crate::story::{
    ONE, Seen, agent_accepts, agent_refuses, comes_to_run, completed, decided, enforce, look,
    nothing_changed, publish, runs, set, would_upgrade,
};
use crate::within::within;

const SWAPPED: Component = Component::SourceController;

/// A cluster whose agent has checked a genuine assignment under Observe, and whose hub is gone.
pub(super) struct Abandoned {
    pub(super) stage: Stage,
    pub(super) forge: Forge,
    pub(super) dossier: Dossier,
    pub(super) before: Seen,
    pub(super) published: testkit::factory::Published,
}

impl Abandoned {
    pub(super) async fn after_observing(lab: &Lab) -> anyhow::Result<Self> {
        let (stage, hub) = set(lab, &ONE).await?;
        let before = look(&stage).await?;
        let published = publish(&stage, &hub).await?;
        would_upgrade(&hub, ONE[0].name).await?;
        hub.kill().await?;
        let forge = Forge::open(&stage).await?;
        let dossier = forge
            .dossier(ONE[0].name)
            .await?
            .context("a genuine assignment")?;
        Ok(Self {
            stage,
            forge,
            dossier,
            before,
            published,
        })
    }

    pub(super) fn site(&self) -> &Site {
        &self.stage.sites[0]
    }

    /// Lays it before the agent and waits until it has refused it for this reason.
    pub(super) async fn refused(&self, dossier: &Dossier, reason: Reason) -> anyhow::Result<()> {
        let from = self.site().agent_log().len();
        self.forge.put(&self.site().name, dossier).await?;
        agent_refuses(self.site(), from, reason).await
    }

    /// The same assignment with Enforce and nothing else changed is carried out: what kept the agent from doing
    /// so before was the lie alone.
    pub(super) async fn without_the_lie(&self, step: u64) -> anyhow::Result<()> {
        let key = self.forge.key(Role::Controller)?;
        let honest = reissued(&self.dossier, (&key, step), |a| a.mode = Mode::Enforce)?;
        let from = self.site().agent_log().len();
        self.forge.put(&self.site().name, &honest).await?;
        agent_accepts(self.site(), from).await?;
        comes_to_run(self.site(), &self.published).await
    }
}

pub(crate) async fn swapped_in_the_assignment(lab: Lab) -> anyhow::Result<()> {
    let scene = Abandoned::after_observing(&lab).await?;
    let other = scene
        .stage
        .factory
        .swap_image(SWAPPED, &tag(&scene.published)?)
        .await?;
    let key = scene.forge.key(Role::Controller)?;
    let forged = reissued(&scene.dossier, (&key, 1), |assignment| {
        assignment.mode = Mode::Enforce;
        assignment.images.insert(SWAPPED, other);
    })?;
    scene.refused(&forged, Reason::DigestsDisagree).await?;
    nothing_changed(&scene.stage, &scene.before).await?;
    scene.without_the_lie(2).await
}

pub(crate) async fn swapped_in_the_registry(lab: Lab) -> anyhow::Result<()> {
    let (stage, hub) = set(&lab, &ONE).await?;
    let published = publish(&stage, &hub).await?;
    decided(&hub, Outcome::Allow).await?;
    let tag = tag(&published)?;
    let other = stage.factory.swap_image(SWAPPED, &tag).await?;
    ensure!(tag_shows(&stage, &tag).await? == other, "the tag was not moved");
    ensure!(
        published.indexes.get(&SWAPPED) != Some(&other),
        "the content is the same"
    );
    enforce(&stage, &hub).await?;
    within(120, "the end of the rollout", async || {
        never_named(&stage.sites[0], other).await;
        ended(&hub).await
    })
    .await?;
    completed(&hub).await?;
    never_named(&stage.sites[0], other).await;
    runs(&stage.sites[0], &published).await
}

fn tag(published: &testkit::factory::Published) -> anyhow::Result<String> {
    let image: &ImageRef = published
        .images
        .get(&SWAPPED)
        .context("the release has the component")?;
    Ok(image.tag().context("images are tagged")?.to_owned())
}

/// What the registry answers for the tag now.
async fn tag_shows(stage: &Stage, tag: &str) -> anyhow::Result<Digest> {
    let image = ImageRef::tagged(&flux::identity::repository(domain::Artifact::Image(SWAPPED)), tag)?;
    let client = crate::factory::client(&stage.registry.host())?;
    Ok(client
        .resolve_image(&image)
        .await?
        .context("the image is there")?
        .index)
}

/// A panic, for a look that fails is tried again and a digest that is seen is not forgiven.
async fn never_named(site: &Site, digest: Digest) {
    let digest = digest.to_string();
    let deployments = site.deployment_images().await.expect("the API server answers");
    let pods = site.pod_images().await.expect("the API server answers");
    let named = deployments
        .values()
        .chain(pods.values().flatten().flat_map(|(image, id)| [image, id]));
    for image in named {
        assert!(
            !image.contains(&digest),
            "{} has the swapped image: {image}",
            site.name
        );
    }
}

async fn ended(hub: &Hub) -> anyhow::Result<Option<()>> {
    let rollouts = hub.rollouts().await?;
    Ok(rollouts
        .iter()
        .any(|rollout| rollout.finished.is_some())
        .then_some(()))
}
