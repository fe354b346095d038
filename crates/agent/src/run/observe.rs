//! Looking at the cluster: facts while nothing is open, health always.

use std::time::Duration;

use domain::fleet::{HealthReport, Symptom};
use domain::{ClusterFacts, Epoch, Health, Reason};
use runtime::errors::chain;
use tokio::time::Instant;

use super::carry::TOO_LATE;
use super::pulse::Beat;
use super::{Agent, Current, Judgement};
use crate::cluster::ClusterError;
use crate::facts;
use crate::health::{Seen, Verdict, judge, judge_running};
use crate::task::Phase;

impl Agent {
    /// Looks once.
    pub(super) async fn observe(&mut self) {
        if !self.is_open() {
            self.observe_facts().await;
        }
        match self.cluster.seen().await {
            Ok(seen) => {
                (self.state.looked, self.state.blind) = (Some(Instant::now()), 0);
                let verdict = match &self.state.task {
                    Some(current) if self.judges(current, &seen) => judge(&current.target, &seen),
                    Some(_) | None => judge_running(&seen),
                };
                self.state.observations = self.state.observations.saturating_add(1);
                self.count_reconciliations().await;
                self.judged(verdict).await;
                if self.state.unstored {
                    self.store_phase().await;
                }
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the cluster's health can't be judged");
                self.blind(&error).await;
            }
        }
    }

    /// The cluster could not be seen. That is a break in whatever lasts, but one look that failed is no news. A task
    /// whose time is over ends: nobody knows how.
    async fn blind(&mut self, error: &ClusterError) {
        self.state.blind = self.state.blind.saturating_add(1);
        if let Some(current) = &mut self.state.task {
            (current.well_since, current.wrong_before) = (None, false);
        }
        if self.state.blind > 1 {
            self.say_health(Health::Inconclusive, vec![unseen(error)]);
        }
        let applied = |current: &&Current| current.task.record.phase == Phase::Applied;
        let late = self.state.task.as_ref().filter(applied);
        let Some(current) = late.filter(|current| current.is_late()) else {
            return;
        };
        let order = current.order.clone();
        let deadline = order.assignment.success_deadline;
        let detail = format!(
            "everything is written, and it could not be judged within {deadline}: {}",
            chain(error)
        );
        self.say_health(Health::Inconclusive, vec![unseen(error)]);
        self.finish(&order, Health::Inconclusive, detail).await;
    }

    /// Reconciliations count while a task is judged; that they can't be read says nothing about health.
    async fn count_reconciliations(&mut self) {
        if self.state.task.is_none() {
            return;
        }
        match self.cluster.reconciliations().await {
            Ok(totals) => self.state.flow.look(totals),
            Err(error) => tracing::debug!(error = %chain(&error), "reconciliations can't be counted"),
        }
    }

    /// Whether the task's target is still what must run. Its assignment covers the bake; after that
    /// somebody may have upgraded the cluster in another way. A target that was never known is none.
    fn judges(&self, current: &Current, seen: &Seen) -> bool {
        let known = !current.target.images.is_empty();
        let covered = self.is_open() || self.now() < current.order.assignment.expires;
        known && (covered || current.target.is_named_by(seen))
    }

