//! The parts' binaries: the operator's own, or built once from pinned Go modules into a cache.
//!
//! Each pin is a `go.mod` and `go.sum` under `integration-tests/tools/`, compiled into this crate, so a cached
//! binary can be found without the source tree. A cache entry is named by the SHA-256 of its pin and build flags
//! and by the Go version; it appears whole, by rename, or not at all.
//!
//! To move a pin: `go get -tool <package>@<version>` in its folder. Kubernetes takes three steps: its own version
//! and the `replace` lines of its staging modules (v1.X.Y there is v0.X.Y here) in the `go.mod`, then
//! `go mod tidy`, then the stamp in this file.

mod build;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Error;
use super::progress::Progress;

/// A binary that the lab runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// The message bus.
    NatsServer,
    /// The store of the clusters.
    Etcd,
    /// A cluster's API.
    KubeApiserver,
    /// A cluster's built-in controllers.
    KubeControllerManager,
    /// The OCI registry (distribution v3).
    Registry,
    /// The peer that verifies signatures.
    Cosign,
    /// The peer that checks a log's tiles, of Tessera.
    Fsck,
}

impl Tool {
    /// What answers the same questions as we do (`just peers`): needed there and nowhere else.
    pub const PEERS: [Self; 2] = [Self::Fsck, Self::Cosign];

    /// All parts of the lab, quickest to build first.
    pub const ALL: [Self; 5] = [
        Self::NatsServer,
        Self::Etcd,
        Self::Registry,
        Self::KubeApiserver,
        Self::KubeControllerManager,
    ];

    /// The file name of the binary.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NatsServer => "nats-server",
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::Registry => "registry",
            Self::Cosign => "cosign",
            Self::Fsck => "fsck",
        }
    }

    /// All names, for a message.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    fn pin(self) -> Pin {
        match self {
            Self::NatsServer => Pin {
                go_mod: include_str!("../../tools/nats-server/go.mod"),
                go_sum: include_str!("../../tools/nats-server/go.sum"),
                package: "github.com/nats-io/nats-server/v2",
                link: STRIPPED,
                expected: Duration::from_secs(40),
            },
            Self::Etcd => Pin {
                go_mod: include_str!("../../tools/etcd/go.mod"),
                go_sum: include_str!("../../tools/etcd/go.sum"),
                package: "go.etcd.io/etcd/server/v3",
                link: STRIPPED,
                expected: Duration::from_secs(35),
            },
            Self::Registry => Pin {
                go_mod: include_str!("../../tools/registry/go.mod"),
                go_sum: include_str!("../../tools/registry/go.sum"),
                package: "github.com/distribution/distribution/v3/cmd/registry",
                link: STRIPPED,
                expected: Duration::from_secs(70),
            },
            Self::Cosign => Pin {
                go_mod: include_str!("../../tools/cosign/go.mod"),
                go_sum: include_str!("../../tools/cosign/go.sum"),
                package: "github.com/sigstore/cosign/v2/cmd/cosign",
                link: STRIPPED,
                expected: Duration::from_secs(190),
            },
            Self::Fsck => Pin {
                go_mod: include_str!("../../tools/tessera/go.mod"),
                go_sum: include_str!("../../tools/tessera/go.sum"),
                package: "github.com/transparency-dev/tessera/cmd/fsck",
                link: STRIPPED,
                expected: Duration::from_secs(20),
            },
            Self::KubeApiserver => Pin::kubernetes("k8s.io/kubernetes/cmd/kube-apiserver", 190),
            Self::KubeControllerManager => {
                Pin::kubernetes("k8s.io/kubernetes/cmd/kube-controller-manager", 55)
            }
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Without symbols the binaries are a third smaller, and nobody debugs them here.
const STRIPPED: &str = "-s -w";
/// Without the stamp, clients read v0.0.0 and refuse to work with so old a cluster. A test holds it to the go.mod.
const KUBERNETES: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 \
     -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36";

/// What exactly is built.
#[derive(Debug, Clone, Copy)]
struct Pin {
    go_mod: &'static str,
    go_sum: &'static str,
    package: &'static str,
    /// The linker's flags.
    link: &'static str,
    /// How long a cold build takes on two cores, downloads included, for the message.
    expected: Duration,
}

impl Pin {
    fn kubernetes(package: &'static str, expected: u64) -> Self {
        Self {
            go_mod: include_str!("../../tools/kubernetes/go.mod"),
            go_sum: include_str!("../../tools/kubernetes/go.sum"),
            package,
            link: KUBERNETES,
            expected: Duration::from_secs(expected),
        }
    }

    /// SHA-256 over all that decides the binary, except the Go version; hexadecimal.
    fn key(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.go_mod, self.go_sum, self.package, self.link, build::FLAGS] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hex::encode(hash.finalize())
    }
}

