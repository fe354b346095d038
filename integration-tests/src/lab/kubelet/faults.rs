//! What can be made to go wrong with a container.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

/// Whose containers suffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Containers whose image contains this text, as in `source-controller:v1.9.4`.
    Image(String),
    /// All containers of pods whose label `app` is this, as in `source-controller`.
    App(String),
}

/// What they suffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The container exits with code 1 as soon as it starts, once a second: `CrashLoopBackOff` with a rising restart count.
    CrashLoop,
    /// As [`Fault::CrashLoop`], killed for its memory: `lastState.terminated.reason` is `OOMKilled`, code 137.
    OutOfMemory,
    /// The image cannot be pulled: `ImagePullBackOff`. Containers that have started are not touched.
    ImagePull,
    /// The container runs but is not ready before this time has passed since its start.
    SlowStart(Duration),
    /// The pod runs but does not renew its leader election's Lease.
    StuckLeader,
}

/// The faults of one cluster: at most one for each target.
#[derive(Debug, Default)]
pub struct Faults {
    entries: Vec<(Target, Fault)>,
}

impl Faults {
    /// Sets the fault of a target, in place of an earlier one.
    pub fn inject(&mut self, target: Target, fault: Fault) {
        self.heal(&target);
        self.entries.push((target, fault));
    }

    /// Ends the fault of a target.
    pub fn heal(&mut self, target: &Target) {
        self.entries.retain(|(entry, _)| entry != target);
    }

    /// Ends all faults.
    pub fn heal_all(&mut self) {
        self.entries.clear();
    }

    /// Those that strike a container with `image` in `pod`, oldest first.
    pub(super) fn of<'a>(&'a self, pod: &'a Pod, image: &'a str) -> impl Iterator<Item = &'a Fault> {
        let strikes = move |target: &Target| match target {
            Target::Image(part) => image.contains(part.as_str()),
            Target::App(app) => label(pod, "app") == Some(app.as_str()),
        };
        self.entries
            .iter()
            .filter(move |(target, _)| strikes(target))
            .map(|(_, fault)| fault)
    }

    pub(super) fn stuck_leader(&self, pod: &Pod) -> bool {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        containers
            .filter_map(|container| container.image.as_deref())
            .any(|image| self.of(pod, image).any(|fault| *fault == Fault::StuckLeader))
    }
}

pub(super) fn label<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    pod.metadata.labels.as_ref()?.get(name).map(String::as_str)
}
