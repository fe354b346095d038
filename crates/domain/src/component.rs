//! The components of a Flux distribution.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A controller of Flux, in the order in which upstream writes them into its manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// Fetches sources and serves them as artifacts.
    SourceController,
    /// Applies Kustomizations.
    KustomizeController,
    /// Applies HelmReleases.
    HelmController,
    /// Sends and receives events.
    NotificationController,
    /// Scans image registries.
    ImageReflectorController,
    /// Commits image updates.
    ImageAutomationController,
    /// Composes artifacts (Flux 2.7 and later).
    SourceWatcher,
}

/// What a release is made of: the manifests artifact, and one image for each component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Artifact {
    /// `ghcr.io/fluxcd/flux-manifests`, the OCI artifact with all install manifests.
    FluxManifests,
    /// The image of a controller.
    Image(Component),
}

/// Why a text names no component or artifact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no artifact of Flux; known are flux-manifests and the seven controllers")]
pub struct ParseComponentError {
    /// What was read.
    pub text: String,
}

impl Component {
    /// All seven, in upstream's order.
    pub const ALL: [Self; 7] = [
        Self::SourceController,
        Self::KustomizeController,
        Self::HelmController,
        Self::NotificationController,
        Self::ImageReflectorController,
        Self::ImageAutomationController,
        Self::SourceWatcher,
    ];

    /// The four that `flux install` installs when nothing is said.
    pub const DEFAULT: [Self; 4] = [
        Self::SourceController,
        Self::KustomizeController,
        Self::HelmController,
        Self::NotificationController,
    ];

    /// The name of its Deployment, its ServiceAccount and its image repository.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SourceController => "source-controller",
            Self::KustomizeController => "kustomize-controller",
            Self::HelmController => "helm-controller",
            Self::NotificationController => "notification-controller",
            Self::ImageReflectorController => "image-reflector-controller",
            Self::ImageAutomationController => "image-automation-controller",
            Self::SourceWatcher => "source-watcher",
        }
    }
}

impl Artifact {
    /// The last part of its repository's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FluxManifests => "flux-manifests",
            Self::Image(component) => component.name(),
        }
    }

    /// All artifacts of a release: the manifests, then the seven images.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::FluxManifests).chain(Component::ALL.into_iter().map(Self::Image))
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Component {
    type Err = ParseComponentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|component| component.name() == text)
            .ok_or_else(|| ParseComponentError {
                text: text.to_owned(),
            })
    }
}

impl FromStr for Artifact {
    type Err = ParseComponentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::all()
            .find(|artifact| artifact.name() == text)
            .ok_or_else(|| ParseComponentError {
                text: text.to_owned(),
            })
    }
}

macro_rules! serde_as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

serde_as_text!(Component, Artifact);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for artifact in Artifact::all() {
            assert_eq!(artifact.name().parse::<Artifact>().unwrap(), artifact);
        }
        assert!("flux-cli".parse::<Artifact>().is_err());
        assert!("flux-manifests".parse::<Component>().is_err());
    }
}
