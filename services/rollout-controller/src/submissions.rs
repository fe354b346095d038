//! What agents send: each envelope is judged by the member's key, gets its number, and is answered after it
//! is stored.

use std::sync::Arc;
use std::time::Duration;

use bus::agent::{Answer, Request, SubmissionKind, Submissions};
use bus::journal::JournalError;
use bus::{Fact, Subject, ViewError, subject};
use domain::fleet::{HealthReport, Report, ReportKind};
use domain::{ClusterFacts, ClusterMember, Health, Reason};
use jiff::SignedDuration;
use runtime::errors::chain;
use tokio::task::JoinSet;
use wire::fleet::v1;

use crate::{Controller, heartbeats};

/// Envelopes that are judged and stored side by side.
const AT_ONCE: usize = 64;

const PAUSE: Duration = Duration::from_secs(1);

/// An agent's clock may be ahead by this much.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Why a submission was not taken.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{0} is no member of the fleet")]
    NoMember(String),
    #[error("{reason}: {why}")]
    Statement { reason: Reason, why: String },
    #[error("reading the view")]
    View(#[from] ViewError),
    #[error("publishing it")]
    Journal(#[from] JournalError),
    #[error("storing the heartbeat")]
    Bucket(#[from] bus::buckets::BucketError),
}

impl Refused {
    /// What the agent is told: whether the same envelope may be sent again.
    fn answer(&self) -> Answer {
        let retryable = match self {
            Self::NoMember(_) => true,
            Self::Statement { .. } => false,
            Self::View(error) => error.retryable(),
            Self::Journal(error) => error.retryable(),
            Self::Bucket(error) => error.retryable(),
        };
        if retryable {
            Answer::Later(chain(self))
        } else {
            Answer::Refused(chain(self))
        }
    }
}

/// Receives until the stop; then answers what was taken. Dropped, it drops that too: the agents ask again.
pub(crate) async fn receive(controller: &Arc<Controller>) {
    let mut taken = JoinSet::new();
    loop {
        tokio::select! {
            () = controller.hub.shutdown.requested() => break,
            () = listen(controller, &mut taken) => tokio::time::sleep(PAUSE).await,
        }
    }
    while taken.join_next().await.is_some() {}
}

/// Listens until the subscription ends. Agents are served side by side: one that is slow holds up no other.
async fn listen(controller: &Arc<Controller>, taken: &mut JoinSet<()>) {
    let mut submissions = match Submissions::subscribe(&controller.hub.client).await {
        Ok(submissions) => submissions,
        Err(error) => {
            tracing::warn!(error = %chain(&error), "agents can't be heard; trying again");
            return;
        }
    };
    while let Some(request) = submissions.next().await {
        while taken.try_join_next().is_some() {}
        if taken.len() >= AT_ONCE {
            taken.join_next().await;
        }
        let controller = Arc::clone(controller);
        taken.spawn(async move { take(&controller, request).await });
    }
    tracing::warn!("the subscription to agents ended; opening it again");
}

async fn take(controller: &Controller, request: Request) {
    let answer = match controller.accept(&request).await {
        Ok(number) => Answer::Stored(number),
        Err(error) => {
            let (cluster, kind) = (&request.cluster, request.kind);
            tracing::warn!(%cluster, ?kind, error = %chain(&error), "refused what an agent sent");
            error.answer()
        }
    };
    if let Err(error) = request.respond(&answer).await {
        tracing::debug!(error = %chain(&error), "the agent did not wait for the answer");
    }
}

impl Controller {
    /// Judges and stores what an agent sent; gives the number under which it stands.
    async fn accept(&self, request: &Request) -> Result<u64, Refused> {
        let Some(member) = self.member(&request.cluster).await? else {
            return Err(Refused::NoMember(request.cluster.to_string()));
        };
        let statement = authentic(&member, &request.envelope, self.hub.clock.now())?;
        let traceparent = statement
            .header()
            .map(|header| header.traceparent)
            .unwrap_or_default();
        let cluster = &member.cluster;
        match request.kind {
            SubmissionKind::Facts => {
                let facts: ClusterFacts = read::<v1::ClusterFacts, _>(&statement)?;
                own(facts.cluster == *cluster)?;
                self.next(&subject::facts(cluster, 1), request, &traceparent)
                    .await
            }
            SubmissionKind::Health => {
                let health: HealthReport = read::<v1::HealthReport, _>(&statement)?;
                own(health.cluster == *cluster)?;
                if health.health != Health::Healthy {
                    tracing::warn!(%cluster, health = %health.health, "an agent judges its cluster");
                }
                self.next(&subject::health(cluster, 1), request, &traceparent)
                    .await
            }
            SubmissionKind::Accepted
            | SubmissionKind::Refused
            | SubmissionKind::Applied
            | SubmissionKind::Result => {
                let report: Report = read::<v1::Report, _>(&statement)?;
                own(report.cluster == *cluster)?;
                let (place, envelope) = (place(&report), request.envelope.clone());
                let written = self
                    .hub
                    .journal
                    .publish_envelope(&place, envelope, Some(&traceparent))
                    .await?;
                Ok(written.fact().subject.n())
            }
            SubmissionKind::Heartbeat => {
                let heartbeat = heartbeats::read(&request.envelope, &member);
                let heartbeat = heartbeat.ok_or_else(|| invalid("it is no heartbeat"))?;
                if !self.heartbeats.take(heartbeat) {
                    return Ok(0);
                }
                Ok(self
                    .hub
                    .heartbeats
                    .put(cluster.as_str(), request.envelope.clone())
                    .await?)
            }
        }
    }

    async fn next(&self, first: &Subject, request: &Request, traceparent: &str) -> Result<u64, Refused> {
        let envelope = request.envelope.clone();
        let written = self
            .hub
            .journal
            .publish_next(first.series(), envelope, Some(traceparent))
            .await?;
        let Fact { subject, .. } = written.into_fact();
        Ok(subject.n())
    }
}

fn invalid(why: impl Into<String>) -> Refused {
    Refused::Statement {
        reason: Reason::StatementInvalid,
        why: why.into(),
    }
}

fn own(is_own: bool) -> Result<(), Refused> {
    if is_own {
        Ok(())
    } else {
        Err(invalid("it speaks about another cluster"))
    }
}

fn read<C, D>(statement: &attest::Statement) -> Result<D, Refused>
where
    C: attest::Claim,
    D: TryFrom<C, Error = wire::WireError>,
{
    wire::decode::<C, D>(statement).map_err(|error| invalid(chain(&error)))
}

fn authentic(
    member: &ClusterMember,
    envelope: &[u8],
    now: jiff::Timestamp,
) -> Result<attest::Statement, Refused> {
    let statement =
        attest::bundle::by_agent(envelope, &member.agent_key).map_err(|error| invalid(chain(&error)))?;
    let header = statement.header().map_err(|error| invalid(chain(&error)))?;
    own(header.cluster == member.cluster.as_str())?;
    if header.time > now + CLOCK_TOLERANCE {
        let why = format!("its clock is ahead: it says {}, it is {now} here", header.time);
        return Err(Refused::Statement {
            reason: Reason::ClockSkew,
            why,
        });
    }
    Ok(statement)
}

/// Where a report belongs.
fn place(report: &Report) -> Subject {
    let (cluster, epoch) = (&report.cluster, report.epoch);
    match report.kind {
        ReportKind::Accepted => subject::accepted(cluster, epoch),
        ReportKind::Refused(_) => subject::refused(cluster, epoch),
        ReportKind::Applied => subject::applied(cluster, epoch),
        ReportKind::WouldUpgrade | ReportKind::Finished(_) => subject::result(cluster, epoch),
    }
}
