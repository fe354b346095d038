//! Rules taken out, each by a wrapper around what the real code uses: the simulation has to find every one of them.

use std::sync::Arc;

use async_trait::async_trait;
use attest::{Envelope, Header, Role, Statement, claim};
use bus::log::{Appended, EventLog, Expect, LogError, Stored, Tail};
use bus::{Area, Subject};
use bytes::Bytes;
use futures::StreamExt as _;
use jiff::Timestamp;
use testkit::log::{Faulty, MemoryLog};

use crate::fixture::Fixture;

/// A rule taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Publishers expect nothing.
    IgnoresExpectation,
    /// Readers take the last event of a subject.
    ReadsTheLast,
    /// policy-engine says that it has read everything, and takes the next free number.
    IgnoresAsOf,
    /// Agents do not remember epochs.
    ForgetsEpochs,
    /// policy-engine and rollout-controller take the ledger for sure.
    IgnoresLedger,
    /// rollout-controller takes every stop for lifted.
    IgnoresStops,
    /// Persons are answered when their stop is stored, before it is applied.
    AnswersEarly,
    /// Agents keep to the first trust bundle.
    KeepsTheFirstBundle,
}

/// The log as a replica with a bug uses it.
pub(crate) struct Careless {
    bug: Bug,
    way: Arc<Faulty>,
    log: MemoryLog,
}

impl Careless {
    /// A replica's way to the log.
    #[must_use]
    pub(crate) fn way(bug: Option<Bug>, way: &Arc<Faulty>, log: &MemoryLog) -> Arc<dyn EventLog> {
        match bug {
            Some(bug) => Arc::new(Self {
                bug,
                way: Arc::clone(way),
                log: log.clone(),
            }),
            None => Arc::clone(way) as Arc<dyn EventLog>,
        }
    }

    /// The next number of a decision's series, signed as if everything had been read.
    fn renumbered(&self, subject: &Subject, payload: &Bytes) -> Option<(Subject, Bytes)> {
        let events = self.log.events();
        let numbers = events
            .iter()
            .filter_map(|event| event.subject.parse::<Subject>().ok())
            .filter(|other| other.series() == subject.series())
            .map(|other| other.n());
        let next = subject.series().at(numbers.max().unwrap_or(0) + 1);
        let statement = Statement::parse(Envelope::parse(payload).ok()?.payload()).ok()?;
        let header = Header {
            subject: next.to_string(),
            ..statement.header().ok()?
        };
        let header = header.as_of(events.len() as u64);
        let claim: wire::policy::v1::Decision = statement.claim().ok()?;
        let signed = claim::sign(&header, &claim, Fixture::get().key(Role::Policy));
        Some((next, signed.ok()?.to_bytes().into()))
    }
}

#[async_trait]
impl EventLog for Careless {
    async fn append(
        &self,
        subject: &Subject,
        payload: Bytes,
        traceparent: Option<&str>,
        expect: Expect,
    ) -> Result<Appended, LogError> {
        if self.bug == Bug::IgnoresExpectation {
            return Ok(Appended::Stored(self.log.inject(subject.to_string(), payload)));
        }
        let blind = match self.bug {
            Bug::IgnoresAsOf => subject.area() == Area::Policy && subject.step() == "decision",
            Bug::IgnoresExpectation
            | Bug::ReadsTheLast
            | Bug::ForgetsEpochs
            | Bug::IgnoresLedger
            | Bug::IgnoresStops
            | Bug::AnswersEarly
            | Bug::KeepsTheFirstBundle => false,
        };
        if blind && let Some((subject, payload)) = self.renumbered(subject, &payload) {
            return self
                .way
                .append(&subject, payload, traceparent, Expect::Absent)
                .await;
        }
        self.way.append(subject, payload, traceparent, expect).await
    }

    async fn first_after(&self, subject: &str, after: u64) -> Result<Option<Stored>, LogError> {
        self.way.first_after(subject, after).await
    }

    async fn get(&self, sequence: u64) -> Result<Option<Stored>, LogError> {
        self.way.get(sequence).await
    }

    async fn last_sequence(&self) -> Result<u64, LogError> {
        self.way.last_sequence().await
    }

    async fn created(&self) -> Result<Timestamp, LogError> {
        self.way.created().await
    }

    async fn tail(&self, from: u64, filters: Vec<String>) -> Result<Tail, LogError> {
        let tail = self.way.tail(from, filters).await?;
        match self.bug {
            Bug::ReadsTheLast => {}
            Bug::IgnoresStops => return Ok(tail.map(|event| event.map(lifted)).boxed()),
            Bug::IgnoresExpectation
            | Bug::IgnoresAsOf
            | Bug::ForgetsEpochs
            | Bug::IgnoresLedger
            | Bug::AnswersEarly
            | Bug::KeepsTheFirstBundle => return Ok(tail),
        }
        let log = self.log.clone();
        let last = move |event: Result<Stored, LogError>| {
            let event = event?;
            let events = log.events();
            let last = events.iter().rev().find(|other| other.subject == event.subject);
            Ok(Stored {
                payload: last.map_or(event.payload.clone(), |last| last.payload.clone()),
                ..event
            })
        };
        Ok(tail.map(last).boxed())
    }
}

/// A stop as a lifted one; anything else as it is.
fn lifted(event: Stored) -> Stored {
    let claimed = || {
        let subject: Subject = event.subject.parse().ok()?;
        let statement = Statement::parse(Envelope::parse(&event.payload).ok()?.payload()).ok()?;
        let stop: wire::rollout::v1::StopSet = statement.claim().ok()?;
        (subject.step() == "stop" && stop.active).then_some((statement.header().ok()?, stop))
    };
    let Some((header, stop)) = claimed() else {
        return event;
    };
    let lifted = wire::rollout::v1::StopSet {
        active: false,
        ..stop
    };
    let signed = claim::sign(&header, &lifted, Fixture::get().key(Role::Controller)).expect("signing");
    Stored {
        payload: signed.to_bytes().into(),
        ..event
    }
}
