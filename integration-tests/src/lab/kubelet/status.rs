//! A pod's status in the words of a real kubelet.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::life::{ContainerLife, End, PodLife, State};

/// The whole status but for what the API server writes itself.
pub(super) fn of(uid: &str, life: &PodLife, pod: &Pod) -> Value {
    let started = seconds(life.started);
    let ready_since = seconds(life.ready_changed);
    let condition = |kind: &str, holds: bool, since: &str| {
        let status = if holds { "True" } else { "False" };
        json!({ "type": kind, "status": status, "lastTransitionTime": since })
    };
    let address = address(uid);
    json!({
        "phase": if life.was_started() { "Running" } else { "Pending" },
        "observedGeneration": pod.metadata.generation,
        "hostIP": "127.0.0.1",
        "podIP": address,
        "podIPs": [{ "ip": address }],
        "startTime": started,
        "conditions": [
            condition("PodReadyToStartContainers", true, &started),
            condition("Initialized", true, &started),
            condition("Ready", life.ready(), &ready_since),
            condition("ContainersReady", life.ready(), &ready_since),
            condition("PodScheduled", true, &started),
        ],
        "containerStatuses": life.containers.iter().map(|c| container(uid, c)).collect::<Vec<_>>(),
    })
}

fn container(uid: &str, life: &ContainerLife) -> Value {
    let (state, started, ready) = match &life.state {
        State::NotPulled { message } => (
            waiting("ImagePullBackOff", &back_off(&life.image, message)),
            false,
            false,
        ),
        State::BackOff { .. } => (
            waiting("CrashLoopBackOff", "back-off restarting failed container"),
            false,
            false,
        ),
        State::Running { since, ready } => (
            json!({ "running": { "startedAt": seconds(*since) } }),
            true,
            *ready,
        ),
    };
    let mut status = json!({
        "name": life.name, "image": life.image, "imageID": life.image_id.clone().unwrap_or_default(),
        "ready": ready, "started": started, "restartCount": life.restarts, "state": state, "lastState": {},
    });
    if life.image_id.is_some() {
        let id = container_id(uid, life, life.restarts);
        insert(&mut status, "containerID", json!(id));
    }
    if let Some(end) = life.last_end {
        insert(
            &mut status,
            "lastState",
            json!({ "terminated": terminated(uid, life, end) }),
        );
    }
    status
}

fn insert(status: &mut Value, key: &str, value: Value) {
    if let Some(fields) = status.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({ "waiting": { "reason": reason, "message": message } })
}

fn back_off(image: &str, message: &str) -> String {
    format!("Back-off pulling image \"{image}\": {message}")
}

fn terminated(uid: &str, life: &ContainerLife, end: End) -> Value {
    let (reason, code) = if end.out_of_memory {
        ("OOMKilled", 137)
    } else {
        ("Error", 1)
    };
    json!({
        "reason": reason, "exitCode": code, "containerID": container_id(uid, life, life.restarts - 1),
        "startedAt": seconds(end.started), "finishedAt": seconds(end.at),
    })
}

fn container_id(uid: &str, life: &ContainerLife, restart: i32) -> String {
    let id = Sha256::digest(format!("{uid}/{}/{restart}", life.name));
    format!("containerd://{}", hex::encode(id))
}

/// An address of its own for each pod, more or less; nothing listens there.
fn address(uid: &str) -> String {
    let hash = Sha256::digest(uid);
    match hash.as_slice() {
        [third, fourth, ..] => format!("10.244.{third}.{fourth}"),
        _ => "10.244.0.1".to_owned(),
    }
}

/// As Kubernetes writes times: RFC 3339, whole seconds, UTC.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
