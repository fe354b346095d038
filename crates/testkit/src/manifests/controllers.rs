//! The objects of one controller: CRDs, ServiceAccount, Services, Deployment.

use domain::{Component, CrdVersions, Version};
use flux::manifest::COMPONENT_LABEL;
use flux::tables::{self, Crd};
use serde_json::{Value, json};

use super::Release;
use super::install::{NAMESPACE, labels, put};

/// What upstream adds to kustomize- and helm-controller where source-watcher is installed.
pub(super) const EXTERNAL_ARTIFACT: &str = "--feature-gates=ExternalArtifact=true";

/// In upstream's order.
pub(super) fn objects(release: &Release, component: Component) -> Vec<Value> {
    let sets = tables::crd_set(&release.like, &[component].into()).unwrap_or_default();
    let mut objects: Vec<Value> = tables::crds()
        .filter_map(|crd| Some(custom_resource(release, &crd, sets.get(&crd.name())?)))
        .collect();
    objects.push(json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(release, component, component.name(), &[]),
    }));
    for (name, port) in services(component) {
        objects.push(service(release, component, name, port));
    }
    objects.push(deployment(release, component));
    objects
}

fn metadata(release: &Release, component: Component, name: &str, own: &[(&str, &str)]) -> Value {
    let own: Vec<_> = own
        .iter()
        .copied()
        .chain([(COMPONENT_LABEL, component.name())])
        .collect();
    json!({"name": name, "namespace": NAMESPACE, "labels": labels(release, &own)})
}

/// A CRD that takes any object: upstream's names and versions, no schema of its own.
fn custom_resource(release: &Release, crd: &Crd, set: &CrdVersions) -> Value {
    let versions: Vec<Value> = set
        .versions
        .iter()
        .map(|version| {
            json!({
                "name": version,
                "served": true,
                "storage": *version == set.storage,
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": true,
                }},
                "subresources": {"status": {}},
            })
        })
        .collect();
    let mut metadata = json!({
        "name": crd.name(),
        "labels": labels(release, &[(COMPONENT_LABEL, crd.component.name())]),
    });
    if release.has(&Version::new(2, 9, 1)) {
        put(
            &mut metadata,
            "annotations",
            json!({"kustomize.toolkit.fluxcd.io/substitute": "disabled"}),
        );
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": {
            "group": crd.group,
            "names": {
                "kind": crd.kind,
                "listKind": format!("{}List", crd.kind),
                "plural": crd.plural,
                "singular": crd.kind.to_ascii_lowercase(),
            },
            "scope": "Namespaced",
            "versions": versions,
        },
    })
}

/// Name and target port of the Services of a component.
const fn services(component: Component) -> &'static [(&'static str, &'static str)] {
    match component {
        Component::SourceController => &[("source-controller", "http")],
        Component::NotificationController => &[
            ("notification-controller", "http"),
            ("webhook-receiver", "http-webhook"),
        ],
        Component::SourceWatcher => &[("source-watcher", "http")],
        Component::KustomizeController
        | Component::HelmController
        | Component::ImageReflectorController
        | Component::ImageAutomationController => &[],
    }
}

fn service(release: &Release, component: Component, name: &str, port: &str) -> Value {
    // Upstream labels this one Service by its own name.
    let plane = if component == Component::SourceWatcher {
        "source-watcher"
    } else {
        "controller"
    };
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(release, component, name, &[("control-plane", plane)]),
        "spec": {
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": port}],
            "selector": {"app": component.name()},
            "type": "ClusterIP",
        },
    })
}

fn deployment(release: &Release, component: Component) -> Value {
    let name = component.name();
    let mut pod_labels = json!({"app": name});
    if release.has(&super::WITH_SOURCE_WATCHER) {
        pod_labels = labels(release, &[("app", name), (COMPONENT_LABEL, name)]);
    }
    let mut spec = json!({
        "replicas": 1,
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {
                "annotations": {"prometheus.io/port": "8080", "prometheus.io/scrape": "true"},
                "labels": pod_labels,
            },
            "spec": pod(release, component),
        },
    });
    if keeps_artifacts(component) {
        put(&mut spec, "strategy", json!({"type": "Recreate"}));
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(release, component, name, &[("control-plane", "controller")]),
        "spec": spec,
    })
}

fn pod(release: &Release, component: Component) -> Value {
    let (grace, critical) = match component {
        Component::SourceController | Component::SourceWatcher => (10, true),
        Component::KustomizeController => (60, true),
        Component::HelmController => (600, true),
        Component::NotificationController
        | Component::ImageReflectorController
        | Component::ImageAutomationController => (10, false),
    };
    let volumes: Vec<Value> = volumes(component)
        .iter()
        .map(|(name, _)| json!({"emptyDir": {}, "name": name}))
        .collect();
    let mut pod = json!({
        "containers": [container(release, component)],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": {"fsGroup": 1337},
        "serviceAccountName": component.name(),
        "terminationGracePeriodSeconds": grace,
        "volumes": volumes,
    });
    if critical {
        put(&mut pod, "priorityClassName", json!("system-cluster-critical"));
    }
    pod
}

