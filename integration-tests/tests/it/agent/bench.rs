//! One cluster with Flux, one bus, and agents that are started and stopped in this process, one at a time, each
//! behind a proxy that counts its requests.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::cluster::Cluster as AgentCluster;
use agent::config::Timing;
use agent::run::Parts;
use agent::{Agent, memory};
use anyhow::{Context as _, ensure};
use attest::{Dossier, SigningKey};
use bus::blobs::Blobs;
use bus::buckets::Values;
use bus::streams::Bucket;
use integration_tests::lab::Lab;
use integration_tests::lab::cluster::{Cluster, objects};
use integration_tests::lab::kubelet::{FakeKubelet, KubeletConfig};
use integration_tests::lab::nats::Nats;
use integration_tests::lab::proxy::Proxy;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use runtime::{Clock, Shutdown};

use super::listen::Ear;
use super::world::{Base, CLUSTER, RUNNING, World, cluster};
use crate::within::within;

/// Everything short: a row takes a second at most.
const TIMING: Timing = Timing {
    poll: Duration::from_millis(250),
    observe: Duration::from_millis(500),
    settle: Duration::from_millis(200),
    heartbeat: Duration::from_millis(500),
};

/// What the trials of this folder play on.
pub(super) struct Bench {
    pub(super) base: Base,
    pub(super) kube: kube::Client,
    pub(super) proxy: Proxy,
    pub(super) ear: Ear,
    pub(super) cluster: Cluster,
    key: Arc<SigningKey>,
    bus: async_nats::Client,
    folder: PathBuf,
    agents: AtomicU32,
    _kubelet: FakeKubelet,
    _nats: Nats,
}

/// An agent at work, and what it wrote to its log.
pub(super) struct Running {
    shutdown: Shutdown,
    thread: std::thread::JoinHandle<anyhow::Result<()>>,
    log: Log,
}

