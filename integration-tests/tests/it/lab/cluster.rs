//! Clusters and the fake kubelet's behaviour.

use std::time::Duration;

use anyhow::{Context, ensure};
use integration_tests::lab::Lab;
use integration_tests::lab::cluster::Cluster;
use integration_tests::lab::kubelet::{FakeKubelet, Fault, KubeletConfig, Target};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ContainerStatus, Namespace, Pod};
use kube::Api;
use kube::api::ListParams;

use crate::within::eventually;

/// A controller as Flux has them: one replica, Recreate, with leader election.
pub(crate) fn controller(name: &str, image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: flux-system}}\n---\napiVersion: apps/v1\nkind: Deployment\n\
         metadata: {{name: {name}, namespace: flux-system}}\nspec:\n  strategy: {{type: Recreate}}\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      \
         containers:\n      - {{name: manager, image: \"{image}\", args: [--enable-leader-election]}}\n"
    )
}

/// The one pod of `app` that is not being deleted, and its one container's status.
pub(crate) async fn container(
    client: &kube::Client,
    app: &str,
) -> anyhow::Result<Option<(Pod, ContainerStatus)>> {
    let pods = Api::<Pod>::namespaced(client.clone(), "flux-system");
    let list = pods
        .list(&ListParams::default().labels(&format!("app={app}")))
        .await?;
    let pod = list
        .items
        .into_iter()
        .find(|pod| pod.metadata.deletion_timestamp.is_none());
    let Some(pod) = pod else { return Ok(None) };
    let status = pod
        .status
        .clone()
        .unwrap_or_default()
        .container_statuses
        .unwrap_or_default()
        .into_iter()
        .next();
    Ok(status.map(|status| (pod, status)))
}

/// The container of `app`, once `holds` does of it.
pub(crate) async fn once(
    client: &kube::Client,
    app: &str,
    what: &str,
    holds: impl Fn(&ContainerStatus) -> bool,
) -> anyhow::Result<(Pod, ContainerStatus)> {
    eventually(what, async || {
        Ok(container(client, app).await?.filter(|(_, status)| holds(status)))
    })
    .await
}

fn waits_for(status: &ContainerStatus) -> Option<&str> {
    status.state.as_ref()?.waiting.as_ref()?.reason.as_deref()
}

fn last_end(status: &ContainerStatus) -> Option<(&str, i32)> {
    let end = status.last_state.as_ref()?.terminated.as_ref()?;
    Some((end.reason.as_deref()?, end.exit_code))
}

pub(crate) async fn do_not_see_each_other(lab: Lab) -> anyhow::Result<()> {
    let (one, two) = tokio::try_join!(Cluster::start(&lab, "one"), Cluster::start(&lab, "two"))?;
    one.install("apiVersion: v1\nkind: Namespace\nmetadata: {name: only-here}\n")
        .await?;
    let version = one.client().await?.apiserver_version().await?.git_version;
    ensure!(version.starts_with("v1.36."), "clients read {version}");
    let seen = async |cluster: &Cluster| -> anyhow::Result<bool> {
        Ok(Api::<Namespace>::all(cluster.client().await?)
            .get_opt("only-here")
            .await?
            .is_some())
    };
    ensure!(seen(&one).await? && !seen(&two).await?);
    one.stop().await?;
    two.stop().await?;
    Ok(())
}

pub(crate) async fn tells_each_fault(lab: Lab) -> anyhow::Result<()> {
    let cluster = Cluster::start(&lab, "faults").await?;
    let client = cluster.client().await?;
    let kubelet = FakeKubelet::start(client.clone(), KubeletConfig::default());
    let app = "source-controller";
    let target = Target::App(app.into());
    let version = |tag: &str| controller(app, &format!("ghcr.io/fluxcd/source-controller:{tag}"));

    kubelet.inject(target.clone(), Fault::SlowStart(Duration::from_secs(2)));
    cluster.install(&version("v1.9.3")).await?;
    once(&client, app, "started and not ready", |c| {
        c.started == Some(true) && !c.ready
    })
    .await?;
    once(&client, app, "ready after a slow start", |c| c.ready).await?;

    kubelet.inject(target.clone(), Fault::CrashLoop);
    let crashing = |c: &ContainerStatus| c.restart_count >= 2 && waits_for(c) == Some("CrashLoopBackOff");
    let (_, status) = once(&client, app, "a crash loop", crashing).await?;
    ensure!(last_end(&status) == Some(("Error", 1)), "{status:?}");
    kubelet.inject(target.clone(), Fault::OutOfMemory);
    once(&client, app, "OOMKilled", |c| {
        last_end(c) == Some(("OOMKilled", 137))
    })
    .await?;
    kubelet.heal(&target);
    once(&client, app, "ready when healed", |c| {
        c.ready && c.restart_count >= 3
    })
    .await?;

    let new_image = Target::Image("source-controller:v1.9.4".into());
    kubelet.inject(new_image.clone(), Fault::ImagePull);
    once(&client, app, "still ready, for it has the old image", |c| c.ready).await?;
    cluster.install(&version("v1.9.4")).await?;
    once(&client, app, "ImagePullBackOff", |c| {
        waits_for(c) == Some("ImagePullBackOff")
    })
    .await?;
    kubelet.heal(&new_image);
    once(&client, app, "pulled when healed", |c| {
        c.ready && c.image.ends_with("v1.9.4")
    })
    .await?;
    Ok(())
}

pub(crate) async fn passes_the_lease_on(lab: Lab) -> anyhow::Result<()> {
    let cluster = Cluster::start(&lab, "leases").await?;
    let client = cluster.client().await?;
    let kubelet = FakeKubelet::start(client.clone(), KubeletConfig::default());
    let app = "kustomize-controller";
    let image = |tag: &str| format!("ghcr.io/fluxcd/kustomize-controller:{tag}");
    let leases = Api::<Lease>::namespaced(client.clone(), "flux-system");
    let held_by = async |pod: &Pod| {
        let lease = leases.get_opt("kustomize-controller-leader-election").await?;
        let spec = lease.and_then(|lease| lease.spec).unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let pod = pod.metadata.name.clone().unwrap_or_default();
        anyhow::Ok(holder.starts_with(&format!("{pod}_")).then_some(spec))
    };

    cluster.install(&controller(app, &image("v1"))).await?;
    let (first, _) = once(&client, app, "the first pod is ready", |c| c.ready).await?;
    let lease = eventually("the first pod leads", async || held_by(&first).await).await?;
    let taken = lease.renew_time.clone().context("no renew time")?;
    let renewed = async || {
        Ok(held_by(&first)
            .await?
            .filter(|spec| spec.renew_time.as_ref() > Some(&taken)))
    };
    eventually("the lease is renewed", renewed).await?;

    let stuck = Target::Image("kustomize-controller:v2".into());
    kubelet.inject(stuck.clone(), Fault::StuckLeader);
    cluster.install(&controller(app, &image("v2"))).await?;
    let (second, _) = once(&client, app, "the second pod is ready", |c| {
        c.ready && c.image.ends_with("v2")
    })
    .await?;
    let pods = Api::<Pod>::namespaced(client.clone(), "flux-system")
        .list(&ListParams::default())
        .await?;
    ensure!(pods.items.len() == 1, "the first pod's deletion was not finished");
    ensure!(held_by(&second).await?.is_none(), "a stuck leader took the lease");
    kubelet.heal(&stuck);
    let lease = eventually("the second pod leads", async || held_by(&second).await).await?;
    ensure!(lease.lease_transitions == Some(1), "{lease:?}");
    Ok(())
}
