//! The objects that every install has, whatever its components are.

use domain::{Component, Version};
use serde_json::{Value, json};

use super::Release;

/// Namespace of the install.
pub(super) const NAMESPACE: &str = "flux-system";
const RBAC: &str = "rbac.authorization.k8s.io/v1";
const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// In upstream's order.
pub(super) fn objects(release: &Release) -> Vec<Value> {
    let mut objects = vec![namespace(release)];
    objects.extend(network_policies(release));
    objects.push(quota(release));
    objects.extend(roles(release));
    objects.extend(bindings(release));
    objects
}

/// The labels of every object, with those of its own.
pub(super) fn labels(release: &Release, own: &[(&str, &str)]) -> Value {
    let version = release.version.to_string();
    let all = [
        ("app.kubernetes.io/instance", NAMESPACE),
        ("app.kubernetes.io/part-of", "flux"),
        (flux::manifest::VERSION_LABEL, version.as_str()),
    ];
    all.iter()
        .chain(own)
        .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
        .collect()
}

/// Sets a field of a JSON object.
pub(super) fn put(object: &mut Value, field: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(field.to_owned(), value);
    }
}

fn namespace(release: &Release) -> Value {
    let own = [
        ("pod-security.kubernetes.io/warn", "restricted"),
        ("pod-security.kubernetes.io/warn-version", "latest"),
    ];
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": labels(release, &own)},
    })
}

fn network_policies(release: &Release) -> [Value; 3] {
    let policy = |name: &str, spec: Value| {
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels(release, &[])},
            "spec": spec,
        })
    };
    let mut webhooks = json!({"from": [{"namespaceSelector": {}}]});
    if release.has(&Version::new(2, 9, 4)) {
        put(&mut webhooks, "ports", json!([{"port": 9292, "protocol": "TCP"}]));
    }
    [
        policy(
            "allow-egress",
            json!({
                "egress": [{}],
                "ingress": [{"from": [{"podSelector": {}}]}],
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
            }),
        ),
        policy(
            "allow-scraping",
            json!({
                "ingress": [{"from": [{"namespaceSelector": {}}], "ports": [{"port": 8080, "protocol": "TCP"}]}],
                "podSelector": {},
                "policyTypes": ["Ingress"],
            }),
        ),
        policy(
            "allow-webhooks",
            json!({
                "ingress": [webhooks],
                "podSelector": {"matchLabels": {"app": "notification-controller"}},
                "policyTypes": ["Ingress"],
            }),
        ),
    ]
}

fn quota(release: &Release) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {
            "name": format!("critical-pods-{NAMESPACE}"),
            "namespace": NAMESPACE,
            "labels": labels(release, &[]),
        },
        "spec": {
            "hard": {"pods": "1000"},
            "scopeSelector": {"matchExpressions": [{
                "operator": "In",
                "scopeName": "PriorityClass",
                "values": ["system-node-critical", "system-cluster-critical"],
            }]},
        },
    })
}

fn roles(release: &Release) -> [Value; 3] {
    let role = |name: &str, own: &[(&str, &str)], rules: Value| {
        json!({
            "apiVersion": RBAC,
            "kind": "ClusterRole",
            "metadata": {"name": format!("{name}-{NAMESPACE}"), "labels": labels(release, own)},
            "rules": rules,
        })
    };
    let groups = user_groups(release);
    let admin = ("rbac.authorization.k8s.io/aggregate-to-admin", "true");
    let edit = ("rbac.authorization.k8s.io/aggregate-to-edit", "true");
    let view = ("rbac.authorization.k8s.io/aggregate-to-view", "true");
    [
        role("crd-controller", &[], controller_rules(release)),
        role(
            "flux-edit",
            &[admin, edit],
            json!([{
                "apiGroups": groups,
                "resources": ["*"],
                "verbs": ["create", "delete", "deletecollection", "patch", "update"],
            }]),
        ),
        role(
            "flux-view",
            &[admin, edit, view],
            json!([{"apiGroups": groups, "resources": ["*"], "verbs": ["get", "list", "watch"]}]),
        ),
    ]
}

fn group(name: &str) -> String {
    format!("{name}.fluxcd.io")
}

/// The API groups that people may see and edit.
fn user_groups(release: &Release) -> Vec<String> {
    let extensions = release.has(&Version::new(2, 7, 1)).then_some("source.extensions");
    ["notification.toolkit", "source.toolkit"]
        .into_iter()
        .chain(extensions)
        .chain(["helm.toolkit", "image.toolkit", "kustomize.toolkit"])
        .map(group)
        .collect()
}

/// What the controllers themselves may do.
fn controller_rules(release: &Release) -> Value {
    let extensions = release
        .has(&super::WITH_SOURCE_WATCHER)
        .then_some("source.extensions");
    let own = [
        "source.toolkit",
        "kustomize.toolkit",
        "helm.toolkit",
        "notification.toolkit",
        "image.toolkit",
    ]
    .into_iter()
    .chain(extensions)
    .map(|name| json!({"apiGroups": [group(name)], "resources": ["*"], "verbs": ["*"]}));
    let write = json!(["get", "list", "watch", "create", "update", "patch", "delete"]);
    let core =
        |resources: Value, verbs: Value| json!({"apiGroups": [""], "resources": resources, "verbs": verbs});
    let mut rules: Vec<Value> = own.collect();
    rules.extend([
        core(
            json!(["namespaces", "secrets", "configmaps", "serviceaccounts"]),
            json!(["get", "list", "watch"]),
        ),
        core(json!(["events"]), json!(["create", "patch"])),
        core(json!(["configmaps"]), write.clone()),
        core(json!(["configmaps/status"]), json!(["get", "update", "patch"])),
        json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": write}),
    ]);
    if release.has(&Version::new(2, 6, 0)) {
        rules.push(core(json!(["serviceaccounts/token"]), json!(["create"])));
    }
    if release.has(&Version::new(2, 3, 0)) {
        rules.push(json!({"nonResourceURLs": ["/livez/ping"], "verbs": ["head"]}));
    }
    Value::Array(rules)
}

fn bindings(release: &Release) -> [Value; 2] {
    let binding = |name: &str, role: &str, subjects: &[Component]| {
        let subjects: Vec<Value> = subjects
            .iter()
            .map(|component| {
                json!({"kind": "ServiceAccount", "name": component.name(), "namespace": NAMESPACE})
            })
            .collect();
        json!({
            "apiVersion": RBAC,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": format!("{name}-{NAMESPACE}"), "labels": labels(release, &[])},
            "roleRef": {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": role},
            "subjects": subjects,
        })
    };
    let appliers = [Component::KustomizeController, Component::HelmController];
    let others = release
        .tags
        .keys()
        .filter(|component| !appliers.contains(component));
    let all: Vec<Component> = appliers.iter().chain(others).copied().collect();
    [
        binding("cluster-reconciler", "cluster-admin", &appliers),
        binding("crd-controller", &format!("crd-controller-{NAMESPACE}"), &all),
    ]
}
