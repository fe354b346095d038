//! Applying documents as `flux install` does. Namespaces and definitions go first, since the rest cannot be
//! applied (nor found by discovery) without them; then everything else in the order of the documents.

use std::time::{Duration, Instant};

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::TypeMeta;
use kube::discovery::{Discovery, Scope};
use serde_json::Value;

use crate::lab::Error;

/// The field manager of `flux install` and `flux bootstrap`.
const MANAGER: &str = "flux";
const ESTABLISHED_WITHIN: Duration = Duration::from_secs(30);
/// Established is not yet served: until then an apply of an object of the new kind is a 404.
const SERVED_WITHIN: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);
const DEFINITION: &str = "CustomResourceDefinition";

pub(super) async fn install(cluster: &str, client: &kube::Client, documents: &str) -> Result<(), Error> {
    let objects = parse(cluster, documents)?;
    let (first, rest): (Vec<_>, Vec<_>) = objects.into_iter().partition(|object| goes_first(kind(object)));
    let installer = Installer { cluster, client };
    let mut discovery = installer.discover().await?;
    for object in &first {
        installer.apply(&discovery, object).await?;
    }
    let mut defined = false;
    for object in first.iter().filter(|object| kind(object) == DEFINITION) {
        installer.established(&discovery, object).await?;
        defined = true;
    }
    if defined {
        discovery = installer.discover().await?;
    }
    for object in &rest {
        installer.apply(&discovery, object).await?;
    }
    Ok(())
}

struct Installer<'a> {
    cluster: &'a str,
    client: &'a kube::Client,
}

impl Installer<'_> {
    async fn discover(&self) -> Result<Discovery, Error> {
        let discovery = Discovery::new(self.client.clone()).run_aggregated().await;
        discovery.map_err(|source| self.failed("discovering", "the kinds".to_owned(), source))
    }

    async fn apply(&self, discovery: &Discovery, object: &DynamicObject) -> Result<(), Error> {
        let parameters = PatchParams::apply(MANAGER).force();
        let deadline = Instant::now() + SERVED_WITHIN;
        let mut found = self.api(discovery, object);
        loop {
            if let Some(api) = &found {
                match api.patch(&name(object), &parameters, &Patch::Apply(object)).await {
                    Ok(_applied) => return Ok(()),
                    Err(kube::Error::Api(status)) if status.code == 404 && Instant::now() < deadline => {}
                    Err(source) => return Err(self.failed("applying", title(object), source)),
                }
            } else if Instant::now() >= deadline {
                return Err(self.late(object, "served", SERVED_WITHIN));
            }
            tokio::time::sleep(POLL).await;
            if found.is_none() {
                found = self.api(&self.discover().await?, object);
            }
        }
    }

    async fn established(&self, discovery: &Discovery, definition: &DynamicObject) -> Result<(), Error> {
        let Some(api) = self.api(discovery, definition) else {
            return Err(self.late(definition, "served", Duration::ZERO));
        };
        let deadline = Instant::now() + ESTABLISHED_WITHIN;
        while Instant::now() < deadline {
            let now = api.get(&name(definition)).await;
            let now = now.map_err(|source| self.failed("reading", title(definition), source))?;
            if has_condition(&now, "Established") {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        Err(self.late(definition, "Established", ESTABLISHED_WITHIN))
    }

    /// `None` where the cluster does not serve the kind (yet).
    fn api(&self, discovery: &Discovery, object: &DynamicObject) -> Option<Api<DynamicObject>> {
        let (resource, capabilities): (ApiResource, _) = discovery.resolve_object(object)?;
        let api = Api::dynamic(self.client.clone(), &resource, &capabilities.scope);
        Some(match capabilities.scope {
            Scope::Cluster => api,
            Scope::Namespaced => api.constrain(object.metadata.namespace.as_deref().unwrap_or("default")),
        })
    }

    fn failed(&self, operation: &'static str, object: String, source: kube::Error) -> Error {
        Error::Kube {
            operation,
            object,
            cluster: self.cluster.to_owned(),
            source: Box::new(source),
        }
    }

    fn late(&self, object: &DynamicObject, state: &'static str, after: Duration) -> Error {
        Error::Deadline {
            object: title(object),
            cluster: self.cluster.to_owned(),
            state,
            after,
        }
    }
}

fn parse(cluster: &str, documents: &str) -> Result<Vec<DynamicObject>, Error> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Document {
        operation: "reading the documents",
        cluster: cluster.to_owned(),
        source,
    };
    let values: Vec<Value> =
        serde_saphyr::from_multiple(documents).map_err(|source| failed(source.into()))?;
    // An empty document, as before the first `---`, is none.
    let objects = values.into_iter().filter(|value| !value.is_null());
    objects
        .map(|value| serde_json::from_value(value).map_err(|source| failed(source.into())))
        .collect()
}

fn goes_first(kind: &str) -> bool {
    matches!(kind, "Namespace" | DEFINITION | "ClusterRole")
}

fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |TypeMeta { kind, .. }| kind)
}

fn name(object: &DynamicObject) -> String {
    object.metadata.name.clone().unwrap_or_default()
}

fn title(object: &DynamicObject) -> String {
    format!("{}/{}", kind(object), name(object))
}

fn has_condition(object: &DynamicObject, wanted: &str) -> bool {
    let conditions = object
        .data
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    conditions.into_iter().flatten().any(|c| {
        c.get("type").and_then(Value::as_str) == Some(wanted)
            && c.get("status").and_then(Value::as_str) == Some("True")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_documents_are_skipped() {
        let text = "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n---\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: b\n";
        let titles: Vec<_> = parse("c", text).unwrap().iter().map(title).collect();
        assert_eq!(titles, ["Namespace/a", "Service/b"]);
    }

    #[test]
    fn document_that_is_no_object_is_refused() {
        assert!(matches!(parse("c", "- 1\n- 2\n"), Err(Error::Document { .. })));
    }
}
