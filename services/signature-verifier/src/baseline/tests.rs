use bus::Area;
use domain::{CrdSet, CrdVersions};

use super::version::{Candidate, candidates, crds_fit};
use super::*;
use crate::fixture::{World, image, release};

mod images;

fn images(pinned_by: &Version, seed: &str) -> BTreeMap<Component, ImageContents> {
    Component::DEFAULT
        .into_iter()
        .map(|component| (component, image(component, pinned_by, seed)))
        .collect()
}

fn contents(release: ReleaseKey, images: BTreeMap<Component, ImageContents>) -> ReleaseContents {
    ReleaseContents {
        layer: Digest::of(release.to_string().as_bytes()),
        document: Digest::of(b"d"),
        release,
        images,
    }
}

fn baseline(version: Option<Version>) -> Baseline {
    Baseline {
        layer: version.as_ref().map(|_| Digest::of(b"l")),
        version,
        images: images(&Version::new(2, 9, 3), "x"),
        crds: CrdSet::new(),
    }
}

async fn attempts(journal: &Journal) -> Vec<Option<Version>> {
    let name = subject::verification_contents(Scope::Baseline(&baseline(None).key()), 1);
    let facts = journal.view().series(name.series()).await.unwrap();
    facts.iter().map(|fact| stated(fact).unwrap().version).collect()
}

#[tokio::test]
async fn a_version_that_is_known_later_is_the_next_attempt() {
    let world = World::new();
    let service = world.service().await;
    let (none, known) = (baseline(None), baseline(Some(Version::new(2, 9, 3))));
    for said in [&none, &none, &known, &known, &none] {
        publish(&service.journal, said).await.unwrap();
    }
    assert_eq!(
        attempts(&service.journal).await,
        [None, Some(Version::new(2, 9, 3))]
    );
    // Readers take the newest of each workflow.
    let view = service.journal.view();
    let newest = view.list(Area::Verification, "contents").await.unwrap();
    assert_eq!(newest.len(), 1);
    assert_eq!(stated(&newest[0]), Some(known));
}

#[tokio::test]
async fn a_baseline_is_said_again_by_a_key_that_acts() {
    let world = World::new();
    let known = baseline(Some(Version::new(2, 9, 3)));
    publish(&world.service().await.journal, &known).await.unwrap();
    let service = world.after_rotation().await;
    for _ in 0..2 {
        publish(&service.journal, &known).await.unwrap();
    }
    assert_eq!(attempts(&service.journal).await.len(), 2);
}

#[test]
fn releases_on_the_log_are_candidates_by_their_indexes() {
    let pinned = Version::new(2, 9, 4);
    let running = images(&pinned, "x");
    let newer = domain::ReleaseKey {
        version: Version::new(2, 9, 99),
        ..release(9)
    };
    let releases = [
        contents(release(4), running.clone()),
        contents(newer, running.clone()),
        contents(release(3), images(&Version::new(2, 9, 3), "x")),
    ];
    // 2.9.99 is in no table: only the log knows that it has these images.
    assert_eq!(
        candidates(&running, releases.iter()),
        [
            Candidate::Verified(&releases[1]),
            Candidate::Verified(&releases[0])
        ]
    );
    // Where the log has other indexes for the version, its tags say nothing.
    assert_eq!(candidates(&images(&pinned, "other"), releases.iter()), []);
    assert_eq!(
        candidates(&running, std::iter::empty()),
        [Candidate::Tagged(pinned)]
    );
}

#[test]
fn mixed_images_have_no_candidate() {
    let mut running = images(&Version::new(2, 9, 4), "x");
    let odd = Component::HelmController;
    running.insert(odd, image(odd, &Version::new(2, 7, 0), "x"));
    let releases = [contents(release(4), images(&Version::new(2, 9, 4), "x"))];
    assert_eq!(candidates(&running, releases.iter()), []);
}

#[test]
fn foreign_and_left_over_crds_do_not_hide_the_version() {
    let running: BTreeSet<Component> = Component::DEFAULT.into();
    let brought = flux::tables::crd_set(&Version::new(2, 9, 4), &running).unwrap();
    let odd = CrdVersions {
        versions: ["v1alpha2".to_owned()].into(),
        storage: "v1alpha2".to_owned(),
    };
    let with = |name: &str| {
        let mut found = brought.clone();
        found.insert(name.to_owned(), odd.clone());
        found
    };
    let fits = |found: &CrdSet| crds_fit(&brought, found, &running);
    assert!(fits(&brought));
    assert!(fits(&with("terraforms.infra.contrib.fluxcd.io")));
    assert!(fits(&with("imagepolicies.image.toolkit.fluxcd.io")));
    // Another version of what belongs here, one that is missing, one of a component that runs.
    assert!(!fits(&with("buckets.source.toolkit.fluxcd.io")));
    let mut missing = brought.clone();
    missing.remove("buckets.source.toolkit.fluxcd.io");
    assert!(!fits(&missing));
    let mut older = brought.clone();
    older.remove("buckets.source.toolkit.fluxcd.io");
    assert!(!crds_fit(&older, &brought, &running));
}
