//! What an install is compared with, over an API server that knows one Deployment.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::*;
use crate::cluster::Cluster;

const MANAGER: &str = "flux";
const TOLERATIONS: &str = "spec.template.spec.tolerations";

/// The Deployment as it is, if it is there.
type Live = Arc<Mutex<Option<Value>>>;

/// Answers like an API server: what it serves, the object, and what it would be after an apply.
async fn answer(State(live): State<Live>, method: Method, uri: Uri, body: Bytes) -> (StatusCode, String) {
    let live = live.lock().unwrap().clone();
    let (code, value) = match (method, uri.path()) {
        (_, "/api") => (StatusCode::OK, served(&[])),
        (_, "/apis") => (StatusCode::OK, served(&["apps"])),
        (Method::PATCH, _) => {
            let query = uri.query().unwrap_or_default();
            assert!(query.contains("dryRun=All"), "it would be written: {query}");
            let mut after = live.unwrap_or_default();
            over(&mut after, serde_json::from_slice(&body).unwrap());
            (StatusCode::OK, after)
        }
        (_, _) => live.map_or_else(
            || {
                let status =
                    json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404});
                (StatusCode::NOT_FOUND, status)
            },
            |live| (StatusCode::OK, live),
        ),
    };
    (code, value.to_string())
}

fn served(groups: &[&str]) -> Value {
    let group = |name: &&str| {
        let kind = json!({"group": name, "version": "v1", "kind": "Deployment"});
        json!({
            "metadata": {"name": name},
            "versions": [{"version": "v1", "resources": [{
                "resource": "deployments", "responseKind": kind, "scope": "Namespaced",
                "singularResource": "deployment", "verbs": ["get", "patch"],
            }]}],
        })
    };
    let items: Vec<Value> = groups.iter().map(group).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": items})
}

/// What is applied stands; what it says nothing about stays.
fn over(live: &mut Value, applied: Value) {
    match (live, applied) {
        (Value::Object(live), Value::Object(applied)) => {
            for (key, value) in applied {
                over(live.entry(key).or_insert(Value::Null), value);
            }
        }
        (live, applied) => *live = applied,
    }
}

fn manifest() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "source-controller", "namespace": "flux-system"},
        "spec": {"replicas": 1, "template": {"spec": {"serviceAccountName": "source-controller"}}},
    })
}

/// What is live after Flux was installed, with a change.
fn live(change: impl FnOnce(&mut Value)) -> Value {
    let mut live = manifest();
    live["metadata"]["uid"] = json!("1");
    live["status"] = json!({"replicas": 1});
    change(&mut live);
    live
}

fn tolerations(live: &mut Value) {
    live["spec"]["template"]["spec"]["tolerations"] = json!([{"key": "ops"}]);
    let owned = json!({"f:spec": {"f:template": {"f:spec": {"f:tolerations": {}}}}});
    live["metadata"]["managedFields"] = json!([
        {"manager": "kubectl-patch", "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": owned}
    ]);
}

/// Whether what is live is as the manifest says, and whether what is tolerated survives the target.
async fn judged_of(live: Option<Value>, tolerate: &[&str], target: Value) -> Result<Tolerated, String> {
    let router = Router::new()
        .fallback(answer)
        .with_state(Arc::new(Mutex::new(live)));
    let cluster = Cluster::of(kube::Client::new(router, "flux-system"));
    let catalogue = cluster.catalogue().await.unwrap();
    let tolerate: Vec<String> = tolerate.iter().map(|&path| path.to_owned()).collect();
    let install = Install {
        catalogue: &catalogue,
        manager: MANAGER,
        tolerate: &tolerate,
    };
    let refusal = |error: PreflightError| {
        let PreflightError::Refused { reason, detail } = error else {
            panic!("not a refusal: {error}")
        };
        assert_eq!(reason, Reason::Customised, "{detail}");
        detail
    };
    let read = |value| [Object::read(value).unwrap()];
    let found = install.is_uncustomised(&read(manifest())).await;
    let tolerated = found.map_err(refusal)?;
    let kept = install.keeps(&tolerated, &read(target)).await;
    kept.map_err(refusal).map(|()| tolerated)
}

#[tokio::test]
async fn an_install_that_is_as_its_manifests_say_is_not_customised() {
    let found = judged_of(Some(live(|_| {})), &[], manifest()).await;
    assert_eq!(found, Ok(Tolerated::new()));
}

#[tokio::test]
async fn what_somebody_else_owns_is_a_customisation() {
    let found = judged_of(Some(live(tolerations)), &[], manifest()).await;
    let text = "Deployment/source-controller spec.template.spec.tolerations: expected nothing, \
                found [{\"key\":\"ops\"}] (owned by kubectl-patch)";
    assert_eq!(found, Err(text.to_owned()));
}

#[tokio::test]
async fn what_was_changed_without_a_trace_is_a_customisation() {
    let scaled = live(|live| live["spec"]["replicas"] = json!(2));
    let found = judged_of(Some(scaled), &[], manifest()).await;
    let text = "Deployment/source-controller spec.replicas: expected 1, found 2";
    assert_eq!(found, Err(text.to_owned()));
}

#[tokio::test]
async fn an_object_that_was_removed_is_a_customisation() {
    let found = judged_of(None, &[], manifest()).await;
    let text = "Deployment/source-controller of the running version is missing";
    assert_eq!(found, Err(text.to_owned()));
}

#[tokio::test]
async fn what_is_tolerated_is_let_be_but_never_lost() {
    let tolerated = Tolerated::from([(
        "Deployment/source-controller".to_owned(),
        vec![TOLERATIONS.to_owned()],
    )]);
    let found = judged_of(Some(live(tolerations)), &[TOLERATIONS], manifest()).await;
    assert_eq!(found, Ok(tolerated));
    let mut target = manifest();
    target["spec"]["template"]["spec"]["tolerations"] = json!([{"key": "theirs"}]);
    let found = judged_of(Some(live(tolerations)), &[TOLERATIONS], target).await;
    let detail = found.unwrap_err();
    let text = "is tolerated, but the new version sets it to another value: Deployment/source-controller";
    assert!(detail.starts_with(text), "{detail}");
}
