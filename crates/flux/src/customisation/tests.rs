use serde_json::json;

use super::*;

fn live() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "source-controller",
            "uid": "1",
            "resourceVersion": "7",
            "generation": 2,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"deployment.kubernetes.io/revision": "2"},
            "managedFields": [
                {"manager": "flux", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {
                    "manager": "kube-controller-manager", "operation": "Update", "subresource": "status",
                    "fieldsV1": {
                        "f:metadata": {"f:annotations": {".": {}, "f:deployment.kubernetes.io/revision": {}}},
                        "f:status": {"f:replicas": {}},
                    },
                },
                {
                    "manager": "kubectl-edit", "operation": "Update",
                    "fieldsV1": {
                        "f:metadata": {"f:labels": {"f:team": {}}},
                        "f:spec": {
                            "f:template": {
                                "f:metadata": {"f:annotations": {
                                    "f:kubectl.kubernetes.io/restartedAt": {}, "f:a.example/b": {},
                                }},
                                "f:spec": {"f:containers": {"k:{\"name\":\"manager\"}": {
                                    "f:args": {},
                                    "f:env": {"k:{\"name\":\"HTTPS_PROXY\"}": {".": {}, "f:name": {}, "f:value": {}}},
                                    "f:ports": {"k:{\"containerPort\":9090,\"protocol\":\"TCP\"}": {".": {}}},
                                }}},
                            },
                        },
                    },
                },
                {"manager": "kubectl", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            ],
        },
        "spec": {
            "replicas": 1,
            "template": {
                "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01", "a.example/b": "c"}},
                "spec": {"containers": [{
                    "name": "manager",
                    "args": ["--log-level=debug"],
                    "env": [{"name": "HTTPS_PROXY", "value": "http://proxy"}],
                    "ports": [{"containerPort": 9090, "name": "http"}],
                }]},
            },
        },
        "status": {"replicas": 1},
    })
}

