//! The release factory on a real registry: what it makes is judged as its flavour says.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use domain::{Artifact, CheckResult, Component, Reason};
use evidence::{Expectation, TrustRoot};
use integration_tests::lab::Lab;
use integration_tests::lab::registry::Registry;
use integration_tests::stage::COMING;
use jiff::Timestamp;
use libtest_mimic::Trial;
use testkit::factory::{Factory, Flavour, Published, ReleaseSpec};
use testkit::sigstore::DemoSigstore;

use crate::trial::{over_data, trial};

const WRONG: Artifact = Artifact::Image(Component::SourceController);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("factory::good_release_passes", |lab| {
            flavour(lab, Flavour::Good, None)
        }),
        trial("factory::wrong_workflow_is_an_identity_mismatch", |lab| {
            flavour(lab, Flavour::WrongWorkflow(WRONG), Some(Reason::IdentityMismatch))
        }),
        trial(
            "factory::manifests_of_a_wrong_workflow_are_an_identity_mismatch",
            |lab| {
                let wrong = Flavour::WrongWorkflow(Artifact::FluxManifests);
                flavour(lab, wrong, Some(Reason::IdentityMismatch))
            },
        ),
        trial("factory::swapped_after_signing_is_a_payload_mismatch", |lab| {
            flavour(
                lab,
                Flavour::SwappedAfterSigning(WRONG),
                Some(Reason::PayloadMismatch),
            )
        }),
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
    client: registry::Client,
    trust: TrustRoot,
}

async fn shop(lab: &Lab) -> anyhow::Result<Shop> {
    let registry = Registry::start(lab).await?;
    let sigstore = DemoSigstore::new(Timestamp::now())?;
    let trust = TrustRoot::from_json(&sigstore.trusted_root_json()?)?;
    let (factory, client) = (
        Factory::new(&registry.host(), sigstore)?,
        client(&registry.host())?,
    );
    Ok(Shop {
        _registry: registry,
        factory,
        client,
        trust,
    })
}

impl Shop {
    /// Reads an artifact back by its tag and judges its signatures.
    async fn judge(&self, published: &Published, artifact: Artifact) -> anyhow::Result<evidence::Verdict> {
        let (image, digest) = match artifact {
            Artifact::FluxManifests => {
                let repository = flux::identity::repository(artifact);
                let image = domain::ImageRef::tagged(&repository, &published.version.to_string())?;
                let found = self
                    .client
                    .flux_manifests(&image)
                    .await?
                    .context("the manifests are there")?;
                (image, found.manifest)
            }
            Artifact::Image(component) => {
                let image = published
                    .images
                    .get(&component)
                    .context("the image is named")?
                    .clone();
                let found = self
                    .client
                    .resolve_image(&image)
                    .await?
                    .context("the image is there")?;
                (image, found.index)
            }
        };
        ensure!(
            published.digest(artifact) == Some(digest),
            "{artifact} has another digest than was said"
        );
        let tag = image.tag().context("a tag")?.parse()?;
        let profile = flux::identity::profile(artifact, &tag);
        let material = self.client.signatures(&image, digest).await?;
        let expect = Expectation {
            image: &image,
            digest,
            profile: &profile,
        };
        Ok(evidence::verify_signatures(
            &material,
            &expect,
            &self.trust,
            Timestamp::now(),
        ))
    }
}

fn artifacts(published: &Published) -> Vec<Artifact> {
    let images = published
        .indexes
        .keys()
        .map(|component| Artifact::Image(*component));
    std::iter::once(Artifact::FluxManifests).chain(images).collect()
}

/// Every artifact passes, but the one that the flavour spoils.
async fn flavour(lab: Lab, flavour: Flavour, reason: Option<Reason>) -> anyhow::Result<()> {
    let shop = shop(&lab).await?;
    let published = shop
        .factory
        .release(&ReleaseSpec::flavoured(COMING, flavour))
        .await?;
    let spoilt = match flavour {
        Flavour::Good => None,
        Flavour::WrongWorkflow(artifact) | Flavour::SwappedAfterSigning(artifact) => Some(artifact),
    };
    ensure!(
        published.indexes.len() == Component::ALL.len(),
        "{:?}",
        published.indexes
    );
    for artifact in artifacts(&published) {
        let verdict = shop.judge(&published, artifact).await?;
        let wanted = match reason.filter(|_| spoilt == Some(artifact)) {
            None => (CheckResult::Passed, Reason::SignatureVerified),
            Some(reason) => (CheckResult::Failed, reason),
        };
        ensure!(
            (verdict.result, verdict.reason) == wanted,
            "{artifact}: {verdict:?}"
        );
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
