//! Stops: a person says that nothing is begun in a scope, or no longer so. One kind of statement for pause,
//! freeze, hold and recall; the kind follows from the scope.

use std::fmt;
use std::str::FromStr;

use crate::{ClusterMember, ClusterName, RolloutKey, Version};

/// What a stop stops. Written `fleet`, `wave/NAME`, `label/KEY=VALUE`, `cluster/NAME`, `rollout/KEY` or
/// `version/vX.Y.Z`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopScope {
    /// Every cluster.
    Fleet,
    /// The clusters of a wave, whichever they are then.
    Wave(String),
    /// The clusters with this label.
    Label {
        /// Key of the label.
        key: String,
        /// Its value.
        value: String,
    },
    /// One cluster.
    Cluster(ClusterName),
    /// One rollout.
    Rollout(RolloutKey),
    /// Every release of this version, whatever its digest.
    Version(Version),
}

/// The word for a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopKind {
    /// Of a rollout.
    Pause,
    /// Of the fleet, a wave or a label.
    Freeze,
    /// Of a cluster.
    Hold,
    /// Of a version.
    Recall,
}

/// A stop that was set or lifted: what was said last about a scope holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopSetting {
    /// Where.
    pub scope: StopScope,
    /// Whether it is stopped from here on.
    pub active: bool,
    /// Why, for people.
    pub reason: String,
    /// Who said so.
    pub principal: String,
    /// UUID of the request.
    pub request_id: String,
}

/// Why a text is no scope of a stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "scope {text:?} is none of fleet, wave/NAME, label/KEY=VALUE, cluster/NAME, rollout/flux-vX.Y.Z-N and \
     version/vX.Y.Z"
)]
pub struct ParseStopScopeError {
    /// What was read.
    pub text: String,
}

impl StopScope {
    /// The word for a stop of this scope.
    #[must_use]
    pub const fn kind(&self) -> StopKind {
        match self {
            Self::Fleet | Self::Wave(_) | Self::Label { .. } => StopKind::Freeze,
            Self::Cluster(_) => StopKind::Hold,
            Self::Rollout(_) => StopKind::Pause,
            Self::Version(_) => StopKind::Recall,
        }
    }

    /// Whether the scope takes in this cluster, which is in that wave, for a rollout of that name.
    #[must_use]
    pub fn touches(&self, member: &ClusterMember, wave: Option<&str>, rollout: Option<&RolloutKey>) -> bool {
        match self {
            Self::Fleet => true,
            Self::Wave(name) => wave == Some(name),
            Self::Label { key, value } => member.labels.get(key) == Some(value),
            Self::Cluster(name) => member.cluster == *name,
            Self::Rollout(key) => rollout == Some(key),
            Self::Version(version) => rollout.is_some_and(|rollout| rollout.version == *version),
        }
    }
}

impl fmt::Display for StopScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet => f.write_str("fleet"),
            Self::Wave(name) => write!(f, "wave/{name}"),
            Self::Label { key, value } => write!(f, "label/{key}={value}"),
            Self::Cluster(name) => write!(f, "cluster/{name}"),
            Self::Rollout(key) => write!(f, "rollout/{key}"),
            Self::Version(version) => write!(f, "version/{version}"),
        }
    }
}

impl FromStr for StopScope {
    type Err = ParseStopScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scope = match text.split_once('/') {
            None if text == "fleet" => Some(Self::Fleet),
            Some(("wave", name)) if !name.is_empty() => Some(Self::Wave(name.to_owned())),
            // A key may hold a slash, like `topology.kubernetes.io/region`; neither may hold `=`.
            Some(("label", label)) => match label.split_once('=') {
                Some((key, value)) if !key.is_empty() && !value.contains('=') => Some(Self::Label {
                    key: key.to_owned(),
                    value: value.to_owned(),
                }),
                Some(_) | None => None,
            },
            Some(("cluster", name)) => name.parse().ok().map(Self::Cluster),
            Some(("rollout", key)) => key.parse().ok().map(Self::Rollout),
            Some(("version", version)) => version.parse().ok().map(Self::Version),
            Some(_) | None => None,
        };
        scope.ok_or_else(|| ParseStopScopeError {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for StopKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pause => "pause",
            Self::Freeze => "freeze",
            Self::Hold => "hold",
            Self::Recall => "recall",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Mode;

    #[test]
    fn scopes_read_back_and_have_their_kind() {
        for (text, kind) in [
            ("fleet", StopKind::Freeze),
            ("wave/canary", StopKind::Freeze),
            ("label/topology.kubernetes.io/region=eu", StopKind::Freeze),
            ("label/empty=", StopKind::Freeze),
            ("cluster/prod-eu-7", StopKind::Hold),
            ("rollout/flux-v2.9.4-1", StopKind::Pause),
            ("version/v2.9.4", StopKind::Recall),
        ] {
            let scope: StopScope = text.parse().unwrap();
            assert_eq!((scope.to_string().as_str(), scope.kind()), (text, kind));
        }
        for bad in [
            "",
            "fleet/",
            "wave/",
            "label/a",
            "label/=b",
            "label/a=b=c",
            "cluster/UPPER_",
            "rollout/v2.9.4",
            "version/2.9",
            "canary",
        ] {
            assert!(bad.parse::<StopScope>().is_err(), "{bad}");
        }
    }

    #[test]
    fn touches_what_it_names() {
        let member = ClusterMember {
            cluster: "c1".parse().unwrap(),
            labels: BTreeMap::from([("region".to_owned(), "eu".to_owned())]),
            agent_key: String::new(),
            max_mode: Mode::Enforce,
            image_registry: "ghcr.io".to_owned(),
            removed: false,
        };
        let rollout: RolloutKey = "flux-v2.9.4-2".parse().unwrap();
        let touches = |scope: &str| {
            scope
                .parse::<StopScope>()
                .unwrap()
                .touches(&member, Some("w"), Some(&rollout))
        };
        for yes in [
            "fleet",
            "wave/w",
            "label/region=eu",
            "cluster/c1",
            "rollout/flux-v2.9.4-2",
            "version/v2.9.4",
        ] {
            assert!(touches(yes), "{yes}");
        }
        for no in [
            "wave/v",
            "label/region=us",
            "label/zone=eu",
            "cluster/c2",
            "rollout/flux-v2.9.4-1",
            "version/v2.9.3",
        ] {
            assert!(!touches(no), "{no}");
        }
        let version: StopScope = "version/v2.9.4".parse().unwrap();
        assert!(!version.touches(&member, Some("w"), None));
    }
}
