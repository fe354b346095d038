//! The hub: `fluxgate dev` in one process, or each service in a process of its own, which can be killed and
//! started again alone.

mod apart;
mod ask;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tonic::transport::Channel;
use wire::fleet;
use wire::fleet::v1::fleet_service_client::FleetServiceClient;

use super::{HubFiles, StageError, binary};
use crate::lab::nats::Nats;
use crate::lab::process::{Launch, Part, free_ports};
use crate::lab::{Lab, probe};

pub use ask::until;

/// How long a restart waits for its old ports to be free again.
const PORT_FREE_WITHIN: Duration = Duration::from_secs(10);

/// A service of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Polls for releases.
    ReleaseWatcher,
    /// Verifies them.
    SignatureVerifier,
    /// Decides.
    PolicyEngine,
    /// Plans and assigns.
    RolloutController,
    /// Keeps the ledger.
    AuditLog,
}

impl Service {
    /// All services, the ledger first: nothing is allowed before it confirms.
    pub const ALL: [Self; 5] = [
        Self::AuditLog,
        Self::ReleaseWatcher,
        Self::SignatureVerifier,
        Self::PolicyEngine,
        Self::RolloutController,
    ];

    /// Its name, and that of its binary.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReleaseWatcher => "release-watcher",
            Self::SignatureVerifier => "signature-verifier",
            Self::PolicyEngine => "policy-engine",
            Self::RolloutController => "rollout-controller",
            Self::AuditLog => "audit-log",
        }
    }
}

/// A running hub.
#[derive(Debug)]
pub struct Hub {
    lab: Lab,
    files: HubFiles,
    nats: String,
    monitor: String,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Together(Box<Process>),
    Apart(BTreeMap<Service, Process>),
}

/// A process of the hub. `None` when it was killed.
#[derive(Debug)]
struct Process {
    part: Option<Part>,
    launch: Launch,
    /// Where gRPC is served.
    port: u16,
    /// Where `/readyz` is served.
    ops: u16,
    channel: Channel,
}

/// A channel to a port of this machine, connected when it is used.
fn channel(port: u16) -> Channel {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    Channel::from_shared(format!("http://{address}"))
        .unwrap_or_else(|_malformed| Channel::from_static("http://127.0.0.1"))
        .timeout(Duration::from_secs(20))
        .connect_lazy()
}

impl Hub {
    /// Starts `fluxgate dev` and waits until it serves.
    pub(super) async fn start(lab: &Lab, nats: &Nats, files: &HubFiles) -> Result<Self, StageError> {
        let [port] = free_ports::<1>()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let launch = Launch {
            name: "fluxgate dev".to_owned(),
            program: binary("fluxgate")?,
            arguments: ["dev", "--state"]
                .into_iter()
                .map(Into::into)
                .chain([
                    files.folder.clone().into(),
                    "--listen".into(),
                    address.to_string().into(),
                ])
                .chain(["--config".into(), files.config.clone().into()])
                .chain([
                    "--nats".into(),
                    nats.url().into(),
                    "--nats-monitor".into(),
                    nats.monitor_url().into(),
                ])
                .collect(),
            environment: Vec::new(),
            log: files.folder.join("hub.log"),
        };
        let channel = channel(port);
        let part = Part::start(lab, &launch, async || serves(channel.clone()).await).await?;
        let process = Process {
            part: Some(part),
            launch,
            port,
            ops: 0,
            channel,
        };
        Ok(Self::of(lab, nats, files, Form::Together(Box::new(process))))
    }

    /// Starts each of these services in a process of its own, after `fluxgate migrate`.
    pub(super) async fn start_apart(
        lab: &Lab,
        nats: &Nats,
        files: &HubFiles,
        services: &[Service],
    ) -> Result<Self, StageError> {
        let mut hub = Self::of(lab, nats, files, Form::Apart(BTreeMap::new()));
        hub.migrate().await?;
        for service in services {
            hub.restart(*service).await?;
        }
        Ok(hub)
    }

    fn of(lab: &Lab, nats: &Nats, files: &HubFiles, form: Form) -> Self {
        let (nats, monitor) = (nats.url(), nats.monitor_url());
        Self {
            lab: lab.clone(),
            files: files.clone(),
            nats,
            monitor,
            form,
        }
    }

