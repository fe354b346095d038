//! Whether what runs is what was meant to run, and well: `../../../shared/reference/rollout.md` section 4,
//! points 1 (identity) and 2 (Deployments). Pure: objects in, judgement out.
//!
//! Deliberately not here: leadership, the regression set, flow, rates and events (points 3 to 7).

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use domain::fleet::Symptom;
use domain::{Component, CrdSet, Digest, Health, ImageContents, Reason};

/// A container may restart while its pod is this young: webhooks and leases settle. A later restart
/// counts.
const SETTLING: SignedDuration = SignedDuration::from_secs(60);

/// What is meant to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The images of the components that this cluster has.
    pub images: BTreeMap<Component, ImageContents>,
    /// The CRDs that this cluster has.
    pub crds: CrdSet,
}

impl Target {
    /// Whether the Deployments name these very images.
    #[must_use]
    pub fn is_named_by(&self, seen: &Seen) -> bool {
        self.images.iter().all(|(component, image)| {
            let containers = seen
                .deployments
                .get(component.name())
                .and_then(|deployment| deployment.spec.as_ref())
                .and_then(|spec| spec.template.spec.as_ref())
                .map(|pod| pod.containers.as_slice())
                .unwrap_or_default();
            let index = image.index.to_string();
            containers.iter().any(|container| {
                container
                    .image
                    .as_deref()
                    .is_some_and(|name| name.ends_with(&index))
            })
        })
    }
}

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Deployments of the namespace, by name.
    pub deployments: BTreeMap<String, Deployment>,
    /// Pods of the namespace.
    pub pods: Vec<Pod>,
    /// CRDs of Flux.
    pub crds: CrdSet,
}

/// A judgement of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All holds.
    Well,
    /// Not there yet; nothing speaks against getting there.
    Pending(Vec<Symptom>),
    /// Something is wrong that does not go away by waiting.
    Wrong(Vec<Symptom>),
}

impl Verdict {
    /// The symptoms, if any.
    #[must_use]
    pub fn symptoms(&self) -> &[Symptom] {
        match self {
            Self::Well => &[],
            Self::Pending(symptoms) | Self::Wrong(symptoms) => symptoms,
        }
    }

    /// What it means for somebody who asks now.
    #[must_use]
    pub const fn health(&self) -> Health {
        match self {
            Self::Well => Health::Healthy,
            Self::Pending(_) => Health::Inconclusive,
            Self::Wrong(_) => Health::Unhealthy,
        }
    }
}

struct Findings {
    pending: Vec<Symptom>,
    wrong: Vec<Symptom>,
}

impl Findings {
    fn verdict(mut self) -> Verdict {
        if !self.wrong.is_empty() {
            self.wrong.extend(self.pending);
            Verdict::Wrong(self.wrong)
        } else if self.pending.is_empty() {
            Verdict::Well
        } else {
            Verdict::Pending(self.pending)
        }
    }
}

fn symptom(reason: Reason, object: String, detail: impl Into<String>) -> Symptom {
    Symptom {
        reason,
        object,
        detail: detail.into(),
    }
}

/// Judges one moment.
#[must_use]
pub fn judge(target: &Target, seen: &Seen) -> Verdict {
    let mut findings = Findings {
        pending: Vec::new(),
        wrong: Vec::new(),
    };
    for (component, image) in &target.images {
        deployment(*component, seen.deployments.get(component.name()), &mut findings);
        pods(*component, image, &seen.pods, &mut findings);
    }
    crds(&target.crds, &seen.crds, &mut findings);
    findings.verdict()
}

/// Judges one moment where no target is known: the Deployments of Flux that are there, whatever their
/// images.
#[must_use]
pub fn judge_running(seen: &Seen) -> Verdict {
    let mut findings = Findings {
        pending: Vec::new(),
        wrong: Vec::new(),
    };
    for component in Component::ALL {
        if let Some(found) = seen.deployments.get(component.name()) {
            deployment(component, Some(found), &mut findings);
        }
    }
    findings.verdict()
}

