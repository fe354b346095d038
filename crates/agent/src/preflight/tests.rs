//! What a preflight decides without an API server, over the manifests that the factory publishes.

use std::collections::BTreeSet;

use domain::assignment::StatementRef;
use domain::fleet::{ComponentFacts, CrdFacts};
use domain::{
    Action, Assignment, Baseline, Epoch, ImageContents, Installer, Mode, ReleaseContents, ReleaseKey,
    RolloutKey, Version,
};
use jiff::{SignedDuration, Timestamp};

use super::*;

const RUNNING: Version = Version::new(2, 9, 3);
const TARGET: Version = Version::new(2, 9, 4);
const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

struct World {
    order: Order,
    layers: Layers,
    facts: ClusterFacts,
}

fn layer(document: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(document.len() as u64);
    header.set_mode(0o644);
    archive
        .append_data(&mut header, "gotk-components.yaml", document.as_bytes())
        .unwrap();
    let tar = archive.into_inner().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &tar).unwrap();
    gzip.finish().unwrap()
}

fn contents(image: &ImageRef) -> ImageContents {
    let index = Digest::of(image.to_string().as_bytes());
    ImageContents {
        image: image.pinned(index),
        index,
        platforms: vec![],
    }
}

fn images(version: &Version) -> BTreeMap<Component, ImageContents> {
    let objects = manifest::parse(&testkit::manifests::document(version)).unwrap();
    let named = manifest::images(&objects).unwrap();
    named
        .iter()
        .map(|(component, image)| (*component, contents(image)))
        .collect()
}

fn world() -> World {
    let (running, target) = (
        testkit::manifests::document(&RUNNING),
        testkit::manifests::document(&TARGET),
    );
    let keep: BTreeSet<Component> = Component::DEFAULT.into_iter().collect();
    let installed = flux::subset::render(&manifest::parse(&running).unwrap(), &keep).unwrap();
    let crds = manifest::crd_set(&installed).unwrap();
    let runs: BTreeMap<_, _> = images(&RUNNING)
        .into_iter()
        .filter(|(c, _)| keep.contains(c))
        .collect();
    let layers = Layers {
        target: layer(&target),
        baseline: layer(&running),
    };
    let release = ReleaseKey {
        version: TARGET,
        manifests: Digest::of(b"manifests"),
    };
    let baseline = Baseline {
        version: Some(RUNNING),
        layer: Some(Digest::of(&layers.baseline)),
        images: runs.clone(),
        crds: crds.clone(),
    };
    let named = StatementRef {
        subject: "x".to_owned(),
        digest: Digest::of(b"x"),
    };
    let assignment = Assignment {
        cluster: "prod".parse().unwrap(),
        epoch: Epoch(1),
        action: Action::Upgrade,
        mode: Mode::Enforce,
        rollout: RolloutKey {
            version: TARGET,
            ordinal: 1,
        },
        target: release.clone(),
        layer: Digest::of(&layers.target),
        images: images(&TARGET)
            .iter()
            .map(|(component, image)| (*component, image.index))
            .collect(),
        image_registry: "mirror.example.org/ghcr".to_owned(),
        baseline: baseline.key(),
        contents: named.clone(),
        baseline_contents: named.clone(),
        decision: named,
        summaries: vec![],
        stops: vec![],
        stable_for: SignedDuration::from_secs(60),
        success_deadline: SignedDuration::from_mins(30),
        issued: NOW,
        expires: NOW + SignedDuration::from_hours(1),
        as_of: 1,
    };
    let order = Order {
        contents: ReleaseContents {
            release,
            layer: assignment.layer,
            document: Digest::of(target.as_bytes()),
            images: images(&TARGET),
        },
        digest: Digest::of(b"assignment"),
        mode: Mode::Enforce,
        baseline,
        bundle: 1,
        traceparent: String::new(),
        assignment,
    };
    let component = |(component, image): (&Component, &ImageContents)| {
        let found = ComponentFacts {
            image: image.image.clone(),
            image_ids: BTreeSet::from([image.index]),
        };
        (*component, found)
    };
    let crd = |(name, crd): (&String, &domain::CrdVersions)| {
        let stored = BTreeSet::from([crd.storage.clone()]);
        (
            name.clone(),
            CrdFacts {
                crd: crd.clone(),
                stored,
            },
        )
    };
    let facts = ClusterFacts {
        cluster: "prod".parse().unwrap(),
        observed: NOW,
        kubernetes: "v1.36.3".to_owned(),
        installer: Installer::FluxCli,
        components: runs.iter().map(component).collect(),
        crds: crds.iter().map(crd).collect(),
    };
    World { order, layers, facts }
}

impl World {
    fn plan(&self) -> Result<Plan, PreflightError> {
        plan(&self.order, &self.layers, &self.facts)
    }

    fn refused(&self) -> Reason {
        reason(self.plan().unwrap_err())
    }
}

fn reason(error: PreflightError) -> Reason {
    match error {
        PreflightError::Refused { reason, .. } => reason,
        other => panic!("not a refusal: {other}"),
    }
}

