//! The API server, as far as an agent needs it: read, dry-run, apply. Decides nothing.
//!
//! No call forces field ownership and none deletes anything.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::discovery::Scope;
use kube::{Api, Client, Discovery};
use serde_json::Value;

use domain::CrdSet;
use flux::manifest::Object;

use crate::flow::{self, Totals};
use crate::health::Seen;

mod error;
mod patience;

pub use error::{Answer, ClusterError};
pub(crate) use patience::patiently;

/// Namespace of Flux.
pub const NAMESPACE: &str = "flux-system";

/// No single answer of an API server is waited for longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// One cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cluster")
    }
}

/// The kinds that an API server serves. Made anew after CRDs were applied.
pub struct Catalogue {
    client: Client,
    discovery: Discovery,
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Catalogue")
    }
}

impl Cluster {
    /// Connects with a kubeconfig's text; in-cluster where there is none.
    ///
    /// # Errors
    /// If the kubeconfig is unusable.
    pub async fn connect(kubeconfig: Option<&str>) -> Result<Self, ClusterError> {
        let connect = |error: kube::Error| ClusterError::Connect(Box::new(error));
        let mut config = match kubeconfig {
            Some(text) => {
                let file = kube::config::Kubeconfig::from_yaml(text).map_err(ClusterError::Kubeconfig)?;
                kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default())
                    .await
                    .map_err(ClusterError::Kubeconfig)?
            }
            None => kube::Config::incluster().map_err(ClusterError::InCluster)?,
        };
        config.read_timeout = Some(ANSWER_WITHIN);
        config.write_timeout = Some(ANSWER_WITHIN);
        // It would wait as long as an answer tells it to, and for minutes without one: see `patience`.
        config.default_retry = false;
        // An API server is reached directly: a proxy of the environment is meant for the internet, and this
        // build of kube can't use one.
        config.proxy_url = None;
        Ok(Self {
            client: Client::try_from(config).map_err(connect)?,
        })
    }

    /// A cluster from a client that exists.
    #[must_use]
    pub const fn of(client: Client) -> Self {
        Self { client }
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Version of the API server, like `v1.36.3`.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn version(&self) -> Result<String, ClusterError> {
        let version = patiently(async || self.client.apiserver_version().await)
            .await
            .map_err(read("the API server's version"))?;
        Ok(version.git_version)
    }

    /// The kinds that are served now.
    ///
    /// # Errors
    /// If discovery fails.
    pub async fn catalogue(&self) -> Result<Catalogue, ClusterError> {
        let ask = async || Discovery::new(self.client.clone()).run_aggregated().await;
        let discovery = patiently(ask).await.map_err(read("the API's kinds"))?;
        Ok(Catalogue {
            client: self.client.clone(),
            discovery,
        })
    }

    /// The Deployments of the namespace.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn deployments(&self) -> Result<Vec<Deployment>, ClusterError> {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        listed(&api, "Deployments").await
    }

    /// The pods of the namespace.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn pods(&self) -> Result<Vec<Pod>, ClusterError> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        listed(&api, "pods").await
    }

    /// The CRDs of Flux.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn crds(&self) -> Result<Vec<Object>, ClusterError> {
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        listed(&api, "CRDs")
            .await?
            .into_iter()
            .filter(|crd| is_flux_group(&crd.spec.group))
            .map(|mut crd| {
                // Lists leave out what each item is.
                let name = crd.metadata.name.clone().unwrap_or_default();
                crd.metadata.managed_fields.get_or_insert_default();
                object_of(&crd, &name)
            })
            .collect()
    }

    /// How often Flux has reconciled each Kustomization; nothing where the kind is not served.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn reconciliations(&self) -> Result<Totals, ClusterError> {
        // Served as v1 by every Flux 2; asking for the catalogue at each look would cost more than the list.
        let kind = GroupVersionKind::gvk("kustomize.toolkit.fluxcd.io", "v1", "Kustomization");
        let resource = ApiResource::from_gvk(&kind);
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let everything = ListParams::default();
        let found = match patiently(async || api.list(&everything).await).await {
            Ok(found) => found.items,
            Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
            Err(error) => return Err(read("Kustomizations")(error)),
        };
        let values = found
            .into_iter()
            .filter_map(|object| serde_json::to_value(object).ok());
        Ok(flow::totals(&values.collect::<Vec<_>>()))
    }

    /// What `health` looks at.
    ///
    /// # Errors
    /// If something can't be read.
    pub async fn seen(&self) -> Result<Seen, ClusterError> {
        let (deployments, pods, crds) = tokio::try_join!(self.deployments(), self.pods(), self.crds())?;
        let mut set = CrdSet::new();
        for crd in crds {
            let facts = flux::manifest::crd_facts(&crd).map_err(|_malformed| ClusterError::Form {
                object: crd.name.clone(),
            })?;
            set.insert(crd.name, facts.crd);
        }
        let named = |d: Deployment| Some((d.metadata.name.clone()?, d));
        let deployments: BTreeMap<_, _> = deployments.into_iter().filter_map(named).collect();
        Ok(Seen {
            deployments,
            pods,
            crds: set,
        })
    }
}

