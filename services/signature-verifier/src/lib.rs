//! signature-verifier: fetches the manifests of a release by digest, verifies them, derives and signs what
//! the release contains, verifies every image, and maps what clusters run to verified images.
//!
//! One discovered release goes `handler` (message to outcome) -> `release` (fetch, verify, publish) ->
//! `evidence` (the check itself) -> `bus::journal`; what is not signed yet is a timer's ([`Settings`]), what a
//! person wants to see again comes by `grpc` -> `reverify` -> `release`. What clusters run goes `baseline` in the
//! same way.
//!
//! Deliberately not here: provenance and SBOMs, and every decision.

pub mod config;

mod artifact;
mod backoff;
mod baseline;
#[cfg(test)]
mod fixture;
mod grpc;
mod handler;
mod release;
mod reverify;

use std::sync::Arc;
use std::time::Duration;

use bus::blobs::Blobs;
use bus::{Journal, View};
use domain::{Digest, ReleaseKey};
use evidence::TrustRoot;
use hub::{Host, Hub};
use runtime::Clock;

use backoff::Backoff;
use baseline::{Obstacles, Statements};
pub use config::Settings;
use release::Waiting;
use reverify::Turns;

/// Name of the service, of its durable consumer, of its binary.
pub const NAME: &str = "signature-verifier";

/// How often facts without baseline are looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// How often releases are looked at: each look verifies what the newest attempt of each says.
const RELEASES_EVERY: Duration = Duration::from_secs(10);

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The trust root can't be read from disk.
    #[error("reading the trust root {path}")]
    TrustRootFile {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The trust root is none.
    #[error("reading the trust root")]
    TrustRoot(#[source] evidence::TrustRootError),
    /// The verifier can't verify: this build lacks its cryptography.
    #[error("verifying a known signature")]
    SelfTest(#[source] evidence::SelfTestError),
    /// The registry's configuration is wrong.
    #[error("configuring the registry")]
    Registry(#[source] registry::ConfigError),
}

/// What the parts of the service share.
#[derive(Debug)]
struct Verifier {
    view: View,
    journal: Journal,
    blobs: Blobs,
    clock: Clock,
    registry: registry::Client,
    trust: TrustRoot,
    settings: Settings,
    statements: Statements,
    /// Releases that could not be verified, or not yet.
    releases: Backoff<ReleaseKey>,
    /// Why not yet.
    waiting: Waiting,
    /// What runs somewhere and could not be mapped, by the digest of it.
    running: Backoff<Digest>,
    /// Why it could not be.
    obstacles: Obstacles,
    /// Persons who want a release verified again.
    turns: Turns,
}

/// Starts the service on a host.
///
/// # Errors
/// If what it needs is missing or broken; nothing is retried at the start.
pub async fn start(hub: Hub, settings: Settings, host: &mut Host) -> Result<(), StartError> {
    evidence::self_test().map_err(StartError::SelfTest)?;
    let path = settings.trust_root.clone();
    let bytes = std::fs::read(&path).map_err(|source| StartError::TrustRootFile { path, source })?;
    let trust = TrustRoot::from_json(&bytes).map_err(StartError::TrustRoot)?;
    let registry = registry::Client::new(&settings.registry).map_err(StartError::Registry)?;
    let verifier = Arc::new(Verifier {
        view: hub.view.clone(),
        journal: hub.journal.clone(),
        blobs: hub.blobs.clone(),
        clock: hub.clock,
        registry,
        trust,
        settings,
        statements: Statements::default(),
        releases: Backoff::default(),
        waiting: Waiting::default(),
        running: Backoff::default(),
        obstacles: Obstacles::default(),
        turns: Turns::default(),
    });
    host.grpc.add(grpc::server(Arc::clone(&verifier)));
    let worker = handler::worker(hub.clone(), Arc::clone(&verifier));
    host.spawn(NAME, worker);
    let (releases, shutdown) = (Arc::clone(&verifier), hub.shutdown.clone());
    host.spawn(NAME, async move {
        loop {
            releases.look_at_releases().await;
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(RELEASES_EVERY) => {}
            }
        }
    });
    host.spawn(NAME, async move {
        hub.each_change(LOOK_AGAIN, || verifier.look_at_clusters()).await
    });
    Ok(())
}

impl Verifier {
    /// What no message asks for: releases whose signature comes late or has not come, or whose evidence was signed by
    /// a key that does not act any more.
    async fn look_at_releases(&self) {
        if let Err(error) = self.unsummarised(self.clock.now()).await {
            tracing::warn!(error = %runtime::errors::chain(&error), "no release could be verified");
        }
    }

    /// Clusters that changed.
    async fn look_at_clusters(&self) {
        if let Err(error) = self.baselines(self.clock.now()).await {
            tracing::warn!(error = %runtime::errors::chain(&error), "no baseline could be verified");
        }
    }
}
