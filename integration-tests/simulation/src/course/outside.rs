//! What comes from outside: audit-log's word, a person's, upstream's, and somebody who owns the bus.

use anyhow::Context as _;
use attest::{Claim, Header, Role, claim};
use bus::buckets::Values;
use bus::streams::Bucket;
use bus::{Subject, subject};
use bytes::Bytes;
use domain::{Digest, Mode};
use hub::ledger;
use testkit::log::MemoryValues;
use wire::audit::v1::LedgerStatus;

use super::{Course, Failure};
use crate::bugs::Bug;
use crate::fixture::{BEGINNING, Fixture, Release};

impl Course {
    /// audit-log reports how the ledger stands.
    pub(super) async fn audit(&mut self) -> Result<(), Failure> {
        let sound = self.ledger_sound;
        let status = self.status(sound)?;
        self.put_status(&self.place.status, status).await
    }

    /// What a careless replica takes for the status.
    pub(super) async fn false_status(&self) -> Result<(), Failure> {
        if self.plan.bug != Some(Bug::IgnoresLedger) {
            return Ok(());
        }
        let status = self.status(true)?;
        self.put_status(&self.place.false_status, status).await
    }

    pub(super) fn status(&self, sound: bool) -> anyhow::Result<Bytes> {
        let now = self.now();
        let status = LedgerStatus {
            report_time: Some(wire::time::timestamp(now)),
            stream_create_time: Some(wire::time::timestamp(BEGINNING)),
            sound,
            problem: if sound { String::new() } else { "a gap".to_owned() },
            ..LedgerStatus::default()
        };
        let header = Header::published(ledger::SUBJECT, now, "");
        let key = Fixture::get().key(Role::Ledger);
        Ok(claim::sign(&header, &status, key)?.to_bytes().into())
    }

    pub(super) async fn put_status(&self, values: &MemoryValues, status: Bytes) -> Result<(), Failure> {
        let bucket = Values::in_memory(values.clone(), Bucket::Status);
        bucket
            .put(ledger::KEY, status)
            .await
            .context("a bucket in memory")?;
        Ok(())
    }

    /// A person sets the mode of a wave; at the end Enforce everywhere.
    pub(super) fn operate(&mut self, at_the_end: bool) {
        let waves = ["canary", "main", "last"];
        let chosen = usize::try_from(self.dice.below(waves.len() as u64)).unwrap_or(0);
        let enforce = at_the_end || self.dice.happens(800);
        let mode = if enforce { Mode::Enforce } else { Mode::Observe };
        for (place, wave) in waves.iter().enumerate() {
            if at_the_end || place == chosen {
                let setting = wire::ModeSetting {
                    scope: wire::Scope::Wave((*wave).to_owned()),
                    mode,
                    principal: "somebody".to_owned(),
                    request_id: format!("{wave}-{}", self.moves),
                };
                self.tell(|| format!("wave {wave} is set to {mode}"));
                let series = subject::mode(&setting.scope.to_string(), 1);
                let next = self.next(&series);
                let claim = wire::rollout::v1::ModeSet::from(&setting);
                self.publish(&next, &claim, Role::Controller);
            }
        }
    }

    /// The next number of a series, as the referee knows it now.
    pub(super) fn next(&self, first: &Subject) -> Subject {
        let newest = self
            .referee
            .latest(first.series())
            .map_or(0, |fact| fact.subject.n());
        first.series().at(newest + 1)
    }

    pub(super) fn publish<C: Claim>(&mut self, subject: &Subject, claim: &C, role: Role) {
        let header = Header::published(subject.to_string(), self.now(), "");
        let signed = claim::sign(&header, claim, self.place.key(role)).expect("signing");
        self.place.log.inject(subject.to_string(), signed.to_bytes());
    }

    /// Upstream publishes its next release.
    pub(super) fn discover(&mut self) {
        let Some(release) = Fixture::get().releases.get(self.discovered) else {
            return;
        };
        self.discovered += 1;
        self.tell(|| format!("{} is discovered ({:?})", release.key.version, release.quality));
        self.hint(release);
    }

    pub(super) fn hint(&mut self, release: &Release) {
        let found = wire::Discovered {
            release: release.key.clone(),
            repository: "ghcr.io/fluxcd/flux-manifests".to_owned(),
        };
        let name = subject::release_discovered(&release.key);
        let header = Header::published(name.to_string(), self.now(), "");
        let claim = wire::release::v1::ReleaseDiscovered::from(&found);
        let hint = claim::statement(&header, &claim).expect("a statement");
        self.place.log.inject(name.to_string(), hint.to_bytes());
    }

    /// An agent falls silent or comes back.
    pub(super) fn weather(&mut self) {
        let chosen = usize::try_from(self.dice.below(self.sites.len() as u64)).unwrap_or(0);
        let site = &mut self.sites[chosen];
        site.silent = !site.silent;
        let (name, silent) = (site.name.clone(), site.silent);
        self.tell(|| format!("{name} is {}", if silent { "silent" } else { "back" }));
    }

    /// Somebody who owns the bus: squats on names, says valid things again, puts old assignments before agents.
    pub(super) async fn meddle(&mut self) -> Result<(), Failure> {
        let events = self.place.log.events();
        match self.dice.below(7) {
            4 | 5 if self.dice.happens(500) => self.forge().await?,
            0 => {
                let site = &self.sites[usize::try_from(self.dice.below(4)).unwrap_or(0)];
                let next = self.next(&subject::assignment(&site.name, domain::Epoch(1)));
                self.tell(|| format!("somebody squats on {next}"));
                self.place.log.inject(next.to_string(), "squatter");
            }
            1 if !events.is_empty() => {
                let chosen = usize::try_from(self.dice.below(events.len() as u64)).unwrap_or(0);
                let event = &events[chosen];
                self.tell(|| format!("somebody says {} again", event.subject));
                self.place
                    .log
                    .inject(event.subject.clone(), event.payload.clone());
            }
            2 if !events.is_empty() => {
                // A valid event under the name that follows it.
                let chosen = usize::try_from(self.dice.below(events.len() as u64)).unwrap_or(0);
                let event = &events[chosen];
                if let Ok(subject) = event.subject.parse::<Subject>() {
                    let next = self.next(&subject);
                    self.tell(|| format!("somebody says {subject} as {next}"));
                    self.place.log.inject(next.to_string(), event.payload.clone());
                }
            }
            3 if !events.is_empty() => {
                let chosen = usize::try_from(self.dice.below(events.len() as u64)).unwrap_or(0);
                let subject = events[chosen].subject.clone();
                self.tell(|| format!("somebody squats on {subject}"));
                self.place.log.inject(subject, "squatter");
            }
            _ if !self.old.is_empty() => {
                let chosen = usize::try_from(self.dice.below(self.old.len() as u64)).unwrap_or(0);
                let (cluster, dossier) = self.old[chosen].clone();
                self.tell(|| format!("somebody puts an old assignment before {cluster}"));
                let bucket = Values::in_memory(self.place.assignments.clone(), Bucket::Assignments);
                self.put_back.insert(cluster.clone(), Digest::of(&dossier));
                bucket
                    .put(&cluster, dossier)
                    .await
                    .context("a bucket in memory")?;
            }
            _ => {}
        }
        Ok(())
    }
}
