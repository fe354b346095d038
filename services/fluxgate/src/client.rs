//! The hub as a client sees it: one connection, one deadline, all pages of a list.

mod trace;

use std::time::{Duration, Instant};

use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Endpoint;
use tonic::{Request, Status};
use wire::audit::v1 as audit;
use wire::fleet::v1 as fleet;
use wire::policy::v1 as policy;
use wire::release::v1 as release;
use wire::rollout::v1 as rollout;
use wire::verification::v1 as verification;

use crate::failure::Failure;

pub(crate) use trace::TRACE_ID;
use trace::Traced;

/// Items asked for at a time: a page of large resources stays below the 4 MiB of a message.
const PAGE: i32 = 200;
/// More are not fetched; whoever needs more uses the API.
pub(crate) const MOST: usize = 10_000;
/// A connection on a network that is well is there long before.
const CONNECT: Duration = Duration::from_secs(5);

/// Tells the server how much time is left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Interceptor for Deadline {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.set_timeout(self.0.saturating_duration_since(Instant::now()));
        Ok(request)
    }
}

/// A channel with a deadline.
pub(crate) type Timed = InterceptedService<Traced, Deadline>;

/// A connection to the hub.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Traced,
    deadline: Deadline,
}

/// A list as it was fetched: all of it, unless a token is left.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// Token of the next page, where there were more than [`MOST`].
    pub(crate) next_page_token: String,
}

macro_rules! clients {
    ($($(#[$doc:meta])* $name:ident: $client:ty;)*) => {
        $($(#[$doc])*
        pub(crate) fn $name(&self) -> $client {
            <$client>::new(InterceptedService::new(self.channel.clone(), self.deadline))
        })*
    };
}

/// Fetches all pages of a list.
macro_rules! all_pages {
    ($client:expr, $call:ident, $request:expr, $items:ident, $doing:expr) => {{
        let (mut client, mut request, mut items) = ($client, $request, Vec::new());
        request.page_size = PAGE;
        loop {
            let page = client
                .$call(request.clone())
                .await
                .map_err(failed($doing))?
                .into_inner();
            items.extend(page.$items);
            let next_page_token = page.next_page_token;
            if next_page_token.is_empty() || items.len() >= MOST {
                return Ok(List {
                    items,
                    next_page_token,
                });
            }
            request.page_token = next_page_token;
        }
    }};
}

impl Client {
    /// Connects; every call on it must be answered before the time is over.
    ///
    /// # Errors
    /// If the address is none, or nobody answers there.
    pub async fn connect(url: &str, time: Duration) -> Result<Self, Failure> {
        let address = || Failure::Address { url: url.to_owned() };
        if !url.starts_with("http://") {
            return Err(address());
        }
        let Ok(endpoint) = Endpoint::from_shared(url.to_owned()) else {
            return Err(address());
        };
        let deadline = Deadline(Instant::now() + time);
        let channel = endpoint.connect_timeout(CONNECT.min(time)).connect().await;
        let channel = channel.map_err(|source| Failure::Unreachable {
            url: url.to_owned(),
            source,
        })?;
        let channel = Traced(channel);
        Ok(Self { channel, deadline })
    }

    /// The same connection with a new deadline.
    pub(crate) fn until(&self, time: Duration) -> Self {
        Self {
            channel: self.channel.clone(),
            deadline: Deadline(Instant::now() + time),
        }
    }

    clients! {
        releases: release::release_service_client::ReleaseServiceClient<Timed>;
        verifications: verification::verification_service_client::VerificationServiceClient<Timed>;
        policies: policy::policy_service_client::PolicyServiceClient<Timed>;
        rollouts: rollout::rollout_service_client::RolloutServiceClient<Timed>;
        fleet: fleet::fleet_service_client::FleetServiceClient<Timed>;
        audit: audit::audit_service_client::AuditServiceClient<Timed>;
        health: tonic_health::pb::health_client::HealthClient<Timed>;
    }

    /// All releases.
    pub(crate) async fn all_releases(&self) -> Result<List<release::Release>, Failure> {
        let request = release::ListReleasesRequest::default();
        all_pages!(
            self.releases(),
            list_releases,
            request,
            releases,
            "listing releases"
        )
    }

    /// The newest decision of each series; of one release, or of all where the name is empty.
    pub(crate) async fn all_decisions(&self, release: String) -> Result<List<policy::DecisionView>, Failure> {
        let request = policy::ListDecisionsRequest {
            release,
            ..Default::default()
        };
        all_pages!(
            self.policies(),
            list_decisions,
            request,
            decisions,
            "listing decisions"
        )
    }

    /// The policies in force.
    pub(crate) async fn all_policies(&self) -> Result<List<policy::PolicyText>, Failure> {
        let request = policy::ListPoliciesRequest::default();
        all_pages!(
            self.policies(),
            list_policies,
            request,
            policies,
            "listing policies"
        )
    }

    /// All rollouts.
    pub(crate) async fn all_rollouts(&self) -> Result<List<rollout::Rollout>, Failure> {
        let request = rollout::ListRolloutsRequest::default();
        all_pages!(
            self.rollouts(),
            list_rollouts,
            request,
            rollouts,
            "listing rollouts"
        )
    }

    /// The stops in force; the lifted ones, too, if they are wanted.
    pub(crate) async fn all_stops(&self, show_lifted: bool) -> Result<List<rollout::Stop>, Failure> {
        let request = rollout::ListStopsRequest {
            show_lifted,
            ..Default::default()
        };
        all_pages!(self.rollouts(), list_stops, request, stops, "listing stops")
    }

    /// All clusters.
    pub(crate) async fn all_clusters(&self) -> Result<List<fleet::Cluster>, Failure> {
        let request = fleet::ListClustersRequest::default();
        all_pages!(self.fleet(), list_clusters, request, clusters, "listing clusters")
    }

    /// The entries that a filter lets through.
    pub(crate) async fn all_entries(
        &self,
        filter: audit::ListEntriesRequest,
    ) -> Result<List<audit::Entry>, Failure> {
        all_pages!(
            self.audit(),
            list_entries,
            filter,
            entries,
            "listing entries of the ledger"
        )
    }

    /// The newest verification of a release.
    pub(crate) async fn verification(&self, release: &str) -> Result<verification::Verification, Failure> {
        let request = verification::GetVerificationRequest {
            release: release.to_owned(),
        };
        let doing = format!("getting the verification of {release}");
        let answer = self.verifications().get_verification(request).await;
        Ok(answer.map_err(failed(doing))?.into_inner())
    }

    /// What the verifier knows about what a cluster runs.
    pub(crate) async fn baseline_status(&self, name: &str) -> Result<verification::BaselineStatus, Failure> {
        let doing = format!("asking the verifier about {name}");
        let name = name.to_owned();
        let request = verification::GetBaselineStatusRequest { name };
        let answer = self.verifications().get_baseline_status(request).await;
        Ok(answer.map_err(failed(doing))?.into_inner())
    }
}

/// The failure of a call.
pub(crate) fn failed(doing: impl Into<String>) -> impl FnOnce(Status) -> Failure {
    move |source| Failure::Call {
        doing: doing.into(),
        source: Box::new(source),
    }
}
