//! The files that an operator writes.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Plan, Site, StageError};

/// When, where and how fast: everything short, so that a story takes seconds. A wave for each that a plan names,
/// since a wave without clusters keeps a rollout from beginning; the first bakes longest.
fn strategy(plans: &[Plan]) -> String {
    let mut names: Vec<&str> = plans.iter().map(|plan| plan.wave).collect();
    names.dedup();
    let wave = |(place, name): (usize, &&str)| {
        let bake = if place == 0 { "5s" } else { "2s" };
        format!(
            "    - name: {name}\n      selector: {{matchLabels: {{fluxgate.dev/wave: {name}}}}}\n      minClusters: 1\n      \
             bake: {{duration: {bake}}}\n"
        )
    };
    format!(
        "apiVersion: rollout.fluxgate.dev/v1alpha1\nkind: Strategy\nmetadata: {{name: default}}\nspec:\n  waves:\n{}  \
         health: {{stableFor: 3s, successDeadline: 2m}}\n",
        names.iter().enumerate().map(wave).collect::<String>()
    )
}

/// What the hub reads, and where its state lies.
#[derive(Debug, Clone)]
pub struct HubFiles {
    /// The folder of all of it.
    pub folder: PathBuf,
    /// Folder of the keys.
    pub keys: PathBuf,
    /// The file of `fluxgate dev`.
    pub config: PathBuf,
    /// The fleet.
    pub fleet: PathBuf,
    /// The policy.
    pub policy: PathBuf,
    /// The strategy.
    pub strategy: PathBuf,
    /// The trust root.
    pub trust_root: PathBuf,
    /// Host of the registry.
    pub registry: String,
    /// Which versions services in processes of their own look for.
    pub range: String,
}

pub(super) fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<(), StageError> {
    let failed = |source| StageError::File {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

impl HubFiles {
    /// Writes everything but the fleet.
    ///
    /// # Errors
    /// If a file can't be written.
    pub(super) fn write(
        folder: &Path,
        plans: &[Plan],
        (registry, trust_root): (&str, &[u8]),
    ) -> Result<Self, StageError> {
        let folder = folder.join("hub");
        let files = Self {
            keys: folder.join("keys"),
            config: folder.join("dev.toml"),
            fleet: folder.join("fleet.yaml"),
            policy: folder.join("policy.yaml"),
            strategy: folder.join("strategy.yaml"),
            trust_root: folder.join("trusted_root.json"),
            registry: registry.to_owned(),
            range: ">2.9.3".to_owned(),
            folder,
        };
        fluxgate::keys::init(&files.keys, 30, true, jiff::Timestamp::now()).map_err(StageError::Keys)?;
        write(&files.trust_root, trust_root)?;
        write(&files.policy, include_str!("../../../deploy/policy-default.yaml"))?;
        write(&files.strategy, strategy(plans))?;
        let config = format!(
            "fleet = {fleet:?}\nstrategy = {strategy:?}\npolicies = [{policy:?}]\ntrust_root = {root:?}\n\
             range = {range:?}\ninterval = \"2s\"\n\n[[registry.mirror]]\nfrom = \"ghcr.io\"\n\
             to = \"http://{registry}\"\n",
            fleet = files.fleet,
            strategy = files.strategy,
            policy = files.policy,
            root = files.trust_root,
            range = files.range,
        );
        write(&files.config, config)?;
        Ok(files)
    }

    /// Has the hub send its spans somewhere; before it is started.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn trace_to(&self, endpoint: &str) -> Result<(), StageError> {
        let config = fs::read_to_string(&self.config).unwrap_or_default();
        write(&self.config, format!("{config}{}", telemetry(endpoint)))
    }

    /// Puts a key that no bundle knows in the place of a role's: what that service signs counts nowhere.
    ///
    /// # Errors
    /// If the key can't be made or written.
    pub fn exchange_key(&self, role: attest::Role) -> Result<(), StageError> {
        let path = self.keys.join(fluxgate::keys::role_key(role));
        std::fs::remove_file(&path).map_err(|source| StageError::File {
            path: path.clone(),
            source,
        })?;
        fluxgate::keys::agent(&path)
            .map(|_public| ())
            .map_err(StageError::Keys)
    }

    /// Writes the fleet of these clusters.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn write_fleet(&self, sites: &[Site]) -> Result<(), StageError> {
        let mut text = "apiVersion: fleet.fluxgate.dev/v1alpha1\nkind: Fleet\nclusters:\n".to_owned();
        for site in sites {
            text.push_str(&format!(
                "  - name: {}\n    labels: {{fluxgate.dev/wave: {}}}\n    agentKey: {}\n    maxMode: Enforce\n    \
                 images: {{registry: ghcr.io}}\n",
                site.name, site.wave, site.fingerprint
            ));
        }
        write(&self.fleet, text)
    }
}

/// The section that has spans sent somewhere.
fn telemetry(endpoint: &str) -> String {
    format!("\n[telemetry]\notlp_endpoint = {endpoint:?}\n")
}

/// The agent's own file.
#[derive(Debug, Clone)]
pub struct AgentFile {
    /// Name of the cluster.
    pub cluster: String,
    /// The agent's private key.
    pub key: PathBuf,
    /// Folder of its memory.
    pub state: PathBuf,
    /// The API server.
    pub kubeconfig: PathBuf,
    /// NATS.
    pub nats: String,
    /// The pinned root key.
    pub root_key: PathBuf,
    /// `Observe` or `Enforce`.
    pub max_mode: String,
    /// Whether demo keys count.
    pub accept_demo: bool,
    /// Where spans are sent by OTLP; nowhere where absent.
    pub traces: Option<String>,
}

impl AgentFile {
    /// The file's text. No scanner is demanded: there is none yet.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "cluster = {cluster:?}\nkey = {key:?}\nstate = {state:?}\nkubeconfig = {kubeconfig:?}\n\
             max_mode = {mode:?}\naccept_demo = {demo}\nroles = [\"verifier\", \"policy\", \"controller\"]\n\n\
             [[policies]]\nname = \"default\"\n\n[nats]\nurl = {nats:?}\n\n[trust]\nroot_key = {root:?}\n\n\
             [timing]\npoll = \"2s\"\nobserve = \"2s\"\nsettle = \"500ms\"\nheartbeat = \"2s\"\n{telemetry}",
            telemetry = self.traces.as_deref().map(telemetry).unwrap_or_default(),
            cluster = self.cluster,
            key = self.key,
            state = self.state,
            kubeconfig = self.kubeconfig,
            mode = self.max_mode,
            demo = self.accept_demo,
            nats = self.nats,
            root = self.root_key,
        )
    }
}
