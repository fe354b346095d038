//! Leader election, played for the controllers that would do it themselves: a running pod with
//! `--enable-leader-election` holds the Lease `<app>-leader-election` of its namespace.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use sha2::{Digest, Sha256};

use super::faults::label;

/// Flux's controllers renew every 5 s; twice as often finds a new leader sooner.
pub(super) const RENEW_EVERY: Duration = Duration::from_millis(2500);
/// `--leader-election-lease-duration` of Flux's controllers.
const LASTS_SECONDS: i32 = 35;

/// A pod that wants to lead.
#[derive(Debug)]
pub(super) struct Candidate {
    namespace: String,
    app: String,
    identity: String,
}

impl Candidate {
    /// `None` where the pod does not take part. The identity changes with each restart, as a process's does.
    pub(super) fn of(pod: &Pod, restarts: i32) -> Option<Self> {
        let containers = &pod.spec.as_ref()?.containers;
        let mut arguments = containers
            .iter()
            .flat_map(|container| container.args.iter().flatten());
        if !arguments.any(|a| a == "--enable-leader-election" || a == "--enable-leader-election=true") {
            return None;
        }
        let (name, uid) = (pod.metadata.name.as_ref()?, pod.metadata.uid.as_ref()?);
        Some(Self {
            namespace: pod.metadata.namespace.clone()?,
            app: label(pod, "app")?.to_owned(),
            identity: format!("{name}_{}", process_id(uid, restarts)),
        })
    }

    /// Renews the Lease, or takes it where `alive` knows no running pod of its holder. Failures are left to the
    /// next renewal, as a controller does.
    pub(super) async fn renew(&self, client: &kube::Client, alive: impl Fn(&str) -> bool) {
        let leases = Api::<Lease>::namespaced(client.clone(), &self.namespace);
        let name = format!("{}-leader-election", self.app);
        let parameters = PostParams {
            field_manager: Some(self.app.clone()),
            ..PostParams::default()
        };
        let now = MicroTime(Timestamp::now());
        let Ok(found) = leases.get_opt(&name).await else {
            return;
        };
        let _renewed = match found {
            None => {
                let metadata = ObjectMeta {
                    name: Some(name),
                    ..ObjectMeta::default()
                };
                let lease = Lease {
                    metadata,
                    spec: Some(self.spec(&LeaseSpec::default(), now)),
                };
                leases.create(&parameters, &lease).await
            }
            Some(mut lease) => {
                let before = lease.spec.take().unwrap_or_default();
                if before.holder_identity.as_deref().is_some_and(alive) {
                    return;
                }
                lease.spec = Some(self.spec(&before, now));
                leases.replace(&name, &parameters, &lease).await
            }
        };
    }

    fn spec(&self, before: &LeaseSpec, now: MicroTime) -> LeaseSpec {
        let mine = before.holder_identity.as_deref() == Some(&self.identity);
        let first = before.holder_identity.is_none();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(LASTS_SECONDS),
            acquire_time: before
                .acquire_time
                .clone()
                .filter(|_| mine)
                .or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!mine && !first)),
            ..LeaseSpec::default()
        }
    }
}

/// In the form of a UUID, which controllers draw at random.
fn process_id(uid: &str, restarts: i32) -> String {
    let hash = hex::encode(Sha256::digest(format!("{uid}/{restarts}")));
    let part = |range: std::ops::Range<usize>| hash.get(range).unwrap_or_default();
    format!(
        "{}-{}-4{}-a{}-{}",
        part(0..8),
        part(8..12),
        part(12..15),
        part(15..18),
        part(18..30)
    )
}
