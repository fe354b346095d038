//! The life of a pod's containers: a pure step from one state to the next.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::faults::{Fault, Faults};

/// How long a crashed container waits before it is started again. A real kubelet waits 10 s and doubles that; the
/// lab has no time for it.
const BACK_OFF: SignedDuration = SignedDuration::from_secs(1);

/// What a pull gave: the image id, or why it was refused.
pub(super) type Pull = Result<String, String>;

/// A pod on our node.
#[derive(Debug)]
pub(super) struct PodLife {
    pub(super) started: Timestamp,
    /// When readiness last changed.
    pub(super) ready_changed: Timestamp,
    pub(super) containers: Vec<ContainerLife>,
}

#[derive(Debug)]
pub(super) struct ContainerLife {
    pub(super) name: String,
    pub(super) image: String,
    /// Once it has been pulled.
    pub(super) image_id: Option<String>,
    pub(super) restarts: i32,
    pub(super) state: State,
    /// How it ended the last time.
    pub(super) last_end: Option<End>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Never started: the pull was refused, for this reason.
    NotPulled {
        message: String,
    },
    /// Crashed; started again at `until`.
    BackOff {
        until: Timestamp,
    },
    Running {
        since: Timestamp,
        ready: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) started: Timestamp,
    pub(super) at: Timestamp,
    pub(super) out_of_memory: bool,
}

impl PodLife {
    /// A pod that is new to us. One that an earlier kubelet ran keeps its restart counts and its times.
    pub(super) fn begin(pod: &Pod, now: Timestamp) -> Self {
        let status = pod.status.clone().unwrap_or_default();
        let told = status.container_statuses.unwrap_or_default();
        let started = status.start_time.map_or(now, |time| time.0);
        let begin = |name: &str, image: &str| {
            let told = told.iter().find(|told| told.name == name);
            let running = told.and_then(|told| told.state.as_ref()?.running.as_ref()?.started_at.clone());
            ContainerLife {
                name: name.to_owned(),
                image: image.to_owned(),
                image_id: told.map(|told| told.image_id.clone()).filter(|id| !id.is_empty()),
                restarts: told.map_or(0, |told| told.restart_count),
                state: match running {
                    Some(since) => State::Running {
                        since: since.0,
                        ready: false,
                    },
                    None => State::NotPulled {
                        message: String::new(),
                    },
                },
                last_end: None,
            }
        };
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let containers = containers
            .map(|c| begin(&c.name, c.image.as_deref().unwrap_or_default()))
            .collect();
        Self {
            started,
            ready_changed: started,
            containers,
        }
    }

    /// One step; `pulls` are of the containers in their order.
    pub(super) fn advance(&mut self, faults: &Faults, pod: &Pod, pulls: &[Pull], now: Timestamp) {
        let was_ready = self.ready();
        for (container, pull) in self.containers.iter_mut().zip(pulls) {
            let image = container.image.clone();
            let faults: Vec<&Fault> = faults.of(pod, &image).collect();
            container.advance(&faults, pull, now);
        }
        if self.ready() != was_ready {
            self.ready_changed = now;
        }
    }

    pub(super) fn ready(&self) -> bool {
        self.containers
            .iter()
            .all(|container| matches!(container.state, State::Running { ready: true, .. }))
    }

    /// Whether each container runs, ready or not.
    pub(super) fn running(&self) -> bool {
        self.containers
            .iter()
            .all(|container| matches!(container.state, State::Running { .. }))
    }

    /// Whether each container has been started once.
    pub(super) fn was_started(&self) -> bool {
        self.containers
            .iter()
            .all(|container| !matches!(container.state, State::NotPulled { .. }))
    }

    pub(super) fn restarts(&self) -> i32 {
        self.containers.iter().map(|container| container.restarts).sum()
    }
}

