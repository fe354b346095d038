//! Three nats-servers that keep everything three times, as an operator would run them in production.

use std::time::{Duration, Instant};

use super::{LISTENS, Nats};
use crate::lab::process::{free_ports, tail};
use crate::lab::{Error, Lab};

/// How long three servers may take to find each other and a leader.
const MAJORITY_WITHIN: Duration = Duration::from_secs(30);

/// A cluster on loopback. Killed when dropped.
#[derive(Debug)]
pub struct NatsCluster {
    servers: Vec<Nats>,
}

impl NatsCluster {
    /// Starts three servers, and waits until JetStream serves on each.
    ///
    /// # Errors
    /// Where one does not become ready, or they find no leader.
    pub async fn start(lab: &Lab) -> Result<Self, Error> {
        let routes = free_ports::<3>()?;
        let all: Vec<String> = routes
            .iter()
            .map(|port| format!("nats://127.0.0.1:{port}"))
            .collect();
        let mut servers = Vec::new();
        for (place, port) in routes.iter().enumerate() {
            let config = format!(
                "cluster {{ name: lab, listen: \"127.0.0.1:{port}\", no_advertise: true, routes: [{}] }}",
                all.join(", ")
            );
            // Alone it serves nothing yet: it is there when it listens.
            servers.push(Nats::start_named(lab, (&name(place), &config), LISTENS).await?);
        }
        let cluster = Self { servers };
        let deadline = Instant::now() + MAJORITY_WITHIN;
        while !cluster.is_healthy().await {
            if Instant::now() >= deadline {
                return Err(cluster.leaderless());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(cluster)
    }

    /// The addresses of all, with commas.
    #[must_use]
    pub fn url(&self) -> String {
        let urls: Vec<String> = self.servers.iter().map(Nats::url).collect();
        urls.join(",")
    }

    /// The monitoring of the first.
    #[must_use]
    pub fn monitor_url(&self) -> String {
        self.servers.first().map(Nats::monitor_url).unwrap_or_default()
    }

    /// The server with this name, as the cluster calls its leaders.
    pub fn server(&mut self, wanted: &str) -> Option<&mut Nats> {
        let named = self.servers.iter_mut().enumerate();
        named
            .into_iter()
            .find(|(place, _)| name(*place) == wanted)
            .map(|(_, server)| server)
    }

    fn leaderless(&self) -> Error {
        let log = self.servers.first().map(|server| server.part().log().to_owned());
        let log = log.unwrap_or_default();
        Error::NotReady {
            part: "a cluster of three nats-servers".to_owned(),
            after: MAJORITY_WITHIN,
            tail: tail(&log),
            log,
        }
    }

    async fn is_healthy(&self) -> bool {
        for server in &self.servers {
            if !server.is_healthy().await {
                return false;
            }
        }
        true
    }
}

fn name(place: usize) -> String {
    format!("lab-{place}")
}