/// Where the binaries are.
#[derive(Debug, Clone)]
pub struct Tools {
    paths: BTreeMap<Tool, PathBuf>,
}

impl Tools {
    /// Finds the `wanted` tools in `$FLUXGATE_TOOLS`, or in the cache, or builds them into it. Blocks, for minutes
    /// where it builds; two processes that want the same build it once.
    ///
    /// # Errors
    /// Where a tool is missing and cannot be built; the text says what to install.
    pub fn ensure(wanted: &[Tool], progress: &dyn Progress) -> Result<Self, Error> {
        if let Some(folder) = std::env::var_os("FLUXGATE_TOOLS").filter(|folder| !folder.is_empty()) {
            return Self::from_folder(wanted, Path::new(&folder));
        }
        let cache = build::Cache::find()?;
        let mut paths = BTreeMap::new();
        for (index, &tool) in wanted.iter().enumerate() {
            let place = format!("{} of {} parts", index + 1, wanted.len());
            paths.insert(tool, cache.get_or_build(tool, &place, progress)?);
        }
        Ok(Self { paths })
    }

    /// A tool that is there already; nothing is built.
    #[must_use]
    pub fn held(tool: Tool) -> Option<PathBuf> {
        match std::env::var_os("FLUXGATE_TOOLS").filter(|folder| !folder.is_empty()) {
            Some(folder) => Self::from_folder(&[tool], Path::new(&folder))
                .ok()?
                .paths
                .remove(&tool),
            None => build::Cache::find().ok()?.get(tool),
        }
    }

    /// The path of a tool's binary.
    ///
    /// # Errors
    /// [`Error::ToolNotWanted`] where it was not in the wanted ones.
    pub fn path(&self, tool: Tool) -> Result<&Path, Error> {
        self.paths
            .get(&tool)
            .map(PathBuf::as_path)
            .ok_or(Error::ToolNotWanted { tool })
    }

    /// All tools that there are, with their paths.
    pub fn iter(&self) -> impl Iterator<Item = (Tool, &Path)> {
        self.paths.iter().map(|(tool, path)| (*tool, path.as_path()))
    }

    fn from_folder(wanted: &[Tool], folder: &Path) -> Result<Self, Error> {
        let find = |&tool: &Tool| {
            let path = folder.join(tool.name());
            if path.is_file() {
                Ok((tool, path))
            } else {
                Err(Error::ToolNotInFolder {
                    tool,
                    folder: folder.into(),
                })
            }
        };
        Ok(Self {
            paths: wanted.iter().map(find).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_stamp_is_the_pinned_version() {
        let pin = Tool::KubeApiserver.pin();
        let line = pin
            .go_mod
            .lines()
            .find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "))
            .unwrap();
        let version = line.split_whitespace().next().unwrap();
        assert!(
            pin.link.contains(&format!("gitVersion={version} ")),
            "{version} is not in {}",
            pin.link
        );
    }

    #[test]
    fn tools_of_one_module_have_different_keys() {
        assert_ne!(
            Tool::KubeApiserver.pin().key(),
            Tool::KubeControllerManager.pin().key()
        );
    }

    #[test]
    fn folder_without_a_tool_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("etcd"), "").unwrap();
        let error = Tools::from_folder(&[Tool::Etcd, Tool::Registry], folder.path()).unwrap_err();
        assert!(matches!(
            error,
            Error::ToolNotInFolder {
                tool: Tool::Registry,
                ..
            }
        ));
    }
}
