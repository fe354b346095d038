//! Signs of life: the newest of each cluster, in memory and in a bucket, never on the log.

use std::collections::BTreeMap;
use std::sync::Mutex;

use domain::fleet::Heartbeat;
use domain::{ClusterMember, ClusterName};
use jiff::Timestamp;
use runtime::errors::chain;
use wire::fleet::v1;

use crate::Controller;

/// The newest heartbeat of each cluster that this process has seen, and since when it has been listening.
#[derive(Debug, Default)]
pub(crate) struct Heartbeats {
    newest: Mutex<BTreeMap<ClusterName, Heartbeat>>,
    listening_since: Mutex<Option<Timestamp>>,
}

impl Heartbeats {
    /// Takes a heartbeat, unless a younger one is known.
    pub(crate) fn take(&self, heartbeat: Heartbeat) -> bool {
        let Ok(mut known) = self.newest.lock() else {
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

    /// Forgets everything: another replica may have heard more since. The bucket knows. Where there was no other,
    /// nobody listened until now.
    pub(crate) fn forget(&self) {
        if let Ok(mut known) = self.newest.lock() {
            known.clear();
        }
        if let Ok(mut since) = self.listening_since.lock() {
            *since = None;
        }
    }

    /// Since when agents have been heard without a break, at a look of this time: since this replica began to act,
    /// and since the ledger turned to confirmed. While it is not, or can't be asked for, the hub may hear nothing.
    pub(crate) fn listening_since(&self, confirmed: bool, now: Timestamp) -> Timestamp {
        let Ok(mut since) = self.listening_since.lock() else {
            return now;
        };
        if confirmed {
            *since.get_or_insert(now)
        } else {
            *since = None;
            now
        }
    }

    fn of(&self, cluster: &ClusterName) -> Option<Heartbeat> {
        self.newest.lock().ok()?.get(cluster).cloned()
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

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::fixture::Stand;

    #[test]
    fn listening_begins_anew_with_the_acting_and_with_a_ledger_that_is_confirmed_again() {
        let heartbeats = Heartbeats::default();
        let at = |minute| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
        assert_eq!(heartbeats.listening_since(true, at(0)), at(0));
        assert_eq!(heartbeats.listening_since(true, at(1)), at(0));
        // Another replica acted, or none.
        heartbeats.forget();
        assert_eq!(heartbeats.listening_since(true, at(20)), at(20));
        assert_eq!(heartbeats.listening_since(true, at(21)), at(20));
        // The ledger was not sure, or could not be asked for.
        assert_eq!(heartbeats.listening_since(false, at(30)), at(30));
        assert_eq!(heartbeats.listening_since(false, at(31)), at(31));
        assert_eq!(heartbeats.listening_since(true, at(50)), at(50));
        assert_eq!(heartbeats.listening_since(true, at(51)), at(50));
    }

    #[tokio::test]
    async fn the_planner_is_told_since_when_agents_are_heard() {
        let replica = Stand::new().standby().await;
        let known = replica.controller.known().await.unwrap();
        // Nobody has ever confirmed the ledger.
        let world = known.world(&replica.controller.strategy);
        assert_eq!((world.ledger_ok, world.listening_since), (false, known.now));
    }
}