    /// Facts are said when they changed; the time of looking alone is no change.
    async fn observe_facts(&mut self) {
        let found = match facts::gather(&self.cluster, &self.demands.cluster, self.now()).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the cluster's facts can't be read");
                return;
            }
        };
        let same = |said: &ClusterFacts| {
            ClusterFacts {
                observed: found.observed,
                ..said.clone()
            } == found
        };
        // Pods that are on their way report nothing yet: such facts describe nothing and are not said.
        let whole = found
            .components
            .values()
            .all(|component| !component.image_ids.is_empty());
        if whole && !self.state.facts.as_ref().is_some_and(same) {
            self.voice.facts(&found);
            self.state.facts = Some(found);
        }
    }

    async fn judged(&mut self, verdict: Verdict) {
        let phase = self.state.task.as_ref().map(|current| current.task.record.phase);
        if phase == Some(Phase::Applied) {
            self.settling(&verdict).await;
        } else {
            self.say_health(verdict.health(), verdict.symptoms().to_vec());
        }
    }

    /// A task has settled when the cluster was well for long enough without a break, when something is
    /// wrong twice in a row, or when its time is over.
    async fn settling(&mut self, verdict: &Verdict) {
        let now = Instant::now();
        let Some(current) = &mut self.state.task else {
            return;
        };
        let late = current.is_late();
        let stable = duration(current.order.assignment.stable_for);
        let was_wrong = std::mem::replace(&mut current.wrong_before, matches!(verdict, Verdict::Wrong(_)));
        let health = match verdict {
            Verdict::Well => {
                let since = *current.well_since.get_or_insert(now);
                (now.saturating_duration_since(since) >= stable).then_some(Health::Healthy)
            }
            Verdict::Pending(_) => {
                current.well_since = None;
                late.then_some(Health::Unhealthy)
            }
            Verdict::Wrong(_) => {
                current.well_since = None;
                (was_wrong || late).then_some(Health::Unhealthy)
            }
        };
        let Some(health) = health else { return };
        let order = current.order.clone();
        let version = order.contents.release.version.clone();
        let detail = match (verdict.symptoms().first(), late) {
            (None, _) => format!("runs {version} and is well"),
            (Some(symptom), false) => format!("{} {}: {}", symptom.reason, symptom.object, symptom.detail),
            (Some(symptom), true) => format!(
                "not well within {}: {} {}: {}",
                order.assignment.success_deadline, TOO_LATE, symptom.object, symptom.detail
            ),
        };
        self.say_health(health, verdict.symptoms().to_vec());
        self.finish(&order, health, detail).await;
        self.observe_facts().await;
    }

    /// Health is said when it changed, and once for each task.
    fn say_health(&mut self, health: Health, symptoms: Vec<Symptom>) {
        let said = (self.epoch(), health, symptoms);
        if !is_news(self.state.health.as_ref(), &said) {
            return;
        }
        let report = HealthReport {
            cluster: self.demands.cluster.clone(),
            observed: self.now(),
            epoch: said.0,
            health: said.1,
            symptoms: said.2.clone(),
        };
        self.voice.health(&report);
        self.state.health = Some(said);
        self.beat();
    }

    fn epoch(&self) -> Epoch {
        self.state
            .task
            .as_ref()
            .map_or(Epoch(0), |current| current.order.assignment.epoch)
    }

    /// What the heartbeat is to say from now on.
    pub(super) fn beat(&self) {
        let said = self.state.health.as_ref();
        // Somebody else's writing goes before a trouble of its own.
        let alarm = self.state.alarm.as_ref().map(|(_, alarm)| alarm);
        let beat = Beat {
            epoch: self.epoch(),
            health: under(self.epoch(), said.map(|(epoch, health, _)| (*epoch, *health))),
            observations: self.state.observations,
            reconciles: self.state.flow.count(),
            alarm: alarm.or_else(|| self.state.trouble.alarm()).cloned(),
            looked: self.state.looked,
        };
        if let Some(pulse) = &self.pulse {
            pulse.know(beat);
        }
    }
}

/// Why the cluster can't be judged. What could not be read stands in the detail: which read was the first to fail
/// is no news.
fn unseen(error: &ClusterError) -> Symptom {
    Symptom {
        reason: Reason::HealthUnknown,
        object: "API server".to_owned(),
        detail: chain(error),
    }
}

/// Whether a judgement says something else than the last one that was said; another text for the same symptom is
/// nothing else.
fn is_news(before: Option<&Judgement>, said: &Judgement) -> bool {
    let symptoms = |(_, _, symptoms): &Judgement| -> Vec<(Reason, String)> {
        let named = symptoms
            .iter()
            .map(|symptom| (symptom.reason, symptom.object.clone()));
        named.collect()
    };
    before.is_none_or(|before| (before.0, before.1) != (said.0, said.1) || symptoms(before) != symptoms(said))
}

