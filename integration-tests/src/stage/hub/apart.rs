//! Services in processes of their own: the files that an operator writes for each, and `fluxgate migrate`.

use std::process::Stdio;

use attest::Role;
use audit_log::NoteKey;

use super::{Hub, Process, Service, channel};
use crate::lab::probe;
use crate::lab::process::{Launch, Part};
use crate::stage::files::write;
use crate::stage::{StageError, binary};

/// Name of the ledger in its checkpoints.
const ORIGIN: &str = "fluxgate.dev/ledger";

impl Service {
    /// Whose key it signs with.
    const fn role(self) -> Option<Role> {
        match self {
            Self::ReleaseWatcher => None,
            Self::SignatureVerifier => Some(Role::Verifier),
            Self::PolicyEngine => Some(Role::Policy),
            Self::RolloutController => Some(Role::Controller),
            Self::AuditLog => Some(Role::Ledger),
        }
    }
}

impl Hub {
    /// Makes the streams and puts the trust bundle on the bus, as an operator does it.
    pub(super) async fn migrate(&self) -> Result<(), StageError> {
        let ran = tokio::process::Command::new(binary("fluxgate")?)
            .args([
                "migrate",
                "--nats",
                &self.nats,
                "--monitor",
                &self.monitor,
                "--bundle",
            ])
            .arg(self.files.keys.join(fluxgate::keys::BUNDLE))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| StageError::File {
                path: "fluxgate migrate".into(),
                source,
            })?;
        if ran.status.success() {
            return Ok(());
        }
        Err(StageError::Migrate(
            String::from_utf8_lossy(&ran.stderr).trim().to_owned(),
        ))
    }

    /// Starts a service for the first time.
    pub(super) async fn begin(&self, service: Service) -> Result<Process, StageError> {
        self.make_note_key()?;
        let program = binary(service.name())?;
        let folder = self.files.folder.join(service.name());
        let config = folder.join("config.toml");
        write(&config, self.text(service, [0, 0]))?;
        let launch = Launch {
            name: service.name().to_owned(),
            program,
            arguments: vec!["--config".into(), config.clone().into()],
            environment: Vec::new(),
            log: folder.join("service.log"),
        };
        let plan = |ports| {
            std::fs::write(&config, self.text(service, ports)).map_err(|source| crate::lab::Error::File {
                operation: "writing",
                path: config.clone(),
                source,
            })?;
            Ok(launch.clone())
        };
        let http = probe::client();
        let ready = async |[_, ops]: [u16; 2]| probe::answers(&http, ops, "/readyz").await;
        let (part, [port, ops]) = Part::start_on_free_ports(&self.lab, plan, ready).await?;
        Ok(Process {
            part: Some(part),
            launch,
            port,
            ops,
            channel: channel(port),
        })
    }

    /// The file of a service.
    fn text(&self, service: Service, [grpc, ops]: [u16; 2]) -> String {
        let ports =
            format!("[grpc]\nlisten = \"127.0.0.1:{grpc}\"\n\n[ops]\nlisten = \"127.0.0.1:{ops}\"\n\n");
        let state = self.files.folder.join(service.name()).join("state");
        let key = service
            .role()
            .map(|role| self.files.keys.join(fluxgate::keys::role_key(role)));
        let key = key.map(|key| format!("key = {key:?}\n")).unwrap_or_default();
        format!(
            "[hub]\nstate = {state:?}\n{key}\n[hub.nats]\nurl = {nats:?}\n\n[hub.trust]\nroot_key = {root:?}\n\n\
             {ports}[service]\n{own}",
            nats = self.nats,
            root = self.files.keys.join(fluxgate::keys::ROOT_PUB),
            own = self.own(service),
        )
    }

    /// The section `[service]`.
    fn own(&self, service: Service) -> String {
        let files = &self.files;
        let mirror = format!(
            "\n[[service.registry.mirror]]\nfrom = \"ghcr.io\"\nto = \"http://{}\"\n",
            files.registry
        );
        match service {
            Service::ReleaseWatcher => format!("range = {:?}\ninterval = \"2s\"\n{mirror}", files.range),
            Service::SignatureVerifier => format!("trust_root = {:?}\n{mirror}", files.trust_root),
            Service::PolicyEngine => {
                format!(
                    "trust_root = {:?}\npolicies = [{:?}]\n",
                    files.trust_root, files.policy
                )
            }
            Service::RolloutController => {
                format!("fleet = {:?}\nstrategy = {:?}\n", files.fleet, files.strategy)
            }
            Service::AuditLog => format!(
                "ledger = {:?}\nnote_key = {:?}\norigin = {ORIGIN:?}\nmonitoring_url = {:?}\n",
                files.folder.join(service.name()).join("ledger"),
                self.note_key(),
                self.monitor,
            ),
        }
    }

    fn note_key(&self) -> std::path::PathBuf {
        self.files.keys.join("ledger-note.key")
    }

    fn make_note_key(&self) -> Result<(), StageError> {
        if self.note_key().exists() {
            return Ok(());
        }
        let (_key, text) = NoteKey::generate(ORIGIN).map_err(StageError::NoteKey)?;
        write(&self.note_key(), text)
    }
}
