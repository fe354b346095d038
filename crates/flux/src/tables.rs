//! Known releases of Flux: component tags, CRD version sets, objects and their owners.
//!
//! Rule: a table answers for what was read from upstream and says `None` for everything else. What a
//! release contains is read from its verified manifests; these tables serve where there are no manifests
//! at hand: to tell what a cluster runs, to plan hops over CRD sets, and to write manifests for tests.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Component, CrdSet, CrdVersions, Version};

mod crds;
mod objects;
mod releases;

pub use objects::{Owner, owner};
use releases::{RELEASES, Row, Triple};

/// A CRD of Flux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Crd {
    /// Plural, like `buckets`.
    pub plural: &'static str,
    /// API group, like `source.toolkit.fluxcd.io`.
    pub group: &'static str,
    /// Kind of its objects, like `Bucket`.
    pub kind: &'static str,
    /// The component that brings it.
    pub component: Component,
}

impl Crd {
    /// Name of the CRD object: plural and group, like `buckets.source.toolkit.fluxcd.io`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.plural, self.group)
    }
}

/// All known releases, oldest first: 2.0.0 to 2.9.4.
pub fn releases() -> impl DoubleEndedIterator<Item = Version> {
    RELEASES.iter().map(|row| version(row.flux))
}

/// The tag of each component that this release pins; source-watcher from 2.7 on. `None` for an unknown
/// release.
#[must_use]
pub fn tags(release: &Version) -> Option<BTreeMap<Component, Version>> {
    find(release).map(|row| {
        let all = row.controllers.into_iter().map(Some).chain([row.source_watcher]);
        Component::ALL
            .into_iter()
            .zip(all)
            .filter_map(|(component, tag)| Some((component, version(tag?))))
            .collect()
    })
}

/// The releases that pin exactly these tags for these components, oldest first. More than one where
/// releases differ in the CLI alone (2.8.3 and 2.8.4) or in components that are not asked about.
#[must_use]
pub fn releases_with(seen: &BTreeMap<Component, Version>) -> Vec<Version> {
    let pins = |release: &Version| {
        tags(release).is_some_and(|tags| {
            seen.iter()
                .all(|(component, tag)| tags.get(component) == Some(tag))
        })
    };
    if seen.is_empty() {
        Vec::new()
    } else {
        releases().filter(pins).collect()
    }
}

/// The lowest minor of Kubernetes 1.x that `flux check` of this release accepts.
#[must_use]
pub fn kubernetes_floor(release: &Version) -> Option<u64> {
    find(release).map(|row| row.kubernetes)
}

/// Every CRD that a release of Flux 2 ever had, in upstream's order.
pub fn crds() -> impl DoubleEndedIterator<Item = Crd> {
    crds::CRDS.iter().map(|row| Crd {
        plural: row.plural,
        group: row.group,
        kind: row.kind,
        component: row.component,
    })
}

/// The component that brings the CRD of this name.
#[must_use]
pub fn crd_owner(name: &str) -> Option<Component> {
    crds().find(|crd| crd.name() == name).map(|crd| crd.component)
}

/// The CRDs of these components in this minor of Flux 2, with their versions. `None` for a minor that was
/// not read: 2.0 to 2.9 are known. A patch release never changed a version set.
#[must_use]
pub fn crd_set(release: &Version, components: &BTreeSet<Component>) -> Option<CrdSet> {
    let known = releases().any(|known| {
        (known.semver().major, known.semver().minor) == (release.semver().major, release.semver().minor)
    });
    let set_of = |row: &crds::Row| {
        let set = row
            .sets
            .iter()
            .rev()
            .find(|set| set.since <= release.semver().minor)?;
        let versions = set
            .others
            .iter()
            .chain([&set.storage])
            .map(|version| (*version).to_owned())
            .collect();
        let crd = CrdVersions {
            versions,
            storage: set.storage.to_owned(),
        };
        Some((format!("{}.{}", row.plural, row.group), crd))
    };
    known.then(|| {
        crds::CRDS
            .iter()
            .filter(|row| components.contains(&row.component))
            .filter_map(set_of)
            .collect()
    })
}

fn find(release: &Version) -> Option<&'static Row> {
    RELEASES.iter().find(|row| version(row.flux) == *release)
}

const fn version((major, minor, patch): Triple) -> Version {
    Version::new(major, minor, patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> BTreeSet<Component> {
        Component::ALL.into()
    }

    #[test]
    fn releases_are_in_order_and_name_what_they_pin() {
        let listed: Vec<Version> = releases().collect();
        assert_eq!(listed.len(), 38);
        assert!(listed.is_sorted());
        let tags = tags(&Version::new(2, 9, 4)).unwrap();
        assert_eq!(tags.len(), 7);
        assert_eq!(tags[&Component::KustomizeController], Version::new(1, 9, 4));
        assert_eq!(super::tags(&Version::new(2, 6, 4)).unwrap().len(), 6);
        assert_eq!(super::tags(&Version::new(2, 9, 99)), None);
        assert_eq!(kubernetes_floor(&Version::new(2, 9, 4)), Some(33));
    }

    #[test]
    fn releases_that_pin_the_same_are_all_named() {
        let seen = tags(&Version::new(2, 8, 3)).unwrap();
        assert_eq!(
            releases_with(&seen),
            [Version::new(2, 8, 3), Version::new(2, 8, 4)]
        );
        let mut mixed = seen;
        mixed.insert(Component::HelmController, Version::new(1, 4, 0));
        assert!(releases_with(&mixed).is_empty());
        assert!(releases_with(&BTreeMap::new()).is_empty());
    }

    #[test]
    fn crd_sets_follow_the_minor() {
        let set = |minor, patch| crd_set(&Version::new(2, minor, patch), &all()).unwrap();
        assert_eq!(set(6, 4).len(), 13);
        assert_eq!(set(7, 0).len(), 15);
        assert_eq!(set(9, 4)["buckets.source.toolkit.fluxcd.io"].storage, "v1");
        assert_eq!(
            set(0, 1)["helmreleases.helm.toolkit.fluxcd.io"].storage,
            "v2beta1"
        );
        assert_eq!(set(9, 99), set(9, 4));
        assert_eq!(crd_set(&Version::new(2, 10, 0), &all()), None);
        assert_eq!(crd_set(&Version::new(1, 9, 0), &all()), None);
        let four = crd_set(&Version::new(2, 9, 4), &Component::DEFAULT.into()).unwrap();
        assert_eq!(four.len(), 11);
    }

    #[test]
    fn every_crd_has_one_owner() {
        let names: BTreeSet<String> = crds().map(|crd| crd.name()).collect();
        assert_eq!(names.len(), crds().count());
        assert_eq!(
            crd_owner("alerts.notification.toolkit.fluxcd.io"),
            Some(Component::NotificationController)
        );
        assert_eq!(crd_owner("certificates.cert-manager.io"), None);
    }
}
