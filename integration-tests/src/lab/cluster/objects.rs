//! A look at everything: two looks that are equal prove that nothing was written between them.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::discovery::{ApiCapabilities, ApiGroup, Discovery};

/// Kinds that are listed at the same time: more would only wait in the API server.
const LISTS_AT_ONCE: usize = 16;

/// Every object of the cluster but Lease and Event, which an idle cluster writes by itself, each with the
/// resource version of its last change. Kinds are listed in the most stable version that has them: not every
/// kind of a group is in the group's preferred version.
///
/// # Errors
/// If the API server does not answer.
pub async fn objects(client: &kube::Client) -> Result<BTreeMap<String, String>, kube::Error> {
    let discovery = Discovery::new(client.clone()).run_aggregated().await?;
    let listed = |resource: &ApiResource, capabilities: &ApiCapabilities| {
        let left_out = ["Lease", "Event", "ComponentStatus"].contains(&resource.kind.as_str());
        !left_out && capabilities.supports_operation(kube::discovery::verbs::LIST)
    };
    let resources = discovery.groups().flat_map(ApiGroup::resources_by_stability);
    let lists: Vec<_> = resources
        .filter(|(resource, capabilities)| listed(resource, capabilities))
        .map(|(resource, _)| list(client, resource))
        .collect();
    stream::iter(lists)
        .buffer_unordered(LISTS_AT_ONCE)
        .try_concat()
        .await
}

/// The objects of one kind.
async fn list(client: &kube::Client, resource: ApiResource) -> Result<BTreeMap<String, String>, kube::Error> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let found = api.list_metadata(&ListParams::default()).await?;
    let described = found.into_iter().map(|object| {
        let meta = object.metadata;
        let (namespace, name) = (meta.namespace.unwrap_or_default(), meta.name.unwrap_or_default());
        let key = format!("{}.{} {namespace}/{name}", resource.kind, resource.group);
        (key, meta.resource_version.unwrap_or_default())
    });
    Ok(described.collect())
}
