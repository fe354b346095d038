//! What an agent says: signed with its own key, bound to cluster, kind and time.

use std::collections::VecDeque;
use std::sync::Arc;

use attest::claim::ClaimError;
use attest::{Claim, Header, SigningKey};
use bus::agent::{AgentBus, Answer, SubmissionKind};
use domain::fleet::{HealthReport, Heartbeat, Report, ReportKind};
use domain::{ClusterFacts, ClusterName};
use jiff::Timestamp;
use runtime::errors::chain;
use wire::fleet::v1;

/// More than this is never kept: what is oldest is dropped, loudly.
const KEPT: usize = 64;

/// Signs for a cluster's agent, and gives its signs of life.
#[derive(Debug, Clone)]
pub struct Herald {
    bus: AgentBus,
    cluster: ClusterName,
    key: Arc<SigningKey>,
}

/// The agent's voice. What could not be handed over is kept in order, and said again.
#[derive(Debug)]
pub struct Voice {
    herald: Herald,
    unsaid: VecDeque<(SubmissionKind, Vec<u8>)>,
}

impl Herald {
    /// The herald of a cluster's agent.
    #[must_use]
    pub const fn new(bus: AgentBus, cluster: ClusterName, key: Arc<SigningKey>) -> Self {
        Self { bus, cluster, key }
    }

    fn sign<C: Claim>(&self, claim: &C, now: Timestamp, traceparent: &str) -> Result<Vec<u8>, ClaimError> {
        let header = Header::of_agent(&self.cluster, self.key.public(), now, traceparent);
        Ok(attest::claim::sign(&header, claim, &self.key)?.to_bytes())
    }

    /// Gives a sign of life; one that is not heard is not said again.
    pub async fn heartbeat(&self, heartbeat: &Heartbeat) {
        let said = match self.sign(&v1::Heartbeat::from(heartbeat), heartbeat.sent, "") {
            Ok(envelope) => self.bus.submit(SubmissionKind::Heartbeat, &envelope).await,
            Err(error) => {
                tracing::error!(error = %chain(&error), "the agent can't sign");
                return;
            }
        };
        match said {
            Ok(Answer::Stored(_)) => {}
            Ok(answer) => tracing::warn!(?answer, "the hub did not take the heartbeat"),
            Err(error) => tracing::debug!(error = %chain(&error), "the hub did not hear the heartbeat"),
        }
    }
}

impl Voice {
    /// A voice that speaks through this herald.
    #[must_use]
    pub const fn new(herald: Herald) -> Self {
        Self {
            herald,
            unsaid: VecDeque::new(),
        }
    }

    /// Who speaks.
    #[must_use]
    pub fn herald(&self) -> Herald {
        self.herald.clone()
    }

    fn keep<C: Claim>(&mut self, kind: SubmissionKind, claim: &C, (now, traceparent): (Timestamp, &str)) {
        match self.herald.sign(claim, now, traceparent) {
            Ok(envelope) => self.unsaid.push_back((kind, envelope)),
            Err(error) => tracing::error!(error = %chain(&error), "the agent can't sign"),
        }
        while self.unsaid.len() > KEPT {
            self.unsaid.pop_front();
            tracing::error!("the hub was silent for too long; something the agent had to say is lost");
        }
    }

    /// Says what runs.
    pub fn facts(&mut self, facts: &ClusterFacts) {
        self.keep(
            SubmissionKind::Facts,
            &v1::ClusterFacts::from(facts),
            (facts.observed, ""),
        );
    }

    /// Says how the cluster is.
    pub fn health(&mut self, report: &HealthReport) {
        self.keep(
            SubmissionKind::Health,
            &v1::HealthReport::from(report),
            (report.observed, ""),
        );
    }

    /// Says what became of an assignment.
    pub fn report(&mut self, report: &Report, traceparent: &str) {
        let kind = match report.kind {
            ReportKind::Accepted => SubmissionKind::Accepted,
            ReportKind::Refused(_) => SubmissionKind::Refused,
            ReportKind::Applied => SubmissionKind::Applied,
            ReportKind::WouldUpgrade | ReportKind::Finished(_) => SubmissionKind::Result,
        };
        self.keep(kind, &v1::Report::from(report), (report.sent, traceparent));
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn has_said_all(&self) -> bool {
        self.unsaid.is_empty()
    }

    /// Hands over what is kept, in order, until the hub does not answer.
    pub async fn say(&mut self) {
        while let Some((kind, envelope)) = self.unsaid.front() {
            match self.herald.bus.submit(*kind, envelope).await {
                Ok(Answer::Stored(_)) => {}
                Ok(Answer::Refused(why)) => tracing::warn!(?kind, why, "the hub refused what the agent said"),
                Ok(Answer::Later(why)) => {
                    tracing::debug!(?kind, why, "the hub takes it later");
                    return;
                }
                Err(error) if error.retryable() => {
                    tracing::debug!(?kind, error = %chain(&error), "the hub did not answer");
                    return;
                }
                Err(error) => tracing::error!(?kind, error = %chain(&error), "this can't be said"),
            }
            self.unsaid.pop_front();
        }
    }
}
