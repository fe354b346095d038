//! What `bus` promises, case by case: each on a nats-server of its own, what is about the log alone on the one in
//! memory too, and what three servers could answer differently on three.

use async_trait::async_trait;
use bus::streams;
use integration_tests::bus_contract::{
    CLUSTER_CONTRACT, CONTRACT, Case, InMemory, LOG_CONTRACT, LogCase, OnServers, PERMISSIONS_CONFIG, Server,
    an_agent_needs_no_more_than_its_permissions,
};
use integration_tests::lab::nats::{Nats, NatsCluster};
use libtest_mimic::Trial;
use tokio::runtime::Handle;

use crate::trial::{plain, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let case = |&(name, case): &(&str, Case)| {
        trial(&format!("bus::{name}"), move |lab| async move {
            let mut server = Lent(Nats::start(&lab).await?);
            case(&mut server).await;
            Ok(())
        })
    };
    let mut trials: Vec<Trial> = CONTRACT.iter().map(case).collect();
    trials.extend(LOG_CONTRACT.iter().map(on_one_server));
    trials.extend(LOG_CONTRACT.iter().map(in_memory));
    trials.extend(CLUSTER_CONTRACT.iter().map(on_three_servers));
    trials.push(trial(
        "bus::an_agent_needs_no_more_than_its_permissions",
        |lab| async move {
            let server = Nats::start_with(&lab, PERMISSIONS_CONFIG).await?;
            an_agent_needs_no_more_than_its_permissions(&server.url()).await;
            Ok(())
        },
    ));
    trials
}

fn on_one_server(&(name, case): &(&str, LogCase)) -> Trial {
    trial(&format!("bus::{name}"), move |lab| async move {
        let mut server = Lent(Nats::start(&lab).await?);
        case(&mut OnServers::one(&mut server).await).await;
        Ok(())
    })
}

/// The same, of the fake: whoever builds on it builds on what the servers do.
fn in_memory(&(name, case): &(&str, LogCase)) -> Trial {
    plain(&format!("bus::in_memory::{name}"), move || {
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(case(&mut InMemory::new()));
        Ok(())
    })
}

/// What a stream on one server and one on three could answer differently.
fn on_three_servers(&(name, case): &(&str, LogCase)) -> Trial {
    trial(&format!("bus::three::{name}"), move |lab| async move {
        let mut cluster = Three {
            cluster: NatsCluster::start(&lab).await?,
            killed: None,
        };
        case(&mut OnServers::three(&mut cluster).await).await;
        Ok(())
    })
}

/// Three servers, of which the one is killed that leads the event stream.
struct Three {
    cluster: NatsCluster,
    killed: Option<String>,
}

impl Three {
    async fn leader(&self) -> String {
        let client = async_nats::connect(self.cluster.url().split(',').collect::<Vec<_>>()).await;
        let context = async_nats::jetstream::new(client.expect("a server that lets us in"));
        let stream = context
            .get_stream(streams::EVENTS)
            .await
            .expect("the event stream");
        let info = stream.cached_info().cluster.as_ref();
        info.and_then(|info| info.leader.clone()).expect("a leader")
    }
}

#[async_trait]
impl Server for Three {
    fn url(&self) -> String {
        self.cluster.url()
    }

    fn monitor_url(&self) -> String {
        self.cluster.monitor_url()
    }

    async fn kill(&mut self) {
        let leader = self.leader().await;
        let server = self.cluster.server(&leader).expect("a server of the cluster");
        server.kill().await.expect("killing the leader");
        self.killed = Some(leader);
    }

    async fn restart(&mut self) {
        let killed = self.killed.take().expect("a server that was killed");
        let server = self.cluster.server(&killed).expect("a server of the cluster");
        let restarted = tokio::task::block_in_place(|| Handle::current().block_on(server.restart()));
        restarted.expect("restarting nats-server");
    }
}

struct Lent(Nats);

#[async_trait]
impl Server for Lent {
    fn url(&self) -> String {
        self.0.url()
    }

    fn monitor_url(&self) -> String {
        self.0.monitor_url()
    }

    async fn kill(&mut self) {
        self.0.kill().await.expect("killing nats-server");
    }

    async fn restart(&mut self) {
        // What it waits on is not Send for every lifetime (rust-lang/rust#110338).
        let restarted = tokio::task::block_in_place(|| Handle::current().block_on(self.0.restart()));
        restarted.expect("restarting nats-server");
    }
}
