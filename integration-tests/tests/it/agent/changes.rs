//! What people and other tools do to a cluster, and how it is undone without a trace: the values, and the
//! bookkeeping of who owns which field.

use anyhow::Context as _;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::{Value, json};

/// An object of the cluster.
#[derive(Debug, Clone)]
pub(super) struct Thing {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    namespace: Option<&'static str>,
    name: String,
}

/// An object as it was before a change.
#[derive(Debug)]
pub(super) struct Before {
    thing: Thing,
    object: DynamicObject,
}

impl Thing {
    pub(super) fn deployment(name: &str) -> Self {
        Self::of("apps", "v1", "Deployment", Some("flux-system"), name)
    }

    pub(super) fn crd(name: &str) -> Self {
        Self::of(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            None,
            name,
        )
    }

    pub(super) fn policy(name: &str) -> Self {
        Self::of(
            "networking.k8s.io",
            "v1",
            "NetworkPolicy",
            Some("flux-system"),
            name,
        )
    }

    pub(super) fn of(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        namespace: Option<&'static str>,
        name: &str,
    ) -> Self {
        Self {
            group,
            version,
            kind,
            namespace,
            name: name.to_owned(),
        }
    }

    fn api(&self, client: &Client) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(self.group, self.version, self.kind);
        let resource = ApiResource::from_gvk(&kind);
        match self.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        }
    }

    pub(super) async fn get(&self, client: &Client) -> anyhow::Result<Value> {
        Ok(serde_json::to_value(self.api(client).get(&self.name).await?)?)
    }

    pub(super) async fn create(&self, client: &Client, object: &Value) -> anyhow::Result<()> {
        let object: DynamicObject = serde_json::from_value(object.clone())?;
        self.api(client).create(&PostParams::default(), &object).await?;
        Ok(())
    }

    pub(super) async fn delete(&self, client: &Client) -> anyhow::Result<()> {
        self.api(client).delete(&self.name, &Default::default()).await?;
        Ok(())
    }

    async fn before(&self, client: &Client) -> anyhow::Result<Before> {
        Ok(Before {
            thing: self.clone(),
            object: self.api(client).get(&self.name).await?,
        })
    }

    /// As `kubectl patch` and `kubectl edit` do: an update under this manager.
    pub(super) async fn patched(
        &self,
        client: &Client,
        manager: &str,
        patch: Patch<Value>,
    ) -> anyhow::Result<Before> {
        let before = self.before(client).await?;
        let parameters = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        let changed = self.api(client).patch(&self.name, &parameters, &patch).await;
        changed.with_context(|| format!("{} {} by {manager}", self.kind, self.name))?;
        Ok(before)
    }

    /// As `kubectl scale` does.
    pub(super) async fn scaled(&self, client: &Client, replicas: u32) -> anyhow::Result<Before> {
        let before = self.before(client).await?;
        let parameters = PatchParams {
            field_manager: Some("kubectl".to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.api(client)
            .patch_scale(&self.name, &parameters, &patch)
            .await?;
        Ok(before)
    }

    /// Rewrites who owns what, and how: an update that changes nothing else.
    pub(super) async fn disowned(
        &self,
        client: &Client,
        rewrite: impl Fn(&mut Vec<Value>),
    ) -> anyhow::Result<Before> {
        let before = self.before(client).await?;
        let object = serde_json::to_value(&before.object)?;
        let mut entries = object["metadata"]["managedFields"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        rewrite(&mut entries);
        owners(&self.api(client), &self.name, &json!(entries)).await?;
        Ok(before)
    }

    /// Adds versions in which objects may be stored, as an older release leaves them.
    pub(super) async fn stored_too(&self, client: &Client, versions: &[&str]) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({"status": {"storedVersions": versions}}));
        let parameters = PatchParams::default();
        self.api(client)
            .patch_status(&self.name, &parameters, &patch)
            .await?;
        Ok(())
    }
}

impl Before {
    /// Puts the object back as it was: first what it says, then who owns it.
    pub(super) async fn restore(self, client: &Client) -> anyhow::Result<()> {
        let api = self.thing.api(client);
        let mut object = self.object;
        let entries = json!(object.metadata.managed_fields);
        object.metadata.resource_version = api.get(&self.thing.name).await?.metadata.resource_version;
        api.replace(&self.thing.name, &PostParams::default(), &object)
            .await?;
        owners(&api, &self.thing.name, &entries).await
    }
}

async fn owners(api: &Api<DynamicObject>, name: &str, entries: &Value) -> anyhow::Result<()> {
    let operations = json!([{"op": "replace", "path": "/metadata/managedFields", "value": entries}]);
    let patch: Patch<()> = Patch::Json(serde_json::from_value(operations)?);
    api.patch(name, &PatchParams::default(), &patch).await?;
    Ok(())
}
