//! Simulated agents: what they hear and say is real (NATS messages, signatures, every check of an assignment); the
//! cluster behind each is a few lines of memory that does what it is told at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::check::{AcceptedPolicy, Demands, Memory, check};
use agent::speak::{Herald, Voice};
use attest::{PublicKey, Role, SigningKey};
use bus::agent::AgentBus;
use domain::fleet::{ComponentFacts, CrdFacts, HealthReport, Heartbeat, Installer, Report, ReportKind};
use domain::{ClusterFacts, ClusterName, Component, Digest, Epoch, Health, ImageRef, Mode, Version};
use jiff::Timestamp;
use testkit::factory::Published;
use tokio::task::JoinSet;

use super::BenchError;

/// How often an agent looks at its assignment, beside the wakes.
const POLL: Duration = Duration::from_secs(2);
/// How often it gives a sign of life.
const BEAT: Duration = Duration::from_secs(5);

/// A simulated cluster with its agent's key.
#[derive(Debug)]
pub(super) struct Simulated {
    pub(super) name: ClusterName,
    pub(super) key: Arc<SigningKey>,
}

impl Simulated {
    pub(super) fn new(name: &str) -> Result<Self, BenchError> {
        let (key, _pem) = SigningKey::generate()?;
        Ok(Self {
            name: name
                .parse()
                .map_err(|_malformed| BenchError::Made(name.to_owned()))?,
            key: Arc::new(key),
        })
    }
}

/// What all agents share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) client: async_nats::Client,
    pub(super) root: PublicKey,
    /// What the clusters run at first.
    pub(super) running: Published,
}

/// The root key of a stage.
pub(super) fn root_key(keys: &Path) -> Result<PublicKey, BenchError> {
    let path = keys.join(fluxgate::keys::ROOT_PUB);
    let text = std::fs::read_to_string(&path).map_err(|source| BenchError::File {
        path: path.display().to_string(),
        source,
    })?;
    Ok(PublicKey::from_pem(&text)?)
}

/// Runs an agent for each, until the set is dropped.
pub(super) fn start(common: &Arc<Common>, clusters: Vec<Simulated>) -> JoinSet<()> {
    let mut agents = JoinSet::new();
    for cluster in clusters {
        let common = Arc::clone(common);
        agents.spawn(async move { Agent::new(&common, cluster).run(common).await });
    }
    agents
}

struct Agent {
    cluster: ClusterName,
    bus: AgentBus,
    voice: Voice,
    herald: Herald,
    demands: Demands,
    memory: Memory,
    images: BTreeMap<Component, (ImageRef, Digest)>,
    version: Version,
}

impl Agent {
    fn new(common: &Common, cluster: Simulated) -> Self {
        let bus = AgentBus::new(common.client.clone(), cluster.name.clone());
        let herald = Herald::new(bus.clone(), cluster.name.clone(), cluster.key);
        let running = &common.running;
        let images = Component::DEFAULT.into_iter().filter_map(|component| {
            let image = running.images.get(&component)?.clone();
            Some((component, (image, *running.indexes.get(&component)?)))
        });
        Self {
            voice: Voice::new(herald.clone()),
            herald,
            bus,
            demands: Demands {
                cluster: cluster.name.clone(),
                root: common.root.clone(),
                lowest_bundle: 1,
                roles: [Role::Verifier, Role::Policy, Role::Controller].into(),
                policies: vec![AcceptedPolicy {
                    name: "default".to_owned(),
                    digest: None,
                }],
                max_mode: Mode::Enforce,
                accept_demo: true,
            },
            memory: Memory::default(),
            images: images.collect(),
            version: running.version.clone(),
            cluster: cluster.name,
        }
    }

    async fn run(mut self, _common: Arc<Common>) {
        let mut beat = tokio::time::interval(BEAT);
        let mut poll = tokio::time::interval(POLL);
        let wakes = self.bus.wakes().await;
        let mut wakes = match wakes {
            Ok(wakes) => futures::StreamExt::boxed(wakes),
            Err(_) => futures::StreamExt::boxed(futures::stream::pending()),
        };
        self.voice.facts(&self.facts());
        self.voice.health(&HealthReport {
            cluster: self.cluster.clone(),
            observed: Timestamp::now(),
            epoch: Epoch(0),
            health: Health::Healthy,
            symptoms: Vec::new(),
        });
        loop {
            tokio::select! {
                _ = beat.tick() => self.beat().await,
                _ = poll.tick() => self.look().await,
                _ = futures::StreamExt::next(&mut wakes) => self.look().await,
            }
            self.voice.say().await;
        }
    }

    async fn beat(&self) {
        let heartbeat = Heartbeat {
            cluster: self.cluster.clone(),
            sent: Timestamp::now(),
            epoch: self.memory.epoch,
            health: Health::Healthy,
            observations: 1,
            reconciles: 0,
            alarm: None,
        };
        self.herald.heartbeat(&heartbeat).await;
    }

    /// Looks at the assignment, and carries a new one out at once.
    async fn look(&mut self) {
        let Ok(Some(entry)) = self.bus.assignment().await else {
            return;
        };
        let Ok(order) = check(&entry.value, &self.demands, &self.memory, Timestamp::now()) else {
            return;
        };
        if self.memory.assignment == Some(order.digest) && self.memory.answered {
            return;
        }
        let epoch = order.assignment.epoch;
        self.memory = self.memory.having_seen(epoch, order.digest, order.bundle);
        self.memory.answered = true;
        let kinds: &[ReportKind] = match order.mode {
            Mode::Observe => &[ReportKind::WouldUpgrade],
            Mode::Enforce => &[
                ReportKind::Accepted,
                ReportKind::Applied,
                ReportKind::Finished(Health::Healthy),
            ],
        };
        if order.mode == Mode::Enforce {
            self.version = order.assignment.target.version.clone();
            for (component, (image, index)) in &mut self.images {
                if let Some(contents) = order.contents.images.get(component) {
                    (*image, *index) = (contents.image.clone(), contents.index);
                }
            }
        }
        for kind in kinds {
            let report = Report {
                cluster: self.cluster.clone(),
                sent: Timestamp::now(),
                epoch,
                assignment: order.digest,
                kind: kind.clone(),
                detail: String::new(),
            };
            self.voice.report(&report, &order.traceparent);
        }
        if order.mode == Mode::Enforce {
            self.voice.facts(&self.facts());
            self.beat().await;
        }
    }

    fn facts(&self) -> ClusterFacts {
        let components = self.images.iter().map(|(component, (image, index))| {
            let facts = ComponentFacts {
                image: image.clone(),
                image_ids: [*index].into(),
            };
            (*component, facts)
        });
        let set = flux::tables::crd_set(&self.version, &Component::DEFAULT.into_iter().collect());
        let crds = set.unwrap_or_default().into_iter().map(|(name, crd)| {
            let stored = [crd.storage.clone()].into();
            (name, CrdFacts { crd, stored })
        });
        ClusterFacts {
            cluster: self.cluster.clone(),
            observed: Timestamp::now(),
            kubernetes: "v1.36.3".to_owned(),
            installer: Installer::FluxCli,
            components: components.collect(),
            crds: crds.collect(),
        }
    }
}
