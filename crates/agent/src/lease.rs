//! The Lease that an agent holds while it writes: two agents of one cluster never write at once.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;
use tokio::sync::Mutex;

use crate::cluster::{Cluster, ClusterError, NAMESPACE, patiently};

/// Name of the Lease.
pub const NAME: &str = "fluxgate-agent";

/// A holder that has not renewed for this long has lost it. A restarted agent is another holder and waits so
/// long before it goes on.
const SECONDS: i32 = 15;
const DURATION: SignedDuration = SignedDuration::from_secs(SECONDS as i64);

/// A Lease that is held goes to the server again at most this often.
const RENEW_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// The Lease of this cluster, for one holder.
#[derive(Debug)]
pub struct Lease {
    cluster: Cluster,
    holder: String,
    renewed: Mutex<Option<Timestamp>>,
}

impl Lease {
    /// For a holder: a name that no other process has.
    #[must_use]
    pub fn new(cluster: Cluster, holder: String) -> Self {
        Self {
            cluster,
            holder,
            renewed: Mutex::new(None),
        }
    }

    /// Takes or renews it, by the clock of this machine: what counts is that time passes, not which.
    ///
    /// # Errors
    /// [`ClusterError::Held`] where another holder is alive, or the API server's answer.
    pub async fn renew(&self) -> Result<(), ClusterError> {
        let mut renewed = self.renewed.lock().await;
        let now = Timestamp::now();
        if renewed.is_some_and(|last| now < last + RENEW_EVERY) {
            return Ok(());
        }
        self.take(now).await?;
        *renewed = Some(now);
        Ok(())
    }

    async fn take(&self, now: Timestamp) -> Result<(), ClusterError> {
        let held = patiently(async || self.replace(now).await).await;
        match held.map_err(|source| ClusterError::Apply {
            object: format!("Lease/{NAME}"),
            source: source.into(),
        })? {
            None => Ok(()),
            Some(holder) => Err(ClusterError::Held {
                object: "Lease/fluxgate-agent",
                holder,
            }),
        }
    }

    /// Reads and writes it; gives its holder where that is another one who is alive.
    async fn replace(&self, now: Timestamp) -> Result<Option<String>, kube::Error> {
        let api: Api<LeaseObject> = Api::namespaced(self.cluster.client(), NAMESPACE);
        let params = PostParams::default();
        let spec = LeaseSpec {
            holder_identity: Some(self.holder.clone()),
            lease_duration_seconds: Some(SECONDS),
            renew_time: Some(MicroTime(now)),
            acquire_time: Some(MicroTime(now)),
            ..LeaseSpec::default()
        };
        let Some(found) = api.get_opt(NAME).await? else {
            let metadata = ObjectMeta {
                name: Some(NAME.to_owned()),
                ..ObjectMeta::default()
            };
            let lease = LeaseObject {
                metadata,
                spec: Some(spec),
            };
            api.create(&params, &lease).await?;
            return Ok(None);
        };
        let current = found.spec.clone().unwrap_or_default();
        let holder = current.holder_identity.unwrap_or_default();
        let alive = current.renew_time.is_some_and(|time| now < time.0 + DURATION);
        if alive && holder != self.holder {
            return Ok(Some(holder));
        }
        // The resource version that was read goes along: whoever was faster has it.
        let lease = LeaseObject {
            metadata: found.metadata,
            spec: Some(spec),
        };
        api.replace(NAME, &params, &lease).await?;
        Ok(None)
    }
}
