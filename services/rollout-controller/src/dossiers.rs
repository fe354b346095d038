//! What each agent reads: its newest assignment with every statement that it names and that counts, in the
//! bucket `assignments`. A projection: written again whenever it differs, never backwards. Clusters that left the
//! fleet have theirs too: it is how they learn that they are to begin nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;

use attest::{Dossier, Envelope, Role, Statement, Trust};
use bus::buckets::BucketError;
use bus::{LogError, Subject, ViewError, subject};
use bytes::Bytes;
use domain::assignment::StatementRef;
use domain::{Assignment, ClusterName, Digest, Epoch};
use jiff::{SignedDuration, Timestamp};
use runtime::errors::chain;

use crate::Controller;
use crate::fold::{Course, Courses};

#[cfg(test)]
mod tests;

/// How often the bucket is compared with what this process wrote, while nothing else has changed: as often as an
/// agent looks, so that what somebody else put there does not lie for long.
const COMPARE_EVERY: SignedDuration = SignedDuration::from_secs(2);

/// What this process wrote last.
#[derive(Debug, Default)]
pub(crate) struct Written(Mutex<BTreeMap<ClusterName, Last>>);

/// What was written for a cluster.
#[derive(Debug, Clone, Copy)]
struct Last {
    made_of: Sources,
    value: Digest,
    compared: Timestamp,
}

/// What a dossier follows from: its assignment and the bundle. Under one bundle what the assignment
/// names stays what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sources {
    assignment: (u64, Timestamp),
    bundle: u64,
}

impl Last {
    /// Whether it was compared a moment ago. A clock that went back has everything compared again.
    fn is_young(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.compared);
        !age.is_negative() && age < COMPARE_EVERY
    }
}

impl Written {
    /// Forgets everything: another replica may have written since.
    pub(crate) fn forget(&self) {
        if let Ok(mut written) = self.0.lock() {
            written.clear();
        }
    }

    fn of(&self, cluster: &ClusterName) -> Option<Last> {
        self.0.lock().ok()?.get(cluster).copied()
    }

    fn keep(&self, cluster: &ClusterName, last: Last) {
        if let Ok(mut written) = self.0.lock() {
            written.insert(cluster.clone(), last);
        }
    }
}

/// Statements by subject that were read in one pass: many assignments name the same ones.
type Statements = BTreeMap<String, String>;

