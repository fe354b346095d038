use serde_json::json;

use super::*;

const CONTROLLER: &str = "
apiVersion: apps/v1
kind: Deployment
metadata:
  name: source-controller
  namespace: flux-system
  labels:
    app.kubernetes.io/version: v2.9.4
spec:
  template:
    spec:
      containers:
      - name: manager
        image: ghcr.io/fluxcd/source-controller:v1.9.4
";

fn objects(text: &str) -> Vec<Object> {
    parse(text).unwrap()
}

fn with(pointer: &str, value: Value) -> Vec<Object> {
    let mut objects = objects(CONTROLLER);
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = objects[0]
        .value
        .pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap();
    parent.insert(key.to_owned(), value);
    vec![Object::read(objects.remove(0).value).unwrap()]
}

#[test]
fn reads_objects_in_order_and_skips_empty_documents() {
    let text = format!(
        "---\n# header\n{CONTROLLER}---\n---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: x\n"
    );
    let read = objects(&text);
    let shown: Vec<String> = read.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["Deployment flux-system/source-controller", "Namespace x"]);
    assert_eq!(version(&read).unwrap().to_string(), "v2.9.4");
    assert_eq!(components(&read), [Component::SourceController].into());
    assert!(is_cluster_definition(&read[1]) && !is_cluster_definition(&read[0]));
}

#[test]
fn names_document_and_line_of_a_mistake() {
    let text = format!("# header\n---{CONTROLLER}---\nkind: A\nkind: B\n");
    assert!(matches!(
        parse(&text).unwrap_err(),
        Error::Yaml {
            document: 2,
            line: 18,
            ..
        }
    ));
    let text = format!("{CONTROLLER}---\napiVersion: v1\nkind: Secret\n");
    let error = parse(&text).unwrap_err();
    assert!(matches!(
        error,
        Error::NoObject {
            document: 2,
            field: "metadata.name"
        }
    ));
    let twice = format!("{CONTROLLER}---{CONTROLLER}");
    assert!(matches!(
        parse(&twice).unwrap_err(),
        Error::Repeated { document: 2, .. }
    ));
}

#[test]
fn versions_that_differ_are_no_hint() {
    let text = format!(
        "{CONTROLLER}---{}",
        CONTROLLER.replace("source", "helm").replace("v2.9.4", "v2.9.3")
    );
    assert_eq!(version(&objects(&text)), None);
    assert_eq!(version(&[]), None);
}

#[test]
fn images_are_the_managers_of_known_components() {
    let images = images(&objects(CONTROLLER)).unwrap();
    assert_eq!(
        images[&Component::SourceController].to_string(),
        "ghcr.io/fluxcd/source-controller:v1.9.4"
    );
}

#[test]
fn refuses_whatever_else_would_run() {
    let pod = "/spec/template/spec";
    let manager = json!({"name": "manager", "image": "ghcr.io/fluxcd/source-controller:v1.9.4"});
    let sidecar = json!({"name": "sidecar", "image": "ghcr.io/x/y:v1"});
    for (pointer, value) in [
        ("containers", json!([manager, sidecar])),
        ("containers", json!([sidecar])),
        ("containers", json!([])),
        ("initContainers", json!([sidecar])),
        ("ephemeralContainers", json!([sidecar])),
        (
            "volumes",
            json!([{"name": "v", "image": {"reference": "ghcr.io/x/y:v1"}}]),
        ),
    ] {
        let error = images(&with(&format!("{pod}/{pointer}"), value)).unwrap_err();
        assert!(matches!(error, Error::Containers { .. }), "{pointer}: {error}");
    }
    let error = images(&with("/metadata/name", json!("source-controller-shard1"))).unwrap_err();
    assert!(matches!(error, Error::UnknownDeployment { .. }));
    for kind in ["DaemonSet", "StatefulSet", "Job", "Anything"] {
        let error = images(&with("/kind", json!(kind))).unwrap_err();
        assert!(matches!(error, Error::Workload { .. }), "{kind}");
    }
    let error = images(&with("/metadata/namespace", json!("other"))).map(|_| ());
    assert!(error.is_ok());
    let twice = [with("/metadata/namespace", json!("other")), objects(CONTROLLER)].concat();
    assert!(matches!(
        images(&twice).unwrap_err(),
        Error::TwoDeployments { .. }
    ));
}

#[test]
fn refuses_images_of_others_and_images_without_tag() {
    for (image, foreign) in [
        ("ghcr.io/fluxcd/helm-controller:v1.9.4", true),
        ("docker.io/fluxcd/source-controller:v1.9.4", true),
        (
            "ghcr.io/fluxcd/source-controller@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            true,
        ),
        ("fluxcd/source-controller:v1.9.4", false),
    ] {
        let containers = json!([{"name": "manager", "image": image}]);
        let error = images(&with("/spec/template/spec/containers", containers)).unwrap_err();
        assert_eq!(
            matches!(error, Error::ForeignImage { .. }),
            foreign,
            "{image}: {error}"
        );
        assert_eq!(matches!(error, Error::Image { .. }), !foreign, "{image}: {error}");
    }
}

fn crd(versions: &Value, stored: &Value) -> Object {
    Object::read(json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "buckets.source.toolkit.fluxcd.io"},
        "spec": {"versions": versions},
        "status": {"storedVersions": stored},
    }))
    .unwrap()
}

#[test]
fn crds_have_versions_and_one_storage_version() {
    let versions = json!([{"name": "v1", "storage": true}, {"name": "v1beta2", "storage": false}]);
    let live = crd(&versions, &json!(["v1beta2", "v1"]));
    let facts = crd_facts(&live).unwrap();
    assert_eq!(facts.crd.storage, "v1");
    assert_eq!(facts.crd.versions.len(), 2);
    assert_eq!(facts.stored, ["v1".to_owned(), "v1beta2".to_owned()].into());
    assert_eq!(
        crd_set(std::slice::from_ref(&live)).unwrap()[&live.name],
        facts.crd
    );
    assert!(is_cluster_definition(&live));
    assert!(images(&[live]).unwrap().is_empty());
    for bad in [
        json!(null),
        json!([]),
        json!([{"name": "v1"}]),
        json!([{"storage": true}]),
    ] {
        assert!(
            matches!(
                crd_set(&[crd(&bad, &json!(["v1"]))]).unwrap_err(),
                Error::Crd { .. }
            ),
            "{bad}"
        );
    }
    let two = json!([{"name": "v1", "storage": true}, {"name": "v2", "storage": true}]);
    assert!(crd_set(&[crd(&two, &json!(["v1"]))]).is_err());
    assert!(crd_facts(&crd(&versions, &json!([]))).is_err());
}
