//! A new trust bundle in the middle of a course: it ends the key of a role, and names a successor. Operators restart
//! the replicas of the role one by one; until then they sign with a key that counts no more.

use std::sync::PoisonError;

use anyhow::Context as _;
use attest::bundle::bundle_subject;
use attest::{Dossier, Envelope, Header, PublicKey, Role, Statement, Trust, claim};
use bus::buckets::Values;
use bus::streams::Bucket;
use bytes::Bytes;
use domain::{Action, Assignment, Digest, Epoch};
use jiff::Timestamp;
use testkit::log::Dice;
use wire::fleet::v1;

use super::{Course, Failure, REPLICAS};
use crate::bugs::Bug;
use crate::fixture::{Fixture, KeyEnd, Quality};
use crate::site::{Begun, Site};

/// A key's end that is to come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rotation {
    /// Not before this move; then as soon as a cluster is asked to write, or a while later.
    from: u64,
    role: Role,
    revoked: bool,
}

/// It is waited so many moves for a cluster that is asked.
const WAITS: u64 = 300;

impl Rotation {
    /// That of a course: mostly there is one. Where another rule is taken out there is none.
    pub(super) fn planned(dice: &Dice, bug: Option<Bug>) -> Option<Self> {
        let (from, chosen) = (100 + dice.below(800), dice.below(5));
        let rotation = |role, revoked| Self { from, role, revoked };
        match (bug, chosen) {
            (Some(Bug::KeepsTheFirstBundle), chosen) => Some(rotation(Role::Controller, chosen % 2 == 0)),
            (Some(_), _) | (None, 0) => None,
            (None, 1) => Some(rotation(Role::Policy, true)),
            (None, 2) => Some(rotation(Role::Policy, false)),
            (None, 3) => Some(rotation(Role::Controller, true)),
            (None, _) => Some(rotation(Role::Controller, false)),
        }
    }
}