/// What was said under another epoch says nothing about this one: nothing was judged under it yet.
fn under(epoch: Epoch, said: Option<(Epoch, Health)>) -> Health {
    said.filter(|(under, _)| *under == epoch)
        .map_or(Health::Inconclusive, |(_, health)| health)
}

/// A duration of an assignment; wire refuses negative ones.
fn duration(signed: jiff::SignedDuration) -> Duration {
    Duration::try_from(signed).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(what: &'static str, message: &str) -> ClusterError {
        let status = serde_json::json!({
            "status": "Failure", "code": 503, "reason": "ServiceUnavailable", "message": message
        });
        let source = kube::Error::Api(serde_json::from_value(status).unwrap()).into();
        ClusterError::Read { what, source }
    }

    #[test]
    fn a_cluster_that_cannot_be_seen_says_why_and_says_it_once() {
        let blind = |error: &ClusterError| (Epoch(5), Health::Inconclusive, vec![unseen(error)]);
        let first = blind(&refused("Deployments", "try 1"));
        let symptom = &first.2[0];
        assert_eq!(
            (symptom.reason, symptom.object.as_str()),
            (Reason::HealthUnknown, "API server")
        );
        assert_eq!(
            symptom.detail,
            "reading Deployments: try 1 (HTTP 503 ServiceUnavailable)"
        );
        assert!(is_news(None, &first));
        assert!(!is_news(Some(&first), &blind(&refused("pods", "try 2"))));
        // Why it was inconclusive before, and that it is seen again, are news.
        assert!(is_news(
            Some(&(Epoch(5), Health::Inconclusive, Vec::new())),
            &first
        ));
        assert!(is_news(Some(&first), &(Epoch(5), Health::Healthy, Vec::new())));
        assert!(is_news(
            Some(&first),
            &(Epoch(6), Health::Inconclusive, first.2.clone())
        ));
    }

    /// An agent whose API server and hub are away.
    async fn alone(folder: &std::path::Path) -> Agent {
        let (root, key) = (
            attest::SigningKey::generate().unwrap().0,
            attest::SigningKey::generate().unwrap().0,
        );
        let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
        let api_server = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let every = Duration::from_secs(30);
        Agent::new(super::super::Parts {
            demands: crate::check::Demands {
                cluster: "edge".parse().unwrap(),
                root: root.public().clone(),
                lowest_bundle: 1,
                roles: std::collections::BTreeSet::new(),
                policies: Vec::new(),
                max_mode: domain::Mode::Observe,
                accept_demo: false,
            },
            tolerate: Vec::new(),
            timing: crate::config::Timing {
                poll: every,
                observe: every,
                settle: every,
                heartbeat: every,
            },
            cluster: crate::cluster::Cluster::of(api_server.try_into().unwrap()),
            client: options.connect("127.0.0.1:1").await.unwrap(),
            key: std::sync::Arc::new(key),
            memory: crate::memory::File::open(folder).unwrap(),
            clock: runtime::Clock::system(),
            shutdown: runtime::Shutdown::new(Duration::ZERO),
        })
        .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_without_an_api_server_says_so_from_the_second_look_on() {
        let folder = std::env::temp_dir().join(format!("fluxgate-agent-blind-{}", std::process::id()));
        let mut agent = alone(&folder).await;
        agent.observe().await;
        assert_eq!(agent.state.health, None, "one look that failed is no news");
        agent.observe().await;
        let (_, health, symptoms) = agent.state.health.clone().unwrap();
        let detail = symptoms.first().map(|symptom| symptom.detail.as_str()).unwrap();
        assert_eq!(health, Health::Inconclusive);
        assert!(detail.contains("Connection refused"), "{detail}");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn health_of_another_epoch_is_none_of_this_one() {
        for health in [Health::Healthy, Health::Unhealthy] {
            assert_eq!(under(Epoch(5), Some((Epoch(5), health))), health);
            assert_eq!(under(Epoch(6), Some((Epoch(5), health))), Health::Inconclusive);
        }
        assert_eq!(under(Epoch(5), None), Health::Inconclusive);
    }
}
