//! Whether a cluster's CRDs can become those of another release.
//!
//! Rule: an API server refuses a CRD that drops a version which `status.storedVersions` names, even if no
//! object exists in it. A hop is legal when, for every live CRD that the target also has, all stored
//! versions are among the target's versions (confirmed on a real API server for 256 pairs of releases). A
//! live CRD that the target does not have is left alone: nothing deletes a CRD.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;

use domain::fleet::CrdFacts;
use domain::{CrdSet, Version};

/// A version in which objects of a CRD may be stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// Name of the CRD.
    pub crd: String,
    /// The version.
    pub version: String,
}

/// The target drops versions in which objects may be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the target drops versions that objects may be stored in: {}", list(stored))]
pub struct Blocked {
    /// What it drops, sorted by CRD.
    pub stored: Vec<Stored>,
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.crd, self.version)
    }
}

/// Whether the live CRDs may be replaced by the target's.
///
/// # Errors
/// What stands in the way.
pub fn check(live: &BTreeMap<String, CrdFacts>, target: &CrdSet) -> Result<(), Blocked> {
    let mut blocked = Vec::new();
    for (crd, facts) in live {
        let Some(set) = target.get(crd) else { continue };
        let dropped = facts.stored.difference(&set.versions);
        blocked.extend(dropped.map(|version| Stored {
            crd: crd.clone(),
            version: version.clone(),
        }));
    }
    if blocked.is_empty() {
        Ok(())
    } else {
        Err(Blocked { stored: blocked })
    }
}

/// For each CRD the versions other than the target's storage version in which objects may be stored: what a
/// storage migration under the target's CRDs has to rewrite. Empty sets are left out.
#[must_use]
pub fn needs_migration(
    live: &BTreeMap<String, CrdFacts>,
    target: &CrdSet,
) -> BTreeMap<String, BTreeSet<String>> {
    let others = |(crd, facts): (&String, &CrdFacts)| {
        let storage = &target.get(crd)?.storage;
        let others: BTreeSet<String> = facts
            .stored
            .iter()
            .filter(|version| *version != storage)
            .cloned()
            .collect();
        (!others.is_empty()).then(|| (crd.clone(), others))
    };
    live.iter().filter_map(others).collect()
}

/// What the live CRDs are once the target's were applied and all objects were migrated to their storage
/// versions: the beginning of the next hop.
#[must_use]
pub fn migrated(live: &BTreeMap<String, CrdFacts>, target: &CrdSet) -> BTreeMap<String, CrdFacts> {
    let mut after = live.clone();
    for (name, crd) in target {
        after.insert(
            name.clone(),
            CrdFacts {
                crd: crd.clone(),
                stored: [crd.storage.clone()].into(),
            },
        );
    }
    after
}

/// The fewest CRD sets to apply and migrate to, in order, before the target's are legal: empty for a direct
/// hop, `None` where no way leads over `between`. Of equally short ways the one over newer sets is taken.
///
/// Each step means: apply the set, migrate what [`needs_migration`] names; controllers are swapped once, at
/// the end.
#[must_use]
pub fn path(
    live: &BTreeMap<String, CrdFacts>,
    target: &CrdSet,
    between: &BTreeMap<Version, CrdSet>,
) -> Option<Vec<Version>> {
    (0..=between.len()).find_map(|length| path_of(length, live, target, between))
}

/// A way over exactly this many sets, upward.
fn path_of(
    length: usize,
    live: &BTreeMap<String, CrdFacts>,
    target: &CrdSet,
    between: &BTreeMap<Version, CrdSet>,
) -> Option<Vec<Version>> {
    let Some(rest) = length.checked_sub(1) else {
        return check(live, target).is_ok().then(Vec::new);
    };
    between
        .iter()
        .rev()
        .filter(|(_, set)| check(live, set).is_ok())
        .find_map(|(version, set)| {
            let newer = between.range((Bound::Excluded(version), Bound::Unbounded));
            let newer = newer
                .map(|(version, set)| (version.clone(), set.clone()))
                .collect();
            let mut way = path_of(rest, &migrated(live, set), target, &newer)?;
            way.insert(0, version.clone());
            Some(way)
        })
}