/// Whether an API group is one of Flux itself: others below `fluxcd.io` belong to tools beside it.
fn is_flux_group(group: &str) -> bool {
    group.ends_with(".toolkit.fluxcd.io") || group == "source.extensions.fluxcd.io"
}

/// All objects of a kind.
async fn listed<K>(api: &Api<K>, what: &'static str) -> Result<Vec<K>, ClusterError>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let everything = ListParams::default();
    let found = patiently(async || api.list(&everything).await).await;
    Ok(found.map_err(read(what))?.items)
}

fn read(what: &'static str) -> impl FnOnce(kube::Error) -> ClusterError {
    move |source| ClusterError::Read {
        what,
        source: source.into(),
    }
}

fn object_of<K: serde::Serialize>(typed: &K, name: &str) -> Result<Object, ClusterError> {
    let form = || ClusterError::Form {
        object: name.to_owned(),
    };
    let value = serde_json::to_value(typed).map_err(|_malformed| form())?;
    Object::read(value).map_err(|_malformed| form())
}

/// Name of an object for people, like `Deployment/source-controller`.
#[must_use]
pub fn label(object: &Object) -> String {
    format!("{}/{}", object.kind, object.name)
}

impl Catalogue {
    fn api(&self, object: &Object) -> Result<Api<DynamicObject>, ClusterError> {
        let (group, version) = object
            .api_version
            .split_once('/')
            .unwrap_or(("", &object.api_version));
        let gvk = GroupVersionKind::gvk(group, version, &object.kind);
        let Some((resource, capabilities)) = self.discovery.resolve_gvk(&gvk) else {
            return Err(ClusterError::Kind(format!(
                "{} {}",
                object.api_version, object.kind
            )));
        };
        let api = Api::dynamic(self.client.clone(), &resource, &capabilities.scope);
        Ok(match (&capabilities.scope, &object.namespace) {
            (Scope::Namespaced, Some(namespace)) => api.constrain(namespace),
            (Scope::Namespaced, None) | (Scope::Cluster, _) => api,
        })
    }

