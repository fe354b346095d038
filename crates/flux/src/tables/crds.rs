//! The CRDs of Flux: whose they are, and their versions by minor release.
//!
//! In all sixteen manifests of the test data a version set changes with a minor release and never with a
//! patch, so a row names the minor from which it holds. Every version in a set is served. No CRD has a
//! conversion webhook, and all are namespaced.

use domain::Component;

/// One CRD.
pub(super) struct Row {
    /// Plural, the first part of the CRD's name.
    pub(super) plural: &'static str,
    /// API group, the rest of the CRD's name.
    pub(super) group: &'static str,
    /// Kind of its objects.
    pub(super) kind: &'static str,
    /// The component that brings it.
    pub(super) component: Component,
    /// Its version sets, oldest first; before the first one the CRD does not exist.
    pub(super) sets: &'static [Set],
}

/// A version set, from one minor of Flux 2 on.
pub(super) struct Set {
    /// Minor of Flux 2.
    pub(super) since: u64,
    /// The version with `storage: true`.
    pub(super) storage: &'static str,
    /// The other versions.
    pub(super) others: &'static [&'static str],
}

const fn set(since: u64, storage: &'static str, others: &'static [&'static str]) -> Set {
    Set {
        since,
        storage,
        others,
    }
}

const SOURCE: &str = "source.toolkit.fluxcd.io";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io";
const HELM: &str = "helm.toolkit.fluxcd.io";
const NOTIFICATION: &str = "notification.toolkit.fluxcd.io";
const IMAGE: &str = "image.toolkit.fluxcd.io";
const EXTENSIONS: &str = "source.extensions.fluxcd.io";

/// All CRDs, in upstream's order.
pub(super) const CRDS: [Row; 15] = [
    Row {
        plural: "buckets",
        group: SOURCE,
        kind: "Bucket",
        component: Component::SourceController,
        sets: &[
            set(0, "v1beta2", &["v1beta1"]),
            set(4, "v1", &["v1beta1", "v1beta2"]),
            set(7, "v1", &["v1beta2"]),
            set(8, "v1", &[]),
        ],
    },
    Row {
        plural: "externalartifacts",
        group: SOURCE,
        kind: "ExternalArtifact",
        component: Component::SourceController,
        sets: &[set(7, "v1", &[])],
    },
    Row {
        plural: "gitrepositories",
        group: SOURCE,
        kind: "GitRepository",
        component: Component::SourceController,
        sets: &[
            set(0, "v1", &["v1beta1", "v1beta2"]),
            set(7, "v1", &["v1beta2"]),
            set(8, "v1", &[]),
        ],
    },
    Row {
        plural: "helmcharts",
        group: SOURCE,
        kind: "HelmChart",
        component: Component::SourceController,
        sets: HELM_SOURCES,
    },
    Row {
        plural: "helmrepositories",
        group: SOURCE,
        kind: "HelmRepository",
        component: Component::SourceController,
        sets: HELM_SOURCES,
    },
    Row {
        plural: "ocirepositories",
        group: SOURCE,
        kind: "OCIRepository",
        component: Component::SourceController,
        sets: &[
            set(0, "v1beta2", &[]),
            set(6, "v1", &["v1beta2"]),
            set(8, "v1", &[]),
        ],
    },
    Row {
        plural: "kustomizations",
        group: KUSTOMIZE,
        kind: "Kustomization",
        component: Component::KustomizeController,
        sets: &[
            set(0, "v1", &["v1beta1", "v1beta2"]),
            set(7, "v1", &["v1beta2"]),
            set(8, "v1", &[]),
        ],
    },
    Row {
        plural: "helmreleases",
        group: HELM,
        kind: "HelmRelease",
        component: Component::HelmController,
        sets: &[
            set(0, "v2beta1", &[]),
            set(2, "v2beta2", &["v2beta1"]),
            set(3, "v2", &["v2beta1", "v2beta2"]),
            set(7, "v2", &["v2beta2"]),
            set(8, "v2", &[]),
        ],
    },
    Row {
        plural: "alerts",
        group: NOTIFICATION,
        kind: "Alert",
        component: Component::NotificationController,
        sets: SENDERS,
    },
    Row {
        plural: "providers",
        group: NOTIFICATION,
        kind: "Provider",
        component: Component::NotificationController,
        sets: SENDERS,
    },
    Row {
        plural: "receivers",
        group: NOTIFICATION,
        kind: "Receiver",
        component: Component::NotificationController,
        sets: &[
            set(0, "v1", &["v1beta1", "v1beta2"]),
            set(7, "v1", &["v1beta2"]),
            set(9, "v1", &[]),
        ],
    },
    Row {
        plural: "imagepolicies",
        group: IMAGE,
        kind: "ImagePolicy",
        component: Component::ImageReflectorController,
        sets: IMAGES,
    },
    Row {
        plural: "imagerepositories",
        group: IMAGE,
        kind: "ImageRepository",
        component: Component::ImageReflectorController,
        sets: IMAGES,
    },
    Row {
        plural: "imageupdateautomations",
        group: IMAGE,
        kind: "ImageUpdateAutomation",
        component: Component::ImageAutomationController,
        sets: &[
            set(0, "v1beta1", &[]),
            set(3, "v1beta2", &["v1beta1"]),
            set(7, "v1", &["v1beta2"]),
            set(9, "v1", &[]),
        ],
    },
    Row {
        plural: "artifactgenerators",
        group: EXTENSIONS,
        kind: "ArtifactGenerator",
        component: Component::SourceWatcher,
        sets: &[set(7, "v1beta1", &[])],
    },
];

/// HelmChart and HelmRepository moved together.
const HELM_SOURCES: &[Set] = &[
    set(0, "v1beta2", &["v1beta1"]),
    set(3, "v1", &["v1beta1", "v1beta2"]),
    set(7, "v1", &["v1beta2"]),
    set(8, "v1", &[]),
];

/// Alert and Provider moved together.
const SENDERS: &[Set] = &[
    set(0, "v1beta2", &["v1beta1"]),
    set(2, "v1beta3", &["v1beta1", "v1beta2"]),
    set(7, "v1beta3", &["v1beta2"]),
    set(9, "v1beta3", &[]),
];

/// ImagePolicy and ImageRepository moved together.
const IMAGES: &[Set] = &[
    set(0, "v1beta2", &["v1beta1"]),
    set(7, "v1", &["v1beta2"]),
    set(9, "v1", &[]),
];
