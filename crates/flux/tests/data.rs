//! What `flux` says about releases, compared with upstream's own manifests.
//!
//! Reads `$FLUXGATE_TEST_DATA/flux-manifests` (default: `../shared/data` beside the workspace). Where it is
//! absent the tests are listed as ignored; `FLUXGATE_REQUIRE_TEST_DATA=1` makes absence a failure.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test binary with its own harness, so clippy.toml does not see that these are tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use domain::{Artifact, Component, Digest, ImageRef, Version};
use flux::manifest::{self, Object};
use flux::{hop, identity, pin, subset, tables};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let data = std::env::var_os("FLUXGATE_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let manifests = data.join("flux-manifests");
    let absent = !manifests.join("releases.csv").is_file();
    if absent {
        let text = format!("no test data at {}", manifests.display());
        assert!(
            std::env::var_os("FLUXGATE_REQUIRE_TEST_DATA").is_none_or(|v| v != "1"),
            "{text}"
        );
        eprintln!("{text}: the real-data tests of flux are ignored");
    }
    let mut trials = Vec::new();
    let mut add = |name: &str, check: fn(&Path)| {
        let manifests = manifests.clone();
        let run = move || -> Result<(), Failed> {
            check(&manifests);
            Ok(())
        };
        trials.push(Trial::test(name, run).with_ignored_flag(absent));
    };
    add(
        "subsets_equal_what_upstream_generates",
        subsets_equal_what_upstream_generates,
    );
    add(
        "subsets_are_upstreams_files_byte_for_byte",
        subsets_are_upstreams_files_byte_for_byte,
    );
    add(
        "every_subset_of_the_newest_release_renders",
        every_subset_of_the_newest_release_renders,
    );
    add(
        "release_table_equals_the_list_of_tags",
        release_table_equals_the_list_of_tags,
    );
    add("tables_equal_every_manifest", tables_equal_every_manifest);
    add(
        "every_object_has_its_labelled_owner",
        every_object_has_its_labelled_owner,
    );
    add("every_manifest_can_be_pinned", every_manifest_can_be_pinned);
    add(
        "hops_between_all_pairs_equal_the_tables",
        hops_between_all_pairs_equal_the_tables,
    );
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The versions with manifests, oldest first.
fn versions(manifests: &Path) -> Vec<Version> {
    let mut versions: Vec<Version> = std::fs::read_dir(manifests)
        .unwrap()
        .filter_map(|entry| {
            format!("v{}", entry.unwrap().file_name().to_str().unwrap())
                .parse()
                .ok()
        })
        .collect();
    versions.sort();
    assert!(versions.len() >= 16, "{versions:?}");
    versions
}

/// The objects of one file; `None` where the data has none.
fn read(manifests: &Path, version: &Version, file: &str) -> Option<Vec<Object>> {
    let path = manifests.join(version.semver().to_string()).join(file);
    path.is_file()
        .then(|| manifest::parse(&std::fs::read_to_string(path).unwrap()).unwrap())
}

const ALL: &str = "gotk-components.all.yaml";
const SIX: &str = "gotk-components.yaml";
const DEFAULT: &str = "gotk-components.default.yaml";

fn assert_same(rendered: &[Object], upstream: &[Object], what: &str) {
    let names = |objects: &[Object]| objects.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(rendered), names(upstream), "{what}");
    for (ours, theirs) in rendered.iter().zip(upstream) {
        assert_eq!(ours, theirs, "{what}: {ours}");
    }
}

/// The text of one file; `None` where the data has none.
fn text(manifests: &Path, version: &Version, file: &str) -> Option<String> {
    let path = manifests.join(version.semver().to_string()).join(file);
    path.is_file().then(|| std::fs::read_to_string(path).unwrap())
}

