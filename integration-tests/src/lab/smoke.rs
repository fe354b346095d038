//! A first look at whether the lab works on this machine: every part once, and a Flux on a cluster.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams};

use super::cluster::Cluster;
use super::kubelet::{FakeKubelet, KubeletConfig};
use super::nats::Nats;
use super::registry::Registry;
use super::{Error, Lab};

/// Real where the data is there: Flux as an operator installs it.
const MANIFESTS: [&str; 2] = [
    "flux-manifests/2.9.3/gotk-components.default.yaml",
    "flux-manifests/2.9.3/gotk-components.yaml",
];
const AVAILABLE_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// What is installed where the data is absent.
const TINY: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: flux-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: source-controller, namespace: flux-system}
spec:
  selector: {matchLabels: {app: source-controller}}
  template:
    metadata: {labels: {app: source-controller}}
    spec:
      containers:
      - name: manager
        image: ghcr.io/fluxcd/source-controller:v1.9.3
        args: [--enable-leader-election]
";

/// Starts NATS, a registry and `clusters` clusters at once, installs Flux on each and waits until its Deployments
/// are available; tells the time that each step took.
///
/// # Errors
/// Where any step fails; the logs are kept.
pub async fn smoke(lab: &Lab, clusters: usize) -> Result<(), Error> {
    timed(lab, "nats-server", Nats::start(lab)).await?.kill().await?;
    timed(lab, "nats-server again, and killed and restarted", restarted(lab)).await?;
    let _registry = timed(lab, "registry", Registry::start(lab)).await?;
    let names: Vec<String> = (1..=clusters).map(|number| format!("edge-{number}")).collect();
    let starts = futures::future::try_join_all(names.iter().map(|name| Cluster::start(lab, name)));
    let started = timed(lab, &format!("{clusters} cluster(s)"), starts).await?;
    let documents = documents(lab);
    let all = futures::future::try_join_all(started.iter().map(|cluster| install(lab, cluster, &documents)));
    timed(lab, "Flux on all clusters", all).await?;
    Ok(())
}

async fn restarted(lab: &Lab) -> Result<(), Error> {
    let mut nats = Nats::start(lab).await?;
    nats.kill().await?;
    nats.restart().await
}

async fn install(lab: &Lab, cluster: &Cluster, documents: &str) -> Result<(), Error> {
    let client = cluster.client().await?;
    let _kubelet = FakeKubelet::start(client.clone(), KubeletConfig::default());
    let name = cluster.name();
    timed(lab, &format!("{name}: apply"), cluster.install(documents)).await?;
    timed(
        lab,
        &format!("{name}: Deployments available"),
        available(cluster, &client),
    )
    .await
}

async fn available(cluster: &Cluster, client: &kube::Client) -> Result<(), Error> {
    let deployments = Api::<Deployment>::namespaced(client.clone(), "flux-system");
    let deadline = Instant::now() + AVAILABLE_WITHIN;
    loop {
        let failed = |source| Error::Kube {
            operation: "listing",
            object: "Deployments".to_owned(),
            cluster: cluster.name().to_owned(),
            source: Box::new(source),
        };
        let list = deployments.list(&ListParams::default()).await.map_err(failed)?;
        let waiting = list.items.iter().find(|deployment| !is_available(deployment));
        match waiting {
            None if !list.items.is_empty() => return Ok(()),
            _ if Instant::now() < deadline => tokio::time::sleep(POLL).await,
            _ => {
                let name = waiting
                    .and_then(|deployment| deployment.metadata.name.clone())
                    .unwrap_or_default();
                let (object, cluster) = (format!("Deployment/{name}"), cluster.name().to_owned());
                return Err(Error::Deadline {
                    object,
                    cluster,
                    state: "Available",
                    after: AVAILABLE_WITHIN,
                });
            }
        }
    }
}

fn is_available(deployment: &Deployment) -> bool {
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    status.observed_generation == deployment.metadata.generation && status.available_replicas == Some(wanted)
}

fn documents(lab: &Lab) -> String {
    let data = std::env::var_os("FLUXGATE_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    for path in MANIFESTS.map(|path| data.join(path)) {
        if let Ok(text) = std::fs::read_to_string(&path) {
            lab.tell(&format!("Installing {}", path.display()));
            return text;
        }
    }
    lab.tell(&format!(
        "No Flux manifests in {}: installing one small Deployment instead",
        data.display()
    ));
    TINY.to_owned()
}

async fn timed<T>(lab: &Lab, what: &str, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let started = Instant::now();
    let result = Box::pin(work).await;
    let outcome = if result.is_ok() { "ok" } else { "FAILED" };
    lab.tell(&format!(
        "{:>8.2} s  {what}: {outcome}",
        started.elapsed().as_secs_f64()
    ));
    if result.is_err() {
        lab.keep_logs();
    }
    result
}
