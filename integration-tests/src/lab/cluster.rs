//! A real Kubernetes cluster without machines: kube-apiserver and kube-controller-manager over the lab's etcd.
//!
//! Whoever holds [`Cluster::kubeconfig`] is cluster-admin; RBAC is on, so lesser users can be made or impersonated.
//! Deployments become pods, but pods stay Pending until a [`super::kubelet::FakeKubelet`] runs. Admission of
//! service accounts is off: pods get no token mounted, which nothing here would read.

mod access;
mod install;
mod objects;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kube::config::{KubeConfigOptions, Kubeconfig};

use super::etcd::Etcd;
use super::process::{Launch, Part};
use super::tools::Tool;
use super::{Error, Lab};
use access::Access;
pub use objects::objects;

/// A cluster on loopback. Its processes are killed when dropped.
#[derive(Debug)]
pub struct Cluster {
    name: String,
    folder: PathBuf,
    access: Access,
    port: u16,
    // Dropped before the API that it talks to.
    controllers: Part,
    api: Part,
    _etcd: Arc<Etcd>,
}

impl Cluster {
    /// Starts an empty cluster; `name` is for messages, its folder and its kubeconfig, in the form of a DNS label.
    /// Returns when the API is ready and the controllers work. Several can be started at once.
    ///
    /// # Errors
    /// Where a part does not become ready.
    pub async fn start(lab: &Lab, name: &str) -> Result<Self, Error> {
        let folder = lab.new_folder(&format!("cluster-{name}"))?;
        // Found before anything is started, so that a missing tool costs no time.
        let tools = [
            lab.tools().path(Tool::KubeApiserver)?,
            lab.tools().path(Tool::KubeControllerManager)?,
        ];
        let access = Access::create(name, &folder)?;
        let etcd = lab.etcd().await?;
        let (api, port) = start_api(lab, name, &folder, &etcd, tools[0]).await?;
        access.write_kubeconfig(name, port)?;
        let controllers = start_controllers(lab, name, &folder, tools[1]).await?;
        Ok(Self {
            name: name.to_owned(),
            folder,
            access,
            port,
            controllers,
            api,
            _etcd: etcd,
        })
    }

    /// The name given to [`Cluster::start`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `https://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// A kubeconfig (YAML) of a cluster-admin, with CA and token in it, as an operator would hand over.
    ///
    /// # Errors
    /// Where the CA cannot be read from the cluster's folder.
    pub fn kubeconfig(&self) -> Result<String, Error> {
        self.access.kubeconfig(&self.name, self.port)
    }

    /// The file with [`Cluster::kubeconfig`], readable by its owner alone.
    #[must_use]
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.access.kubeconfig_path()
    }

    /// A new client with the rights of a cluster-admin. It works on the runtime that it was made on.
    ///
    /// # Errors
    /// Where the kubeconfig cannot be used.
    pub async fn client(&self) -> Result<kube::Client, Error> {
        client(&self.name, &self.kubeconfig()?).await
    }

    /// What speaks to the API server as its admin without a client for Kubernetes: HTTP, and a header.
    pub(super) fn http(&self) -> Result<(reqwest::Client, String), Error> {
        self.access.http(&self.name)
    }

    /// Applies YAML documents as `flux install` does: server-side, by field manager `flux`, definitions first, and
    /// what needs them once they are served.
    ///
    /// # Errors
    /// Where a document cannot be read or is refused; those before it stay applied.
    pub async fn install(&self, documents: &str) -> Result<(), Error> {
        install::install(&self.name, &self.client().await?, documents).await
    }

    /// The API server's and the controller manager's process.
    #[must_use]
    pub fn parts(&self) -> [&Part; 2] {
        [&self.api, &self.controllers]
    }

    /// Where the cluster's logs and keys are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ends the cluster for good.
    ///
    /// # Errors
    /// Where a process cannot be waited for.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.controllers.kill().await?;
        self.api.kill().await
    }
}

