//! What a cluster's agent says.

use attest::{Claim, Header, claim};
use bus::agent::SubmissionKind;
use bus::buckets::Values;
use bus::streams::Bucket;
use bytes::Bytes;
use domain::fleet::{ComponentFacts, Heartbeat, Report, ReportKind};
use domain::{ClusterFacts, Digest, Epoch, Installer};
use jiff::{SignedDuration, Timestamp};
use wire::fleet::v1;

use super::{Order, Site};
use crate::replica::{Place, Submission};

impl Site {
    /// Says what runs, where that is news; not while a task is open.
    pub(super) fn state(&mut self) {
        let runs = self.live.key.manifests;
        if self.is_open() || self.stated == Some(runs) {
            return;
        }
        self.stated = Some(runs);
        let facts = self.facts();
        self.say(SubmissionKind::Facts, Epoch(0), &v1::ClusterFacts::from(&facts));
    }

    pub(super) fn facts(&self) -> ClusterFacts {
        let component = |image: &domain::ImageContents| ComponentFacts {
            image: image.image.clone(),
            image_ids: [image.index].into(),
        };
        let images = self.live.contents.images.iter();
        ClusterFacts {
            cluster: self.name.clone(),
            observed: self.spoke,
            kubernetes: "v1.36.3".to_owned(),
            installer: Installer::FluxCli,
            components: images.map(|(name, image)| (*name, component(image))).collect(),
            crds: [].into(),
        }
    }

    pub(super) async fn beat(&mut self, place: &Place) {
        self.observations += 1;
        let heartbeat = Heartbeat {
            cluster: self.name.clone(),
            sent: self.next_time(),
            epoch: self.health.0,
            health: self.health.1,
            observations: self.observations,
            alarm: None,
            reconciles: self.observations,
        };
        let envelope = self.signed(&v1::Heartbeat::from(&heartbeat));
        let heartbeats = Values::in_memory(place.heartbeats.clone(), Bucket::Heartbeats);
        heartbeats
            .put(self.name.as_str(), envelope)
            .await
            .expect("a bucket in memory");
    }

    pub(super) fn report(&mut self, order: &Order, kind: ReportKind) {
        self.report_on((order.assignment.epoch, order.digest), kind);
    }

    pub(super) fn report_on(&mut self, (epoch, assignment): (Epoch, Digest), kind: ReportKind) {
        let place = match kind {
            ReportKind::Accepted => SubmissionKind::Accepted,
            ReportKind::Refused(_) => SubmissionKind::Refused,
            ReportKind::Applied => SubmissionKind::Applied,
            ReportKind::WouldUpgrade | ReportKind::Finished(_) => SubmissionKind::Result,
        };
        let report = Report {
            cluster: self.name.clone(),
            sent: self.next_time(),
            epoch,
            assignment,
            kind,
            detail: String::new(),
        };
        self.say(place, epoch, &v1::Report::from(&report));
    }

    pub(super) fn say<C: Claim>(&mut self, kind: SubmissionKind, epoch: Epoch, claim: &C) {
        let envelope = self.signed(claim);
        self.outbox.push_back(Submission {
            cluster: self.name.clone(),
            kind,
            epoch: epoch.0,
            envelope,
        });
    }

    fn signed<C: Claim>(&mut self, claim: &C) -> Bytes {
        let time = self.next_time();
        let header = Header::of_agent(&self.name, self.key.public(), time, "");
        let envelope = claim::sign(&header, claim, &self.key).expect("signing");
        envelope.to_bytes().into()
    }

    /// Later than everything said before.
    fn next_time(&mut self) -> Timestamp {
        self.spoke += SignedDuration::from_millis(1);
        self.spoke
    }
}
