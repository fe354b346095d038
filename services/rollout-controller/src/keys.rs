//! Keys that have come to their end (retired, revoked, expired). What one of them signed counts on the log as before,
//! but no agent acts upon it: nothing new is asked that rests on it, and what was asked and not begun is asked anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use attest::Role;
use bus::{Area, Fact, Subject, ViewError};
use domain::assignment::StatementRef;
use domain::{Action, ClusterName};
use jiff::Timestamp;

use crate::Controller;
use crate::dossiers::named;
use crate::fold::{Course, Courses};

/// What was found to rest on acting keys, with until when, so that no signature is verified at every look. What was
/// not is found out again.
#[derive(Debug, Default)]
pub(crate) struct Acting(Mutex<Found>);

/// A fact in its role, or (without one) an assignment with all that it names.
type Place = (u64, Timestamp, Option<Role>);

#[derive(Debug, Default)]
struct Found {
    /// Of the bundle: under another one everything is found out again.
    version: u64,
    until: BTreeMap<Place, Timestamp>,
}

/// More is not kept: then everything is found out again.
const KEPT: usize = 100_000;

impl Acting {
    fn until(&self, version: u64, place: &Place) -> Option<Timestamp> {
        let found = self.0.lock().ok()?;
        (found.version == version).then(|| found.until.get(place).copied())?
    }

    fn keep(&self, version: u64, place: Place, until: Timestamp) {
        let Ok(mut found) = self.0.lock() else { return };
        if found.version != version || found.until.len() >= KEPT {
            *found = Found {
                version,
                until: BTreeMap::new(),
            };
        }
        found.until.insert(place, until);
    }
}

impl Controller {
    /// Whether the key that signed it acts for the role: an agent would act upon it now.
    pub(crate) fn acts(&self, fact: &Fact, role: Role) -> bool {
        self.acts_until(fact, role).is_some()
    }

    fn acts_until(&self, fact: &Fact, role: Role) -> Option<Timestamp> {
        let (trust, now) = (self.hub.view.trust(), self.hub.clock.now());
        let (version, place) = (trust.bundle().version, (fact.sequence, fact.time, Some(role)));
        let known = self.acting.until(version, &place);
        if let Some(until) = known.filter(|until| now <= *until) {
            return Some(until);
        }
        let until = trust.acting_until(&fact.envelope, role, &fact.subject.to_string(), now);
        let until = until.ok()?;
        self.acting.keep(version, place, until);
        Some(until)
    }

    /// Clusters that were asked for something, have not answered, and can't act upon it any more.
    pub(crate) async fn orphans(
        &self,
        courses: &Courses,
        now: Timestamp,
    ) -> Result<BTreeSet<ClusterName>, ViewError> {
        let mut orphans = BTreeSet::new();
        for (cluster, course) in courses {
            if course.waits(now) && !self.rests_on_acting_keys(course, now).await? {
                orphans.insert(cluster.clone());
            }
        }
        Ok(orphans)
    }

    async fn rests_on_acting_keys(&self, course: &Course, now: Timestamp) -> Result<bool, ViewError> {
        let version = self.hub.view.trust().bundle().version;
        let place = (course.envelope.sequence, course.envelope.time, None);
        if self
            .acting
            .until(version, &place)
            .is_some_and(|until| now <= until)
        {
            return Ok(true);
        }
        let Some(mut until) = self.acts_until(&course.envelope, Role::Controller) else {
            return Ok(false);
        };
        for statement in named(&course.newest) {
            match self.named_until(statement).await? {
                Some(end) => until = until.min(end),
                None => return Ok(false),
            }
        }
        self.acting.keep(version, place, until);
        Ok(true)
    }

    /// One that counts no more is as good as one of an ended key: its own was revoked.
    async fn named_until(&self, statement: &StatementRef) -> Result<Option<Timestamp>, ViewError> {
        let Ok(subject) = statement.subject.parse::<Subject>() else {
            return Ok(None);
        };
        let role = match subject.area() {
            Area::Policy => Role::Policy,
            Area::Verification => Role::Verifier,
            Area::Scan => Role::Scanner,
            Area::Release | Area::Cluster | Area::Rollout | Area::Trust => return Ok(None),
        };
        let fact = self.hub.view.get(&subject).await?;
        let named = fact.filter(|fact| fact.digest() == statement.digest);
        Ok(named.and_then(|fact| self.acts_until(&fact, role)))
    }
}

impl Course {
    /// Whether it asks for something that the agent has neither begun nor answered.
    fn waits(&self, now: Timestamp) -> bool {
        let reports = &self.view.reports;
        let answered = reports.accepted || reports.refused.is_some() || reports.result.is_some();
        self.newest.action == Action::Upgrade && !answered && now < self.newest.expires
    }
}

#[cfg(test)]
mod tests {
    use bus::subject;
    use domain::fleet::ReportKind;

    use super::*;
    use crate::fixture::Stand;

    #[tokio::test]
    async fn what_a_retired_key_signed_counts_and_is_not_acted_upon() {
        let stand = Stand::new();
        let replica = stand.idle().await;
        replica.assign("c1").await;
        let name = subject::assignment(&"c1".parse().unwrap(), domain::Epoch(1));
        let fact = replica.hub.view.get(&name).await.unwrap().unwrap();
        assert!(replica.controller.acts(&fact, Role::Controller));
        assert!(!replica.controller.acts(&fact, Role::Policy));
        let retired = stand.retire();
        replica.hub.view.reached(retired).await;
        let fact = replica.hub.view.get(&name).await.unwrap().unwrap();
        assert!(!replica.controller.acts(&fact, Role::Controller));
        assert_eq!(replica.hub.view.trust().bundle().version, 2);
    }

    #[tokio::test]
    async fn only_what_waits_for_its_agent_is_an_orphan() {
        let stand = Stand::new();
        let replica = stand.idle().await;
        replica.assign("c1").await;
        let (mut courses, _) = replica.controller.folded().await.unwrap();
        let now = Timestamp::now();
        let names =
            async |courses: &Courses, now| replica.controller.orphans(courses, now).await.unwrap().len();
        assert_eq!(names(&courses, now).await, 1, "what it names is not there");
        let day = jiff::SignedDuration::from_hours(24);
        assert_eq!(names(&courses, now + day).await, 0, "it is over");
        for course in courses.values_mut() {
            let course = std::sync::Arc::make_mut(course);
            let report = domain::fleet::Report {
                cluster: course.newest.cluster.clone(),
                sent: now,
                epoch: course.newest.epoch,
                assignment: course.envelope.digest(),
                kind: ReportKind::Accepted,
                detail: String::new(),
            };
            course.view.report(&report);
        }
        assert_eq!(names(&courses, now).await, 0, "it was begun");
    }
}
