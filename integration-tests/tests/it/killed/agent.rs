//! The agent dies between two writes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use integration_tests::lab::Lab;
use integration_tests::stage::{COMING, Site, TWO};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::ListParams;

use crate::story::{completed, enforce, publish, runs, set};

const VERSION: &str = "app.kubernetes.io/version";

/// What an upgrade changes.
#[derive(Debug, PartialEq, Eq)]
struct State {
    namespace: String,
    /// CRD to its label of version, its versions and its stored versions.
    crds: BTreeMap<String, (String, Vec<String>, Vec<String>)>,
    /// Deployment to its image.
    images: BTreeMap<String, String>,
}

async fn state(site: &Site) -> anyhow::Result<State> {
    let crds = Api::<CustomResourceDefinition>::all(site.client.clone());
    let flux = |crd: &CustomResourceDefinition| crd.spec.group.ends_with(".toolkit.fluxcd.io");
    let described = |crd: CustomResourceDefinition| {
        let label = crd
            .metadata
            .labels
            .unwrap_or_default()
            .remove(VERSION)
            .unwrap_or_default();
        let versions = crd
            .spec
            .versions
            .into_iter()
            .map(|version| version.name)
            .collect();
        let stored = crd
            .status
            .and_then(|status| status.stored_versions)
            .unwrap_or_default();
        (crd.metadata.name.unwrap_or_default(), (label, versions, stored))
    };
    let crds = crds.list(&ListParams::default()).await?;
    Ok(State {
        namespace: namespace(site).await?,
        crds: crds.into_iter().filter(flux).map(described).collect(),
        images: site.deployment_images().await?,
    })
}

/// The version that the namespace says it has.
async fn namespace(site: &Site) -> anyhow::Result<String> {
    let namespace = Api::<Namespace>::all(site.client.clone())
        .get("flux-system")
        .await?;
    Ok(namespace
        .metadata
        .labels
        .unwrap_or_default()
        .remove(VERSION)
        .unwrap_or_default())
}

/// Waits for the first write of an upgrade; everything is looked at as often as the API server answers.
async fn first_write(site: &Site) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while namespace(site).await? != COMING.to_string() {
        if Instant::now() > deadline {
            bail!("nothing was written within a minute");
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

pub(super) async fn in_mid_apply(lab: Lab) -> anyhow::Result<()> {
    let (mut stage, hub) = set(&lab, &TWO).await?;
    let published = publish(&stage, &hub).await?;
    enforce(&stage, &hub).await?;
    let site = &mut stage.sites[0];
    first_write(site).await?;
    site.kill_agent().await?;

    let between = state(site).await?;
    ensure!(
        between.namespace == COMING.to_string(),
        "nothing was written: {between:?}"
    );
    let old = between
        .images
        .values()
        .filter(|image| !image.contains('@'))
        .count();
    ensure!(old > 0, "everything was written: {between:?}");

    site.start_agent(&lab).await?;
    completed(&hub).await?;
    ensure!(
        stage.sites[0].agent_log().contains("taking up what was begun"),
        "nothing was taken up"
    );
    for site in &stage.sites {
        runs(site, &published).await?;
    }
    let (killed, whole) = (state(&stage.sites[0]).await?, state(&stage.sites[1]).await?);
    ensure!(killed.crds.len() > 5, "{killed:?}");
    ensure!(
        killed == whole,
        "killed in between: {killed:?}\nnever killed: {whole:?}"
    );
    let finished = hub.cluster(TWO[0].name).await?;
    let accepted = finished
        .reports
        .iter()
        .filter(|r| r.kind() == wire::fleet::v1::ReportKind::Accepted)
        .count();
    ensure!(accepted == 1, "accepted {accepted} times");
    Ok(())
}
