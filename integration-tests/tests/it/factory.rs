//! The release factory on a real registry: what it makes is judged as its flavour says.

mod hub;

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use domain::{Artifact, CheckResult, Component, Reason};
use integration_tests::lab::Lab;
use integration_tests::lab::registry::Registry;
use integration_tests::peers::ours::Judge;
use integration_tests::stage::COMING;
use jiff::Timestamp;
use libtest_mimic::Trial;
use testkit::factory::{Factory, Flavour, Published, ReleaseSpec};
use testkit::sigstore::DemoSigstore;

use crate::trial::{over_data, trial};

const WRONG: Artifact = Artifact::Image(Component::SourceController);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("factory::hub_denies_what_is_wrong", hub::denies_what_is_wrong),
        trial("factory::good_release_passes", |lab| {
            flavours(lab, vec![Flavour::Good])
        }),
        trial("factory::every_wrong_image_is_found_for_what_it_is", |lab| {
            flavours(lab, Flavour::wrong(WRONG))
        }),
        trial(
            "factory::every_wrong_manifests_are_found_for_what_they_are",
            |lab| flavours(lab, Flavour::wrong(Artifact::FluxManifests)),
        ),
        trial("factory::signed_late_is_good_from_then_on", signed_late),
        trial("factory::moved_tag_is_another_digest", moved_tag),
        trial("factory::swapped_image_has_no_signature", swapped_later),
        over_data(
            "factory::release_of_upstreams_own_manifests_passes",
            "flux-manifests",
            upstreams_own,
        ),
    ]
}

/// A client that fetches upstream's names from the lab's registry.
pub(crate) fn client(host: &str) -> anyhow::Result<registry::Client> {
    let mirror = registry::Mirror {
        from: "ghcr.io".to_owned(),
        to: format!("http://{host}"),
    };
    Ok(registry::Client::new(&registry::Config {
        mirrors: vec![mirror],
        ..registry::Config::default()
    })?)
}

struct Shop {
    _registry: Registry,
    factory: Factory,
    judge: Judge,
}

async fn shop(lab: &Lab) -> anyhow::Result<Shop> {
    let registry = Registry::start(lab).await?;
    let sigstore = DemoSigstore::new(Timestamp::now())?;
    let judge = Judge::new(&registry.host(), &sigstore.trusted_root_json()?)?;
    Ok(Shop {
        factory: Factory::new(&registry.host(), sigstore)?,
        judge,
        _registry: registry,
    })
}

impl Shop {
    /// Reads an artifact back by its tag and judges its signatures.
    async fn judge(&self, published: &Published, artifact: Artifact) -> anyhow::Result<evidence::Verdict> {
        let judged = self.judge.artifact(published, artifact).await?;
        ensure!(
            published.digest(artifact) == Some(judged.digest),
            "{artifact} has another digest than was said"
        );
        Ok(judged.verdict)
    }

    /// Every artifact comes to what is wanted of it.
    async fn every(
        &self,
        published: &Published,
        wanted: impl Fn(Artifact) -> (CheckResult, Reason),
    ) -> anyhow::Result<()> {
        ensure!(
            published.indexes.len() == Component::ALL.len(),
            "{:?}",
            published.indexes
        );
        for artifact in artifacts(published) {
            let verdict = self.judge(published, artifact).await?;
            ensure!(
                (verdict.result, verdict.reason) == wanted(artifact),
                "{artifact}: {verdict:?}"
            );
        }
        Ok(())
    }
}

fn artifacts(published: &Published) -> Vec<Artifact> {
    let images = published
        .indexes
        .keys()
        .map(|component| Artifact::Image(*component));
    std::iter::once(Artifact::FluxManifests).chain(images).collect()
}

