//! release-watcher: polls the repository of Flux's manifests for tags in a semver range, pins each to the
//! digest that it has now, and announces it. What it says is a hint: everything in it is found out again by
//! those who act on it.
//!
//! A tag that shows another digest than before is announced as another release.

pub mod config;

mod answered;
mod grpc;
mod looks;
mod poll;

use std::sync::Arc;

use hub::{Host, Hub};
use tokio::sync::Mutex;

pub use config::Settings;

/// Name of the service, of its binary.
pub const NAME: &str = "release-watcher";

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The range is none.
    #[error("service.range {range:?} is no semver range, like \">=2.9.0, <3\"")]
    Range {
        /// As configured.
        range: String,
        /// Why.
        #[source]
        source: semver::Error,
    },
    /// The registry's configuration is wrong.
    #[error("configuring the registry")]
    Registry(#[source] registry::ConfigError),
}

/// What the parts of the service share.
#[derive(Debug)]
struct Watcher {
    hub: Hub,
    registry: registry::Client,
    repository: String,
    range: semver::VersionReq,
    /// One poll at a time: a request waits for the one that runs. With it what requests were answered.
    polling: Mutex<answered::Answered>,
    looks: looks::Looks,
}

/// Starts the service on a host.
///
/// # Errors
/// If its configuration is wrong.
pub async fn start(hub: Hub, settings: Settings, host: &mut Host) -> Result<(), StartError> {
    let range = settings.range.parse().map_err(|source| StartError::Range {
        range: settings.range,
        source,
    })?;
    let registry = registry::Client::new(&settings.registry).map_err(StartError::Registry)?;
    let repository = flux::identity::repository(domain::Artifact::FluxManifests);
    let watcher = Arc::new(Watcher {
        hub,
        registry,
        repository,
        range,
        polling: Mutex::default(),
        looks: looks::Looks::default(),
    });
    host.grpc.add(grpc::server(Arc::clone(&watcher)));
    let interval = settings.interval;
    host.spawn(NAME, async move { watcher.run(interval).await });
    Ok(())
}