/// Why an agent's assignment was not written.
#[derive(Debug, thiserror::Error)]
enum DossierError {
    #[error("reading the view")]
    View(#[from] ViewError),
    #[error("assignment or trust bundle is no text")]
    NoText,
    #[error("writing the assignment of {0}")]
    Bucket(ClusterName, #[source] BucketError),
    #[error("asking how far the log is, to write the assignment of {0}")]
    Log(ClusterName, #[source] LogError),
    #[error("a newer assignment or bundle of {0} lies there than was read so far")]
    Behind(ClusterName),
}

impl Controller {
    /// Writes what differs, and wakes those agents. One that can't be written holds up no other. Says whether every
    /// agent can read its newest assignment now.
    pub(crate) async fn write_dossiers(&self, courses: &Courses) -> bool {
        let (mut statements, mut all) = (Statements::new(), true);
        for (cluster, course) in courses {
            if let Err(error) = self.write_dossier(cluster, course, &mut statements).await {
                tracing::warn!(%cluster, error = %chain(&error), "an agent's assignment could not be written");
                all = false;
            }
        }
        all
    }

    async fn write_dossier(
        &self,
        cluster: &ClusterName,
        course: &Course,
        statements: &mut Statements,
    ) -> Result<(), DossierError> {
        let made_of = Sources {
            assignment: (course.envelope.sequence, course.envelope.time),
            bundle: self.hub.view.trust().bundle().version,
        };
        let (last, compared) = (self.dossiers.of(cluster), self.hub.clock.now());
        if last.is_some_and(|last| last.made_of == made_of && last.is_young(compared)) {
            return Ok(());
        }
        let dossier = self.dossier(course, statements).await?;
        let wanted = Bytes::from(dossier.to_bytes());
        let value = Digest::of(&wanted);
        self.write(course, wanted, last.map(|last| last.value) == Some(value))
            .await?;
        self.dossiers.keep(
            cluster,
            Last {
                made_of,
                value,
                compared,
            },
        );
        Ok(())
    }

    /// Writes it where something else lies that is not newer; `ours` where this process has written the same before.
    async fn write(&self, course: &Course, wanted: Bytes, ours: bool) -> Result<(), DossierError> {
        let cluster = &course.newest.cluster;
        let failed = |error| DossierError::Bucket(cluster.clone(), error);
        let found = self.hub.assignments.get(cluster.as_str()).await.map_err(failed)?;
        if found.as_ref().is_some_and(|found| found.value == wanted) {
            return Ok(());
        }
        if let Some(found) = &found {
            self.look_behind(course, &found.value).await?;
            if ours {
                tracing::error!(%cluster, "somebody else wrote the assignment of this cluster; writing it again");
            }
        }
        let put = match found {
            // Over what was looked at alone: another replica may write a newer one at the same time.
            Some(found) => {
                let update = self
                    .hub
                    .assignments
                    .update(cluster.as_str(), wanted, found.revision);
                update.await
            }
            None => self.write_first(cluster, wanted).await,
        };
        put.map_err(failed)?;
        if let Err(error) = bus::agent::wake(&self.hub.client, cluster).await {
            tracing::debug!(%cluster, error = %chain(&error), "the agent was not woken; it looks by itself");
        }
        Ok(())
    }

    /// Where nothing lies: another replica may write a newer one at the same time. A key that was deleted has a revision.
    async fn write_first(&self, cluster: &ClusterName, wanted: Bytes) -> Result<u64, BucketError> {
        let bucket = &self.hub.assignments;
        match bucket.update(cluster.as_str(), wanted.clone(), 0).await {
            Err(BucketError::Conflict { .. }) if bucket.get(cluster.as_str()).await?.is_none() => {
                bucket.put(cluster.as_str(), wanted).await
            }
            written => written,
        }
    }

    /// Refuses to go backwards: where a newer assignment or bundle lies there than this replica's plan knew, another one was
    /// faster, unless everything is read and there is no such one. It may say that what this replica would write is
    /// stopped.
    async fn look_behind(&self, course: &Course, found: &[u8]) -> Result<(), DossierError> {
        let cluster = &course.newest.cluster;
        let (trust, now) = (self.hub.view.trust(), self.hub.clock.now());
        let ours = (trust.bundle().version, course.newest.epoch);
        let (bundle, epoch) = place_of(found, cluster, &trust, now);
        if bundle <= ours.0 && epoch <= ours.1 {
            return Ok(());
        }
        let series = subject::assignment(cluster, Epoch(1));
        let read = self.hub.view.latest(series.series()).await?;
        let last = self.hub.log.last_sequence().await;
        let last = last.map_err(|error| DossierError::Log(cluster.clone(), error))?;
        let is_read = read.is_some_and(|read| read.subject.n() > course.newest.epoch.0);
        if is_read || self.hub.view.cursor() < last {
            return Err(DossierError::Behind(cluster.clone()));
        }
        Ok(())
    }

    /// The dossier of a course, with those of its statements that count. One that counts no more, as its key was
    /// revoked, keeps no STOP and no bundle from the agent: it begins no task that lacks a statement.
    async fn dossier(&self, course: &Course, read: &mut Statements) -> Result<Dossier, DossierError> {
        let mut statements = BTreeMap::new();
        for named in named(&course.newest) {
            if let Some(text) = self.statement(&named.subject, read).await? {
                statements.insert(named.subject.clone(), text);
            }
        }
        let trust = self.hub.view.trust();
        let (bundle, assignment) = (text(trust.envelope()), text(&course.envelope.envelope));
        let (bundle, assignment) = bundle.zip(assignment).ok_or(DossierError::NoText)?;
        Ok(Dossier {
            bundle,
            assignment,
            statements,
        })
    }

    /// A named statement, read once in a pass.
    async fn statement(&self, name: &str, read: &mut Statements) -> Result<Option<String>, ViewError> {
        if let Some(known) = read.get(name) {
            return Ok(Some(known.clone()));
        }
        let Ok(subject) = name.parse() else {
            return Ok(None);
        };
        let fact = self.hub.view.get(&subject).await?;
        let found = fact.and_then(|fact| text(&fact.envelope));
        if let Some(found) = &found {
            read.insert(name.to_owned(), found.clone());
        }
        Ok(found)
    }
}

/// The version of a dossier's bundle and its epoch, each 0 where it is no genuine one (of this cluster).
fn place_of(dossier: &[u8], cluster: &ClusterName, trust: &Trust, now: Timestamp) -> (u64, Epoch) {
    let nothing = (0, Epoch(0));
    let Ok(dossier) = Dossier::parse(dossier) else {
        return nothing;
    };
    let Ok(own) = Trust::open(trust.root(), 0, dossier.bundle.as_bytes()) else {
        return nothing;
    };
    // A newer bundle may name a key that is not known here yet; an older one no key that has ended since.
    let bundle = own.bundle().version;
    let trust = if bundle > trust.bundle().version {
        &own
    } else {
        trust
    };
    let epoch = epoch_of(dossier.assignment.as_bytes(), cluster, trust, now);
    (bundle, epoch.unwrap_or(Epoch(0)))
}

fn epoch_of(envelope: &[u8], cluster: &ClusterName, trust: &Trust, now: Timestamp) -> Option<Epoch> {
    let claimed = Statement::parse(Envelope::parse(envelope).ok()?.payload()).ok()?;
    let claimed = claimed.header().ok()?.subject;
    let epoch = Epoch(claimed.parse::<Subject>().ok()?.n());
    let named = subject::assignment(cluster, epoch).to_string() == claimed;
    let genuine = trust.acting(envelope, Role::Controller, &claimed, now).is_ok();
    (named && genuine).then_some(epoch)
}

/// The statements that an assignment names.
pub(crate) fn named(assignment: &Assignment) -> impl Iterator<Item = &StatementRef> {
    [
        &assignment.decision,
        &assignment.contents,
        &assignment.baseline_contents,
    ]
    .into_iter()
    .chain(&assignment.summaries)
}

fn text(envelope: &[u8]) -> Option<String> {
    std::str::from_utf8(envelope).ok().map(str::to_owned)
}