/// What one agent wrote to its log.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(super) fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Bench {
    /// Starts all of it: the cluster runs [`RUNNING`] as `flux install` leaves it.
    pub(super) async fn start(lab: &Lab) -> anyhow::Result<Self> {
        let base = Base::new()?;
        let (nats, cluster) = tokio::try_join!(Nats::start(lab), Cluster::start(lab, CLUSTER))?;
        let settings = bus::connection::Settings {
            url: nats.url(),
            name: "bench".to_owned(),
            ..bus::connection::Settings::default()
        };
        let bus = bus::connect(&settings).await?;
        bus::streams::migrate(&bus, &bus::streams::Settings::default()).await?;
        for layer in base.layers.values() {
            Blobs::new(&bus).put(layer).await?;
        }
        let kube = cluster.client().await?;
        let kubelet = FakeKubelet::start(kube.clone(), KubeletConfig::default());
        cluster.install(&base.install(&RUNNING)?).await?;
        let key = Arc::new(SigningKey::generate()?.0);
        let bench = Self {
            proxy: Proxy::start(&cluster).await?,
            ear: Ear::open(&bus, &key).await?,
            folder: lab.folder().join("agents"),
            agents: AtomicU32::new(0),
            base,
            kube,
            cluster,
            key,
            bus,
            _kubelet: kubelet,
            _nats: nats,
        };
        bench.at_rest().await?;
        Ok(bench)
    }

    /// Puts a value that an agent finds by its digest; `under` another one it is a lie.
    pub(super) async fn put_blob(&self, bytes: &[u8]) -> anyhow::Result<()> {
        Blobs::new(&self.bus).put(bytes).await?;
        Ok(())
    }

    /// Lays bytes before the agent.
    pub(super) async fn put(&self, bytes: Vec<u8>) -> anyhow::Result<()> {
        Values::new(&self.bus, Bucket::Assignments)
            .put(CLUSTER, bytes.into())
            .await?;
        Ok(bus::agent::wake(&self.bus, &cluster()).await?)
    }

    /// Lays what a world signs before the agent.
    pub(super) async fn assign(&self, world: &World) -> anyhow::Result<Dossier> {
        let dossier = self.base.dossier(world)?;
        self.put(dossier.to_bytes()).await?;
        Ok(dossier)
    }

    /// A new folder for what an agent remembers.
    pub(super) fn memory(&self) -> PathBuf {
        let n = self.agents.fetch_add(1, Ordering::Relaxed);
        self.folder.join(n.to_string())
    }

    /// Starts an agent with the demands of this world, which remembers what lies in the folder. It has a thread
    /// of its own, so that what it logs is told apart.
    pub(super) fn agent(&self, world: &World, folder: &std::path::Path) -> anyhow::Result<Running> {
        let (shutdown, log) = (Shutdown::new(Duration::from_secs(5)), Log::default());
        let (writer, kubeconfig) = (log.clone(), self.proxy.kubeconfig());
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_env_filter("agent=debug")
            .with_writer(move || writer.clone())
            .finish();
        let (demands, tolerate) = (world.demands.clone(), world.tolerate.clone());
        let (client, key, clock) = (self.bus.clone(), self.key.clone(), Clock::offset(world.clock));
        let (memory, stop) = (memory::File::open(folder)?, shutdown.clone());
        let thread = std::thread::spawn(move || {
            let _log = tracing::subscriber::set_default(subscriber);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async move {
                let parts = Parts {
                    demands,
                    tolerate,
                    timing: TIMING,
                    cluster: AgentCluster::connect(Some(&kubeconfig)).await?,
                    client,
                    key,
                    memory,
                    clock,
                    shutdown: stop,
                };
                Box::pin(Agent::new(parts)?.run()).await;
                Ok(())
            })
        });
        Ok(Running {
            shutdown,
            thread,
            log,
        })
    }

    /// Every object with its resource version.
    pub(super) async fn objects(&self) -> anyhow::Result<BTreeMap<String, String>> {
        Ok(objects(&self.kube).await?)
    }

    /// Waits until every Deployment is rolled out and no pod is on its way out: what the controllers of the
    /// cluster write afterwards is nothing.
    pub(super) async fn at_rest(&self) -> anyhow::Result<()> {
        let mut quiet: Option<BTreeMap<String, String>> = None;
        within(30, "the cluster to come to rest", async || {
            let rolled = self.rolled_out().await?;
            let now = self.objects().await?;
            let rest = rolled && quiet.as_ref() == Some(&now);
            quiet = Some(now);
            Ok(rest.then_some(()))
        })
        .await
    }

    async fn rolled_out(&self) -> anyhow::Result<bool> {
        let deployments: Api<Deployment> = Api::namespaced(self.kube.clone(), "flux-system");
        let pods: Api<Pod> = Api::namespaced(self.kube.clone(), "flux-system");
        let found = deployments.list(&ListParams::default()).await?.items;
        let done = |deployment: &Deployment| {
            let status = deployment.status.clone().unwrap_or_default();
            let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
            status.observed_generation == deployment.metadata.generation
                && status.replicas == wanted
                && status.updated_replicas == wanted
                && status.available_replicas == wanted
        };
        let wanted: i32 = found
            .iter()
            .filter_map(|deployment| deployment.spec.as_ref()?.replicas)
            .sum();
        let running = pods.list(&ListParams::default()).await?.items;
        let staying = running
            .iter()
            .all(|pod| pod.metadata.deletion_timestamp.is_none());
        let all = usize::try_from(wanted).unwrap_or_default() == running.len();
        Ok(!found.is_empty() && found.iter().all(done) && staying && all)
    }

    /// The images that the Deployments name.
    pub(super) async fn images(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let deployments: Api<Deployment> = Api::namespaced(self.kube.clone(), "flux-system");
        let named = |deployment: Deployment| {
            let container = deployment.spec?.template.spec?.containers.into_iter().next()?;
            Some((deployment.metadata.name?, container.image?))
        };
        let found = deployments.list(&ListParams::default()).await?;
        Ok(found.into_iter().filter_map(named).collect())
    }

    /// Every Deployment names what the world's contents say.
    pub(super) async fn runs(&self, world: &World) -> anyhow::Result<()> {
        let images = self.images().await?;
        ensure!(images.len() == 4, "{images:?}");
        for (name, image) in &images {
            let wanted = world.contents.images[&name.parse()?].index.to_string();
            ensure!(image.ends_with(&wanted), "{name} has {image}, not {wanted}");
        }
        Ok(())
    }

    /// The cluster as it was at first: [`RUNNING`], and nothing of an agent.
    pub(super) async fn reset(&self) -> anyhow::Result<()> {
        self.proxy.heal();
        self.cluster.install(&self.base.install(&RUNNING)?).await?;
        self.forget_tasks().await?;
        self.at_rest().await
    }

    /// Removes what agents stored in the cluster.
    async fn forget_tasks(&self) -> anyhow::Result<()> {
        let maps: Api<ConfigMap> = Api::namespaced(self.kube.clone(), "flux-system");
        let deleted = maps.delete(agent::task::NAME, &DeleteParams::default()).await;
        gone(deleted.err())?;
        self.forget_lease().await
    }

    /// Removes the Lease that an agent held: the next one need not wait for its end.
    pub(super) async fn forget_lease(&self) -> anyhow::Result<()> {
        let leases: Api<Lease> = Api::namespaced(self.kube.clone(), "flux-system");
        let deleted = leases.delete(agent::lease::NAME, &DeleteParams::default()).await;
        gone(deleted.err())
    }
}

/// What is not there need not be removed.
fn gone(error: Option<kube::Error>) -> anyhow::Result<()> {
    match error {
        Some(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

impl Running {
    pub(super) fn log(&self) -> String {
        self.log.text()
    }

    /// Ends the agent, and waits until it has.
    pub(super) async fn stop(self) -> anyhow::Result<String> {
        self.shutdown.request();
        let ended = tokio::task::spawn_blocking(|| self.thread.join());
        let ended = tokio::time::timeout(Duration::from_secs(40), ended).await;
        match ended.context("an agent that does not end")?? {
            Ok(ended) => ended?,
            Err(_) => anyhow::bail!("the agent panicked; its log:\n{}", self.log.text()),
        }
        Ok(self.log.text())
    }
}
