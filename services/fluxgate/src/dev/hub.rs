//! Starting all services on one host, each with its own key, connection and read model.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use attest::Role;
use audit_log::Pace;
use bus::JetStreamLog;
use hub::join::read_key;
use hub::{Host, Hub, HubConfig, NatsConfig, TrustConfig};
use runtime::{Clock, Shutdown};

use super::nats::Server;
use super::state::State;
use super::{DevConfig, DevError};
use crate::bundle;
use crate::keys::role_key;

/// Makes the streams and puts the trust bundle on the bus.
pub(super) async fn prepare(server: &Server, state: &State) -> Result<(), DevError> {
    let settings = NatsConfig::open(server.url()).settings("fluxgate dev");
    let client = bus::connect(&settings).await.map_err(DevError::Connect)?;
    let settings = bus::streams::Settings {
        monitor_url: server.monitor(),
        ..Default::default()
    };
    bus::streams::migrate(&client, &settings)
        .await
        .map_err(DevError::Streams)?;
    let path = state.keys.join("bundle.json");
    let bytes = std::fs::read(&path).map_err(|source| DevError::File { path, source })?;
    bundle::publish(&JetStreamLog::new(&client), &bytes)
        .await
        .map_err(DevError::Bundle)
}

/// Everything that is needed to start a service.
struct Starter<'a> {
    server: &'a Server,
    state: &'a State,
    host: Host,
}

/// Starts all services.
pub(super) async fn start(
    server: &Server,
    state: &State,
    config: &DevConfig,
    (clock, shutdown): (Clock, Shutdown),
) -> Result<Host, DevError> {
    let mut starter = Starter {
        server,
        state,
        host: Host::new(clock, shutdown),
    };
    starter.audit_log().await?;
    let watcher = release_watcher::Settings {
        range: config.range.clone(),
        interval: config.interval,
        registry: config.registry.clone(),
    };
    let hub = starter.join(release_watcher::NAME, None).await?;
    started(
        release_watcher::NAME,
        release_watcher::start(hub, watcher, &mut starter.host),
    )?;
    let verifier = signature_verifier::Settings {
        registry: config.registry.clone(),
        ..signature_verifier::Settings::new(state.trust_root.clone())
    };
    let hub = starter
        .join(signature_verifier::NAME, Some(Role::Verifier))
        .await?;
    started(
        signature_verifier::NAME,
        signature_verifier::start(hub, verifier, &mut starter.host),
    )?;
    let engine = policy_engine::Settings {
        trust_root: state.trust_root.clone(),
        policies: state.policies.clone(),
    };
    let hub = starter.join(policy_engine::NAME, Some(Role::Policy)).await?;
    started(
        policy_engine::NAME,
        policy_engine::start(hub, engine, &mut starter.host),
    )?;
    let controller = rollout_controller::Settings {
        fleet: state.fleet.clone(),
        strategy: state.strategy.clone(),
    };
    let hub = starter
        .join(rollout_controller::NAME, Some(Role::Controller))
        .await?;
    started(
        rollout_controller::NAME,
        rollout_controller::start(hub, controller, &mut starter.host),
    )?;
    Ok(starter.host)
}

fn started<E: Error + Send + Sync + 'static>(
    name: &'static str,
    result: Result<(), E>,
) -> Result<(), DevError> {
    result.map_err(|error| DevError::Start(name, Box::new(error)))
}

impl Starter<'_> {
    fn key(&self, role: Role) -> PathBuf {
        self.state.keys.join(role_key(role))
    }

    async fn join(&self, name: &'static str, role: Option<Role>) -> Result<Hub, DevError> {
        let config = HubConfig {
            nats: NatsConfig::open(self.server.url()),
            trust: TrustConfig {
                root_key: self.state.keys.join("root.pub"),
                lowest_bundle: 1,
            },
            key: role.map(|role| self.key(role)),
            state: Some(self.state.folder.join("views")),
        };
        Hub::join(name, &config, self.host.clock, self.host.shutdown.clone())
            .await
            .map_err(|error| DevError::Join(name, error))
    }

    /// The ledger first: nothing is allowed before it confirms.
    async fn audit_log(&mut self) -> Result<(), DevError> {
        let name = audit_log::NAME;
        let signer = read_key(&self.key(Role::Ledger)).map_err(|error| DevError::Join(name, error))?;
        let hub = self.join(name, Some(Role::Ledger)).await?;
        let opened = audit_log::Service::open(audit_log::Deps {
            log: Arc::clone(&hub.log),
            blobs: Arc::new(hub.blobs.clone()),
            board: Arc::new(hub.status.clone()),
            signer: Arc::new(signer),
            note_key: self.state.note_key()?,
            clock: self.host.clock,
            state: self.state.folder.join("ledger"),
            monitoring_url: self.server.monitor(),
            pace: Pace::default(),
        });
        let service = opened
            .await
            .map_err(|error| DevError::Start(name, Box::new(error)))?;
        self.host.grpc.add(audit_log::grpc::server(service.clone()));
        let shutdown = self.host.shutdown.clone();
        self.host.spawn(name, async move { service.run(shutdown).await });
        Ok(())
    }
}