/// Every artifact passes, but the one that the flavour spoils. A version for each: releases that share a tag share
/// its image, and the one made last says how that is signed.
async fn flavours(lab: Lab, flavours: Vec<Flavour>) -> anyhow::Result<()> {
    let shop = shop(&lab).await?;
    for (patch, flavour) in (100..).zip(flavours) {
        let version = domain::Version::new(2, 9, patch);
        let spec = ReleaseSpec::flavoured(version, flavour);
        let published = shop.factory.release(&spec).await?;
        let wanted = |artifact| match flavour.artifact() {
            Some(spoilt) if spoilt == artifact => flavour.finding(),
            _ => Flavour::Good.finding(),
        };
        let judged = shop.every(&published, wanted).await;
        judged.with_context(|| format!("{flavour:?}"))?;
    }
    Ok(())
}

async fn signed_late(lab: Lab) -> anyhow::Result<()> {
    let shop = shop(&lab).await?;
    let spec = ReleaseSpec::flavoured(COMING, Flavour::Late);
    let published = shop.factory.release(&spec).await?;
    shop.every(&published, |_| Flavour::Late.finding()).await?;
    let at = shop.factory.sign_late(&published).await?;
    shop.every(&published, |_| Flavour::Good.finding()).await?;
    let verdict = shop.judge(&published, WRONG).await?;
    ensure!(
        at == published.signed_at + testkit::factory::LATE,
        "signed at {at}"
    );
    // The log keeps whole seconds.
    let logged = verdict.integrated_time.map(Timestamp::as_second);
    ensure!(logged == Some(at.as_second()), "{verdict:?}");
    Ok(())
}

/// The second digest is properly signed or not at all; that it is the second is for whoever remembers the first.
async fn moved_tag(lab: Lab) -> anyhow::Result<()> {
    let shop = shop(&lab).await?;
    let first = shop.factory.release(&ReleaseSpec::good(COMING)).await?;
    let unsigned = Flavour::Unsigned(Artifact::FluxManifests);
    for flavour in [Flavour::Good, unsigned] {
        let spec = ReleaseSpec::flavoured(COMING, flavour);
        let moved = shop.factory.move_tag(&spec).await?;
        ensure!(moved.manifests != first.manifests, "the tag did not move");
        ensure!(moved.indexes == first.indexes, "the images are others");
        let wanted = |artifact| match artifact {
            Artifact::FluxManifests if flavour == unsigned => flavour.finding(),
            _ => Flavour::Good.finding(),
        };
        shop.every(&moved, wanted).await?;
    }
    Ok(())
}

/// An image that was put in another's place without any signature.
async fn swapped_later(lab: Lab) -> anyhow::Result<()> {
    let shop = shop(&lab).await?;
    let mut published = shop.factory.release(&ReleaseSpec::good(COMING)).await?;
    let tag = published
        .images
        .get(&Component::SourceController)
        .and_then(|image| image.tag());
    let other = shop
        .factory
        .swap_image(Component::SourceController, tag.context("a tag")?)
        .await?;
    published.indexes.insert(Component::SourceController, other);
    let verdict = shop.judge(&published, WRONG).await?;
    let wanted = (CheckResult::NotChecked, Reason::SignatureMissing);
    ensure!((verdict.result, verdict.reason) == wanted, "{verdict:?}");
    Ok(())
}

/// The newest manifests of the data, as upstream wrote them.
async fn upstreams_own(lab: Lab, folder: PathBuf) -> anyhow::Result<()> {
    let versions = std::fs::read_dir(&folder)?.filter_map(|entry| {
        let name = entry.ok()?.file_name().to_str()?.to_owned();
        Some((format!("v{name}").parse::<domain::Version>().ok()?, name))
    });
    let (version, name) = versions.max().context("the data has versions")?;
    let document = std::fs::read_to_string(folder.join(name).join("gotk-components.yaml"))?;
    let shop = shop(&lab).await?;
    let spec = ReleaseSpec::good(version);
    let published = shop
        .factory
        .release_of(&spec, &document, Timestamp::now())
        .await?;
    for artifact in artifacts(&published) {
        let verdict = shop.judge(&published, artifact).await?;
        ensure!(verdict.result == CheckResult::Passed, "{artifact}: {verdict:?}");
    }
    Ok(())
}
