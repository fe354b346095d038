//! The agent's own file.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

pub use attest::Role;
pub use attest::keys::KeyError;
use attest::{PublicKey, SigningKey};
use bus::config::{NatsConfig, TrustConfig};
use domain::{ClusterName, Mode};
use runtime::config::{Invalid, Validate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{AcceptedPolicy, Demands};

/// Everything that an operator says to an agent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the cluster, as in the fleet's file.
    #[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
    pub cluster: String,
    /// File with the agent's private key (PKCS#8 PEM). Made at the first start where it is missing; its
    /// fingerprint is printed for `agentKey` in the fleet's file.
    pub key: PathBuf,
    /// Folder for what the agent remembers: the highest epoch and bundle that it has seen.
    pub state: PathBuf,
    /// Cap on the mode: what the agent's permissions in the cluster allow.
    #[serde(default = "observe")]
    #[schemars(extend("enum" = ["Observe", "Enforce"]))]
    pub max_mode: String,
    /// Roles that must have spoken. The verifier always must.
    #[serde(default = "all_roles")]
    #[schemars(inner(regex(pattern = r"^(verifier|scanner|policy|controller|ledger)$")))]
    pub roles: Vec<String>,
    /// Policies that may allow.
    #[schemars(length(min = 1))]
    pub policies: Vec<PolicyConfig>,
    /// Paths that may differ from the installed version's manifests, as refusals name them, or what they begin
    /// with: `spec.template.spec.tolerations`; of one object alone behind its name:
    /// `Deployment/source-controller spec.template.spec.volumes`. What the new version itself sets to another
    /// value is refused all the same.
    #[serde(default)]
    pub tolerate: Vec<String>,
    /// Accept demo keys and demo trust. In a lab alone.
    #[serde(default)]
    pub accept_demo: bool,
    /// How to reach NATS.
    pub nats: NatsConfig,
    /// Whom to trust.
    pub trust: TrustConfig,
    /// How to reach the API server; in-cluster where absent.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    /// How often things are looked at.
    #[serde(default)]
    pub timing: Timing,
    /// Logs and spans.
    #[serde(default)]
    pub telemetry: runtime::telemetry::TelemetryConfig,
}

/// A policy that may allow.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// Its name.
    pub name: String,
    /// Digest of its text; without one any text under that name.
    #[serde(default)]
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,
}

/// How often things are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// The assignment, where no wake arrives.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String", extend("pattern" = "[0-9]", "examples" = ["30s"]))]
    pub poll: Duration,
    /// Facts and health while nothing is going on.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String", extend("pattern" = "[0-9]", "examples" = ["30s"]))]
    pub observe: Duration,
    /// Health while a task is settling.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String", extend("pattern" = "[0-9]", "examples" = ["30s"]))]
    pub settle: Duration,
    /// Signs of life.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String", extend("pattern" = "[0-9]", "examples" = ["30s"]))]
    pub heartbeat: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(30),
            observe: Duration::from_secs(30),
            settle: Duration::from_secs(2),
            heartbeat: Duration::from_secs(30),
        }
    }
}

impl Timing {
    /// The hub takes an agent that it has not heard for five minutes for silent: with two minutes one heartbeat may be
    /// lost.
    const LONGEST_HEARTBEAT: Duration = Duration::from_mins(2);
    /// Neither the API server nor the hub is to be asked without a pause.
    const SHORTEST: Duration = Duration::from_millis(100);

    fn validate(&self) -> Result<(), Invalid> {
        let times = [
            ("timing.poll", self.poll),
            ("timing.observe", self.observe),
            ("timing.settle", self.settle),
            ("timing.heartbeat", self.heartbeat),
        ];
        if let Some((key, value)) = times.into_iter().find(|(_, value)| *value < Self::SHORTEST) {
            let remedy = "leave the key out for the default";
            return Err(invalid(key, format!("{value:?}"), "100ms or more", remedy));
        }
        if self.heartbeat > Self::LONGEST_HEARTBEAT {
            let remedy = "the hub takes an agent that it has not heard for five minutes for silent";
            let found = format!("{:?}", self.heartbeat);
            return Err(invalid("timing.heartbeat", found, "from 100ms to 2m", remedy));
        }
        Ok(())
    }
}

fn observe() -> String {
    Mode::Observe.to_string()
}

fn all_roles() -> Vec<String> {
    [Role::Verifier, Role::Scanner, Role::Policy, Role::Controller]
        .map(|role| role.name().to_owned())
        .into()
}

fn invalid(key: &str, found: impl Into<String>, expected: &str, remedy: &str) -> Invalid {
    Invalid {
        key: key.to_owned(),
        found: found.into(),
        expected: expected.to_owned(),
        remedy: remedy.to_owned(),
    }
}

impl Config {
    /// The cluster's name.
    ///
    /// # Errors
    /// If it is none.
    pub fn cluster(&self) -> Result<ClusterName, Invalid> {
        let expected = "1 to 63 of a-z, 0-9 and -";
        self.cluster.parse().map_err(|_malformed| {
            invalid(
                "cluster",
                &*self.cluster,
                expected,
                "use the name of the fleet's file",
            )
        })
    }

    fn mode(&self) -> Result<Mode, Invalid> {
        self.max_mode
            .parse()
            .map_err(|_malformed| invalid("max_mode", &*self.max_mode, "Observe or Enforce", "correct it"))
    }

    fn demanded(&self) -> Result<BTreeSet<Role>, Invalid> {
        let expected = "one of verifier, scanner, policy, controller";
        self.roles
            .iter()
            .map(|role| {
                role.parse()
                    .map_err(|_unknown| invalid("roles", &**role, expected, "correct it"))
            })
            .collect()
    }

