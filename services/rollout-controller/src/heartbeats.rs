//! Signs of life: the newest of each cluster, in memory and in a bucket, never on the log.

use std::collections::BTreeMap;
use std::sync::Mutex;

use domain::fleet::Heartbeat;
use domain::{ClusterMember, ClusterName};
use runtime::errors::chain;
use wire::fleet::v1;

use crate::Controller;

/// The newest heartbeat of each cluster that this process has seen.
#[derive(Debug, Default)]
pub(crate) struct Heartbeats(Mutex<BTreeMap<ClusterName, Heartbeat>>);

impl Heartbeats {
    /// Takes a heartbeat, unless a younger one is known.
    pub(crate) fn take(&self, heartbeat: Heartbeat) -> bool {
        let Ok(mut known) = self.0.lock() else {
            return false;
        };
        let older = known
            .get(&heartbeat.cluster)
            .is_some_and(|newest| newest.sent >= heartbeat.sent);
        if !older {
            known.insert(heartbeat.cluster.clone(), heartbeat);
        }
        !older
    }

    /// Forgets everything: another replica may have heard more since. The bucket knows.
    pub(crate) fn forget(&self) {
        if let Ok(mut known) = self.0.lock() {
            known.clear();
        }
    }

    fn of(&self, cluster: &ClusterName) -> Option<Heartbeat> {
        self.0.lock().ok()?.get(cluster).cloned()
    }
}

/// Reads an agent's heartbeat, if it is one by this member.
pub(crate) fn read(envelope: &[u8], member: &ClusterMember) -> Option<Heartbeat> {
    let statement = attest::bundle::by_agent(envelope, &member.agent_key).ok()?;
    let heartbeat: Heartbeat = wire::decode::<v1::Heartbeat, _>(&statement).ok()?;
    let own = heartbeat.cluster == member.cluster
        && statement
            .header()
            .is_ok_and(|header| header.cluster == member.cluster.as_str());
    own.then_some(heartbeat)
}

impl Controller {
    /// The newest heartbeat of each member. Where the agents are not heard here (after a restart, on a
    /// standby) those of the bucket, verified again.
    pub(crate) async fn newest_heartbeats(
        &self,
        members: &[ClusterMember],
    ) -> BTreeMap<ClusterName, Heartbeat> {
        let mut newest = BTreeMap::new();
        let hears = self.lease.is_held();
        for member in members {
            if !hears || self.heartbeats.of(&member.cluster).is_none() {
                match self.hub.heartbeats.get(member.cluster.as_str()).await {
                    Ok(Some(entry)) => {
                        if let Some(heartbeat) = read(&entry.value, member) {
                            self.heartbeats.take(heartbeat);
                        }
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(cluster = %member.cluster, error = %chain(&error), "no heartbeat could be read");
                    }
                }
            }
            if let Some(heartbeat) = self.heartbeats.of(&member.cluster) {
                newest.insert(member.cluster.clone(), heartbeat);
            }
        }
        newest
    }
}