impl Course {
    /// The planned rotation, if it is time; at the end there is none any more.
    pub(super) fn rotate(&mut self) {
        let asked = self.referee.asked.is_some();
        let due = |rotation: &Rotation| {
            self.moves >= rotation.from && (asked || self.moves >= rotation.from + WAITS)
        };
        let Some(rotation) = self.rotation.take_if(|rotation| due(rotation)) else {
            return;
        };
        let end = KeyEnd {
            role: rotation.role,
            at: self.place.log.events().len() as u64,
            revoked: rotation.revoked,
        };
        self.tell(|| format!("a new bundle: {end:?}"));
        let bundle = Fixture::get().second_bundle(&end, self.now());
        self.place.log.inject(bundle_subject(2), bundle);
        *self.place.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    /// Whether a replica signs with a key that has come to its end.
    pub(super) fn is_outdated(&self, replica: usize) -> bool {
        let slot = &self.slots[replica];
        let running = slot.running.as_ref();
        running.is_some_and(|running| running.is_outdated(&self.place, slot.kind))
    }

    /// An operator restarts a replica, with the key that its role has now.
    pub(super) fn renew(&mut self, replica: usize) {
        self.tell(|| format!("{:?} {replica} is restarted with another key", REPLICAS[replica]));
        self.bury(replica);
    }

    /// No agent begins by what a key signed that the bundle before it has ended, nor under an older bundle than it has
    /// begun under before.
    pub(super) fn check_keys(&mut self, chosen: usize, begun: &Begun) -> Result<(), Failure> {
        let fixture = Fixture::get();
        let dossier = Dossier::parse(&begun.dossier).map_err(anyhow::Error::from)?;
        let bundle = Trust::open(fixture.root.public(), 1, dossier.bundle.as_bytes());
        let version = bundle.map_err(anyhow::Error::from)?.bundle().version;
        let name = self.sites[chosen].name.clone();
        let object = |what: String| Err(Failure::Unsafe { at: self.moves, what });
        let seen = self.bundles.entry(name.to_string()).or_insert(version);
        if version < *seen {
            return object(format!(
                "{name} begins under bundle {version} after bundle {seen}"
            ));
        }
        *seen = version;
        let ended = *self.place.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(end) = ended.filter(|_| version > 1) else {
            return Ok(());
        };
        let key = fixture.key(end.role).public();
        let mut signed = std::iter::once(&dossier.assignment).chain(dossier.statements.values());
        if signed.any(|envelope| is_by(envelope, key)) {
            return object(format!(
                "{name} begins epoch {} by a statement of the ended key of role {}",
                begun.epoch, end.role
            ));
        }
        Ok(())
    }

    /// Somebody who has got hold of the ended key of rollout-controller asks a cluster that runs what is old for what it was
    /// asked last; the bundle that ends the key lies beside it.
    pub(super) async fn forge(&mut self) -> Result<(), Failure> {
        let ended = *self.place.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.is_none_or(|end| end.role != Role::Controller) {
            return Ok(());
        }
        let behind = |site: &&Site| site.rests() && site.live.quality == Quality::Old;
        let Some(site) = self.sites.iter().find(behind) else {
            return Ok(());
        };
        let name = site.name.to_string();
        let bucket = Values::in_memory(self.place.assignments.clone(), Bucket::Assignments);
        let Some(entry) = bucket.get(&name).await.context("a bucket in memory")? else {
            return Ok(());
        };
        let Some(forged) = forged(&entry.value, self.now()) else {
            return Ok(());
        };
        self.tell(|| format!("somebody asks {name} with the ended key"));
        self.put_back.insert(name.clone(), Digest::of(&forged));
        bucket.put(&name, forged).await.context("a bucket in memory")?;
        Ok(())
    }

    /// What a controller lays before an agent is what it can act upon.
    pub(super) fn check_misled(&mut self, chosen: usize) -> Result<(), Failure> {
        let site = &mut self.sites[chosen];
        let Some((dossier, why)) = site.misled.take() else {
            return Ok(());
        };
        let own_fault = self.plan.bug == Some(Bug::KeepsTheFirstBundle);
        if own_fault || self.put_back.get(site.name.as_str()) == Some(&dossier) {
            return Ok(());
        }
        let what = format!("{} can't act upon what lies before it: {why}", site.name);
        Err(Failure::Unsafe { at: self.moves, what })
    }
}

fn is_by(envelope: &str, key: &PublicKey) -> bool {
    Envelope::parse(envelope.as_bytes()).is_ok_and(|envelope| envelope.is_by(key))
}

/// What lies there, asked for as the next epoch by the ended key; only where the second bundle lies beside it.
fn forged(dossier: &[u8], now: Timestamp) -> Option<Bytes> {
    let fixture = Fixture::get();
    let dossier = Dossier::parse(dossier).ok()?;
    let bundle = Trust::open(fixture.root.public(), 2, dossier.bundle.as_bytes());
    let payload = Envelope::parse(dossier.assignment.as_bytes()).ok()?;
    let statement = Statement::parse(payload.payload()).ok()?;
    let before: Assignment = wire::decode::<v1::Assignment, _>(&statement).ok()?;
    let asked = Assignment {
        epoch: Epoch(before.epoch.0 + 1),
        action: Action::Upgrade,
        stops: Vec::new(),
        issued: now,
        ..before
    };
    let header = Header {
        subject: bus::subject::assignment(&asked.cluster, asked.epoch).to_string(),
        ..statement.header().ok()?
    };
    let signed = claim::sign(
        &header,
        &v1::Assignment::from(&asked),
        fixture.key(Role::Controller),
    )
    .ok()?;
    let assignment = String::from_utf8(signed.to_bytes()).ok()?;
    let forged = Dossier {
        assignment,
        ..dossier
    };
    bundle.is_ok().then(|| forged.to_bytes().into())
}