/// The rule of kstatus for Deployments (fluxcd/cli-utils `status/core.go`, behaviour).
fn deployment(component: Component, found: Option<&Deployment>, findings: &mut Findings) {
    let object = format!("Deployment/{component}");
    let Some(found) = found else {
        findings
            .wrong
            .push(symptom(Reason::DeploymentNotReady, object, "is missing"));
        return;
    };
    let conditions = found
        .status
        .as_ref()
        .and_then(|s| s.conditions.as_deref())
        .unwrap_or_default();
    let condition = |kind: &str| conditions.iter().find(|c| c.type_ == kind);
    if reason_is(condition("Progressing"), "ProgressDeadlineExceeded") {
        findings.wrong.push(symptom(
            Reason::DeploymentNotReady,
            object,
            "made no progress in its deadline",
        ));
        return;
    }
    if let Some(why) = incomplete(found, condition("Progressing"), condition("Available")) {
        findings
            .pending
            .push(symptom(Reason::DeploymentNotReady, object.clone(), why));
    }
    if let Some(failure) = condition("ReplicaFailure").filter(|c| c.status == "True") {
        let why = failure.message.clone().unwrap_or_default();
        findings.pending.push(symptom(
            Reason::DeploymentNotReady,
            object,
            format!("pods can't be made: {why}"),
        ));
    }
}

fn reason_is(condition: Option<&DeploymentCondition>, reason: &str) -> bool {
    condition.is_some_and(|c| c.reason.as_deref() == Some(reason))
}

fn incomplete(
    found: &Deployment,
    progressing: Option<&DeploymentCondition>,
    available: Option<&DeploymentCondition>,
) -> Option<String> {
    let wanted = found.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = found.status.clone().unwrap_or_default();
    let count = |value: Option<i32>| value.unwrap_or(0);
    if status.observed_generation < found.metadata.generation {
        return Some("its controller has not seen the newest spec".to_owned());
    }
    let counts = [
        ("updated", count(status.updated_replicas)),
        ("ready", count(status.ready_replicas)),
        ("available", count(status.available_replicas)),
        ("existing", count(status.replicas)),
    ];
    if let Some((what, number)) = counts.iter().find(|(_, number)| *number != wanted) {
        return Some(format!("{number} of {wanted} replicas are {what}"));
    }
    if !reason_is(progressing, "NewReplicaSetAvailable") {
        return Some("its new ReplicaSet is not available yet".to_owned());
    }
    let up = available.is_some_and(|c| c.status == "True");
    (!up).then(|| "is not Available".to_owned())
}

fn pods(component: Component, image: &ImageContents, pods: &[Pod], findings: &mut Findings) {
    let own = |pod: &&Pod| {
        pod.metadata
            .labels
            .as_ref()
            .and_then(|l| l.get("app"))
            .map(String::as_str)
            == Some(component.name())
    };
    let mut running = 0;
    for pod in pods.iter().filter(own) {
        let object = format!("Pod/{}", pod.metadata.name.as_deref().unwrap_or_default());
        if pod.metadata.deletion_timestamp.is_some() {
            findings
                .pending
                .push(symptom(Reason::LeftoverPod, object, "is being deleted"));
            continue;
        }
        let statuses = pod
            .status
            .as_ref()
            .and_then(|s| s.container_statuses.as_deref())
            .unwrap_or_default();
        for status in statuses {
            container(pod, status, image, &object, findings);
            running += usize::from(digest_of(&status.image_id).is_some_and(|id| image.covers(id)));
        }
    }
    if running == 0 {
        let object = format!("Deployment/{component}");
        let detail = format!("no pod runs {}", image.image);
        findings
            .pending
            .push(symptom(Reason::ImageNotRunning, object, detail));
    }
}

