//! Keys, claims and a trust for the tests of this crate.

use std::sync::Arc;

use attest::bundle::{self, BundleKey, TrustBundle};
use attest::{Claim, Header, Role, SigningKey, Statement, Trust, claim};
use bytes::Bytes;
use domain::ClusterName;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::judge::{Judge, Schema};
use crate::subject::Subject;

pub(crate) const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

macro_rules! claims {
    ($($name:ident $kind:literal { $($field:ident: $type:ty),* })*) => {$(
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }
        impl Claim for $name {
            const KIND: &'static str = $kind;
        }
    )*};
}

claims! {
    Discovered "release-discovered" { tag: String }
    Summary "role-summary" { attempt: u64 }
    Baseline "baseline-contents" { version: String }
    Decision "decision" { outcome: String }
    Text "policy-text" { text: String }
    Member "cluster-member" { agent_key: String }
    Facts "cluster-facts" { version: String }
    Assignment "assignment" { target: String }
    Report "report" { epoch: u64 }
    Mode "mode" { mode: String }
}

pub(crate) fn schema() -> Schema {
    Schema {
        well_formed,
        agent_key,
        report_epoch,
    }
}

fn well_formed(statement: &Statement) -> bool {
    statement.claim_type() != "https://fluxgate.dev/mode/v1" || statement.claim::<Mode>().is_ok()
}

fn agent_key(statement: &Statement) -> Option<String> {
    statement.claim::<Member>().ok().map(|member| member.agent_key)
}

fn report_epoch(statement: &Statement) -> Option<u64> {
    statement.claim::<Report>().ok().map(|report| report.epoch)
}

pub(crate) struct World {
    pub(crate) root: SigningKey,
    pub(crate) verifier: Arc<SigningKey>,
    pub(crate) policy: Arc<SigningKey>,
    pub(crate) controller: Arc<SigningKey>,
    pub(crate) agent: SigningKey,
    pub(crate) cluster: ClusterName,
    pub(crate) bundle: TrustBundle,
}

pub(crate) fn bundle_key(role: Role, key: &SigningKey) -> BundleKey {
    let hour = SignedDuration::from_hours(1);
    BundleKey {
        role,
        public_key: key.public().to_pem(),
        not_before: NOW - hour,
        not_after: NOW + hour,
        retired_at: None,
        revoked_at: None,
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let generate = || SigningKey::generate().unwrap().0;
        let (verifier, policy, controller) = (generate(), generate(), generate());
        let keys = vec![
            bundle_key(Role::Verifier, &verifier),
            bundle_key(Role::Policy, &policy),
            bundle_key(Role::Controller, &controller),
        ];
        Self {
            root: generate(),
            verifier: Arc::new(verifier),
            policy: Arc::new(policy),
            controller: Arc::new(controller),
            agent: generate(),
            cluster: "edge-1".parse().unwrap(),
            bundle: TrustBundle {
                version: 1,
                demo: true,
                keys,
            },
        }
    }

    pub(crate) fn bundle_envelope(&self) -> Bytes {
        bundle::sign(&self.bundle, &self.root, NOW)
            .unwrap()
            .to_bytes()
            .into()
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::open(self.root.public(), 1, &self.bundle_envelope()).unwrap()
    }

    pub(crate) fn judge(&self) -> Judge {
        Judge::new(schema(), self.trust())
    }

    pub(crate) fn member(&self) -> Member {
        Member {
            agent_key: self.agent.public().fingerprint(),
        }
    }

    /// An envelope of the cluster's agent, so many seconds after the beginning.
    pub(crate) fn by_agent<C: Claim>(&self, seconds: i64, claim: &C) -> Bytes {
        let time = NOW + SignedDuration::from_secs(seconds);
        let header = Header::of_agent(&self.cluster, self.agent.public(), time, "");
        claim::sign(&header, claim, &self.agent)
            .unwrap()
            .to_bytes()
            .into()
    }
}

pub(crate) fn signed<C: Claim>(subject: &Subject, claim: &C, key: &SigningKey, as_of: u64) -> Bytes {
    let header = Header::published(subject.to_string(), NOW, "").as_of(as_of);
    claim::sign(&header, claim, key).unwrap().to_bytes().into()
}

pub(crate) fn hint<C: Claim>(subject: &Subject, claim: &C) -> Bytes {
    claim::statement(&Header::published(subject.to_string(), NOW, ""), claim)
        .unwrap()
        .to_bytes()
        .into()
}