    /// Where a client reaches fleet and rollouts; all services, where they are together.
    #[must_use]
    pub fn url(&self) -> String {
        let process = match &self.form {
            Form::Together(process) => Some(process.as_ref()),
            Form::Apart(processes) => processes.get(&Service::RolloutController),
        };
        format!("http://127.0.0.1:{}", process.map_or(0, |process| process.port))
    }

    /// The process of a service, while it runs; that of all, where they are together.
    #[must_use]
    pub fn process_id(&self, service: Service) -> Option<u32> {
        self.process(service).map(Part::id)
    }

    /// The same with its log.
    #[must_use]
    pub fn process(&self, service: Service) -> Option<&Part> {
        let process = match &self.form {
            Form::Together(process) => Some(process.as_ref()),
            Form::Apart(processes) => processes.get(&service),
        };
        process?.part.as_ref()
    }

    /// The channel to a service; to nobody where it was never started.
    fn channel(&self, service: Service) -> Channel {
        match &self.form {
            Form::Together(process) => process.channel.clone(),
            Form::Apart(processes) => processes
                .get(&service)
                .map_or_else(|| channel(1), |process| process.channel.clone()),
        }
    }

    /// A channel of its own to a service, for calls that last.
    fn lasting(&self, service: Service) -> Channel {
        let port = match &self.form {
            Form::Together(process) => process.port,
            Form::Apart(processes) => processes.get(&service).map_or(1, |process| process.port),
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Channel::from_shared(format!("http://{address}"))
            .unwrap_or_else(|_malformed| Channel::from_static("http://127.0.0.1"))
            .connect_lazy()
    }

    /// What a service wrote to its log; everybody's, where they are together.
    #[must_use]
    pub fn log(&self, service: Service) -> String {
        let process = match &self.form {
            Form::Together(process) => Some(process.as_ref()),
            Form::Apart(processes) => processes.get(&service),
        };
        let path = process.map(|process| &process.launch.log);
        path.and_then(|path| std::fs::read_to_string(path).ok())
            .unwrap_or_default()
    }

    /// Kills all of it with SIGKILL.
    ///
    /// # Errors
    /// If a process can't be waited for.
    pub async fn kill(self) -> Result<(), StageError> {
        let processes: Vec<Process> = match self.form {
            Form::Together(process) => vec![*process],
            Form::Apart(processes) => processes.into_values().collect(),
        };
        for mut process in processes {
            process.kill().await?;
        }
        Ok(())
    }

    /// Kills one service with SIGKILL; all of them, where they are together.
    ///
    /// # Errors
    /// If the process can't be waited for.
    pub async fn kill_service(&mut self, service: Service) -> Result<(), StageError> {
        match &mut self.form {
            Form::Together(process) => process.kill().await,
            Form::Apart(processes) => match processes.get_mut(&service) {
                Some(process) => process.kill().await,
                None => Ok(()),
            },
        }
    }

    /// Starts one service, with the ports and the state that it had, after killing it if it runs.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn restart(&mut self, service: Service) -> Result<(), StageError> {
        match &mut self.form {
            Form::Together(process) => process.restart(&self.lab).await,
            Form::Apart(processes) => {
                if let Some(process) = processes.get_mut(&service) {
                    return process.restart(&self.lab).await;
                }
                let process = self.begin(service).await?;
                if let Form::Apart(processes) = &mut self.form {
                    processes.insert(service, process);
                }
                Ok(())
            }
        }
    }
}

impl Process {
    async fn kill(&mut self) -> Result<(), StageError> {
        match self.part.take() {
            Some(mut part) => Ok(part.kill().await?),
            None => Ok(()),
        }
    }

    async fn restart(&mut self, lab: &Lab) -> Result<(), StageError> {
        self.kill().await?;
        let (http, channel, ops) = (probe::client(), self.channel.clone(), self.ops);
        let ready = async || match ops {
            0 => serves(channel.clone()).await,
            ops => probe::answers(&http, ops, "/readyz").await,
        };
        let deadline = Instant::now() + PORT_FREE_WITHIN;
        // A client's outgoing connection can hold a port for a moment.
        loop {
            match Part::start(lab, &self.launch, &ready).await {
                Ok(part) => {
                    self.part = Some(part);
                    return Ok(());
                }
                Err(error) if error.address_in_use() && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

async fn serves(channel: Channel) -> bool {
    let mut client = FleetServiceClient::new(channel);
    client
        .list_clusters(fleet::v1::ListClustersRequest::default())
        .await
        .is_ok()
}
