//! The hub's ear: takes what an agent submits, as the active controller does, and keeps it.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use attest::SigningKey;
use bus::agent::{Answer, Submission, SubmissionKind};
use domain::fleet::{HealthReport, Heartbeat, Report};
use futures::StreamExt as _;
use tokio::task::JoinHandle;
use wire::fleet::v1;

/// One thing that an agent said.
#[derive(Debug, Clone)]
pub(super) enum Said {
    Report(Report),
    Health(HealthReport),
    Heartbeat(Heartbeat),
    Facts,
}

/// Hears every agent of the bench.
#[derive(Debug)]
pub(super) struct Ear {
    heard: Arc<Mutex<Vec<Said>>>,
    task: JoinHandle<()>,
}

impl Ear {
    /// Begins to listen; what is not signed by `key` ends it.
    pub(super) async fn open(client: &async_nats::Client, key: &SigningKey) -> anyhow::Result<Self> {
        let mut submissions = client.subscribe("fluxgate.agent.*.submit").await?;
        let heard: Arc<Mutex<Vec<Said>>> = Arc::default();
        let (kept, client, fingerprint) = (heard.clone(), client.clone(), key.public().fingerprint());
        let task = tokio::spawn(async move {
            let mut n = 0;
            while let Some(message) = submissions.next().await {
                let said = read(&message.payload, &fingerprint).expect("a submission of the bench's agent");
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(said);
                n += 1;
                let answer = serde_json::to_vec(&Answer::Stored(n)).expect("an answer");
                if let Some(reply) = message.reply {
                    client
                        .publish(reply, answer.into())
                        .await
                        .expect("the client is there");
                }
            }
        });
        Ok(Self { heard, task })
    }

    /// Everything that was said since [`Ear::forget`].
    pub(super) fn heard(&self) -> anyhow::Result<Vec<Said>> {
        anyhow::ensure!(!self.task.is_finished(), "the hub's ear has ended");
        Ok(self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// The reports in the order in which they came.
    pub(super) fn reports(&self) -> anyhow::Result<Vec<Report>> {
        let report = |said| match said {
            Said::Report(report) => Some(report),
            Said::Health(_) | Said::Heartbeat(_) | Said::Facts => None,
        };
        Ok(self.heard()?.into_iter().filter_map(report).collect())
    }

    pub(super) fn forget(&self) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn read(payload: &[u8], fingerprint: &str) -> anyhow::Result<Said> {
    let submission: Submission = serde_json::from_slice(payload)?;
    let statement = attest::bundle::by_agent(submission.envelope.as_bytes(), fingerprint)?;
    let said = match submission.kind {
        SubmissionKind::Facts => Said::Facts,
        SubmissionKind::Health => Said::Health(wire::decode::<v1::HealthReport, _>(&statement)?),
        SubmissionKind::Heartbeat => Said::Heartbeat(wire::decode::<v1::Heartbeat, _>(&statement)?),
        SubmissionKind::Accepted
        | SubmissionKind::Refused
        | SubmissionKind::Applied
        | SubmissionKind::Result => {
            Said::Report(wire::decode::<v1::Report, _>(&statement).context("a report")?)
        }
    };
    Ok(said)
}
