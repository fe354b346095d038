//! Who said what: whether each payload is signed by whoever may speak under its subject, by the newest trust
//! bundle of the export. Whether it counts where it stands (order, series, epochs) is for the services' own
//! judge; this is what a signature can show.

use std::collections::{BTreeMap, BTreeSet};

use attest::{Envelope, PublicKey, Role, Statement, Trust, bundle};
use bus::judge::Judge;
use bus::subject::{Author, Series};
use wire::schema;

use super::layout::Line;

/// Who said a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nobody signs a hint.
    Hint,
    /// The root key.
    Root,
    /// A key of a role, with its place among the keys of the bundle.
    Role(Role, usize),
    /// The agent of a cluster that is, or was, a member of the fleet.
    Agent,
    /// Nobody who may: it stands in the ledger, and counts for nothing.
    Void(Void),
}

/// Why a payload counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Void {
    /// Nothing may stand under the subject.
    #[error("nothing may stand under its subject")]
    Name,
    /// Not signed by a key of the role, for this subject, before the key was retired or revoked.
    #[error("not signed for its subject by a key that speaks for {0}")]
    Role(Role),
    /// Not signed by the key of the cluster's agent.
    #[error("not signed by the agent of a member of the fleet")]
    Agent,
    /// Not signed by the root key.
    #[error("not signed for its subject by the root key")]
    Root,
    /// A hint for another subject, or none at all.
    #[error("no statement for its subject")]
    Hint,
}

/// Judges payloads by one bundle and by the members that it has seen.
#[derive(Debug)]
pub(super) struct Signers<'a> {
    trust: &'a Trust,
    keys: Vec<(Role, Option<PublicKey>)>,
    agents: BTreeMap<Series, BTreeSet<String>>,
}

impl<'a> Signers<'a> {
    pub(super) fn new(trust: &'a Trust) -> Self {
        let keys = trust.bundle().keys.iter();
        let keys = keys.map(|key| (key.role, PublicKey::from_pem(&key.public_key).ok()));
        Self {
            trust,
            keys: keys.collect(),
            agents: BTreeMap::new(),
        }
    }

    /// Takes in who the agents are; to be called for every leaf before the first is judged.
    pub(super) fn learn(&mut self, line: &Line, payload: &[u8]) {
        let Ok((subject, rule)) = Judge::name(&line.subject) else {
            return;
        };
        let Author::Role(role) = rule.author else { return };
        let Ok(statement) = self.trust.at(payload, role, &line.subject, line.sequence) else {
            return;
        };
        if let Some(fingerprint) = schema::agent_key(&statement) {
            self.agents
                .entry(subject.membership())
                .or_default()
                .insert(fingerprint);
        }
    }

    pub(super) fn judge(&self, line: &Line, payload: &[u8]) -> Standing {
        let Ok((subject, rule)) = Judge::name(&line.subject) else {
            return Standing::Void(Void::Name);
        };
        match rule.author {
            Author::Role(role) => match self.trust.at(payload, role, &line.subject, line.sequence) {
                Ok(_) => self.key_of(role, payload),
                Err(_) => Standing::Void(Void::Role(role)),
            },
            Author::Agent => {
                let known = self.agents.get(&subject.membership()).into_iter().flatten();
                let mut known = known.map(|fingerprint| bundle::by_agent(payload, fingerprint));
                if known.any(|statement| statement.is_ok()) {
                    Standing::Agent
                } else {
                    Standing::Void(Void::Agent)
                }
            }
            Author::Root => match Trust::open(self.trust.root(), 0, payload) {
                Ok(opened) if bundle::bundle_subject(opened.bundle().version) == line.subject => {
                    Standing::Root
                }
                Ok(_) | Err(_) => Standing::Void(Void::Root),
            },
            Author::Hint => match Statement::parse(payload).map(|statement| statement.header()) {
                Ok(Ok(header)) if header.subject == line.subject => Standing::Hint,
                Ok(_) | Err(_) => Standing::Void(Void::Hint),
            },
        }
    }

    fn key_of(&self, role: Role, payload: &[u8]) -> Standing {
        let signed = |key: &(Role, Option<PublicKey>)| {
            let envelope = Envelope::parse(payload).ok();
            key.0 == role
                && envelope
                    .zip(key.1.as_ref())
                    .is_some_and(|(envelope, key)| envelope.is_by(key))
        };
        match self.keys.iter().position(signed) {
            Some(place) => Standing::Role(role, place),
            None => Standing::Void(Void::Role(role)),
        }
    }
}
