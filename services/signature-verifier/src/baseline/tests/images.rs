//! Which image ids of a node can be mapped to a verified image: only digests count, never names.

use domain::fleet::{ComponentFacts, CrdFacts, Installer};
use domain::{Platform, PlatformImage};
use testkit::factory::{Flavour, Published};

use super::*;
use crate::fixture::{NOW, Shop};

const RUNNING: Version = Version::new(2, 9, 3);
const ODD: Component = Component::HelmController;

/// What registries and runtimes call an image id.
type Form = fn(&ImageContents) -> Digest;

const FORMS: [(&str, Form); 3] = [
    ("index", |image| image.index),
    ("platform manifest", |image| first(image).manifest),
    ("config", |image| first(image).config),
];

fn first(image: &ImageContents) -> &PlatformImage {
    &image.platforms[0]
}

async fn shop() -> (Shop, Published) {
    let shop = Shop::open().await;
    let published = shop.publish(&RUNNING, Flavour::Good).await;
    (shop, published)
}

/// A cluster with the four default components, whose nodes report this form.
async fn facts(shop: &Shop, published: &Published, form: Form) -> ClusterFacts {
    let mut components = BTreeMap::new();
    for component in Component::DEFAULT {
        let image = published.images[&component].clone();
        let contents = shop
            .verifier
            .registry
            .resolve_image(&image)
            .await
            .unwrap()
            .unwrap();
        let image_ids = [form(&contents)].into();
        components.insert(component, ComponentFacts { image, image_ids });
    }
    let crds = flux::tables::crd_set(&RUNNING, &Component::DEFAULT.into()).unwrap();
    let stored = |crd: CrdVersions| CrdFacts {
        stored: [crd.storage.clone()].into(),
        crd,
    };
    ClusterFacts {
        cluster: "prod-1".parse().unwrap(),
        observed: NOW,
        kubernetes: "v1.36.3".to_owned(),
        installer: Installer::FluxCli,
        components,
        crds: crds.into_iter().map(|(name, crd)| (name, stored(crd))).collect(),
    }
}

/// The component that can't be mapped and why; nothing may be said about such a cluster.
async fn unknown(shop: &Shop, facts: &ClusterFacts) -> (Component, String) {
    let said = shop.world.log.events().len();
    let looked = shop.verifier.baseline(facts, None, &[], NOW).await;
    assert!(matches!(looked, Ok(Looked::Obstacle(_))));
    assert_eq!(shop.world.log.events().len(), said);
    match shop.verifier.mapped(facts, NOW).await.unwrap() {
        Ok(images) => panic!("mapped to {images:?}"),
        Err(Unknown { component, detail }) => (component, detail),
    }
}

#[tokio::test]
async fn each_form_of_image_id_is_mapped_to_the_same_baseline() {
    let (shop, published) = shop().await;
    let mut keys = BTreeSet::new();
    for (name, form) in FORMS {
        let facts = facts(&shop, &published, form).await;
        let looked = shop.verifier.baseline(&facts, None, &[], NOW).await;
        let baseline = shop.verifier.settle(&facts, looked);
        let baseline = baseline.unwrap_or_else(|why| panic!("{name} is not mapped: {why:?}"));
        assert_eq!(baseline.version, Some(RUNNING), "{name}");
        assert!(baseline.describes(&facts), "{name}");
        for component in Component::DEFAULT {
            assert_eq!(
                baseline.images[&component].index, published.indexes[&component],
                "{name}"
            );
        }
        keys.insert(baseline.key());
    }
    assert_eq!(keys.len(), 1);
}

/// Nodes of two architectures, and of two runtimes, in one cluster.
#[tokio::test]
async fn nodes_may_report_different_forms_and_platforms_of_one_image() {
    let (shop, published) = shop().await;
    let mut facts = facts(&shop, &published, |image| image.index).await;
    let image = &published.images[&ODD];
    let contents = shop
        .verifier
        .registry
        .resolve_image(image)
        .await
        .unwrap()
        .unwrap();
    let ids = contents
        .platforms
        .iter()
        .flat_map(|platform| [platform.manifest, platform.config]);
    let ids: BTreeSet<_> = ids.chain([contents.index]).collect();
    assert_eq!(ids.len(), 5);
    facts.components.get_mut(&ODD).unwrap().image_ids = ids;
    let mapped = shop.verifier.mapped(&facts, NOW).await.unwrap();
    assert!(mapped.is_ok());
}

#[tokio::test]
async fn an_id_that_upstream_does_not_have_is_unknown() {
    let (shop, published) = shop().await;
    let strange = Digest::of(b"a local build");
    let mut facts = facts(&shop, &published, |image| image.index).await;
    // One good id beside it changes nothing: some node runs it.
    facts.components.get_mut(&ODD).unwrap().image_ids.insert(strange);
    let (component, detail) = unknown(&shop, &facts).await;
    assert_eq!(component, ODD);
    assert!(detail.contains(&strange.to_string()), "{detail}");
}