    /// Whether there is any object of a kind, in any namespace; `false` where the kind is not served.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn has_any(&self, group: &str, kind: &str) -> Result<bool, ClusterError> {
        let Some((resource, _)) = self.discovery.get(group).and_then(|g| g.recommended_kind(kind)) else {
            return Ok(false);
        };
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let one = ListParams::default().limit(1);
        let listed = patiently(async || api.list_metadata(&one).await).await;
        Ok(!listed
            .map_err(read("objects of another installer"))?
            .items
            .is_empty())
    }

    /// An object by namespace and name; nothing where the kind is not served.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn find(
        &self,
        group: &str,
        kind: &str,
        (namespace, name): (&str, &str),
    ) -> Result<Option<Value>, ClusterError> {
        let Some((resource, _)) = self.discovery.get(group).and_then(|g| g.recommended_kind(kind)) else {
            return Ok(None);
        };
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        let found = patiently(async || api.get_opt(name).await).await;
        let found = found.map_err(read("what owns the install"))?;
        found
            .map(serde_json::to_value)
            .transpose()
            .map_err(|_malformed| ClusterError::Form {
                object: format!("{kind}/{name}"),
            })
    }

    /// The object as it is, if it is there.
    ///
    /// # Errors
    /// If the API server does not answer, or does not serve the kind.
    pub async fn get(&self, object: &Object) -> Result<Option<Value>, ClusterError> {
        let api = self.api(object)?;
        let found = patiently(async || api.get_opt(&object.name).await)
            .await
            .map_err(read("an object of Flux"))?;
        match found.map(serde_json::to_value).transpose() {
            Ok(found) => Ok(found),
            Err(_) => Err(ClusterError::Form {
                object: label(object),
            }),
        }
    }

    /// Applies an object on the server under a manager, without force; gives the object as it is then.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] where another manager owns a field; else what the API server said.
    pub async fn apply(&self, object: &Object, manager: &str, dry_run: bool) -> Result<Value, ClusterError> {
        let mut params = PatchParams::apply(manager);
        params.dry_run = dry_run;
        let api = self.api(object)?;
        let patch = Patch::Apply(&object.value);
        // Applying again what was applied already changes nothing, so a lost answer may be asked for again.
        let applied = match patiently(async || api.patch(&object.name, &params, &patch).await).await {
            Ok(applied) => applied,
            Err(error) => return Err(refused(object, manager, error)),
        };
        match serde_json::to_value(applied) {
            Ok(applied) => Ok(applied),
            Err(_) => Err(ClusterError::Form {
                object: label(object),
            }),
        }
    }
}

/// Field and owner of each conflict of managers. A 409 is one only if its causes say so; otherwise somebody
/// was faster.
fn conflicts(error: &kube::Error) -> Vec<(String, String)> {
    match error {
        kube::Error::Api(status) if status.code == 409 => status
            .details
            .iter()
            .flat_map(|details| &details.causes)
            .filter(|cause| cause.reason == "FieldManagerConflict")
            .map(|cause| (cause.field.clone(), quoted(&cause.message)))
            .collect(),
        _ => Vec::new(),
    }
}

fn refused(object: &Object, manager: &str, error: kube::Error) -> ClusterError {
    let causes = conflicts(&error);
    let object = label(object);
    if causes.is_empty() {
        ClusterError::Apply {
            object,
            source: error.into(),
        }
    } else {
        ClusterError::Conflict {
            object,
            manager: manager.to_owned(),
            causes,
        }
    }
}

/// The part between the first two quotes: `conflict with "helm" using v1` names `helm`.
fn quoted(message: &str) -> String {
    message.split('"').nth(1).unwrap_or(message).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_beside_flux_are_not_flux() {
        for group in [
            "source.toolkit.fluxcd.io",
            "image.toolkit.fluxcd.io",
            "source.extensions.fluxcd.io",
        ] {
            assert!(is_flux_group(group), "{group}");
        }
        for group in [
            "infra.contrib.fluxcd.io",
            "fluxcd.controlplane.io",
            "toolkit.fluxcd.io.example.org",
        ] {
            assert!(!is_flux_group(group), "{group}");
        }
    }

    #[test]
    fn the_manager_is_the_quoted_part() {
        assert_eq!(
            quoted("conflict with \"kubectl-edit\" using apps/v1"),
            "kubectl-edit"
        );
        assert_eq!(quoted("no quotes"), "no quotes");
    }
}
