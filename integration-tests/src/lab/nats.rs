//! A real nats-server with `JetStream` on disk, as an operator would run one: every write is synced.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::folder::failed;
use super::process::{Launch, Part};
use super::tools::Tool;
use super::{Error, Lab, probe};

/// How long a restart waits for its old port to be free again.
const PORT_FREE_WITHIN: Duration = Duration::from_secs(10);

/// Fails until JetStream has recovered its streams; in a cluster until a majority is there.
const HEALTH: &str = "/healthz";
/// Answers as soon as the server listens.
const LISTENS: &str = "/varz";

mod cluster;

pub use cluster::NatsCluster;

/// A message bus on loopback. Killed when dropped; its folder lives as long as the lab.
#[derive(Debug)]
pub struct Nats {
    lab: Lab,
    part: Part,
    launch: Launch,
    client_port: u16,
    monitor_port: u16,
}

impl Nats {
    /// Starts a server without users: whoever connects may do everything.
    ///
    /// # Errors
    /// Where the server does not become ready.
    pub async fn start(lab: &Lab) -> Result<Self, Error> {
        Self::start_with(lab, "").await
    }

    /// Starts a server with lines of `nats-server` configuration added to ours, for users and permissions.
    ///
    /// # Errors
    /// Where the server does not become ready, as with configuration that it refuses.
    pub async fn start_with(lab: &Lab, extra_config: &str) -> Result<Self, Error> {
        Self::start_named(lab, ("lab", extra_config), HEALTH).await
    }

    /// Starts a server, and waits until it answers on this path of its monitoring.
    async fn start_named(lab: &Lab, (name, extra): (&str, &str), ready: &str) -> Result<Self, Error> {
        let folder = lab.new_folder("nats")?;
        let program = lab.tools().path(Tool::NatsServer)?;
        let http = probe::client();
        let plan = |[client, monitor]: [u16; 2]| launch(program, &folder, [client, monitor], (name, extra));
        let started = Part::start_on_free_ports(lab, plan, |[_, monitor]: [u16; 2]| {
            probe::answers(&http, monitor, ready)
        })
        .await;
        let (part, [client_port, monitor_port]) = started?;
        let launch = launch(program, &folder, [client_port, monitor_port], (name, extra))?;
        Ok(Self {
            lab: lab.clone(),
            part,
            launch,
            client_port,
            monitor_port,
        })
    }

    /// `nats://127.0.0.1:PORT`; the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.client_port)
    }

    /// `http://127.0.0.1:PORT`, with `/jsz`, `/connz` and so on.
    #[must_use]
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitor_port)
    }

    /// Whether its JetStream serves.
    async fn is_healthy(&self) -> bool {
        probe::answers(&probe::client(), self.monitor_port, HEALTH).await
    }

    /// The server's process.
    #[must_use]
    pub fn part(&self) -> &Part {
        &self.part
    }

    /// Ends the server as kill -9 does.
    ///
    /// # Errors
    /// Where the process cannot be waited for.
    pub async fn kill(&mut self) -> Result<(), Error> {
        self.part.kill().await
    }

    /// Starts the server again on the same ports and folder, after killing it if it still runs.
    ///
    /// # Errors
    /// Where the server does not become ready.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.part.kill().await?;
        let deadline = Instant::now() + PORT_FREE_WITHIN;
        let (http, monitor) = (probe::client(), self.monitor_port);
        // A client's outgoing connection can hold the port for a moment.
        loop {
            match Part::start(&self.lab, &self.launch, || probe::answers(&http, monitor, HEALTH)).await {
                Ok(part) => {
                    self.part = part;
                    return Ok(());
                }
                Err(error) if error.address_in_use() && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Writes the configuration for these ports and says how to run it.
fn launch(
    program: &Path,
    folder: &Path,
    [client, monitor]: [u16; 2],
    (name, extra): (&str, &str),
) -> Result<Launch, Error> {
    let store: PathBuf = folder.join("jetstream");
    let config = folder.join("nats.conf");
    let text = format!(
        "listen: 127.0.0.1:{client}\nhttp: 127.0.0.1:{monitor}\nserver_name: {name}\n\
         jetstream {{ store_dir: \"{}\", sync_interval: always }}\n{extra}\n",
        store.display()
    );
    std::fs::write(&config, text).map_err(|source| failed("writing", &config, source))?;
    Ok(Launch {
        name: Tool::NatsServer.to_string(),
        program: program.to_owned(),
        arguments: vec!["-c".into(), config.into()],
        environment: Vec::new(),
        log: folder.join("nats-server.log"),
    })
}