#[test]
fn the_plan_is_the_clusters_own_components_by_verified_digest() {
    let world = world();
    let plan = world.plan().unwrap();
    assert_eq!(plan.manager, "flux");
    assert_eq!(
        plan.target.images.keys().copied().collect::<Vec<_>>(),
        Component::DEFAULT
    );
    assert_eq!(
        manifest::components(&plan.objects),
        Component::DEFAULT.into_iter().collect()
    );
    for object in plan.objects.iter().filter(|object| object.kind == "Deployment") {
        let image = object
            .value
            .pointer("/spec/template/spec/containers/0/image")
            .unwrap()
            .as_str()
            .unwrap();
        let component: Component = object.name.parse().unwrap();
        let verified = &world.order.contents.images[&component];
        let tag = verified.image.tag().unwrap();
        assert_eq!(
            image,
            format!(
                "mirror.example.org/ghcr/fluxcd/{component}:{tag}@{}",
                verified.index
            )
        );
    }
}

#[test]
fn an_install_that_somebody_else_owns_is_refused() {
    let mut world = world();
    world.facts.installer = Installer::Other("self-managed by Kustomization flux-system".to_owned());
    assert_eq!(world.refused(), Reason::OwnerRefused);
}

#[test]
fn a_component_that_the_release_lacks_is_refused() {
    let mut world = world();
    world.order.contents.images.remove(&Component::HelmController);
    assert_eq!(world.refused(), Reason::ComponentUnknown);
}

#[test]
fn bytes_that_are_not_the_verified_ones_are_refused() {
    let mut world = world();
    world.layers.target = layer("another document");
    assert_eq!(world.refused(), Reason::ManifestsMismatch);
    let mut world = self::world();
    world.order.contents.document = Digest::of(b"another document");
    assert_eq!(world.refused(), Reason::ManifestsMismatch);
    let mut world = self::world();
    world.layers.baseline = layer("another document");
    assert_eq!(world.refused(), Reason::ManifestsMismatch);
}

#[test]
fn a_layer_that_holds_no_manifests_is_refused() {
    let mut world = world();
    world.layers.target = layer("not: [yaml");
    world.order.assignment.layer = Digest::of(&world.layers.target);
    world.order.contents.document = Digest::of(b"not: [yaml");
    assert_eq!(world.refused(), Reason::ManifestsUnreadable);
}

#[test]
fn an_image_that_maps_to_no_verified_digest_is_refused() {
    let mut world = world();
    let component = Component::SourceController;
    let other: ImageRef = "ghcr.io/fluxcd/source-controller:v1.0.0".parse().unwrap();
    world.order.contents.images.insert(component, contents(&other));
    assert_eq!(world.refused(), Reason::ImageUnmapped);
}

#[test]
fn a_hop_that_loses_a_stored_version_is_refused() {
    let mut world = world();
    let crd = world
        .facts
        .crds
        .get_mut("buckets.source.toolkit.fluxcd.io")
        .unwrap();
    crd.stored.insert("v1beta2".to_owned());
    assert_eq!(world.refused(), Reason::HopIllegal);
}

#[test]
fn the_baseline_must_be_what_runs() {
    let world = world();
    assert!(baseline_is_live(&world.order, &world.facts).is_ok());
    let changed = |change: &dyn Fn(&mut ClusterFacts)| {
        let mut facts = world.facts.clone();
        change(&mut facts);
        reason(baseline_is_live(&world.order, &facts).unwrap_err())
    };
    let source = Component::SourceController;
    let ids = |facts: &mut ClusterFacts, ids: BTreeSet<Digest>| {
        facts.components.get_mut(&source).unwrap().image_ids = ids;
    };
    let unknown = |facts: &mut ClusterFacts| ids(facts, BTreeSet::from([Digest::of(b"unknown")]));
    assert_eq!(changed(&unknown), Reason::BaselineImageUnknown);
    // A pod that is on its way is no fact about the step: it is looked at again.
    let mut between = world.facts.clone();
    ids(&mut between, BTreeSet::new());
    let error = baseline_is_live(&world.order, &between).unwrap_err();
    assert!(matches!(error, PreflightError::NoPod(component) if component == source));
    assert!(error.retryable());
    assert_eq!(
        changed(&|facts| drop(facts.components.remove(&source))),
        Reason::BaselineMoved
    );
    assert_eq!(
        changed(&|facts| drop(facts.crds.pop_first())),
        Reason::BaselineMoved
    );
}

#[test]
fn a_begun_task_goes_on_over_its_own_images_alone() {
    let world = world();
    let target = world.plan().unwrap().target;
    let source = Component::SourceController;
    let mut facts = world.facts.clone();
    facts.components.get_mut(&source).unwrap().image_ids = BTreeSet::from([target.images[&source].index]);
    assert!(still_ours(&world.order, &facts, &target).is_ok());
    facts.components.get_mut(&source).unwrap().image_ids = BTreeSet::from([Digest::of(b"unknown")]);
    assert_eq!(
        reason(still_ours(&world.order, &facts, &target).unwrap_err()),
        Reason::BaselineMoved
    );
}

#[test]
fn an_entry_tolerates_its_path_and_what_is_below_it() {
    let object = Object::read(serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "source-controller"}
    }))
    .unwrap();
    let env = "spec.containers[name=manager].env[name=A].value";
    let may = |entry: &str| install::tolerates(&[entry.to_owned()], &object, env);
    assert!(may(env));
    assert!(may("spec.containers[name=manager].env"));
    assert!(may("spec.containers[name=manager].env[name=A]"));
    assert!(may("Deployment/source-controller spec.containers"));
    assert!(!may("Deployment/helm-controller spec.containers"));
    assert!(!may("spec.containers[name=manager].en"));
    assert!(!may("spec.containers[name=manager].env[name=B]"));
    assert!(!may(""));
}