/// Byte for byte, wherever the data has two files of one version.
fn subsets_are_upstreams_files_byte_for_byte(manifests: &Path) {
    let (mut compared, mut defaults) = (0, 0);
    let all = versions(manifests);
    for version in &all {
        let files: Vec<String> = [ALL, SIX, DEFAULT]
            .iter()
            .filter_map(|file| text(manifests, version, file))
            .collect();
        // The oldest file becomes itself as well.
        let itself = usize::from(version != &all[0]);
        for (index, full) in files.iter().enumerate() {
            for upstream in &files[index + itself..] {
                let keep = manifest::components(&manifest::parse(upstream).unwrap());
                let rendered = subset::text(full, &keep).unwrap();
                let differs = rendered
                    .lines()
                    .zip(upstream.lines())
                    .find(|(ours, theirs)| ours != theirs);
                assert_eq!(differs, None, "{version}, {} components", keep.len());
                assert_eq!(
                    rendered.len(),
                    upstream.len(),
                    "{version}, {} components",
                    keep.len()
                );
                compared += 1;
                defaults += usize::from(keep.len() == 4 && full != upstream);
            }
        }
    }
    // The pairs of 2.6.4, 2.7.5, 2.8.8, 2.9.4, and 2.0.1: seven onto four in both versions that have them.
    assert!(compared >= 9 && defaults >= 5, "{compared} and {defaults}");
}

fn subsets_equal_what_upstream_generates(manifests: &Path) {
    let mut compared = 0;
    for version in versions(manifests) {
        let files: Vec<Vec<Object>> = [ALL, SIX, DEFAULT]
            .iter()
            .filter_map(|file| read(manifests, &version, file))
            .collect();
        for (index, full) in files.iter().enumerate() {
            for upstream in &files[index..] {
                let keep = manifest::components(upstream);
                let rendered = subset::render(full, &keep).unwrap();
                assert_same(
                    &rendered,
                    upstream,
                    &format!("{version}, {} components", keep.len()),
                );
                compared += usize::from(keep.len() < manifest::components(full).len());
            }
        }
    }
    // all -> six for 2.7.5, 2.8.8, 2.9.4; all -> four for 2.8.8, 2.9.4; six -> four for 2.6.4, 2.8.8, 2.9.4.
    assert!(compared >= 8, "{compared}");
}

fn every_subset_of_the_newest_release_renders(manifests: &Path) {
    let full = read(manifests, &Version::new(2, 9, 4), ALL).unwrap();
    for bits in 1_u8..128 {
        let chosen =
            |(index, component): (usize, Component)| (bits & (1_u8 << index) != 0).then_some(component);
        let keep: BTreeSet<Component> = Component::ALL
            .into_iter()
            .enumerate()
            .filter_map(chosen)
            .collect();
        let rendered = subset::render(&full, &keep).unwrap();
        assert_eq!(manifest::components(&rendered), keep);
        assert_eq!(
            manifest::crd_set(&rendered).unwrap(),
            tables::crd_set(&Version::new(2, 9, 4), &keep).unwrap()
        );
        for object in rendered.iter().filter(|object| object.kind == "Deployment") {
            let args = object
                .value
                .pointer("/spec/template/spec/containers/0/args")
                .unwrap()
                .to_string();
            let listens = keep.contains(&Component::NotificationController);
            assert_eq!(
                args.contains("--events-addr=http"),
                listens && object.name != "notification-controller"
            );
            let gated = keep.contains(&Component::SourceWatcher)
                && ["kustomize-controller", "helm-controller"].contains(&object.name.as_str());
            assert_eq!(args.contains("ExternalArtifact=true"), gated, "{keep:?} {object}");
        }
    }
}