fn shown(found: &[Difference]) -> Vec<String> {
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn foreign_fields_are_named_with_both_values_and_owner() {
    let manifest = json!({
        "metadata": {"labels": {"app": "x"}},
        "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "manager", "args": ["--log-level=info"]}]}}},
    });
    let args = "spec.template.spec.containers[name=manager]";
    assert_eq!(
        shown(&foreign_fields(&manifest, &live(), "flux")),
        [
            "spec.replicas: expected 3, found 1 (owned by kubectl)".to_owned(),
            "spec.template.metadata.annotations[a.example/b]: expected nothing, found \"c\" (owned by kubectl-edit)".to_owned(),
            format!("{args}.args: expected [\"--log-level=info\"], found [\"--log-level=debug\"] (owned by kubectl-edit)"),
            format!("{args}.env[name=HTTPS_PROXY].name: expected nothing, found \"HTTPS_PROXY\" (owned by kubectl-edit)"),
            format!("{args}.env[name=HTTPS_PROXY].value: expected nothing, found \"http://proxy\" (owned by kubectl-edit)"),
            format!(
                "{args}.ports[containerPort=9090,protocol=TCP]: expected nothing, found \
                 {{\"containerPort\":9090,\"name\":\"http\"}} (owned by kubectl-edit)"
            ),
        ]
    );
}

#[test]
fn of_an_objects_own_metadata_only_what_contradicts_counts() {
    let live = json!({
        "metadata": {
            "labels": {"team": "a", "warn": "off"},
            "managedFields": [{
                "manager": "kubectl-label", "operation": "Update",
                "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}, "f:warn": {}}, "f:annotations": {"f:x": {}}}},
            }],
        },
    });
    let manifest = json!({"metadata": {"labels": {"warn": "restricted"}}});
    assert_eq!(
        shown(&foreign_fields(&manifest, &live, "flux")),
        ["metadata.labels.warn: expected \"restricted\", found \"off\" (owned by kubectl-label)"]
    );
    let same = json!({"metadata": {"labels": {"warn": "off"}}});
    assert!(foreign_fields(&same, &live, "flux").is_empty());
}

#[test]
fn own_fields_and_objects_without_bookkeeping_have_none() {
    assert!(foreign_fields(&json!({}), &json!({"spec": {"a": 1}}), "flux").is_empty());
    let mut own = live();
    let entries = own
        .pointer_mut("/metadata/managedFields")
        .unwrap()
        .as_array_mut()
        .unwrap();
    entries.truncate(2);
    assert!(foreign_fields(&json!({}), &own, "flux").is_empty());
    assert_eq!(
        shown(&foreign_fields(&json!({}), &own, "fluxgate")),
        ["spec.replicas: expected nothing, found 1 (owned by flux)"]
    );
}

#[test]
fn roles_and_sets_have_paths_too() {
    let role = json!({
        "metadata": {"managedFields": [{
            "manager": "kubectl", "operation": "Update",
            "fieldsV1": {"f:rules": {}, "f:finalizers": {"v:\"a\"": {}}, "f:list": {"i:1": {}}},
        }]},
        "rules": [],
        "finalizers": ["a"],
        "list": [1, 2],
    });
    assert_eq!(
        shown(&foreign_fields(&json!({}), &role, "flux")),
        [
            "finalizers[a]: expected nothing, found \"a\" (owned by kubectl)",
            "list[1]: expected nothing, found 2 (owned by kubectl)",
            "rules: expected nothing, found [] (owned by kubectl)"
        ]
    );
}

#[test]
fn an_object_is_equal_to_itself_whatever_the_cluster_keeps() {
    let mut fresh = live();
    fresh["metadata"] = json!({"name": "source-controller"});
    fresh.as_object_mut().unwrap().remove("status");
    let annotations = fresh.pointer_mut("/spec/template/metadata/annotations").unwrap();
    annotations
        .as_object_mut()
        .unwrap()
        .remove("kubectl.kubernetes.io/restartedAt");
    assert!(
        differences(&fresh, &live()).is_empty(),
        "{:?}",
        shown(&differences(&fresh, &live()))
    );
}

#[test]
fn differences_are_named_by_key_and_by_index() {
    let mut expected = live();
    let manager = expected.pointer_mut("/spec/template/spec/containers/0").unwrap();
    *manager = json!({
        "name": "manager",
        "args": ["--log-level=info", "--x"],
        "env": [{"name": "A", "value": "1"}, {"name": "HTTPS_PROXY", "value": "http://proxy"}],
        "ports": [{"containerPort": 9090, "name": "http"}],
    });
    expected["metadata"]["labels"] = json!({"app.kubernetes.io/name": "x"});
    expected["spec"]["replicas"] = json!(1.0);
    assert_eq!(
        shown(&differences(&expected, &live())),
        [
            "metadata.labels: expected {\"app.kubernetes.io/name\":\"x\"}, found nothing",
            "spec.template.spec.containers[name=manager].args[0]: expected \"--log-level=info\", found \"--log-level=debug\"",
            "spec.template.spec.containers[name=manager].args[1]: expected \"--x\", found nothing",
            "spec.template.spec.containers[name=manager].env[name=A]: expected {\"name\":\"A\",\"value\":\"1\"}, found nothing",
        ]
    );
    let back = differences(&live(), &expected);
    assert_eq!(
        back[0].to_string(),
        "metadata.labels: expected nothing, found {\"app.kubernetes.io/name\":\"x\"}"
    );
}

#[test]
fn order_of_keyed_items_does_not_matter_and_of_others_does() {
    let a = json!({"containers": [{"name": "a"}, {"name": "b"}], "args": ["1", "2"]});
    let b = json!({"containers": [{"name": "b"}, {"name": "a"}], "args": ["2", "1"]});
    assert_eq!(differences(&a, &b).len(), 2);
}

#[test]
fn of_a_long_list_what_was_removed_and_added_is_told_and_of_the_same_value_its_owner() {
    let list = |last: &str| {
        let mut items: Vec<String> = (0..20).map(|n| format!("--some-long-flag-{n}=value")).collect();
        items.push(last.to_owned());
        Some(json!(items))
    };
    let difference = Difference {
        path: "args".to_owned(),
        expected: list("--log-level=info"),
        found: list("--log-level=debug"),
        manager: Some("kubectl-patch".to_owned()),
    };
    assert_eq!(
        difference.to_string(),
        "args: removed \"--log-level=info\", added \"--log-level=debug\" (owned by kubectl-patch)"
    );
    let given_back = Difference {
        found: difference.expected.clone(),
        ..difference
    };
    assert_eq!(
        given_back.to_string(),
        "args: has the expected value, but kubectl-patch owns it"
    );
}
