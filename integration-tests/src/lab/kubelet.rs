//! A kubelet of ours, for a cluster without machines: it gives each pod a node, "runs" its containers, and tells
//! their state as a real kubelet does, image ids included. No container runs; that is the only pretence.
//!
//! One task for each cluster looks at all pods, on each event and ten times a second, and writes what is missing.
//! It keeps no promise by being told once: errors of the API or of the watch are met by looking again. All
//! containers are taken to run for ever; jobs and init containers are not played.

mod faults;
mod image;
mod lease;
mod life;
mod status;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::response::Status;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub use faults::{Fault, Faults, Target};
use image::Puller;
pub use image::{ImageIdForm, ImageSource, Mirror};
use life::PodLife;

const TICK: Duration = Duration::from_millis(100);
/// For one call to the API; the client itself would repeat a refused call for minutes.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// The field manager of real kubelets.
const MANAGER: &str = "kubelet";

/// How the kubelet of one cluster is set up.
#[derive(Debug, Clone)]
pub struct KubeletConfig {
    /// The node that pods are bound to. There is no Node object.
    pub node: String,
    /// Where images are looked up.
    pub images: ImageSource,
    /// What the runtime reports as `imageID`.
    pub image_id: ImageIdForm,
}

impl Default for KubeletConfig {
    /// Any image exists, and ids are index digests, as with containerd.
    fn default() -> Self {
        Self {
            node: "lab-node".to_owned(),
            images: ImageSource::Any,
            image_id: ImageIdForm::Index,
        }
    }
}

/// The kubelet of one cluster. It stops when dropped; the pods then stay as they are.
#[derive(Debug)]
pub struct FakeKubelet {
    faults: Arc<Mutex<Faults>>,
    task: JoinHandle<()>,
}

impl FakeKubelet {
    /// Starts on the current tokio runtime, which must be the one that `client` was made on.
    #[must_use]
    pub fn start(client: kube::Client, config: KubeletConfig) -> Self {
        let faults = Arc::new(Mutex::new(Faults::default()));
        let node = Node {
            pods: HashMap::new(),
            puller: Puller::new(config.images, config.image_id),
            name: config.node,
            client,
            faults: faults.clone(),
        };
        Self {
            faults,
            task: tokio::spawn(node.run()),
        }
    }

    /// From now on, and until [`FakeKubelet::heal`], the containers of `target` suffer `fault`; an earlier fault of
    /// the same target is replaced. Takes effect within about 0.2 s.
    pub fn inject(&self, target: Target, fault: Fault) {
        lock(&self.faults).inject(target, fault);
    }

    /// Ends the fault of `target`: crashed containers restart, refused images are pulled again.
    pub fn heal(&self, target: &Target) {
        lock(&self.faults).heal(target);
    }

    /// The faults, to be changed from elsewhere.
    #[must_use]
    pub fn faults(&self) -> Arc<Mutex<Faults>> {
        self.faults.clone()
    }
}

impl Drop for FakeKubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The kubelet's view of its cluster.
struct Node {
    name: String,
    client: kube::Client,
    faults: Arc<Mutex<Faults>>,
    puller: Puller,
    /// By uid: a new pod may have the name of an old one.
    pods: HashMap<String, Tracked>,
}

/// A pod and what we know of it.
struct Tracked {
    pod: Pod,
    life: Option<PodLife>,
    /// The last status that the API took, to write only changes.
    written: Option<Value>,
    lease_due: Instant,
}

impl Node {
    async fn run(mut self) {
        let pods = Api::<Pod>::all(self.client.clone());
        let mut events = watcher(pods, watcher::Config::default())
            .default_backoff()
            .boxed();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut listed = HashSet::new();
        loop {
            tokio::select! {
                // An error is followed by a new list, after a while; the stream itself never ends.
                event = events.next() => if let Some(Ok(event)) = event {
                    self.hear(event, &mut listed).await;
                },
                _ = tick.tick() => {
                    for uid in self.pods.keys().cloned().collect::<Vec<_>>() {
                        self.tend(&uid).await;
                    }
                }
            }
        }
    }

    async fn hear(&mut self, event: watcher::Event<Pod>, listed: &mut HashSet<String>) {
        match event {
            watcher::Event::Apply(pod) => {
                let uid = self.track(pod);
                self.tend(&uid).await;
            }
            watcher::Event::InitApply(pod) => {
                listed.insert(self.track(pod));
            }
            watcher::Event::Init => listed.clear(),
            watcher::Event::InitDone => self.pods.retain(|uid, _| listed.contains(uid)),
            watcher::Event::Delete(pod) => {
                self.pods.remove(&uid(&pod));
            }
        }
    }