/// A copy in another registry with the same bytes has the same digests: the name says nothing.
#[tokio::test]
async fn a_faithful_mirror_is_known_and_a_repacked_image_is_not() {
    let (shop, published) = shop().await;
    let mut facts = facts(&shop, &published, |image| first(image).manifest).await;
    let odd = facts.components.get_mut(&ODD).unwrap();
    let tag = odd.image.tag().unwrap().to_owned();
    odd.image = ImageRef::tagged("mirror.example/flux/helm", &tag).unwrap();
    let looked = shop.verifier.baseline(&facts, None, &[], NOW).await;
    let baseline = shop.verifier.settle(&facts, looked).unwrap();
    assert_eq!(baseline.version, Some(RUNNING));

    // The same files in another manifest: pushed again by a tool that compresses otherwise.
    let repacked = Digest::of(b"the same layers, compressed otherwise");
    facts.components.get_mut(&ODD).unwrap().image_ids = [repacked].into();
    let (component, detail) = unknown(&shop, &facts).await;
    assert_eq!(component, ODD);
    assert!(
        detail.contains("which is not part of ghcr.io/fluxcd/helm-controller"),
        "{detail}"
    );
    // Whoever asks about the cluster is told the same.
    let looked = shop.verifier.baseline(&facts, None, &[], NOW).await;
    let obstacle = shop.verifier.settle(&facts, looked).unwrap_err();
    assert_eq!(obstacle.reason, Reason::BaselineImageUnknown);
    assert_eq!(obstacle.detail, format!("helm-controller: {detail}"));
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_said_to_be_in_the_way() {
    let (shop, published) = shop().await;
    let facts = facts(&shop, &published, |image| image.index).await;
    shop.registry.set_broken(true);
    let looked = shop.verifier.baseline(&facts, None, &[], NOW).await;
    let obstacle = shop.verifier.settle(&facts, looked).unwrap_err();
    assert_eq!(obstacle.reason, Reason::RegistryUnreachable);
    assert!(
        obstacle.detail.starts_with("fetching ghcr.io/fluxcd/"),
        "{}",
        obstacle.detail
    );
}

#[tokio::test]
async fn an_image_without_upstreams_signature_is_unknown() {
    let shop = Shop::open().await;
    for flavour in [
        Flavour::Unsigned(Artifact::Image(ODD)),
        Flavour::WrongWorkflow(Artifact::Image(ODD)),
    ] {
        // The tag of helm-controller is another one each time, so that neither signs for the other.
        let version = match flavour {
            Flavour::Unsigned(_) => Version::new(2, 9, 0),
            _ => RUNNING,
        };
        let published = shop.publish(&version, flavour).await;
        let facts = facts(&shop, &published, |image| image.index).await;
        let (component, detail) = unknown(&shop, &facts).await;
        assert_eq!(component, ODD, "{flavour:?}");
        assert!(detail.contains("carries no signature of Flux"), "{detail}");
    }
}

#[tokio::test]
async fn what_has_no_version_or_no_pod_is_unknown() {
    let (shop, published) = shop().await;
    let good = facts(&shop, &published, |image| image.index).await;
    let with = |change: &dyn Fn(&mut ComponentFacts)| {
        let mut facts = good.clone();
        change(facts.components.get_mut(&ODD).unwrap());
        facts
    };
    let tagged = |tag: &str| ImageRef::tagged("ghcr.io/fluxcd/helm-controller", tag).unwrap();
    let latest = with(&|odd| odd.image = tagged("latest"));
    let never = with(&|odd| odd.image = tagged("v1.99.0"));
    let no_pod = with(&|odd| odd.image_ids.clear());
    for (facts, why) in [
        (latest, "no version for a tag"),
        (never, "the registry has no"),
        (no_pod, "no pod reports an image id"),
    ] {
        let (component, detail) = unknown(&shop, &facts).await;
        assert_eq!(component, ODD);
        assert!(detail.contains(why), "{detail}");
    }
}

/// What is said is said of an index; which platforms it has is part of it.
#[tokio::test]
async fn a_mapped_image_has_all_its_platforms() {
    let (shop, published) = shop().await;
    let facts = facts(&shop, &published, |image| image.index).await;
    let mapped = shop.verifier.mapped(&facts, NOW).await.unwrap();
    let images = mapped.unwrap_or_else(|unknown| panic!("{}", unknown.detail));
    let platform = |architecture: &str| Platform {
        os: "linux".to_owned(),
        architecture: architecture.to_owned(),
    };
    for image in images.values() {
        let platforms: Vec<_> = image.platforms.iter().map(|found| &found.platform).collect();
        assert_eq!(platforms, [&platform("amd64"), &platform("arm64")]);
    }
}
