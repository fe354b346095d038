//! The store behind the clusters: one real etcd for all of them, without fsync, since it ends with the lab.

use super::process::{Launch, Part};
use super::tools::Tool;
use super::{Error, Lab, probe};

/// An etcd on loopback, without TLS.
#[derive(Debug)]
pub struct Etcd {
    part: Part,
    port: u16,
}

impl Etcd {
    /// Starts an empty etcd. Clusters of one lab share one, so there is rarely a reason to call this.
    ///
    /// # Errors
    /// Where it does not become ready.
    pub async fn start(lab: &Lab) -> Result<Self, Error> {
        let folder = lab.new_folder("etcd")?;
        let program = lab.tools().path(Tool::Etcd)?;
        let http = probe::client();
        let plan = |[client, peer]: [u16; 2]| {
            // A folder for each try: etcd refuses one that knows other ports.
            let data = folder.join(format!("data-{client}")).display().to_string();
            let (client, peer) = (
                format!("http://127.0.0.1:{client}"),
                format!("http://127.0.0.1:{peer}"),
            );
            let with_values = [
                ("--data-dir", data),
                ("--listen-client-urls", client.clone()),
                ("--advertise-client-urls", client),
                ("--listen-peer-urls", peer.clone()),
                ("--initial-advertise-peer-urls", peer.clone()),
                ("--initial-cluster", format!("default={peer}")),
                ("--log-level", "error".to_owned()),
            ];
            let mut arguments: Vec<_> = with_values
                .map(|(flag, value)| format!("{flag}={value}").into())
                .into();
            arguments.push("--unsafe-no-fsync".into());
            Ok(Launch {
                name: Tool::Etcd.to_string(),
                program: program.to_owned(),
                arguments,
                environment: Vec::new(),
                log: folder.join("etcd.log"),
            })
        };
        let (part, [port, _]) = Part::start_on_free_ports(lab, plan, |[port, _]: [u16; 2]| {
            probe::answers(&http, port, "/health")
        })
        .await?;
        Ok(Self { part, port })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The etcd's process.
    #[must_use]
    pub fn part(&self) -> &Part {
        &self.part
    }
}
