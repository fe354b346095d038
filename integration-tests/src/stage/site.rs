//! A cluster with Flux, its fake kubelet and its agent.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use kube::Api;
use kube::api::ListParams;
use serde_json::Value;

use super::files::write;
use super::{AgentFile, Plan, StageError, binary};
use crate::lab::Lab;
use crate::lab::cluster::{Cluster, objects};
use crate::lab::kubelet::{FakeKubelet, ImageIdForm, ImageSource, KubeletConfig, Mirror};
use crate::lab::process::{Launch, Part};

/// A cluster on the stage.
pub struct Site {
    /// Its name.
    pub name: String,
    /// The wave that its label selects.
    pub wave: String,
    /// Fingerprint of its agent's key.
    pub fingerprint: String,
    /// Its API server.
    pub cluster: Cluster,
    /// A client of it with all rights.
    pub client: kube::Client,
    /// What stands in for its nodes.
    pub kubelet: FakeKubelet,
    /// The agent's file.
    pub file: AgentFile,
    folder: PathBuf,
    agent: Option<Part>,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("name", &self.name)
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

impl Site {
    /// Starts a cluster, installs Flux as `flux install` does, and makes its agent's key.
    pub(super) async fn build(
        lab: &Lab,
        plan: &Plan,
        (stage, registry): (&Path, &str),
        manifests: &str,
    ) -> Result<Self, StageError> {
        let cluster = Cluster::start(lab, plan.name).await?;
        let mirror = Mirror {
            from: "ghcr.io/".to_owned(),
            to: format!("{registry}/"),
        };
        let config = KubeletConfig {
            node: format!("{}-node", plan.name),
            images: ImageSource::Registry(vec![mirror]),
            image_id: ImageIdForm::Index,
        };
        let client = cluster.client().await?;
        let kubelet = FakeKubelet::start(client.clone(), config);
        cluster.install(manifests).await?;
        let folder = stage.join(plan.name);
        write(
            &folder.join("README"),
            "What the agent of this cluster reads and remembers.\n",
        )?;
        let key = folder.join("agent.key");
        let public = fluxgate::keys::agent(&key).map_err(StageError::Keys)?;
        let file = AgentFile {
            cluster: plan.name.to_owned(),
            key,
            state: folder.join("state"),
            kubeconfig: cluster.kubeconfig_path(),
            nats: String::new(),
            root_key: PathBuf::new(),
            max_mode: "Enforce".to_owned(),
            accept_demo: true,
            traces: None,
        };
        Ok(Self {
            name: plan.name.to_owned(),
            wave: plan.wave.to_owned(),
            fingerprint: public.fingerprint(),
            cluster,
            client,
            kubelet,
            file,
            folder,
            agent: None,
        })
    }

    /// Starts the agent with its file as it is now.
    ///
    /// # Errors
    /// If the binary is missing or the process can't be started.
    pub async fn start_agent(&mut self, lab: &Lab) -> Result<(), StageError> {
        let file = self.folder.join("agent.toml");
        write(&file, self.file.text())?;
        let launch = Launch {
            name: format!("cluster-agent of {}", self.name),
            program: binary("cluster-agent")?,
            arguments: vec!["--config".into(), file.into()],
            environment: Vec::new(),
            log: self.folder.join("agent.log"),
        };
        self.agent = Some(Part::start(lab, &launch, async || true).await?);
        Ok(())
    }

    /// The agent, while it runs.
    #[must_use]
    pub const fn agent(&self) -> Option<&Part> {
        self.agent.as_ref()
    }

    /// Kills the agent with SIGKILL.
    ///
    /// # Errors
    /// If it can't be waited for.
    pub async fn kill_agent(&mut self) -> Result<(), StageError> {
        if let Some(mut agent) = self.agent.take() {
            agent.kill().await?;
        }
        Ok(())
    }

    /// What the agent wrote to its log.
    #[must_use]
    pub fn agent_log(&self) -> String {
        std::fs::read_to_string(self.folder.join("agent.log")).unwrap_or_default()
    }

    fn failed(&self) -> impl Fn(kube::Error) -> StageError {
        let cluster = self.name.clone();
        move |source| StageError::Cluster {
            cluster: cluster.clone(),
            source: Box::new(source),
        }
    }

    /// Every object of the cluster but those that an idle cluster writes by itself, each with the resource
    /// version of its last change.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn objects(&self) -> Result<BTreeMap<String, String>, StageError> {
        objects(&self.client).await.map_err(self.failed())
    }

    /// Component to the image and the image id of each of its pods.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn pod_images(&self) -> Result<BTreeMap<String, Vec<(String, String)>>, StageError> {
        let api: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(self.client.clone(), "flux-system");
        let pods = api.list(&ListParams::default()).await.map_err(self.failed())?;
        let mut images: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for pod in pods {
            let value = serde_json::to_value(&pod).unwrap_or(Value::Null);
            let text = |pointer: &str| {
                value
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            let app = text("/metadata/labels/app");
            let image = text("/spec/containers/0/image");
            images
                .entry(app)
                .or_default()
                .push((image, text("/status/containerStatuses/0/imageID")));
        }
        Ok(images)
    }

    /// The images that the Deployments name, by name.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn deployment_images(&self) -> Result<BTreeMap<String, String>, StageError> {
        let api: Api<k8s_openapi::api::apps::v1::Deployment> =
            Api::namespaced(self.client.clone(), "flux-system");
        let found = api.list(&ListParams::default()).await.map_err(self.failed())?;
        let image = |deployment: k8s_openapi::api::apps::v1::Deployment| {
            let name = deployment.metadata.name?;
            let container = deployment.spec?.template.spec?.containers.into_iter().next()?;
            Some((name, container.image?))
        };
        Ok(found.into_iter().filter_map(image).collect())
    }
}
