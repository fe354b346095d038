use super::*;
use serde_json::json;

fn target() -> Target {
    let index = Digest::of(b"index");
    let image = format!("ghcr.io/fluxcd/source-controller:v1.9.4@{index}")
        .parse()
        .unwrap();
    let platform = domain::PlatformImage {
        platform: domain::Platform {
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
        },
        manifest: Digest::of(b"manifest"),
        config: Digest::of(b"config"),
    };
    let contents = ImageContents {
        image,
        index,
        platforms: vec![platform],
    };
    Target {
        images: BTreeMap::from([(Component::SourceController, contents)]),
        crds: CrdSet::new(),
    }
}

fn deployment_json() -> serde_json::Value {
    json!({
        "metadata": {"name": "source-controller", "generation": 2},
        "spec": {"replicas": 1, "selector": {}, "template": {}},
        "status": {
            "observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
            "availableReplicas": 1,
            "conditions": [
                {"type": "Available", "status": "True"},
                {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
            ]
        }
    })
}

fn pod_json() -> serde_json::Value {
    let image = format!("ghcr.io/fluxcd/source-controller:v1.9.4@{}", Digest::of(b"index"));
    json!({
        "metadata": {"name": "source-controller-1", "labels": {"app": "source-controller"}},
        "spec": {"containers": [{"name": "manager", "image": image}]},
        "status": {
            "startTime": "2026-11-24T10:00:00Z",
            "containerStatuses": [{
                "name": "manager", "image": image, "ready": true, "restartCount": 0,
                "imageID": format!("ghcr.io/fluxcd/source-controller@{}", Digest::of(b"manifest")),
                "state": {"running": {}}
            }]
        }
    })
}

fn judged(deployment: serde_json::Value, pod: serde_json::Value) -> Verdict {
    let deployment: Deployment = serde_json::from_value(deployment).unwrap();
    let seen = Seen {
        deployments: BTreeMap::from([("source-controller".to_owned(), deployment)]),
        pods: vec![serde_json::from_value(pod).unwrap()],
        crds: CrdSet::new(),
    };
    judge(&target(), &seen)
}

fn reasons(verdict: &Verdict) -> Vec<Reason> {
    verdict.symptoms().iter().map(|symptom| symptom.reason).collect()
}

#[test]
fn complete_deployment_with_verified_pods_is_well() {
    assert_eq!(judged(deployment_json(), pod_json()), Verdict::Well);
}

#[test]
fn available_but_not_updated_is_pending() {
    for (field, value) in [("updatedReplicas", 0), ("replicas", 2), ("observedGeneration", 1)] {
        let mut deployment = deployment_json();
        deployment["status"][field] = value.into();
        let verdict = judged(deployment, pod_json());
        assert!(matches!(verdict, Verdict::Pending(_)), "{field}");
        assert_eq!(reasons(&verdict), [Reason::DeploymentNotReady]);
    }
}

#[test]
fn available_of_the_old_replica_set_is_pending() {
    let mut deployment = deployment_json();
    deployment["status"]["conditions"][1]["reason"] = "ReplicaSetUpdated".into();
    assert!(matches!(judged(deployment, pod_json()), Verdict::Pending(_)));
}

#[test]
fn progress_deadline_exceeded_is_wrong() {
    let mut deployment = deployment_json();
    deployment["status"]["conditions"][1]["reason"] = "ProgressDeadlineExceeded".into();
    assert_eq!(judged(deployment, pod_json()).health(), Health::Unhealthy);
}

#[test]
fn all_three_forms_of_image_id_are_known_and_others_are_wrong() {
    for (id, health) in [
        (
            format!("ghcr.io/fluxcd/source-controller@{}", Digest::of(b"index")),
            Health::Healthy,
        ),
        (
            format!("docker-pullable://x/y@{}", Digest::of(b"manifest")),
            Health::Healthy,
        ),
        (Digest::of(b"config").to_string(), Health::Healthy),
        (
            format!("ghcr.io/fluxcd/source-controller@{}", Digest::of(b"other")),
            Health::Unhealthy,
        ),
    ] {
        let mut pod = pod_json();
        pod["status"]["containerStatuses"][0]["imageID"] = id.clone().into();
        assert_eq!(judged(deployment_json(), pod).health(), health, "{id}");
    }
}

#[test]
fn a_pod_of_the_old_image_is_a_leftover() {
    let mut pod = pod_json();
    pod["spec"]["containers"][0]["image"] = "ghcr.io/fluxcd/source-controller:v1.9.3".into();
    let verdict = judged(deployment_json(), pod);
    assert!(reasons(&verdict).contains(&Reason::LeftoverPod));
    assert!(matches!(verdict, Verdict::Pending(_)));
}

#[test]
fn crash_loops_and_failed_pulls_are_wrong() {
    for (waiting, reason) in [
        ("CrashLoopBackOff", Reason::CrashLoop),
        ("ImagePullBackOff", Reason::ImagePullFailed),
    ] {
        let mut pod = pod_json();
        pod["status"]["containerStatuses"][0]["state"] = json!({"waiting": {"reason": waiting}});
        let verdict = judged(deployment_json(), pod);
        assert_eq!(
            (verdict.health(), reasons(&verdict)),
            (Health::Unhealthy, vec![reason])
        );
    }
}

#[test]
fn a_crash_loop_tells_restarts_only_where_there_were_any() {
    for (restarts, expected) in [
        (0, "container manager is waiting in CrashLoopBackOff"),
        (3, "container manager restarted 3 times"),
    ] {
        let mut pod = pod_json();
        let status = &mut pod["status"]["containerStatuses"][0];
        status["restartCount"] = restarts.into();
        status["state"] = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let verdict = judged(deployment_json(), pod);
        let details: Vec<_> = verdict.symptoms().iter().map(|s| s.detail.as_str()).collect();
        assert_eq!(details, [expected]);
    }
}

#[test]
fn a_restart_counts_after_the_first_minute_and_out_of_memory_always() {
    for (finished, reason, expected) in [
        ("2026-11-24T10:00:30Z", "Error", None),
        ("2026-11-24T10:01:30Z", "Error", Some(Reason::ContainerRestarted)),
        ("2026-11-24T10:00:30Z", "OOMKilled", Some(Reason::OutOfMemory)),
    ] {
        let mut pod = pod_json();
        let status = &mut pod["status"]["containerStatuses"][0];
        status["restartCount"] = 1.into();
        status["lastState"] =
            json!({"terminated": {"exitCode": 1, "reason": reason, "finishedAt": finished}});
        assert_eq!(
            reasons(&judged(deployment_json(), pod)).first().copied(),
            expected,
            "{finished} {reason}"
        );
    }
}

#[test]
fn a_missing_deployment_or_crd_is_wrong() {
    let mut target = target();
    let versions = ["v1".to_owned()].into();
    let crd = domain::CrdVersions {
        versions,
        storage: "v1".to_owned(),
    };
    target
        .crds
        .insert("buckets.source.toolkit.fluxcd.io".to_owned(), crd);
    let verdict = judge(&target, &Seen::default());
    assert_eq!(verdict.health(), Health::Unhealthy);
    assert!(reasons(&verdict).contains(&Reason::CrdMismatch));
    assert!(reasons(&verdict).contains(&Reason::DeploymentNotReady));
}