    fn track(&mut self, pod: Pod) -> String {
        let uid = uid(&pod);
        match self.pods.get_mut(&uid) {
            Some(tracked) => tracked.pod = pod,
            None => {
                let tracked = Tracked {
                    pod,
                    life: None,
                    written: None,
                    lease_due: Instant::now(),
                };
                self.pods.insert(uid.clone(), tracked);
            }
        }
        uid
    }

    /// Does what is to be done for a pod now. What fails is done at the next tick.
    async fn tend(&mut self, uid: &str) {
        let Some(tracked) = self.pods.get(uid) else { return };
        let pod = tracked.pod.clone();
        let spec = pod.spec.clone().unwrap_or_default();
        let ours = spec.node_name.as_deref().is_none_or(|node| node == self.name);
        if pod.metadata.deletion_timestamp.is_some() {
            self.finish_deletion(&pod).await;
        } else if ours && !ended(&pod) {
            if spec.node_name.is_none() && !self.bind(&pod).await {
                return;
            }
            self.live(uid, &pod, &spec.containers).await;
            self.lead(uid).await;
        }
    }

    /// Takes the pod's containers one step on and writes the status if that changed it.
    async fn live(&mut self, uid: &str, pod: &Pod, containers: &[Container]) {
        let mut pulls = Vec::new();
        for container in containers {
            pulls.push(
                self.puller
                    .pull(container.image.as_deref().unwrap_or_default())
                    .await,
            );
        }
        let Some(tracked) = self.pods.get_mut(uid) else {
            return;
        };
        let now = Timestamp::now();
        let life = tracked.life.get_or_insert_with(|| PodLife::begin(pod, now));
        life.advance(&lock(&self.faults), pod, &pulls, now);
        let status = status::of(uid, life, &tracked.pod);
        if tracked.written.as_ref() == Some(&status) {
            return;
        }
        // With the uid, so that it is not written to a new pod of the same name.
        let patch = json!({ "metadata": { "uid": uid }, "status": status });
        let parameters = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let (pods, name) = (api(&self.client, pod), name(pod));
        if call(pods.patch_status(&name, &parameters, &Patch::Merge(&patch)))
            .await
            .is_some()
        {
            tracked.written = Some(status);
        }
    }

    async fn lead(&mut self, uid: &str) {
        let Some(tracked) = self.pods.get(uid) else { return };
        let stuck = lock(&self.faults).stuck_leader(&tracked.pod);
        let due = tracked.lease_due <= Instant::now();
        let Some(life) = tracked
            .life
            .as_ref()
            .filter(|life| due && !stuck && life.running())
        else {
            return;
        };
        let Some(candidate) = lease::Candidate::of(&tracked.pod, life.restarts()) else {
            return;
        };
        let rivals = self.pods.iter().filter(|(other, _)| other.as_str() != uid);
        let rivals: Vec<_> = rivals
            .filter(|(_, t)| t.life.as_ref().is_some_and(PodLife::running))
            .collect();
        let alive = |holder: &str| {
            rivals
                .iter()
                .any(|(_, t)| holder.starts_with(&format!("{}_", name(&t.pod))))
        };
        let renewed = tokio::time::timeout(CALL_WITHIN, candidate.renew(&self.client, alive))
            .await
            .is_ok();
        if let Some(tracked) = self.pods.get_mut(uid).filter(|_| renewed) {
            tracked.lease_due = Instant::now() + lease::RENEW_EVERY;
        }
    }

    async fn bind(&self, pod: &Pod) -> bool {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": { "name": pod.metadata.name, "uid": pod.metadata.uid },
            "target": { "apiVersion": "v1", "kind": "Node", "name": self.name },
        });
        let (pods, name) = (api(&self.client, pod), name(pod));
        let parameters = PostParams::default();
        let bound = pods.create_subresource::<Value, Status>("binding", &name, &parameters, &binding);
        // A refusal (409) may mean that it is bound already: the watch will tell.
        call(bound).await.is_some()
    }

    async fn finish_deletion(&self, pod: &Pod) {
        let preconditions = Preconditions {
            uid: pod.metadata.uid.clone(),
            resource_version: None,
        };
        let at_once = DeleteParams::default()
            .grace_period(0)
            .preconditions(preconditions);
        let _deleted = call(api(&self.client, pod).delete(&name(pod), &at_once)).await;
    }
}

/// `None` on any failure, late answers included: the caller comes back at the next tick.
async fn call<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Option<T> {
    tokio::time::timeout(CALL_WITHIN, request).await.ok()?.ok()
}

fn api(client: &kube::Client, pod: &Pod) -> Api<Pod> {
    Api::namespaced(
        client.clone(),
        pod.metadata.namespace.as_deref().unwrap_or("default"),
    )
}

fn name(pod: &Pod) -> String {
    pod.metadata.name.clone().unwrap_or_default()
}

fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_default()
}

fn ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn lock(faults: &Mutex<Faults>) -> MutexGuard<'_, Faults> {
    faults.lock().unwrap_or_else(PoisonError::into_inner)
}