fn list(stored: &[Stored]) -> String {
    stored
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use domain::Component;

    use super::*;
    use crate::tables;

    fn set(text: &str, components: &BTreeSet<Component>) -> CrdSet {
        tables::crd_set(&text.parse().unwrap(), components).unwrap()
    }

    /// As a cluster is that was installed at this version and migrated.
    fn live(text: &str, components: &BTreeSet<Component>) -> BTreeMap<String, CrdFacts> {
        migrated(&BTreeMap::new(), &set(text, components))
    }

    fn six() -> BTreeSet<Component> {
        Component::ALL
            .into_iter()
            .filter(|component| *component != Component::SourceWatcher)
            .collect()
    }

    /// The table of `reference/rollout.md` section 3.1: components that block, by from and to.
    #[test]
    fn legal_hops_are_those_of_the_measured_table() {
        let (four, six) = (BTreeSet::from(Component::DEFAULT), six());
        let legal = |from: &str, to: &str, components: &BTreeSet<Component>| {
            check(&live(from, components), &set(to, components)).is_ok()
        };
        let targets = ["v2.6.4", "v2.7.5", "v2.8.8", "v2.9.4"];
        let table: [(&str, [bool; 4], [bool; 4]); 9] = [
            ("v2.0.1", [true, false, false, false], [true, false, false, false]),
            ("v2.1.2", [true, false, false, false], [true, false, false, false]),
            ("v2.2.3", [true, true, false, false], [true, false, false, false]),
            ("v2.3.0", [true, true, false, false], [true, true, false, false]),
            ("v2.4.0", [true, true, false, false], [true, true, false, false]),
            ("v2.5.1", [true, true, false, false], [true, true, false, false]),
            ("v2.6.4", [true, true, true, true], [true, true, true, false]),
            ("v2.7.5", [false, true, true, true], [false, true, true, true]),
            ("v2.8.8", [false, true, true, true], [false, true, true, true]),
        ];
        for (from, with_four, with_six) in table {
            let upward = |to: &&str| from.parse::<Version>().unwrap() <= to.parse::<Version>().unwrap();
            for ((to, with_four), with_six) in targets.iter().zip(with_four).zip(with_six) {
                if upward(to) {
                    assert_eq!(legal(from, to, &four), with_four, "{from} -> {to}, four");
                    assert_eq!(legal(from, to, &six), with_six, "{from} -> {to}, six");
                }
            }
        }
    }

    #[test]
    fn says_which_stored_version_stands_in_the_way() {
        let blocked = check(&live("v2.6.4", &six()), &set("v2.9.4", &six())).unwrap_err();
        let names: Vec<String> = blocked.stored.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "imagepolicies.image.toolkit.fluxcd.io v1beta2",
                "imagerepositories.image.toolkit.fluxcd.io v1beta2",
                "imageupdateautomations.image.toolkit.fluxcd.io v1beta2"
            ]
        );
        assert!(
            blocked
                .to_string()
                .contains("imagepolicies.image.toolkit.fluxcd.io v1beta2, ")
        );
    }

    #[test]
    fn a_detour_over_crd_sets_opens_the_way() {
        let start = live("v2.5.1", &six());
        let (between, target) = (set("v2.7.5", &six()), set("v2.9.4", &six()));
        assert!(check(&start, &target).is_err());
        check(&start, &between).unwrap();
        assert_eq!(needs_migration(&start, &between).len(), 4);
        let after = migrated(&start, &between);
        check(&after, &target).unwrap();
        assert!(needs_migration(&after, &target).is_empty());
    }

    /// The shortest ways of `reference/rollout.md` section 3.1, to 2.9.4 with six components.
    #[test]
    fn the_shortest_way_is_found() {
        let sets = |versions: &[&str]| {
            versions
                .iter()
                .map(|text| (text.parse().unwrap(), set(text, &six())))
                .collect()
        };
        let between: BTreeMap<Version, CrdSet> = sets(&["v2.6.4", "v2.7.5", "v2.8.8"]);
        let target = set("v2.9.4", &six());
        for (from, expected) in [
            ("v2.0.1", &["v2.6.4", "v2.8.8"] as &[&str]),
            ("v2.2.3", &["v2.6.4", "v2.8.8"]),
            ("v2.3.0", &["v2.7.5"]),
            ("v2.5.1", &["v2.7.5"]),
            ("v2.6.4", &["v2.8.8"]),
            ("v2.7.5", &[]),
            ("v2.9.3", &[]),
        ] {
            let way = path(&live(from, &six()), &target, &between).unwrap();
            assert_eq!(
                way.iter().map(ToString::to_string).collect::<Vec<_>>(),
                expected,
                "{from}"
            );
        }
        assert_eq!(path(&live("v2.0.1", &six()), &target, &sets(&["v2.8.8"])), None);
    }

    #[test]
    fn history_in_stored_versions_counts_and_foreign_crds_do_not() {
        let mut start = live("v2.9.3", &six());
        let target = set("v2.9.4", &six());
        check(&start, &target).unwrap();
        let kustomizations = start
            .get_mut("kustomizations.kustomize.toolkit.fluxcd.io")
            .unwrap();
        kustomizations.stored.insert("v1beta2".to_owned());
        assert_eq!(check(&start, &target).unwrap_err().stored.len(), 1);
        let four = set("v2.9.4", &[Component::SourceController].into());
        check(&start, &four).unwrap();
    }
}