fn release_table_equals_the_list_of_tags(manifests: &Path) {
    let text = std::fs::read_to_string(manifests.join("releases.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let mut listed = Vec::new();
    for line in lines {
        let row: BTreeMap<&str, &str> = header.iter().copied().zip(line).collect();
        let version: Version = format!("v{}", row["flux"]).parse().unwrap();
        let tags: BTreeMap<Component, Version> = Component::ALL
            .into_iter()
            .filter(|component| !row[component.name()].is_empty())
            .map(|component| (component, row[component.name()].parse().unwrap()))
            .collect();
        assert_eq!(tables::tags(&version), Some(tags), "{version}");
        let floor = format!(">=1.{}.0-0", tables::kubernetes_floor(&version).unwrap());
        assert_eq!(row["flux_check_kubernetes"], floor, "{version}");
        listed.push(version);
    }
    assert_eq!(tables::releases().collect::<Vec<_>>(), listed);
}

fn tables_equal_every_manifest(manifests: &Path) {
    for version in versions(manifests) {
        for file in [ALL, SIX, DEFAULT] {
            let Some(objects) = read(manifests, &version, file) else {
                continue;
            };
            let components = manifest::components(&objects);
            assert_eq!(manifest::version(&objects).as_ref(), Some(&version));
            let crds = manifest::crd_set(&objects).unwrap();
            assert_eq!(
                Some(crds),
                tables::crd_set(&version, &components),
                "{version} {file}"
            );
            let tags = tables::tags(&version).unwrap();
            for (component, image) in manifest::images(&objects).unwrap() {
                let expected = format!("ghcr.io/fluxcd/{component}:{}", tags[&component]);
                assert_eq!(image.to_string(), expected, "{version} {file}");
            }
            for crd in objects.iter().filter(|object| object.is_crd()) {
                let known = tables::crds().find(|known| known.name() == crd.name).unwrap();
                let kind = crd.value.pointer("/spec/names/kind").unwrap().as_str().unwrap();
                let plural = crd.value.pointer("/spec/names/plural").unwrap().as_str().unwrap();
                assert_eq!((kind, plural), (known.kind, known.plural));
            }
        }
    }
}

fn every_object_has_its_labelled_owner(manifests: &Path) {
    for version in versions(manifests) {
        for file in [ALL, SIX, DEFAULT] {
            for object in read(manifests, &version, file).unwrap_or_default() {
                let owner = tables::owner(&object.kind, &object.name);
                let labelled = match object.label(manifest::COMPONENT_LABEL) {
                    Some(label) => tables::Owner::Component(label.parse().unwrap()),
                    None => tables::Owner::Install,
                };
                assert_eq!(owner, Some(labelled), "{version} {object}");
            }
        }
    }
}

fn every_manifest_can_be_pinned(manifests: &Path) {
    for version in versions(manifests) {
        let Some(objects) = read(manifests, &version, ALL).or_else(|| read(manifests, &version, SIX)) else {
            panic!("{version} has no manifest")
        };
        let verified: BTreeMap<Component, ImageRef> = manifest::images(&objects)
            .unwrap()
            .into_iter()
            .map(|(component, image)| (component, image.pinned(Digest::of(component.name().as_bytes()))))
            .collect();
        let pinned = pin::images(&objects, &verified, "registry.example.com/ghcr").unwrap();
        for object in pinned.iter().filter(|object| object.kind == "Deployment") {
            let image = object
                .value
                .pointer("/spec/template/spec/containers/0/image")
                .unwrap();
            let component: Component = object.name.parse().unwrap();
            let upstream = identity::repository(Artifact::Image(component));
            let expected = verified[&component].to_string().replace(
                &upstream,
                &format!("registry.example.com/ghcr/fluxcd/{component}"),
            );
            assert_eq!(image.as_str(), Some(expected.as_str()));
        }
        let changed = pinned
            .iter()
            .zip(&objects)
            .filter(|(ours, theirs)| ours != theirs)
            .count();
        assert_eq!(changed, verified.len());
    }
}

/// All pairs of the data's manifests with six components, by their real CRDs and by the tables.
fn hops_between_all_pairs_equal_the_tables(manifests: &Path) {
    let six: BTreeSet<Component> = Component::ALL
        .into_iter()
        .filter(|component| *component != Component::SourceWatcher)
        .collect();
    let sets: Vec<_> = versions(manifests)
        .into_iter()
        .map(|version| {
            let real = manifest::crd_set(&read(manifests, &version, SIX).unwrap()).unwrap();
            let table = tables::crd_set(&version, &six).unwrap();
            (version, real, table)
        })
        .collect();
    let mut refused = 0;
    for (from, real_from, table_from) in &sets {
        for (to, real_to, table_to) in &sets {
            let real = hop::check(&hop::migrated(&BTreeMap::new(), real_from), real_to);
            let table = hop::check(&hop::migrated(&BTreeMap::new(), table_from), table_to);
            assert_eq!(real, table, "{from} -> {to}");
            refused += usize::from(real.is_err());
        }
    }
    assert!(refused > 0 && refused < sets.len() * sets.len(), "{refused}");
}