async fn start_api(
    lab: &Lab,
    name: &str,
    folder: &Path,
    etcd: &Etcd,
    program: &Path,
) -> Result<(Part, u16), Error> {
    // The folder's own name is unique in the lab, where `name` may have been used before.
    let prefix = folder.file_name().unwrap_or_default().to_string_lossy();
    let file = |name: &str| folder.join(name).display().to_string();
    let plan = |[port]: [u16; 1]| {
        let flags = [
            ("etcd-servers", etcd.url()),
            ("etcd-prefix", format!("/{prefix}")),
            ("secure-port", port.to_string()),
            ("bind-address", "127.0.0.1".to_owned()),
            ("cert-dir", file("certs")),
            ("service-cluster-ip-range", "10.0.0.0/24".to_owned()),
            ("allow-privileged", "true".to_owned()),
            ("authorization-mode", "RBAC".to_owned()),
            ("service-account-issuer", format!("https://127.0.0.1:{port}/")),
            ("service-account-key-file", file(access::SIGNING_PUBLIC)),
            ("service-account-signing-key-file", file(access::SIGNING_KEY)),
            ("token-auth-file", file(access::TOKENS)),
            ("disable-admission-plugins", "ServiceAccount".to_owned()),
        ];
        Ok(Launch {
            name: format!("{} of {name}", Tool::KubeApiserver),
            program: program.to_owned(),
            arguments: flags
                .map(|(flag, value)| format!("--{flag}={value}").into())
                .into(),
            environment: Vec::new(),
            log: folder.join("kube-apiserver.log"),
        })
    };
    let probe = async |[port]: [u16; 1]| access::answers(folder, port, "/readyz").await;
    let (part, [port]) = Part::start_on_free_ports(lab, plan, probe).await?;
    Ok((part, port))
}

async fn start_controllers(lab: &Lab, name: &str, folder: &Path, program: &Path) -> Result<Part, Error> {
    let file = |name: &str| folder.join(name).display().to_string();
    // resourcequota: without it the quota in Flux's manifest lets no pod in.
    let controllers = "deployment,replicaset,serviceaccount,serviceaccount-token,namespace,garbagecollector,\
                       resourcequota,clusterrole-aggregation";
    let plan = |[port]: [u16; 1]| {
        let flags = [
            ("kubeconfig", file(access::KUBECONFIG)),
            ("service-account-private-key-file", file(access::SIGNING_KEY)),
            ("leader-elect", "false".to_owned()),
            ("bind-address", "127.0.0.1".to_owned()),
            ("secure-port", port.to_string()),
            ("cert-dir", file("controller-certs")),
            ("controllers", controllers.to_owned()),
        ];
        Ok(Launch {
            name: format!("{} of {name}", Tool::KubeControllerManager),
            program: program.to_owned(),
            arguments: flags
                .map(|(flag, value)| format!("--{flag}={value}").into())
                .into(),
            environment: Vec::new(),
            log: folder.join("kube-controller-manager.log"),
        })
    };
    let text = std::fs::read_to_string(folder.join(access::KUBECONFIG));
    let text =
        text.map_err(|source| super::folder::failed("reading", &folder.join(access::KUBECONFIG), source))?;
    let client = client(name, &text).await?;
    let probe = async |_: [u16; 1]| access::controllers_work(&client).await;
    Ok(Part::start_on_free_ports(lab, plan, probe).await?.0)
}

async fn client(cluster: &str, kubeconfig: &str) -> Result<kube::Client, Error> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Document {
        operation: "making a client from the kubeconfig",
        cluster: cluster.to_owned(),
        source,
    };
    let parsed = Kubeconfig::from_yaml(kubeconfig).map_err(|source| failed(source.into()))?;
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(parsed, &options).await;
    let mut config = config.map_err(|source| failed(source.into()))?;
    // It would be the one of $HTTPS_PROXY, which is not for loopback.
    config.proxy_url = None;
    kube::Client::try_from(config).map_err(|source| failed(source.into()))
}