fn container(
    pod: &Pod,
    status: &ContainerStatus,
    image: &ImageContents,
    object: &str,
    findings: &mut Findings,
) {
    let wanted = image.index.to_string();
    let spec = pod
        .spec
        .iter()
        .flat_map(|spec| &spec.containers)
        .find(|c| c.name == status.name);
    let named = spec.and_then(|c| c.image.as_deref()).unwrap_or_default();
    if !named.ends_with(&wanted) {
        let detail = format!("still runs {named}");
        findings
            .pending
            .push(symptom(Reason::LeftoverPod, object.to_owned(), detail));
        return;
    }
    if let Some(id) = digest_of(&status.image_id).filter(|id| !image.covers(*id)) {
        let detail = format!("expected {wanted} or one of its platforms, the node reports {id}");
        findings
            .wrong
            .push(symptom(Reason::ImageNotRunning, object.to_owned(), detail));
    }
    let waiting = status.state.as_ref().and_then(|s| s.waiting.as_ref());
    match waiting.and_then(|w| w.reason.as_deref()) {
        Some("CrashLoopBackOff") => {
            let detail = crash_loop(status);
            findings
                .wrong
                .push(symptom(Reason::CrashLoop, object.to_owned(), detail));
        }
        Some("ImagePullBackOff" | "InvalidImageName") => {
            let why = waiting
                .and_then(|w| w.message.clone())
                .unwrap_or_else(|| named.to_owned());
            findings
                .wrong
                .push(symptom(Reason::ImagePullFailed, object.to_owned(), why));
        }
        Some(_) | None => {}
    }
    let last = status.last_state.as_ref().and_then(|s| s.terminated.as_ref());
    if last.is_some_and(|t| t.reason.as_deref() == Some("OOMKilled")) {
        let detail = format!("container {} ran out of memory", status.name);
        findings
            .wrong
            .push(symptom(Reason::OutOfMemory, object.to_owned(), detail));
    } else if status.restart_count > 0 && last.is_some_and(|t| is_late(pod, t.finished_at.as_ref())) {
        let detail = format!(
            "container {} restarted {} times",
            status.name, status.restart_count
        );
        findings
            .wrong
            .push(symptom(Reason::ContainerRestarted, object.to_owned(), detail));
    }
}

/// A container that has only just begun to crash was not restarted yet.
fn crash_loop(status: &ContainerStatus) -> String {
    let name = &status.name;
    match status.restart_count {
        0 => format!("container {name} is waiting in CrashLoopBackOff"),
        count => format!("container {name} restarted {count} times"),
    }
}

type Time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

fn is_late(pod: &Pod, finished: Option<&Time>) -> bool {
    let started: Option<Timestamp> = pod
        .status
        .as_ref()
        .and_then(|s| s.start_time.as_ref())
        .map(|t| t.0);
    match (started, finished) {
        (Some(started), Some(finished)) => finished.0 > started + SETTLING,
        (None, _) | (_, None) => true,
    }
}

/// The digest in a pod's `imageID`: bare, or behind a repository, or behind a scheme and a repository.
#[must_use]
pub fn digest_of(image_id: &str) -> Option<Digest> {
    image_id.rsplit('@').next()?.parse().ok()
}

fn crds(target: &CrdSet, seen: &CrdSet, findings: &mut Findings) {
    let names: BTreeSet<&String> = target.keys().collect();
    for name in names {
        let object = format!("CustomResourceDefinition/{name}");
        match (target.get(name), seen.get(name)) {
            (Some(wanted), Some(found)) if wanted == found => {}
            (Some(wanted), Some(found)) => {
                let detail = format!(
                    "expected versions {:?}, found {:?}",
                    wanted.versions, found.versions
                );
                findings.wrong.push(symptom(Reason::CrdMismatch, object, detail));
            }
            (_, None) => findings
                .wrong
                .push(symptom(Reason::CrdMismatch, object, "is missing")),
            (None, Some(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests;
