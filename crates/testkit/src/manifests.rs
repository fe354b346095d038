//! The seven-component install manifest of a release, as `ghcr.io/fluxcd/flux-manifests` carries it.
//!
//! Upstream's own file where the test data has it; else one written here from [`flux::tables`], with the
//! same objects, names, labels, images and CRD version sets, which a real API server accepts. Everything but
//! the CRDs' schemas equals upstream's objects (the tests compare all releases of the data). Where the data
//! has a release with six components only, source-watcher's objects come from here.
//!
//! A version that is not out yet gets what the newest release before it has, with raised tags: the demo
//! needs a next release that nobody has seen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::{Component, Version};
use flux::manifest::{self, Object};
use flux::tables;
use serde_json::Value;

mod controllers;
mod install;
mod yaml;

/// First release with source-watcher, pod labels, and events addressed by the running namespace.
const WITH_SOURCE_WATCHER: Version = Version::new(2, 7, 0);

/// Where the manifest of a release comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Upstream's file as it is.
    Real(PathBuf),
    /// Upstream's file with six components, to which source-watcher is added.
    WithSourceWatcher(PathBuf),
    /// Written here.
    Synthetic,
}

/// The manifest document of a release: YAML, all of its components.
///
/// # Panics
/// If the test data has a file for it that cannot be read or parsed: a broken environment, which no caller
/// can work around, and which must not turn into a synthetic manifest by itself.
#[must_use]
#[expect(
    clippy::panic,
    reason = "test data that is there and broken ends the test or the demo"
)]
pub fn document(version: &Version) -> String {
    match source(version) {
        Source::Real(path) => read(&path),
        Source::WithSourceWatcher(path) => match manifest::parse(&read(&path)) {
            Ok(objects) => yaml::stream(&header(version), &with_source_watcher(objects, version)),
            Err(error) => panic!("parsing {}: {error}", path.display()),
        },
        Source::Synthetic => synthetic(version),
    }
}

/// Where [`document`] takes this release from: the test data at `$FLUXGATE_TEST_DATA`, by default
/// `../shared/data` beside the workspace.
#[must_use]
pub fn source(version: &Version) -> Source {
    let folder = data().join("flux-manifests").join(version.semver().to_string());
    let (all, six) = (
        folder.join("gotk-components.all.yaml"),
        folder.join("gotk-components.yaml"),
    );
    if all.is_file() {
        Source::Real(all)
    } else if !six.is_file() {
        Source::Synthetic
    } else if *version < WITH_SOURCE_WATCHER {
        Source::Real(six)
    } else {
        Source::WithSourceWatcher(six)
    }
}

/// The document as written here, whatever the test data has.
#[must_use]
pub fn synthetic(version: &Version) -> String {
    let release = Release::of(version);
    let mut objects = install::objects(&release);
    for component in release.tags.keys() {
        objects.extend(controllers::objects(&release, *component));
    }
    yaml::stream(&header(version), &objects)
}

/// What the objects of a release depend on.
struct Release {
    version: Version,
    /// The newest release that was read and is not newer: what `version` is taken to be like.
    like: Version,
    tags: BTreeMap<Component, Version>,
}

impl Release {
    fn of(version: &Version) -> Self {
        let like = tables::releases()
            .rfind(|known| known <= version)
            .or_else(|| tables::releases().next())
            .unwrap_or(WITH_SOURCE_WATCHER);
        let tags = tables::tags(&like).unwrap_or_default();
        let tags = tags
            .into_iter()
            .map(|(component, tag)| (component, raised(&tag, &like, version)));
        Self {
            version: version.clone(),
            tags: tags.collect(),
            like,
        }
    }

    /// Whether upstream had made a change that came with this version.
    fn has(&self, since: &Version) -> bool {
        self.like >= *since
    }
}

/// A controller's tag in a release that was not read, from its tag in a release that was.
fn raised(tag: &Version, like: &Version, version: &Version) -> Version {
    let (tag, like, version) = (tag.semver(), like.semver(), version.semver());
    let minors = version.minor.saturating_sub(like.minor);
    if minors > 0 {
        Version::new(tag.major, tag.minor + minors, version.patch)
    } else {
        Version::new(
            tag.major,
            tag.minor,
            tag.patch + version.patch.saturating_sub(like.patch),
        )
    }
}

/// Upstream's objects for six components, as upstream writes them for seven.
fn with_source_watcher(objects: Vec<Object>, version: &Version) -> Vec<Value> {
    let gated = [
        Component::KustomizeController.name(),
        Component::HelmController.name(),
    ];
    let mut values: Vec<Value> = Vec::new();
    for mut object in objects {
        let arguments = object.value.pointer_mut("/spec/template/spec/containers/0/args");
        if let (true, Some(Value::Array(arguments))) = (gated.contains(&object.name.as_str()), arguments) {
            arguments.push(controllers::EXTERNAL_ARTIFACT.into());
        }
        values.push(object.value);
    }
    values.extend(controllers::objects(
        &Release::of(version),
        Component::SourceWatcher,
    ));
    values
}

fn header(version: &Version) -> String {
    format!("# Install manifest of Flux, for tests and the demo.\n# Flux Version: {version}\n")
}

#[expect(clippy::panic, reason = "see `document`")]
fn read(path: &Path) -> String {
    match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => panic!("reading {}: {error}", path.display()),
    }
}

fn data() -> PathBuf {
    std::env::var_os("FLUXGATE_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    )
}

#[cfg(test)]
mod tests;
