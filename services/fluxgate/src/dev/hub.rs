//! Starting all services on one host, each with its own key, connection and read model.

use std::error::Error;
use std::path::PathBuf;

use attest::Role;
use bus::JetStreamLog;
use hub::{Host, Hub, HubConfig, NatsConfig, TrustConfig};
use runtime::{Clock, SecretFile, Shutdown};

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
        release_watcher::start(hub, watcher, &mut starter.host).await,
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
        signature_verifier::start(hub, verifier, &mut starter.host).await,
    )?;
    let engine = policy_engine::Settings {
        trust_root: state.trust_root.clone(),
        policies: state.policies.clone(),
    };
    let hub = starter.join(policy_engine::NAME, Some(Role::Policy)).await?;
    started(
        policy_engine::NAME,
        policy_engine::start(hub, engine, &mut starter.host).await,
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
        rollout_controller::start(hub, controller, &mut starter.host).await,
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

    async fn join(&mut self, name: &'static str, role: Option<Role>) -> Result<Hub, DevError> {
        let config = HubConfig {
            nats: NatsConfig::open(self.server.url()),
            trust: TrustConfig {
                root_key: self.state.keys.join("root.pub"),
                lowest_bundle: 1,
            },
            key: role.map(|role| self.key(role)),
            state: Some(self.state.folder.join("views")),
        };
        Hub::join(name, &config, &mut self.host)
            .await
            .map_err(|error| DevError::Join(name, error))
    }

    /// The ledger first: nothing is allowed before it confirms.
    async fn audit_log(&mut self) -> Result<(), DevError> {
        let name = audit_log::NAME;
        let hub = self.join(name, Some(Role::Ledger)).await?;
        let settings = audit_log::Settings {
            ledger: self.state.folder.join("ledger"),
            note_key: SecretFile::new(self.state.note_key()?),
            origin: self.state.origin()?,
            monitoring_url: self.server.monitor(),
        };
        started(name, audit_log::start(hub, settings, &mut self.host).await)
    }
}
