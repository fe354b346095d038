//! The fake kubelet against a real registry.

use anyhow::{Context, ensure};
use integration_tests::lab::Lab;
use integration_tests::lab::cluster::Cluster;
use integration_tests::lab::kubelet::{FakeKubelet, ImageIdForm, ImageSource, KubeletConfig, Mirror};
use integration_tests::lab::registry::Registry;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::cluster::{controller, once};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const UPSTREAM: &str = "ghcr.io/fluxcd";

/// The digests of an image that was pushed.
struct Pushed {
    index: String,
    platform: String,
    config: String,
}

pub(crate) async fn have_the_form_of_the_runtime(lab: Lab) -> anyhow::Result<()> {
    let registry = Registry::start(&lab).await?;
    let cluster = Cluster::start(&lab, "images").await?;
    let client = cluster.client().await?;
    let forms = [
        ("by-index", ImageIdForm::Index),
        ("by-platform", ImageIdForm::Platform),
        ("by-config", ImageIdForm::Config),
    ];
    for (app, form) in forms {
        let pushed = push(&registry, app, "v1").await?;
        let kubelet = FakeKubelet::start(client.clone(), config(&registry, form));
        cluster
            .install(&controller(app, &format!("{UPSTREAM}/{app}:v1@{}", pushed.index)))
            .await?;
        let (_, status) = once(&client, app, "ready", |c| c.ready).await?;
        let wanted = match form {
            ImageIdForm::Index => format!("{UPSTREAM}/{app}@{}", pushed.index),
            ImageIdForm::Platform => format!("{UPSTREAM}/{app}@{}", pushed.platform),
            ImageIdForm::Config => pushed.config,
        };
        ensure!(
            status.image_id == wanted,
            "{form:?}: {} instead of {wanted}",
            status.image_id
        );
        drop(kubelet);
    }
    Ok(())
}

pub(crate) async fn refused_until_pushed(lab: Lab) -> anyhow::Result<()> {
    let registry = Registry::start(&lab).await?;
    let cluster = Cluster::start(&lab, "refused").await?;
    let client = cluster.client().await?;
    let _kubelet = FakeKubelet::start(client.clone(), config(&registry, ImageIdForm::Index));
    cluster
        .install(&controller("late", &format!("{UPSTREAM}/late:v1")))
        .await?;
    let refused = |c: &k8s_openapi::api::core::v1::ContainerStatus| {
        let waiting = c.state.as_ref().and_then(|state| state.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("ImagePullBackOff"))
    };
    once(&client, "late", "refused", refused).await?;
    let pushed = push(&registry, "late", "v1").await?;
    let (_, status) = once(&client, "late", "ready", |c| c.ready).await?;
    ensure!(
        status.image_id == format!("{UPSTREAM}/late@{}", pushed.index),
        "{status:?}"
    );
    Ok(())
}

fn config(registry: &Registry, image_id: ImageIdForm) -> KubeletConfig {
    let mirror = Mirror {
        from: "ghcr.io/".into(),
        to: format!("{}/mirror/", registry.host()),
    };
    KubeletConfig {
        images: ImageSource::Registry(vec![mirror]),
        image_id,
        ..KubeletConfig::default()
    }
}

/// Pushes an image for two platforms to where the mirror of `ghcr.io/fluxcd/<name>` is.
async fn push(registry: &Registry, name: &str, tag: &str) -> anyhow::Result<Pushed> {
    let base = format!("http://{}/v2/mirror/fluxcd/{name}", registry.host());
    let mut entries = Vec::new();
    let mut ours = None;
    for architecture in ["arm64", "amd64"] {
        let config = json!({ "os": "linux", "architecture": architecture, "name": name }).to_string();
        let config_digest = put_blob(&base, &config).await?;
        let descriptor = json!({ "mediaType": CONFIG, "digest": config_digest, "size": config.len() });
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor, "layers": [] })
                .to_string();
        let digest = put_manifest(&base, MANIFEST, &digest_of(&manifest), &manifest).await?;
        let platform = json!({ "os": "linux", "architecture": architecture });
        let size = manifest.len();
        entries.push(json!({ "mediaType": MANIFEST, "digest": digest, "size": size, "platform": platform }));
        ours = Some((digest, config_digest));
    }
    let index: Value = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
    let index = put_manifest(&base, INDEX, tag, &index.to_string()).await?;
    let (platform, config) = ours.context("no platform")?;
    Ok(Pushed {
        index,
        platform,
        config,
    })
}

async fn put_blob(base: &str, text: &str) -> anyhow::Result<String> {
    let http = direct()?;
    let begun = http
        .post(format!("{base}/blobs/uploads/"))
        .send()
        .await?
        .error_for_status()?;
    let place = begun
        .headers()
        .get("location")
        .context("no place to upload to")?
        .to_str()?
        .to_owned();
    let digest = digest_of(text);
    let joint = if place.contains('?') { '&' } else { '?' };
    http.put(format!("{place}{joint}digest={digest}"))
        .body(text.to_owned())
        .send()
        .await?
        .error_for_status()?;
    Ok(digest)
}

async fn put_manifest(base: &str, media_type: &str, version: &str, text: &str) -> anyhow::Result<String> {
    let request = direct()?.put(format!("{base}/manifests/{version}"));
    request
        .header("content-type", media_type)
        .body(text.to_owned())
        .send()
        .await?
        .error_for_status()?;
    Ok(digest_of(text))
}

/// Past any proxy of the environment.
fn direct() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

fn digest_of(text: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}