impl ContainerLife {
    fn advance(&mut self, faults: &[&Fault], pull: &Pull, now: Timestamp) {
        let out_of_memory = faults.contains(&&Fault::OutOfMemory);
        let crashes = out_of_memory || faults.contains(&&Fault::CrashLoop);
        match self.state.clone() {
            State::NotPulled { .. } => match pull {
                _ if faults.contains(&&Fault::ImagePull) => self.refuse("fault injected"),
                Err(message) => self.refuse(message),
                Ok(id) => {
                    self.image_id = Some(id.clone());
                    self.start(crashes, out_of_memory, faults, now);
                }
            },
            State::BackOff { until } if now < until => {}
            State::BackOff { .. } => {
                self.restarts += 1;
                self.start(crashes, out_of_memory, faults, now);
            }
            State::Running { since, .. } if crashes => self.crash(since, out_of_memory, now),
            State::Running { since, .. } => self.run(since, faults, now),
        }
    }

    fn start(&mut self, crashes: bool, out_of_memory: bool, faults: &[&Fault], now: Timestamp) {
        if crashes {
            self.crash(now, out_of_memory, now)
        } else {
            self.run(now, faults, now)
        }
    }

    fn refuse(&mut self, message: &str) {
        self.state = State::NotPulled {
            message: message.to_owned(),
        };
    }

    fn crash(&mut self, started: Timestamp, out_of_memory: bool, now: Timestamp) {
        self.last_end = Some(End {
            started,
            at: now,
            out_of_memory,
        });
        self.state = State::BackOff {
            until: now.saturating_add(BACK_OFF).unwrap_or(now),
        };
    }

    fn run(&mut self, since: Timestamp, faults: &[&Fault], now: Timestamp) {
        let age = now.duration_since(since);
        let slow = faults.iter().any(|fault| match fault {
            Fault::SlowStart(delay) => SignedDuration::try_from(*delay).is_ok_and(|delay| age < delay),
            Fault::CrashLoop | Fault::OutOfMemory | Fault::ImagePull | Fault::StuckLeader => false,
        });
        self.state = State::Running { since, ready: !slow };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::faults::Target;
    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(serde_json::json!({
            "metadata": { "labels": { "app": "source-controller" } },
            "spec": { "containers": [{ "name": "manager", "image": "ghcr.io/fluxcd/source-controller:v1.9.4" }] },
        }))
        .unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn faults(fault: Fault) -> Faults {
        let mut faults = Faults::default();
        faults.inject(Target::App("source-controller".into()), fault);
        faults
    }

    fn good() -> Vec<Pull> {
        vec![Ok("id".into())]
    }

    #[test]
    fn crash_loop_raises_restarts_until_healed() {
        let mut life = PodLife::begin(&pod(), at(0));
        for second in 0..4 {
            life.advance(&faults(Fault::CrashLoop), &pod(), &good(), at(second));
        }
        assert_eq!(life.restarts(), 3);
        assert!(!life.ready() && life.was_started());
        life.advance(&Faults::default(), &pod(), &good(), at(4));
        assert_eq!(
            (life.restarts(), life.ready(), life.ready_changed),
            (4, true, at(4))
        );
    }

    #[test]
    fn running_container_crashes_when_a_fault_comes() {
        let mut life = PodLife::begin(&pod(), at(0));
        life.advance(&Faults::default(), &pod(), &good(), at(0));
        assert!(life.ready());
        life.advance(&faults(Fault::OutOfMemory), &pod(), &good(), at(9));
        let end = life.containers[0].last_end;
        assert_eq!(
            end,
            Some(End {
                started: at(0),
                at: at(9),
                out_of_memory: true
            })
        );
    }

    #[test]
    fn refused_image_keeps_the_container_from_starting_but_does_not_stop_it() {
        let mut life = PodLife::begin(&pod(), at(0));
        life.advance(&Faults::default(), &pod(), &[Err("not found".into())], at(0));
        assert_eq!(
            life.containers[0].state,
            State::NotPulled {
                message: "not found".into()
            }
        );
        life.advance(&Faults::default(), &pod(), &good(), at(1));
        life.advance(&faults(Fault::ImagePull), &pod(), &[Err("gone".into())], at(2));
        assert!(life.ready());
    }

    #[test]
    fn slow_start_is_running_and_not_ready_until_its_time() {
        let slow = faults(Fault::SlowStart(Duration::from_secs(5)));
        let mut life = PodLife::begin(&pod(), at(0));
        life.advance(&slow, &pod(), &good(), at(0));
        life.advance(&slow, &pod(), &good(), at(4));
        assert!(life.running() && !life.ready());
        life.advance(&slow, &pod(), &good(), at(5));
        assert!(life.ready());
    }
}