fn container(release: &Release, component: Component) -> Value {
    let tag = release
        .tags
        .get(&component)
        .map(ToString::to_string)
        .unwrap_or_default();
    let repository = flux::identity::repository(domain::Artifact::Image(component));
    let mounts: Vec<Value> = volumes(component)
        .iter()
        .map(|(name, path)| json!({"mountPath": path, "name": name}))
        .collect();
    let ports: Vec<Value> = ports(component)
        .iter()
        .map(|(name, port)| json!({"containerPort": port, "name": name, "protocol": "TCP"}))
        .collect();
    let (ready_path, ready_port) = if keeps_artifacts(component) {
        ("/", "http")
    } else {
        ("/readyz", "healthz")
    };
    let cpu = if keeps_artifacts(component) { "50m" } else { "100m" };
    json!({
        "name": "manager",
        "image": format!("{repository}:{tag}"),
        "imagePullPolicy": "IfNotPresent",
        "args": arguments(release, component),
        "env": environment(release, component),
        "ports": ports,
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "healthz"}},
        "readinessProbe": {"httpGet": {"path": ready_path, "port": ready_port}},
        "resources": {
            "limits": {"cpu": "1000m", "memory": "1Gi"},
            "requests": {"cpu": cpu, "memory": "64Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": mounts,
    })
}

fn arguments(release: &Release, component: Component) -> Vec<String> {
    let with_watcher = release.has(&super::WITH_SOURCE_WATCHER);
    let namespace = if with_watcher {
        "$(RUNTIME_NAMESPACE)"
    } else {
        NAMESPACE
    };
    let mut arguments = Vec::new();
    if component != Component::NotificationController {
        arguments.push(format!(
            "--events-addr=http://notification-controller.{namespace}.svc.cluster.local./"
        ));
    }
    arguments.extend(
        [
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
        ]
        .map(str::to_owned),
    );
    if keeps_artifacts(component) {
        arguments.push("--storage-path=/data".to_owned());
        arguments.push(format!(
            "--storage-adv-addr={component}.$(RUNTIME_NAMESPACE).svc.cluster.local."
        ));
    }
    let consumes = matches!(
        component,
        Component::KustomizeController | Component::HelmController
    );
    if with_watcher && consumes {
        arguments.push(EXTERNAL_ARTIFACT.to_owned());
    }
    arguments
}

fn environment(release: &Release, component: Component) -> Vec<Value> {
    let limit = |name: &str, resource: &str| {
        let field = json!({"containerName": "manager", "resource": resource});
        json!({"name": name, "valueFrom": {"resourceFieldRef": field}})
    };
    let namespace = json!({"fieldRef": {"fieldPath": "metadata.namespace"}});
    let mut variables = vec![json!({"name": "RUNTIME_NAMESPACE", "valueFrom": namespace})];
    if component == Component::SourceController {
        variables.push(json!({"name": "TUF_ROOT", "value": "/tmp/.sigstore"}));
    }
    if release.has(&Version::new(2, 3, 0)) {
        if !release.has(&super::WITH_SOURCE_WATCHER) {
            variables.push(limit("GOMAXPROCS", "limits.cpu"));
        }
        variables.push(limit("GOMEMLIMIT", "limits.memory"));
    }
    variables
}

/// Whether it serves artifacts from its own disk, and so cannot run twice.
const fn keeps_artifacts(component: Component) -> bool {
    matches!(component, Component::SourceController | Component::SourceWatcher)
}

/// Name and mount path.
const fn volumes(component: Component) -> &'static [(&'static str, &'static str)] {
    match component {
        Component::SourceController | Component::SourceWatcher => &[("data", "/data"), ("tmp", "/tmp")],
        Component::ImageReflectorController => &[("temp", "/tmp"), ("data", "/data")],
        Component::KustomizeController
        | Component::HelmController
        | Component::NotificationController
        | Component::ImageAutomationController => &[("temp", "/tmp")],
    }
}

/// Name and number.
const fn ports(component: Component) -> &'static [(&'static str, u16)] {
    match component {
        Component::SourceController | Component::SourceWatcher => {
            &[("http", 9090), ("http-prom", 8080), ("healthz", 9440)]
        }
        Component::NotificationController => &[
            ("http", 9090),
            ("http-webhook", 9292),
            ("http-prom", 8080),
            ("healthz", 9440),
        ],
        Component::KustomizeController
        | Component::HelmController
        | Component::ImageReflectorController
        | Component::ImageAutomationController => &[("http-prom", 8080), ("healthz", 9440)],
    }
}
