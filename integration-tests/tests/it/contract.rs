//! What `bus` promises, case by case, each on a nats-server of its own.

use async_trait::async_trait;
use integration_tests::bus_contract::{
    CONTRACT, PERMISSIONS_CONFIG, Server, an_agent_needs_no_more_than_its_permissions,
};
use integration_tests::lab::nats::Nats;
use libtest_mimic::Trial;
use tokio::runtime::Handle;

use crate::trial::trial;

pub(crate) fn trials() -> Vec<Trial> {
    let case = |&(name, case): &(&str, integration_tests::bus_contract::Case)| {
        trial(&format!("bus::{name}"), move |lab| async move {
            let mut server = Lent(Nats::start(&lab).await?);
            case(&mut server).await;
            Ok(())
        })
    };
    let mut trials: Vec<Trial> = CONTRACT.iter().map(case).collect();
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