    fn accepted(&self) -> Result<Vec<AcceptedPolicy>, Invalid> {
        let accept = |policy: &PolicyConfig| {
            let digest = policy.digest.as_ref().map(|digest| {
                let expected = "sha256: and 64 hex digits";
                digest.parse().map_err(|_malformed| {
                    invalid(
                        "policies.digest",
                        &**digest,
                        expected,
                        "copy it from `fluxgate get policies -o wide`",
                    )
                })
            });
            Ok(AcceptedPolicy {
                name: policy.name.clone(),
                digest: digest.transpose()?,
            })
        };
        self.policies.iter().map(accept).collect()
    }

    /// What the agent demands of every assignment.
    ///
    /// # Errors
    /// If a value is not of its kind.
    pub fn demands(&self, root: PublicKey) -> Result<Demands, Invalid> {
        Ok(Demands {
            cluster: self.cluster()?,
            root,
            lowest_bundle: self.trust.lowest_bundle,
            roles: self.demanded()?,
            policies: self.accepted()?,
            max_mode: self.mode()?,
            accept_demo: self.accept_demo,
        })
    }

    /// What the bus connects with.
    #[must_use]
    pub fn nats(&self) -> bus::connection::Settings {
        self.nats.settings(&format!("cluster-agent {}", self.cluster))
    }
}

impl runtime::process::Logged for Config {
    fn telemetry(&self) -> &runtime::telemetry::TelemetryConfig {
        &self.telemetry
    }
}

impl Validate for Config {
    fn validate(&self) -> Result<(), Invalid> {
        self.cluster()?;
        self.mode()?;
        self.demanded()?;
        if self.accepted()?.is_empty() {
            let remedy = "name each policy whose ALLOW counts here, like [[policies]] name = \"default\"";
            return Err(invalid("policies", "empty", "at least one policy", remedy));
        }
        self.timing.validate()
    }
}

/// Why the agent's key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum AgentKeyError {
    /// The file can't be read or written.
    #[error("using the key file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no key in it.
    #[error("reading the key in {path}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
}

/// The root's public key from PEM.
///
/// # Errors
/// If it is none.
pub fn root_key(pem: &str) -> Result<PublicKey, KeyError> {
    PublicKey::from_pem(pem)
}

/// The agent's key; made where the file does not exist.
///
/// # Errors
/// If the file can't be used.
pub fn key(path: &PathBuf) -> Result<SigningKey, AgentKeyError> {
    let file = |source| AgentKeyError::File {
        path: path.clone(),
        source,
    };
    let bad = |source| AgentKeyError::Key {
        path: path.clone(),
        source,
    };
    match std::fs::read_to_string(path) {
        Ok(text) => SigningKey::from_pem(&text).map_err(bad),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let (key, text) = SigningKey::generate().map_err(bad)?;
            write_private(path, &text).map_err(file)?;
            Ok(key)
        }
        Err(error) => Err(file(error)),
    }
}

/// A new file that its owner alone may read.
fn write_private(path: &PathBuf, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn example() -> Config {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/examples/agent.toml");
        runtime::config::load_with(Some(path.as_ref()), HashMap::new()).unwrap()
    }

    fn root() -> PublicKey {
        SigningKey::generate().unwrap().0.public().clone()
    }

    #[test]
    fn the_shipped_example_loads_and_only_observes() {
        let demands = example().demands(root()).unwrap();
        assert_eq!(demands.cluster.as_str(), "mine");
        assert_eq!(demands.max_mode, Mode::Observe);
        assert!(!demands.roles.contains(&Role::Scanner));
    }

    #[test]
    fn what_is_not_said_is_the_strict_choice() {
        let text = "cluster = \"c\"\nkey = \"k\"\nstate = \"s\"\n[[policies]]\nname = \"p\"\n[nats]\nurl = \"u\"\n\
                    [trust]\nroot_key = \"r\"\n";
        let config: Config = toml_of(text);
        let demands = config.demands(root()).unwrap();
        assert_eq!(demands.max_mode, Mode::Observe);
        assert!(!demands.accept_demo);
        let all = [Role::Verifier, Role::Scanner, Role::Policy, Role::Controller];
        assert_eq!(demands.roles, all.into_iter().collect());
    }

    fn toml_of(text: &str) -> Config {
        let path = std::env::temp_dir().join(format!("fluxgate-agent-{}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let loaded = runtime::config::load_with(Some(&path), HashMap::new());
        std::fs::remove_file(path).unwrap();
        loaded.unwrap()
    }

    #[test]
    fn an_agent_without_policies_is_refused() {
        let config = Config {
            policies: Vec::new(),
            ..example()
        };
        assert_eq!(config.validate().unwrap_err().key, "policies");
    }

    #[test]
    fn an_agent_that_would_be_taken_for_silent_is_refused() {
        let timed = |timing: Timing| Config { timing, ..example() }.validate();
        let rare = Timing {
            heartbeat: Duration::from_mins(3),
            ..Timing::default()
        };
        let invalid = timed(rare).unwrap_err();
        assert_eq!(
            (invalid.key.as_str(), invalid.expected.as_str()),
            ("timing.heartbeat", "from 100ms to 2m")
        );
        let never = Timing {
            poll: Duration::ZERO,
            ..Timing::default()
        };
        assert_eq!(timed(never).unwrap_err().key, "timing.poll");
        let longest = Timing {
            heartbeat: Duration::from_mins(2),
            poll: Duration::from_mins(5),
            ..Timing::default()
        };
        timed(longest).unwrap();
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = std::env::temp_dir().join(format!("fluxgate-agent-key-{}", std::process::id()));
        let path = folder.join("new/agent.key");
        let made = key(&path).unwrap();
        assert_eq!(key(&path).unwrap().public(), made.public());
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
